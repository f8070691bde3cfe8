"""Adding what became of calls, and what was said of them, to a release's sums: each exactly once."""

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from penstock.core.scope import Scope
from penstock.core.uow import UnitOfWork
from penstock.gateway.model import ArmOutcome
from penstock.release import sums
from penstock.release.judging import CALLS_COUNTED, PAIRED
from penstock.release.metrics import has_scores, measured
from penstock.release.model import DividedCall, Kind, Metric, Phase, Plan, Release, Score
from penstock.release.store import calls as calls_store
from penstock.release.store import releases as store
from penstock.release.store.releases import UnitKey
from penstock.release.sums import Unit

SCORES = 1000
"""Scores looked at in one transaction."""
SCORE_WAITS = timedelta(seconds=60)
"""How long a score waits for its call, which is written a moment after its answer."""
CALLS_KEPT = timedelta(days=7)
"""How long after a call something may be said of it."""


class Ledger:
    """The sums of a release while a batch is added; `close` stores them."""

    def __init__(self, uow: UnitOfWork, release: Release, phases: Sequence[Phase]) -> None:
        self._uow = uow
        self._release = release
        self._phases = {phase.number: phase for phase in phases}
        self._sums = {phase.number: {arm: dict(own) for arm, own in phase.sums.items()} for phase in phases}
        self._units = {phase.number: dict(phase.units) for phase in phases}
        self._again = {phase.number: dict(phase.again) for phase in phases}
        self._known: dict[UnitKey, dict[str, Unit]] = {}
        self._since: dict[str, int] = {}
        """Unit → the first phase it was in: only there does its place say anything about the split."""
        self._changed: set[UnitKey] = set()
        self._touched: set[int] = set()

    def load(self, keys: Iterable[UnitKey]) -> None:
        """Read what is known of the units that will be added to."""
        names = [unit for _, _, unit in keys if unit]
        found = store.units_of(self._uow.conn, self._release, names)
        for phase, _, unit in found:
            self._since[unit] = min(phase, self._since.get(unit, phase))
        self._known |= found

    def add(self, key: UnitKey, values: Mapping[str, float], *, new: bool = False) -> None:
        """Add one call's values; `new` where the call itself has not been counted before."""
        phase, arm, unit = key
        if phase not in self._phases:
            return  # of a phase that a kill undid: nothing is known of its shares
        self._touched.add(phase)
        own = self._sums[phase].setdefault(arm, {})
        known: dict[str, Unit] = {}
        fresh = True
        if unit:
            known = self._known.setdefault(key, {})
            self._changed.add(key)
            fresh = self._since.setdefault(unit, phase) >= phase
        if new and CALLS_COUNTED not in known:
            counts = (self._units if fresh else self._again)[phase]
            counts[arm] = counts.get(arm, 0) + 1
        for metric, value in values.items():
            old = known.get(metric, (0.0, 0.0))
            now = (old[0] + 1, old[1] + value)
            own[metric] = sums.added(tuple(own.get(metric, sums.NOTHING)), now, old, hits=fresh)
            known[metric] = now

    def close(self) -> list[Phase]:
        """Store the sums and return the phases."""
        changed = {
            number: replace(
                self._phases[number],
                sums=self._sums[number],
                units=self._units[number],
                again=self._again[number],
            )
            for number in self._touched
        }
        for phase in changed.values():
            store.put_phase(self._uow.conn, self._release, phase)
        store.put_units(self._uow.conn, self._release, {key: self._known[key] for key in self._changed})
        return [changed.get(number, phase) for number, phase in sorted(self._phases.items())]


def collect(
    uow: UnitOfWork, release: Release, phases: Sequence[Phase], outcomes: Sequence[ArmOutcome], at: datetime
) -> list[Phase]:
    """Add outcomes that were just taken, in the same transaction; returns the phases as they are now."""
    ledger = Ledger(uow, release, phases)
    if release.plan.kind is Kind.SHADOW:
        _add_pairs(uow, release, ledger, outcomes, at)
        return ledger.close()
    ledger.load((call.phase, call.arm, call.unit) for call in outcomes)
    for call in outcomes:
        values = measured(call, release.plan.metrics) | {CALLS_COUNTED: 1.0}
        ledger.add((call.phase, call.arm, call.unit), values, new=True)
    divided = [_divided(call, at) for call in outcomes]
    if has_scores(release.plan.metrics):
        calls_store.add_calls(uow.conn, release, divided)
    _queue(uow, release, divided)
    return ledger.close()


def _divided(call: ArmOutcome, at: datetime, metrics: Mapping[str, float] | None = None) -> DividedCall:
    return DividedCall(
        trace_id=call.trace_id,
        span_id=call.span_id,
        phase=call.phase,
        arm=call.arm,
        unit=call.unit,
        pair=call.pair,
        metrics=metrics,
        at=at,
    )


