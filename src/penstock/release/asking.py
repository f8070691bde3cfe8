"""Putting a release's judges on live answers, as traces hold them: in a loop of its own, as judges are slow."""

from datetime import timedelta

from penstock.core import clock, log
from penstock.core.home import Home
from penstock.core.scope import Scope, system_actor
from penstock.evals import service as evals
from penstock.release import scoring, service
from penstock.release.model import LIVE, Release
from penstock.release.store import calls as calls_store
from penstock.release.store import releases as store

_log = log.get("release")
BATCH = 16
KEPT_SECONDS = 12 * 3600.0
"""A judge's key lasts a day; long before, another one is made."""
PATIENCE = timedelta(minutes=10)
"""How long an answer waits for a judge who cannot be reached."""


class Asking:
    """The judges of all releases of a home, for one thread. `close` it."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._open: dict[str, tuple[evals.live_judges, float]] = {}

    def tick(self) -> bool:
        """Judge the next answers of every release; returns whether there are more to judge at once."""
        with self._home.read() as uow:
            live = store.live(uow.conn)
        for gone in self._open.keys() - {id for _, id in live}:
            self._drop(gone)
        busy = False
        for scope, id in live:
            try:
                busy |= self._judge(scope, id)
            except Exception:  # noqa: BLE001 - the release goes on without these figures until they can be had
                _log.exception("answers of the release %s cannot be judged; trying again", id)
        return busy

    def _judge(self, scope: Scope, id: str) -> bool:
        with self._home.read() as uow:
            release = store.get(uow.conn, scope, id)
            if release is None or not release.plan.judges or release.state not in LIVE:
                return False
            waiting = calls_store.unscored_of(uow.conn, release, BATCH, judges=True)
            stopped = bool(waiting) and service.judging_has_stopped(uow, release)
        if stopped:
            with self._home.begin() as uow:
                calls_store.forget_unjudged(uow.conn, release)
            return False
        ready, found = [], list[scoring.Scored]()
        for call in waiting:
            spans = scoring.spans_of(self._home, system_actor(scope), release, call)
            if spans is not None:
                ready.append((call, spans))
            elif clock.now() - call.at > scoring.WAITS:
                found.append((call, {}, {}))
        judged, why = (
            self._judges(scope, release).judged([spans for _, spans in ready]) if ready else ([], "")
        )
        for (call, _), each in zip(ready, judged, strict=True):
            if not each.unanswered or clock.now() - call.at > PATIENCE:
                found.append((call, each.own, each.other))
        if found:
            scoring.add(self._home, scope, id, found, judges=True)
        if why:
            with self._home.begin() as uow:
                service.stop_judging(uow, scope, id, why)
        return bool(found) and len(waiting) == BATCH

    def _judges(self, scope: Scope, release: Release) -> evals.live_judges:
        known = self._open.get(release.id)
        if known is not None and clock.monotonic() - known[1] < KEPT_SECONDS:
            return known[0]
        self._drop(release.id)
        plan = release.plan
        made = evals.live_judges(
            self._home,
            system_actor(scope),
            release.id,
            plan.judges,
            judge=plan.judge,
            cap_usd=plan.judge_usd,
        )
        self._open[release.id] = made, clock.monotonic()
        return made

    def _drop(self, id: str) -> None:
        known = self._open.pop(id, None)
        if known is not None:
            known[0].close()

    def close(self) -> None:
        """Revoke the judges' keys."""
        for id in list(self._open):
            self._drop(id)
