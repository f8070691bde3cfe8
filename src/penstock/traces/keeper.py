"""Letting go in the background: retention, sampling, and scrubbing what was erased out of the files."""

import threading
from collections.abc import Callable, Mapping

from penstock.core import clock, log
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope, system_actor
from penstock.core.uow import UnitOfWork
from penstock.traces import erasure, policy_service
from penstock.traces.model import TraceScore
from penstock.traces.policy import Facts, Policies, SamplingRule, kept
from penstock.traces.settings import TracesSettings
from penstock.traces.store import erase, going, keeping, sample, scores
from penstock.traces.store.erase import Removed

logger = log.get("traces.keeper")
SECONDS = 5.0
"""Between two rounds."""
_ROUND_SECONDS = 4.0
"""What one round may take of each job; the rest is for the next."""
_BATCH = 200
_QUIET_MS, _LATEST_ROOT_MS = 3_600_000, 86_400_000
"""How long sampling waits for the root of a trace: since its last span ended, and at most."""
_REMEMBERED_MS = 86_400_000
"""How long it is known which traces sampling let go of."""
_FORGOTTEN = 20_000
"""Of them, what one round forgets."""
_SCRUB_STEPS = 20
_MERGE_FIRST, _MERGE_ON, _EMPTY_LOG = 1, 2, 3


def run(home: Home, stop: threading.Event) -> None:
    """Do a round every few seconds until `stop`."""
    while not stop.wait(SECONDS):
        try:
            sweep(home)
        except Exception:
            logger.exception("a round of keeping failed; the next one tries again")


def sweep(home: Home) -> int:
    """Let go of what is due for a few seconds; returns how many traces went. Several processes may call it at once."""
    with home.read() as uow:
        scopes = list(keeping.scopes(uow.conn).values())
        policies = keeping.everybodys(uow.conn)
        now_ms = clock.now_ns() // 1_000_000
        outdated = keeping.outdated(uow.conn, now_ms)
    gone = _sample(home, policies)
    if outdated:
        with home.begin() as uow:
            keeping.forget_remembered(uow.conn, now_ms, _FORGOTTEN)
    for scope in scopes:
        gone += _finish(home, system_actor(scope))
        gone += _retain(home, system_actor(scope), policies.get(scope, Policies()))
    _forget_orphans(home)
    _scrub(home)
    return gone


def _finish(home: Home, actor: Actor) -> int:
    """Go on with what an erasure hid; says on record when all of it is gone."""
    with home.read() as uow:
        before = going.left(uow.conn, actor.scope)
    if not before:
        return 0
    left = erasure.finish(home, actor, until=clock.monotonic() + _ROUND_SECONDS, newest=True)
    if not left:
        with home.begin() as uow:
            uow.audit(actor, "traces.erased", "traces", traces=before)
    return max(0, before - left)


def _retain(home: Home, actor: Actor, policies: Policies) -> int:
    retention = policy_service.effective(home, policies)
    gone = 0
    if retention.days:
        horizon = clock.now_ns() // 1_000_000 - retention.days * 86_400_000
        gone += _let_go(home, actor, "age", lambda: horizon)
    if retention.traces:
        keep = retention.traces

        def excess() -> int | None:
            with home.read() as uow:
                at = erase.beyond(uow.conn, actor.scope, keep=keep)
            return None if at is None else at + 1

        gone += _let_go(home, actor, "count", excess)
    return gone


def _let_go(home: Home, actor: Actor, reason: str, horizon: Callable[[], int | None]) -> int:
    """Delete what is from before `horizon` (asked once, milliseconds)."""
    before = horizon()
    until = clock.monotonic() + _ROUND_SECONDS
    gone = 0
    while before is not None and clock.monotonic() < until:
        with home.read() as uow:
            rows = erase.older(uow.conn, actor.scope, before_ms=before, limit=_BATCH)
        if not rows:
            break
        done = Removed()
        erasure.remove(home, actor, rows, done)
        with home.begin() as uow:
            keeping.count(uow.conn, actor.scope, reason, traces=done.traces, spans=done.spans)
        gone += done.traces
    return gone


def _sample(home: Home, policies: Mapping[Scope, Policies]) -> int:
    rules = {scope: found.sampling for scope, found in policies.items() if found.sampling}
    now_ms = clock.now_ns() // 1_000_000
    window_ms = max(5, home.settings.section(TracesSettings).sampling_seconds) * 1000
    with home.read() as uow:
        reached, top = keeping.mark(uow.conn, keeping.SAMPLED), keeping.newest(uow.conn)
    if not rules:
        if reached < top:
            with home.begin() as uow:
                keeping.forget_arrivals(uow.conn)
                keeping.move(uow.conn, keeping.SAMPLED, top)
        return 0
    with home.begin() as uow:
        keeping.note_arrival(uow.conn, now_ms)
        ripe = keeping.ripe(uow.conn, now_ms - window_ms)
    gone = 0
    until = clock.monotonic() + _ROUND_SECONDS
    while reached < ripe and clock.monotonic() < until:
        with home.read() as uow:
            found = sample.candidates(uow.conn, after=reached, up_to=ripe, limit=_BATCH)
        reached = found[-1].row if len(found) == _BATCH else ripe
        gone += _decide(home, rules, found, now_ms)
        with home.begin() as uow:
            keeping.move(uow.conn, keeping.SAMPLED, reached)
    return gone + _ask_again(home, rules, now_ms, until)


