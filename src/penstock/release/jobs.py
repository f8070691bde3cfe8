"""Releases' regular work in the background process: counting, deciding, and taking up what people said of answers."""

import hashlib
import threading
from contextlib import closing

from penstock.core import clock, log
from penstock.core.errors import PenstockError
from penstock.core.events import Envelope
from penstock.core.home import Home
from penstock.core.scope import Scope, system_actor
from penstock.core.uow import UnitOfWork
from penstock.evals import service as evals
from penstock.feedback import service as feedback
from penstock.gateway import service as gateway
from penstock.release import asking, collecting, scoring, service
from penstock.release.model import Score
from penstock.release.store import calls as calls_store
from penstock.release.store import releases as store

_log = log.get("release")
TICK_SECONDS = 1.0
IDLE_SECONDS = 3.0
SWEEP_SECONDS = 60.0
TURNS = 50
"""Batches of one release before the others get their turn."""


def run(home: Home, stop: threading.Event) -> None:
    """Advance every release each second until `stop`; several processes may, as each release is locked."""
    swept = clock.monotonic()
    while not stop.is_set():
        try:
            busy = tick(home)
            if clock.monotonic() - swept >= SWEEP_SECONDS:
                swept = clock.monotonic()
                sweep(home)
        except PenstockError as error:
            _log.warning("releases wait: %s", error)
            busy = True
        stop.wait(TICK_SECONDS if busy else IDLE_SECONDS)


def tick(home: Home) -> bool:
    """Advance every release once; returns whether any is running."""
    with home.read() as uow:
        live = store.live(uow.conn)
    for scope, id in live:
        for _ in range(TURNS):
            try:
                with home.begin() as uow:
                    more = service.advance(uow, scope, id)
            except Exception:  # noqa: BLE001 - one release that cannot go on must not hold up the rollback of another
                _log.exception("the release %s cannot be advanced; trying again", id)
                break
            if not more:
                break
        _score(home, scope, id)
    return bool(live)


def run_judges(home: Home, stop: threading.Event) -> None:
    """Let judges look at live answers until `stop`, apart from `run`: no decision waits for them."""
    with closing(asking.Asking(home)) as judges:
        while not stop.is_set():
            try:
                busy = judges.tick()
            except PenstockError as error:
                _log.warning("judges wait: %s", error)
                busy = False
            stop.wait(0.0 if busy else IDLE_SECONDS)


def _score(home: Home, scope: Scope, id: str) -> None:
    for _ in range(TURNS):
        try:
            if not scoring.score(home, scope, id):
                return
        except Exception:  # noqa: BLE001 - the release goes on without these figures until they can be had
            _log.exception("answers of the release %s cannot be scored; trying again", id)
            return


def sweep(home: Home) -> None:
    """Delete what no release needs any more."""
    with home.begin() as uow:
        live = store.live(uow.conn)
        gateway.forget_outcomes(uow, keep={id for _, id in live})
        for scope, id in live:
            release = store.get(uow.conn, scope, id)
            if release is not None:
                calls_store.forget_calls(uow.conn, release, before=clock.now() - collecting.CALLS_KEPT)


def take_feedback(uow: UnitOfWork, envelope: Envelope) -> None:
    """Keep a judgement of an answer for the releases it may concern; subscribed to `feedback.given`."""
    trace_id, name = envelope.data["trace_id"], envelope.data["feedback_name"]
    metric = f"feedback:{name}"
    if not trace_id or metric not in service.wanted_scores(uow, envelope.scope):
        return
    given = feedback.list_feedback(uow, system_actor(envelope.scope), trace_id=trace_id, name=name)
    found = [
        Score(
            id=item.id,
            trace_id=trace_id,
            span_id=item.span_id or "",
            metric=metric,
            value=item.number,
            at=clock.now(),
        )
        for item in given
        if item.id == envelope.data["feedback_id"] and item.number is not None
    ]
    service.note_scores(uow, envelope.scope, found)


def take_evaluation(uow: UnitOfWork, envelope: Envelope) -> None:
    """Keep the scores of a finished evaluation's answers likewise; subscribed to `evals.run_finished`.

    An evaluation that asks a released route through the gateway is divided like everybody else's calls.
    """
    wanted = service.wanted_scores(uow, envelope.scope)
    if not any(name.startswith("score:") for name in wanted):
        return
    run_id = envelope.data["run_id"]
    results = evals.samples(uow, system_actor(envelope.scope), run_id)
    found = (
        Score(
            id=_score_id(envelope.scope, result.output.trace_id, name),
            trace_id=result.output.trace_id,
            span_id="",
            metric=f"score:{name}",
            value=value,
            at=clock.now(),
        )
        for result in results
        if result.output.trace_id
        for name, value in result.scores.items()
        if f"score:{name}" in wanted
    )
    service.note_scores(uow, envelope.scope, found)


def _score_id(scope: Scope, trace_id: str, name: str) -> str:
    """Return the same id for the same score of the same project's answer: who calls chooses the trace's id."""
    return hashlib.sha256("\0".join((scope.tenant, scope.project, trace_id, name)).encode()).hexdigest()