def _add_pairs(
    uow: UnitOfWork, release: Release, ledger: Ledger, outcomes: Sequence[ArmOutcome], at: datetime
) -> None:
    """Match calls with their copies, which may come in any order; halves wait for each other in the store."""
    plan = release.plan
    fresh = [_divided(call, at, measured(call, plan.metrics)) for call in outcomes]
    halves: dict[str, list[DividedCall]] = {}
    for half in [*calls_store.take_halves(uow.conn, release, [each.pair for each in fresh]), *fresh]:
        halves.setdefault(half.pair, []).append(half)
    whole = {pair: own for pair, own in halves.items() if len({half.arm for half in own}) == 2}
    calls_store.add_calls(
        uow.conn, release, [half for pair, own in halves.items() if pair not in whole for half in own]
    )
    found = [_sides(plan, own) for own in whole.values()]
    ledger.load((half.phase, half.arm, half.unit) for pair in found for half in pair)
    for call, copy in found:
        ours, theirs = copy.metrics or {}, call.metrics or {}
        differences = _differences(plan.metrics, theirs, ours)
        ledger.add(_key(call), {**theirs, CALLS_COUNTED: 1.0}, new=True)
        ledger.add(_key(copy), {**ours, **differences, CALLS_COUNTED: 1.0}, new=True)
    copies = [replace(copy, metrics=None) for _, copy in found]
    _queue(uow, release, copies)


def _queue(uow: UnitOfWork, release: Release, calls: Sequence[DividedCall]) -> None:
    plan = release.plan
    calls_store.add_unscored(uow.conn, release, [call for call in calls if looked_at(plan, call)])
    judged = [call for call in calls if plan.judges and _drawn(call, "judge", plan.judge_share)]
    calls_store.add_unscored(uow.conn, release, judged, judges=True)


def _drawn(call: DividedCall, what: str, share: float) -> bool:
    return zlib.crc32(f"{what}{call.trace_id}{call.span_id}".encode()) < share * 2**32


def looked_at(plan: Plan, call: DividedCall) -> bool:
    """Return whether the plan's own scorers look at the call: always the same answer for the same call."""
    if not plan.scorers:
        return False
    return zlib.crc32(f"{call.trace_id}{call.span_id}".encode()) < plan.score_share * 2**32


def add_scored(
    uow: UnitOfWork,
    release: Release,
    phases: Sequence[Phase],
    scored: Sequence[tuple[DividedCall, Mapping[str, float], Mapping[str, float]]],
    *,
    judges: bool = False,
) -> None:
    """Add what the release's own scorers, or its `judges`, found, each once.

    It is (call, its figures, those of the call that it copies).
    """
    ledger = Ledger(uow, release, phases)
    fresh = [each for each in scored if calls_store.take_unscored(uow.conn, release, each[0], judges=judges)]
    ledger.load(_key(call) for call, _, _ in fresh)
    wanted = {metric.name for metric in release.plan.metrics}
    for call, ours, theirs in fresh:
        values = {f"score:{name}": value for name, value in ours.items() if f"score:{name}" in wanted}
        ledger.add(_key(call), values)
        for name, value in theirs.items():
            if (metric := f"score:{name}") in values:
                ledger.add((call.phase, release.plan.control, ""), {metric: value})
                ledger.add(_key(call), {PAIRED + metric: values[metric] - value})
    ledger.close()


def _key(half: DividedCall) -> UnitKey:
    return half.phase, half.arm, half.unit


def _sides(plan: Plan, own: Sequence[DividedCall]) -> tuple[DividedCall, DividedCall]:
    control = next(half for half in own if half.arm == plan.control)
    return control, next(half for half in own if half.arm != plan.control)


def _differences(
    wanted: Sequence[Metric], call: Mapping[str, float], copy: Mapping[str, float]
) -> dict[str, float]:
    """Return copy minus call, of relative metrics the log of their ratio, under `PAIRED` names."""
    found: dict[str, float] = {}
    for metric in wanted:
        ours, theirs = copy.get(metric.name), call.get(metric.name)
        if ours is None or theirs is None:
            continue
        if not metric.relative:
            found[PAIRED + metric.name] = ours - theirs
        elif ours > 0 and theirs > 0:
            found[PAIRED + metric.name] = math.log(ours / theirs)
    return found


def collect_scores(
    uow: UnitOfWork, scope: Scope, release: Release, phases: Sequence[Phase], at: datetime
) -> list[Phase]:
    """Add the project's scores that are about calls of the release; returns the phases as they are now.

    Scores of other calls are put aside once they have waited long enough for theirs.
    """
    scores = calls_store.scores_in(uow.conn, scope, SCORES)
    if not scores:
        return list(phases)
    wanted = {metric.name for metric in release.plan.metrics}
    by_trace: dict[str, list[DividedCall]] = {}
    for call in calls_store.calls_of_traces(uow.conn, release, sorted({score.trace_id for score in scores})):
        by_trace.setdefault(call.trace_id, []).append(call)
    ledger = Ledger(uow, release, phases)
    matched = [(score, own) for score in scores if (own := _call_of(score, by_trace)) is not None]
    ledger.load((call.phase, call.arm, call.unit) for _, call in matched)
    for score, call in matched:
        if score.metric in wanted:
            ledger.add((call.phase, call.arm, call.unit), {score.metric: score.value})
    done = [score.id for score, _ in matched]
    done += [score.id for score in scores if at - score.at > SCORE_WAITS]
    calls_store.settle_scores(uow.conn, scope, done)
    return ledger.close()


def _call_of(score: Score, by_trace: Mapping[str, Sequence[DividedCall]]) -> DividedCall | None:
    calls = by_trace.get(score.trace_id, ())
    if score.span_id:
        return next((call for call in calls if call.span_id == score.span_id), None)
    return calls[0] if calls else None


def empty_phase(release: Release, at: datetime) -> Phase:
    """Return the release's phase as it begins."""
    return Phase(number=release.phase, shares=release.shares, units={}, again={}, sums={}, started_at=at)
