"""Making what runs equal to what shall run. One per home: a second one waits and takes over when the first ends."""

import threading
from collections.abc import Callable

from penstock.core import clock, log
from penstock.core.errors import Busy, PenstockError
from penstock.core.home import Home, exclusive
from penstock.core.scope import Scope
from penstock.core.uow import UnitOfWork
from penstock.gateway.waiting import service as waiting_callers
from penstock.serving import routing, sampling, service, store
from penstock.serving.events import ReplicaFailed
from penstock.serving.fleet import Fleet, waiting
from penstock.serving.model import Deployment, ReplicaState, Wanted
from penstock.serving.planning import Key
from penstock.serving.ports import Engine
from penstock.serving.runner import Runner
from penstock.serving.sampling import Sample
from penstock.serving.settings import ServingSettings

logger = log.get("serving")
TICK_SECONDS = 0.2
FULL_LOOK_SECONDS = 5.0
STANDBY_SECONDS = 2.0
LOCK = "serving.lock"


class Reconciler:
    """Starts, watches, restarts and drains engine processes, and keeps the gateway informed."""

    def __init__(self, home: Home, engines: Callable[[str], Engine] = service.load_engine) -> None:
        self._home = home
        self._settings = home.settings.section(ServingSettings)
        self._engines = engines
        self._runners: dict[Key, Runner] = {}
        self._waiting: dict[Key, tuple[Wanted, str]] = {}
        self._fleet = Fleet(home)
        self._revision: tuple[int, ...] = (-1, -1)
        self._looked = float("-inf")
        self._sampled: list[tuple[Runner, Sample]] = []
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
        over = threading.Event()
        measuring = threading.Thread(target=self._sample_until, args=(over,), name="replicas", daemon=True)
        measuring.start()
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
            over.set()
            measuring.join()
            self.close()
            self.end_measuring()

    def _sample_until(self, over: threading.Event) -> None:
        while not over.wait(self._settings.sample_seconds):
            try:
                self.sample()
            except Exception:
                # A measurement that fails must not end engines that are answering people.
                logger.exception("could not measure the replicas; trying again")

    def sample(self) -> None:
        """Measure the replicas that are ready; the next `tick` acts on it. May take seconds."""
        found = [
            (runner, process)
            for runner in list(self._runners.values())
            if (process := runner.process) is not None and not runner.draining
        ]
        samples = self._fleet.measure([(process, runner.gpus) for runner, process in found])
        self._sampled = [(runner, sample) for (runner, _), sample in zip(found, samples, strict=True)]
        self._looked = float("-inf")

    def tick(self) -> None:
        """Compare once and act; returns at once."""
        if not self._recovered:
            self._recover()
        if self._should_look():
            self._look()
        sampled, self._sampled = self._sampled, []
        for runner, sample in sampled:
            if not runner.draining:
                self._fleet.note(runner.wanted.key, sample)
                runner.take(sample)
        for runner in self._runners.values():
            if not runner.draining:
                runner.step()
        self._store_changes()
        for key, runner in list(self._runners.items()):
            if runner.draining and runner.drained():
                del self._runners[key]
                self._fleet.forget(key)
                self._looked = float("-inf")
                self._forget(runner)

    def close(self) -> None:
        """End all replicas and take their addresses out of service."""
        for runner in self._runners.values():
            runner.kill()
        self._runners.clear()
        self._waiting.clear()
        self._recovered = False
        self._looked = float("-inf")
        self._recover()

    def end_measuring(self) -> None:
        """End the threads that measure; nothing works after this."""
        self._fleet.close()

    def _recover(self) -> None:
        # Engines end with the process that started them, so whatever an earlier one left in the tables is gone.
        with self._home.begin() as uow:
            left = store.take_replicas(uow.conn)
            for scope, deployment, number in left:
                routing.clear(uow, scope, deployment, number)
            for scope, deployment, _ in store.list_live(uow.conn):
                routing.sync(uow, scope, deployment)
            if left:
                uow.bump(service.TOPIC)
        self._recovered = True

    def _should_look(self) -> bool:
        revision = self._home.revisions(service.TOPIC, waiting_callers.ASKED)
        due = clock.monotonic() - self._looked >= FULL_LOOK_SECONDS
        if revision == self._revision and not due:
            return False
        self._revision, self._looked = revision, clock.monotonic()
        return True

    def _look(self) -> None:
        ready = [
            key for key, runner in self._runners.items() if runner.process is not None and not runner.draining
        ]
        held = {key: runner.gpus for key, runner in self._runners.items() if runner.gpus}
        plan = self._fleet.plan(ready, held)
        for key, each in plan.admitted.items():
            running = self._runners.get(key)
            if running is None:
                if not self._taken(plan.gpus[key]) and self._fits(each):
                    self._runners[key] = Runner(self._home, each, self._engines, plan.gpus[key])
            elif not running.draining:
                running.wanted = each
        for key, runner in self._runners.items():
            gone = key not in plan.admitted and not runner.draining
            if gone and (key in plan.refused or self._replaced(runner, plan.admitted)):
                runner.drain()
        self._keep_waiting(plan.refused)
        self._repair()

    def _taken(self, gpus: tuple[int, ...]) -> bool:
        """Whether a replica or training run that is still ending holds one of them."""
        held = [runner.gpus for runner in self._runners.values()] + self._fleet.held_by_runs
        return any(set(gpus) & set(each) for each in held)

    def _fits(self, wanted: Wanted) -> bool:
        """Whether there is memory for it while replicas that give way are still ending."""
        ending = [runner.wanted.version for runner in self._runners.values() if runner.draining]
        if not ending or not wanted.version.memory_bytes:
            return True
        kept = sum(runner.wanted.version.memory_bytes or 0 for runner in self._runners.values())
        return kept + wanted.version.memory_bytes <= self._fleet.machine().memory_bytes

    def _keep_waiting(self, refused: dict[Key, tuple[Wanted, str]]) -> None:
        """Show the replicas that have to wait, and why."""
        refused = {key: each for key, each in refused.items() if key not in self._runners}
        gone = self._waiting.keys() - refused.keys() - self._runners.keys()
        new = {key: each for key, each in refused.items() if self._waiting.get(key, (None, ""))[1] != each[1]}
        self._waiting = refused
        if not gone and not new:
            return
        with self._home.begin() as uow:
            for deployment, number, position in gone:
                store.delete_replica(uow.conn, deployment, number, position)
            for (deployment, _, _), (wanted, why) in new.items():
                store.save_replica(uow.conn, deployment, waiting(wanted, why))

    def _repair(self) -> None:
        """Put back routes and addresses that somebody changed by hand; writes nothing when all is well."""
        known = {
            each.deployment.id: (each.scope, each.deployment)
            for each in [runner.wanted for runner in self._runners.values()] + self._fleet.sleeping
        }
        if known:
            with self._home.begin() as uow:
                for scope, deployment in known.values():
                    self._sync(uow, scope, deployment)

    def _replaced(self, runner: Runner, wanted: dict[Key, Wanted]) -> bool:
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
        self._fleet.show([(runner.wanted, runner.seen) for runner in self._runners.values()])
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
                    sampling.RESTARTS.inc(wanted.scope.tenant, wanted.scope.project, wanted.deployment.name)
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
