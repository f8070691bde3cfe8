"""What became of divided calls, on its way from the web process into the store."""

import threading

from penstock.core import log
from penstock.core.errors import PenstockError
from penstock.core.home import Home
from penstock.core.scope import Scope
from penstock.gateway.call import Call
from penstock.gateway.model import ArmOutcome
from penstock.gateway.splits import store

_log = log.get("gateway")
NS = 1e-9
PER_ROW = 500
MOST = 50_000
"""Outcomes held while the database cannot be written; more are left out, of all arms alike."""
LEFT = 499


class ArmJournal:
    """Collects outcomes of one process; `flush` writes them, in a thread, several times a second.

    A process that is killed takes what it has not written with it: a fraction of a second of all arms alike, so that
    no comparison is bent.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._held: list[tuple[Scope, str, ArmOutcome]] = []
        self._lost = 0
        self._writing = threading.Lock()

    def add(self, call: Call) -> None:
        """Take a finished call that has an arm."""
        if call.status == 429 and call.target is None:
            return  # refused by a limit: it never came to the arm
        if len(self._held) >= MOST:
            self._lost += 1
            return
        assert call.arm is not None
        self._held.append((call.arm.split.scope, call.arm.split.release, outcome_of(call)))

    def flush(self) -> None:
        """Write what is held; it stays held while that cannot be done."""
        if not self._held:
            return
        with self._writing:
            held = self._held
            count = len(held)
            groups: dict[tuple[Scope, str], list[ArmOutcome]] = {}
            for scope, release, item in held[:count]:
                groups.setdefault((scope, release), []).append(item)
            try:
                with self._home.begin() as uow:
                    for (scope, release), items in groups.items():
                        for start in range(0, len(items), PER_ROW):
                            store.add_outcomes(uow.conn, scope, release, items[start : start + PER_ROW])
            except PenstockError as error:
                _log.warning("what became of divided calls cannot be written yet: %s", error)
                return
            del held[:count]
            if self._lost:
                _log.warning("%d divided calls were not counted: the database was away too long", self._lost)
                self._lost = 0


def outcome_of(call: Call) -> ArmOutcome:
    """Return what a finished call says about its arm. Answers from a cache say nothing of its speed and cost."""
    arm = call.arm
    assert arm is not None
    failed = call.error is not None and call.status != LEFT
    fresh = call.cache != "hit" and not failed and call.answered
    usage = call.usage
    return ArmOutcome(
        phase=arm.split.phase,
        arm=arm.name,
        trace_id=call.trace_id,
        span_id=call.span_id,
        unit=arm.unit,
        pair=arm.pair,
        failed=failed,
        guarded=bool(call.events),
        latency_s=(call.end_ns - call.start_ns) * NS if fresh and call.status != LEFT else None,
        first_token_s=(call.first_ns - call.start_ns) * NS if fresh and call.first_ns else None,
        cost_usd=call.cost.usd if fresh and call.cost is not None else None,
        output_tokens=usage.output if fresh and usage is not None else None,
    )
