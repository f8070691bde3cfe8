"""Putting a release's own scorers on answers, as traces hold them. Outside of transactions: scorers may be slow."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from penstock.core import clock
from penstock.core.errors import NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope, system_actor
from penstock.evals import service as evals
from penstock.release import collecting
from penstock.release.model import LIVE, DividedCall, Kind, Release
from penstock.release.store import calls as calls_store
from penstock.release.store import releases as store
from penstock.traces import service as traces
from penstock.traces.model import SpanRecord

BATCH = 100
WAITS = timedelta(seconds=120)
"""How long an answer may take to come into the traces; then it counts as one that cannot be scored."""

Figures = Mapping[str, float]
Scored = tuple[DividedCall, Figures, Figures]
"""A call, what was found of its answer, and of that of the call that it copies."""


def score(home: Home, scope: Scope, id: str) -> bool:
    """Score the next answers of a release and add what was found; returns whether there were any."""
    with home.read() as uow:
        release = store.get(uow.conn, scope, id)
        if release is None or not release.plan.scorers or release.state not in LIVE:
            return False
        waiting = calls_store.unscored_of(uow.conn, release, BATCH)
    scorers = evals.live_scorers(release.plan.scorers)
    found: list[Scored] = []
    for call in waiting:
        spans = spans_of(home, system_actor(scope), release, call)
        if spans is not None:
            figures = [scorers.scores(span) for span in spans]
            found.append((call, figures[0], figures[1] if len(figures) > 1 else {}))
        elif clock.now() - call.at > WAITS:
            found.append((call, {}, {}))
    return bool(found) and add(home, scope, id, found)


def add(home: Home, scope: Scope, id: str, found: Sequence[Scored], *, judges: bool = False) -> bool:
    """Add what scorers, or the `judges`, found to the release's sums; returns whether it still runs."""
    with home.begin() as uow:
        now = store.get(uow.conn, scope, id, lock=True)
        if now is None or now.state not in LIVE:
            return False
        phases = store.phases_of(uow.conn, now)
        collecting.add_scored(uow, now, phases, found, judges=judges)
    return True


def spans_of(home: Home, actor: Actor, release: Release, call: DividedCall) -> list[SpanRecord] | None:
    """Return the call's span, and of a copy that of its call; None while one of them is not there."""
    wanted = [call.span_id, call.pair] if release.plan.kind is Kind.SHADOW else [call.span_id]
    with home.read() as uow:
        try:
            return [
                traces.get_span_body(uow, actor, trace_id=call.trace_id, span_id=span_id)
                for span_id in wanted
            ]
        except NotFound:
            return None