def _ask_again(home: Home, rules: Mapping[Scope, tuple[SamplingRule, ...]], now_ms: int, until: float) -> int:
    """Decide about traces that waited for their root."""
    gone = 0
    while clock.monotonic() < until:
        with home.read() as uow:
            rows = keeping.due(uow.conn, now_ms, _BATCH)
            again = sample.named(uow.conn, rows)
        if not rows:
            break
        if vanished := set(rows) - {candidate.row for candidate in again}:
            with home.begin() as uow:
                keeping.waited_of(uow.conn, vanished)
        gone += _decide(home, rules, again, now_ms)
    return gone


def _decide(
    home: Home,
    rules: Mapping[Scope, tuple[SamplingRule, ...]],
    found: list[sample.Candidate],
    now_ms: int,
) -> int:
    """Remove those of the traces that no rule keeps, and wait for those that are not complete.

    What comes of a trace after it was let go of is decided about by itself, at once; what stays of it is marked.
    """
    going: dict[tuple[Scope, str], list[sample.Candidate]] = {}
    for candidate in found:
        with home.read() as uow:
            since = keeping.waiting_since(uow.conn, candidate.row)
            late = keeping.remembered(uow.conn, candidate.scope_id, candidate.trace_id)
            dropped = _dropped_by(uow, rules.get(candidate.scope, ()), candidate)
        if dropped and not late and _waited_for(candidate, since or now_ms, now_ms):
            with home.begin() as uow:
                keeping.wait(uow.conn, candidate.row, since_ms=since or now_ms, due_ms=now_ms + 60_000)
        elif dropped:
            going.setdefault((candidate.scope, dropped), []).append(candidate)
        elif late or since is not None:
            with home.begin() as uow:
                keeping.waited(uow.conn, candidate.scope, [candidate.row])
                if late:
                    scores.put(uow.conn, candidate.scope, [_rest(candidate)])
    gone = 0
    for (scope, rule), candidates in going.items():
        with home.begin() as uow:
            # First: after a crash they are decided about once more.
            keys = [(one.scope_id, one.trace_id) for one in candidates]
            keeping.remember(uow.conn, keys, at_ms=now_ms, until_ms=now_ms + _REMEMBERED_MS)
        done = Removed()
        erasure.remove(home, system_actor(scope), [one.row for one in candidates], done)
        with home.begin() as uow:
            keeping.waited(uow.conn, scope, [one.row for one in candidates])
            keeping.count(uow.conn, scope, f"sampling: {rule}", traces=done.traces, spans=done.spans)
        gone += done.traces
    return gone


def _waited_for(candidate: sample.Candidate, since_ms: int, now_ms: int) -> bool:
    """Return whether the root of a trace that would go may still come."""
    quiet = now_ms - max(since_ms, candidate.end_ms)
    return not candidate.complete and quiet < _QUIET_MS and now_ms - since_ms < _LATEST_ROOT_MS


def _rest(candidate: sample.Candidate) -> TraceScore:
    trace_id = candidate.trace_id.hex()
    return TraceScore(
        trace_id=trace_id, ref=scores.PARTIAL, origin="sampling", name=scores.PARTIAL, value=1.0
    )


def _dropped_by(uow: UnitOfWork, rules: tuple[SamplingRule, ...], candidate: sample.Candidate) -> str | None:
    """Return the name of the rule that lets the trace go, or None."""
    for rule in rules:
        if sample.holds(uow.conn, candidate, rule.where):
            facts = Facts(
                trace_id=candidate.trace_id,
                errors=candidate.errors,
                duration_ns=candidate.duration_ns,
                cost_nano=candidate.cost_nano,
                scores=tuple(sample.scores(uow.conn, candidate)) if rule.keep else (),
            )
            return None if kept(rule, facts) else rule.name
    return None


def _forget_orphans(home: Home) -> None:
    """Delete names (of users, of metadata) that belong to no trace any more, walking through all of them by and by."""
    with home.read() as uow:
        at = keeping.mark(uow.conn, keeping.NAMES)
        reached, orphans = erase.orphans(uow.conn, at, 2000)
    if orphans or reached != at:
        with home.begin() as uow:
            if orphans:
                erase.forget_orphans(uow.conn, orphans)
            keeping.move(uow.conn, keeping.NAMES, reached)


def _scrub(home: Home) -> None:
    """Take erased words out of the index's segments, and former pages out of the log; a bit in every round."""
    with home.read() as uow:
        state = keeping.mark(uow.conn, keeping.SCRUB)
    if state in (_MERGE_FIRST, _MERGE_ON):
        for _ in range(_SCRUB_STEPS):
            with home.begin() as uow:
                began = clock.monotonic()
                done = erase.merge_words(uow.conn, first=state == _MERGE_FIRST)
                state = _EMPTY_LOG if done else _MERGE_ON
                keeping.move(uow.conn, keeping.SCRUB, state)
            if done:
                break
            erasure.breathe(clock.monotonic() - began)
    if state == _EMPTY_LOG and home.db.scrub(erase.SCRUBBED):
        with home.begin() as uow:
            # Only if nobody erased more meanwhile.
            if keeping.mark(uow.conn, keeping.SCRUB) == _EMPTY_LOG:
                keeping.move(uow.conn, keeping.SCRUB, 0)


def scrubbed(home: Home) -> bool:
    """Return whether nothing erased is left to be scrubbed."""
    with home.read() as uow:
        return keeping.mark(uow.conn, keeping.SCRUB) == 0
