"""The lease thread: the only one of a web process that brings limits to the database."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

from penstock.core import clock, ids, log
from penstock.core.errors import PenstockError
from penstock.core.home import Home
from penstock.gateway.limits.meter import Errand, Meter, Sharing
from penstock.gateway.limits.meters import Meters
from penstock.gateway.limits.rules import Rules
from penstock.gateway.limits.settings import LimitsSettings
from penstock.gateway.limits.store import ledger
from penstock.gateway.limits.store import rules as rule_store

TOPIC = "limits"
BATCH = 200
"""Meters per transaction: the write lock is never held for long."""
AGAIN_SECONDS = 0.25
AWAY_SECONDS = 2.0
"""A transaction that takes longer than this means that the database is away."""
FORGET_DAYS = 7
_log = log.get("gateway.limits")


class Batch(NamedTuple):
    """Errands whose amounts are on their way: the same ones again until it is known that they arrived."""

    number: int
    errands: dict[Meter, Errand]


def load(home: Home) -> Rules:
    """Return all rules as they stand."""
    revision = home.revision(TOPIC)
    with home.read() as uow:
        limits, budgets = rule_store.load_rules(uow.conn)
    return Rules(limits, budgets, revision)


class Lessor:
    """Leases ahead, books what was settled, tells that this process lives, and buries dead ones."""

    def __init__(
        self, home: Home, meters: Meters, settings: LimitsSettings, *, changed: Callable[[Rules], None],
        tidy: Callable[[], None], leave: float = 0.0,
    ) -> None:  # fmt: skip
        self.id = ids.new_id("les")
        self.lessees = 1
        """Processes alive, when last counted."""
        self._home, self._meters, self._settings = home, meters, settings
        self._changed, self._tidy, self._leave = changed, tidy, leave
        self._turn = threading.Lock()
        """Held for a turn: the thread and `flush` never run one at the same time."""
        self._pending: Batch | None = None
        self._number = 0
        self._known = False
        """Whether this process is in the ledger."""
        self._revisions: tuple[int, ...] = (-1, -1)
        self._beat_at = self._tidy_at = self._looked_at = float("-inf")
        self._began: float | None = None
        self._failed = False
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def away(self) -> bool:
        """Whether the database does not answer, or not in time."""
        began = self._began
        return self._failed or (began is not None and clock.monotonic() - began > AWAY_SECONDS)

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="penstock-limits", daemon=True)
            self._thread.start()

    def close(self, timeout: float = 20.0) -> None:
        """Book everything, give all leases back and stop; without the database the leases count as spent."""
        self._closing.set()
        self._meters.hurry.set()
        if self._thread is not None:
            self._thread.join(timeout)
        with self._meters.lock:
            for meter in self._meters.all.values():
                meter.giving = True
                self._meters.busy.add(meter)
        arrived = self.flush()
        self._meters.hide()
        if not arrived or not self._known:
            return
        with self._meters.lock:
            in_use = any(meter.calls for meter in self._meters.all.values())
        if not in_use:
            with self._home.begin() as uow:
                ledger.leave(uow.conn, self.id)

    def flush(self) -> bool:
        """Bring everything to the ledger and read the rules now; False when the database cannot be reached."""
        self._looked_at = float("-inf")
        while self.turn():
            with self._meters.lock:
                if not self._meters.busy and self._pending is None:
                    return True
        return False

    def _run(self) -> None:
        while not self._closing.is_set():
            self._meters.hurry.wait(self._settings.flush_ms / 1000)
            self._meters.hurry.clear()
            if not self.turn():
                self._closing.wait(AGAIN_SECONDS)

    def turn(self) -> bool:
        """Do one round of everything that is due; returns whether the database took part."""
        with self._turn:
            self._began = clock.monotonic()
            try:
                self._round(self._began)
                if self._failed:
                    _log.warning("the database is back, limits are booked again")
                self._failed = False
            except Exception as error:  # noqa: BLE001 - whatever it was, leases go on and the next turn tries again
                if not self._failed:
                    known = isinstance(error, PenstockError)
                    _log.warning("limits go on with what is leased: %s", error, exc_info=not known)
                self._failed = True
            finally:
                self._began = None
                self._meters.wake_all()
            return not self._failed

    def _round(self, now: float) -> None:
        if now - self._looked_at >= self._settings.flush_ms / 2000:
            self._look()
            self._looked_at = now
        if self._pending is None and now - self._tidy_at > self._settings.idle_seconds:
            self._tidy_at = now
            self._tidy()
        for batch in self._batches():
            self._began = clock.monotonic()
            self._trade(batch)
        if self._known and now - self._beat_at > self._settings.dead_after_seconds / 6:
            self._beat()
            self._beat_at = now

    # -- configuration and recalls -------------------------------------------------------------------------

    def _look(self) -> None:
        revisions = self._home.revisions(TOPIC, ledger.RECALLS)
        if revisions[0] != self._revisions[0]:
            self._changed(load(self._home))
        if revisions[1] != self._revisions[1] and self._known:
            with self._home.read() as uow:
                asked = ledger.recalled(uow.conn, self.id)
            with self._meters.lock:
                for key in asked:
                    if (meter := self._meters.all.get(key)) is not None:
                        meter.giving = True
                        self._meters.busy.add(meter)
        self._revisions = revisions

    # -- trading -------------------------------------------------------------------------------------------

    def _batches(self) -> Iterator[Batch]:
        """Give the batches of one round: what grows busy meanwhile is the next round's, or a round never ended."""
        with self._meters.lock:
            left = len(self._meters.busy)
            left += len(self._pending.errands) if self._pending is not None else 0
        while left > 0 and (batch := self._collect()) is not None:
            left -= len(batch.errands)
            yield batch

    def _collect(self) -> Batch | None:
        """Return the next batch: the one that may not have arrived with its wants renewed, or a new one."""
        now = clock.monotonic()
        with self._meters.lock:
            if self._pending is not None:
                renewed = {m: m.errand(now, booked) for m, booked in self._pending.errands.items()}
                self._pending = Batch(self._pending.number, renewed)
                return self._pending
            taken: dict[Meter, Errand] = {}
            while self._meters.busy and len(taken) < BATCH:
                meter = self._meters.busy.pop()
                errand = meter.errand(now, None)
                if errand.settle or errand.give or errand.least or errand.wish:
                    taken[meter] = errand
            if not taken:
                return None
            self._number += 1
            self._pending = Batch(self._number, taken)
            return self._pending

    def _trade(self, batch: Batch) -> None:
        at = clock.now()
        found: dict[Meter, object] = {}
        with self._home.begin() as uow:
            number = ledger.open_lessee(uow.conn, self.id, at)
            alive = at - timedelta(seconds=self._settings.dead_after_seconds)
            self.lessees = max(1, ledger.count_lessees(uow.conn, alive))
            shared = _Once(lambda: ledger.shared_seconds(uow.conn))
            sharing = Sharing(
                self.id,
                self.lessees,
                self._settings.slice_fraction,
                number < batch.number,
                shared,
                self._leave,
            )
            for meter, errand in sorted(batch.errands.items(), key=lambda pair: pair[0].key):
                found[meter] = meter.trade(uow, sharing, errand)
            if sharing.fresh:
                ledger.number_batch(uow.conn, self.id, batch.number)
        self._known = True
        now = clock.monotonic()
        with self._meters.lock:
            self._pending = None
            for meter, result in found.items():
                meter.learn(result, batch.errands[meter], now)
        self._meters.wake_all()

    # -- life and death ------------------------------------------------------------------------------------

    def _beat(self) -> None:
        at = clock.now()
        silent = at - timedelta(seconds=self._settings.dead_after_seconds)
        with self._home.begin() as uow:
            ledger.open_lessee(uow.conn, self.id, at)
            dead = ledger.silent_lessees(uow.conn, silent)
            ledger.forget_dead(uow.conn, at - timedelta(days=FORGET_DAYS))
        for lessee in dead:
            with self._home.begin() as uow:
                if ledger.bury(uow.conn, lessee, silent):
                    _log.warning(
                        "a process is gone: what it had leased counts as spent", extra={"lessee": lessee}
                    )


class _Once:
    """Asks once and remembers: one reading of the shared clock per transaction, and none where nobody wants it."""

    def __init__(self, ask: Callable[[], float]) -> None:
        self._ask = ask
        self._answer: Any = None

    def __call__(self) -> float:
        if self._answer is None:
            self._answer = self._ask()
        return float(self._answer)
