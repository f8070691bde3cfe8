"""Making what runs equal to what shall run. One per home: a second one waits and takes over when the first ends."""

import threading
from collections.abc import Callable

from penstock.core import clock, log
from penstock.core.errors import Busy, PenstockError
from penstock.core.home import Home, exclusive
from penstock.core.scope import Scope
from penstock.core.uow import UnitOfWork
from penstock.serving import routing, service, store
from penstock.serving.events import ReplicaFailed
from penstock.serving.model import Deployment, ReplicaState, Wanted
from penstock.serving.ports import Engine
from penstock.serving.runner import Runner

logger = log.get("serving")
TICK_SECONDS = 0.2
FULL_LOOK_SECONDS = 5.0
STANDBY_SECONDS = 2.0
LOCK = "serving.lock"


class Reconciler:
    """Starts, watches, restarts and drains engine processes, and keeps the gateway informed."""

    def __init__(self, home: Home, engines: Callable[[str], Engine] = service.load_engine) -> None:
        self._home = home
        self._engines = engines
        self._runners: dict[tuple[str, int, int], Runner] = {}
        self._revision = -1
        self._looked = float("-inf")
        self._recovered = False

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`; then end all replicas. Waits while another process does this for the same home."""
        while not stop.is_set():
            try:
                with exclusive(self._home.path / LOCK):
                    self._work(stop)
            except Busy:
                stop.wait(STANDBY_SECONDS)

    def _work(self, stop: threading.Event) -> None:
        try:
            while not stop.is_set():
                try:
                    self.tick()
                except PenstockError:
                    # A locked or full database must not end engines that are answering people.
                    logger.exception("could not reconcile; trying again")
                    stop.wait(STANDBY_SECONDS)
                stop.wait(TICK_SECONDS)
        finally:
            self.close()

    def tick(self) -> None:
        """Compare once and act; returns at once."""
        if not self._recovered:
            self._recover()
        if self._should_look():
            self._look()
        for runner in self._runners.values():
            if not runner.draining:
                runner.step()
        self._store_changes()
        for key, runner in list(self._runners.items()):
            if runner.draining and runner.drained():
                del self._runners[key]
                self._looked = float("-inf")
                self._forget(runner)

    def close(self) -> None:
        """End all replicas and take their addresses out of service."""
        for runner in self._runners.values():
            runner.kill()
        self._runners.clear()
        self._recovered = False
        self._looked = float("-inf")
        self._recover()

    def _recover(self) -> None:
        # Engines end with the process that started them, so whatever an earlier one left in the tables is gone.
        with self._home.begin() as uow:
            left = store.take_replicas(uow.conn)
            for scope, deployment, number in left:
                routing.clear(uow, scope, deployment, number)
            if left:
                uow.bump(service.TOPIC)
        self._recovered = True

    def _should_look(self) -> bool:
        revision = self._home.revision(service.TOPIC)
        due = clock.monotonic() - self._looked >= FULL_LOOK_SECONDS
        if revision == self._revision and not due:
            return False
        self._revision, self._looked = revision, clock.monotonic()
        return True

    def _look(self) -> None:
        with self._home.read() as uow:
            wanted = {each.key: each for each in store.wanted(uow.conn, clock.now())}
        for key, each in wanted.items():
            runner = self._runners.get(key)
            if runner is None:
                self._runners[key] = Runner(self._home, each, self._engines)
            elif not runner.draining:
                runner.wanted = each
        for key, runner in self._runners.items():
            if key not in wanted and not runner.draining and self._replaced(runner, wanted):
                runner.drain()
        self._repair()

    def _repair(self) -> None:
        """Put back routes and addresses that somebody changed by hand; writes nothing when all is well."""
        known = {
            r.wanted.deployment.id: (r.wanted.scope, r.wanted.deployment) for r in self._runners.values()
        }
        if known:
            with self._home.begin() as uow:
                for scope, deployment in known.values():
                    self._sync(uow, scope, deployment)

    def _replaced(self, runner: Runner, wanted: dict[tuple[str, int, int], Wanted]) -> bool:
        """Whether nobody would be left without an answer when `runner` stops.

        An earlier production version goes on until the wanted one is ready, however long that takes.
        """
        main = next(
            (each for each in wanted.values() if each.deployment.id == runner.wanted.deployment.id), None
        )
        if main is None or main.deployment.previous != runner.wanted.version.number:
            return True
        production = main.deployment.production
        return any(
            other.seen.state is ReplicaState.READY
            for other in self._runners.values()
            if other.wanted.deployment.id == main.deployment.id and other.wanted.version.number == production
        )

    def _store_changes(self) -> None:
        changed = [runner for runner in self._runners.values() if runner.changed]
        if not changed:
            return
        touched: dict[str, tuple[Scope, Deployment]] = {}
        with self._home.begin() as uow:
            for runner in changed:
                wanted = runner.wanted
                store.save_replica(uow.conn, wanted.deployment.id, runner.seen)
                touched[wanted.deployment.id] = (wanted.scope, wanted.deployment)
                if runner.seen.state is ReplicaState.FAILED:
                    uow.publish(_failed(runner), wanted.scope)
            for scope, deployment in touched.values():
                self._sync(uow, scope, deployment)
        for runner in changed:
            runner.changed = False

    def _forget(self, runner: Runner) -> None:
        wanted = runner.wanted
        with self._home.begin() as uow:
            store.delete_replica(uow.conn, wanted.deployment.id, wanted.version.number, wanted.position)
            self._sync(uow, wanted.scope, wanted.deployment)

    @staticmethod
    def _sync(uow: UnitOfWork, scope: Scope, deployment: Deployment) -> None:
        current = store.get(uow.conn, scope, deployment.name)
        if current is not None:
            routing.sync(uow, scope, current)
        else:
            for replica in store.list_replicas(uow.conn, [deployment.id])[deployment.id]:
                routing.clear(uow, scope, deployment, replica.number)


def _failed(runner: Runner) -> ReplicaFailed:
    return ReplicaFailed(
        deployment=runner.wanted.deployment.name,
        number=runner.wanted.version.number,
        position=runner.wanted.position,
        reason=runner.seen.reason,
    )
