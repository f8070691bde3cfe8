"""All deployments of this machine together: how many replicas each shall have, where they fit, what they use."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from penstock.core import clock
from penstock.core.home import Home
from penstock.core.scope import Scope
from penstock.gateway.waiting import service as waiting_callers
from penstock.serving import keeper, planning, sampling, store
from penstock.serving import machine as hardware
from penstock.serving.model import Deployment, DeploymentVersion, Replica, ReplicaState, Wanted
from penstock.serving.planning import Key, Machine, Plan
from penstock.serving.ports import EngineProcess
from penstock.serving.sampling import Sample, Sampler
from penstock.serving.scaling import Demand, Scaler
from penstock.serving.settings import ServingSettings
from penstock.training import service as training

ASKED_SECONDS = 5.0
"""A caller who waits says so every second; after so long without a word nobody waits."""


class Fleet:
    """Plans; remembers what autoscaling needs between two looks."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._settings = home.settings.section(ServingSettings)
        self._sampler = Sampler(home)
        self._scalers: dict[str, Scaler] = {}
        self._latencies: dict[tuple[Scope, str], float] = {}
        self._loads: dict[Key, tuple[int, int]] = {}
        self._measured: dict[Key, float] = {}
        self._done: dict[str, int] = {}
        self._shown: dict[tuple[str, str, str], dict[str, int]] = {}
        self._series: set[tuple[str, str, str, str]] = set()
        self.held_by_runs: list[tuple[int, ...]] = []
        """GPUs that training runs held at the last look."""
        self.sleeping: list[Wanted] = []
        """One entry per deployment that has no replica by its own rule."""

    def measure(self, processes: Sequence[tuple[EngineProcess, tuple[int, ...]]]) -> list[Sample]:
        """Return one sample per (process, GPUs); may take seconds."""
        self._latencies = self._sampler.latencies()
        return self._sampler.measure(processes)

    def note(self, key: Key, sample: Sample) -> None:
        """Remember what a replica has to do and has done."""
        if sample.load is None:
            return
        load = sample.load
        self._measured[key] = sample.at
        _, before = self._loads.get(key, (0, 0))
        self._loads[key] = (load.running + load.waiting, load.done)
        if load.done != before:
            self._done[key[0]] = self._done.get(key[0], 0) + 1

    def plan(self, ready: Collection[Key], held: Mapping[Key, tuple[int, ...]]) -> Plan:
        """Return which replicas shall run now; `ready` are those that answer."""
        now = clock.now()
        for key in self._loads.keys() - set(ready):
            self.forget(key)  # what a replica that crashed had to do is nobody's any more
        with self._home.read() as uow:
            live, quotas = store.list_live(uow.conn), store.list_quotas(uow.conn)
            claims = training.standing(uow)
            self.held_by_runs = [claim.held for claim in claims.claims if claim.held]
            asked = waiting_callers.list_asked(uow, now - timedelta(seconds=ASKED_SECONDS))
        everything: list[Wanted] = []
        self.sleeping = []
        for scope, deployment, versions in live:
            own = [key for key in ready if key[0] == deployment.id]
            counted = Counter(number for _, number, _ in own)
            waits = (scope, deployment.endpoint(deployment.production)) in asked
            scale = self._scale(scope, deployment, own, asked=waits)
            found = planning.counts(deployment, versions, counted, scale=scale, at=now)
            more = planning.wanted(scope, deployment, versions, found)
            everything += more
            if not more:
                self.sleeping.append(_asleep(scope, deployment, versions))
        gone = self._scalers.keys() - {deployment.id for _, deployment, _ in live}
        for each in gone:
            del self._scalers[each]
        return planning.plan(everything, self.machine(), quotas, held, claims)

    def forget(self, key: Key) -> None:
        """Drop what is known of a replica that has ended."""
        self._loads.pop(key, None)
        self._measured.pop(key, None)

    def close(self) -> None:
        """End the sampler's threads."""
        self._sampler.close()

    def machine(self) -> Machine:
        """Return what there is to share."""
        return Machine(memory_bytes=hardware.to_share(self._settings), gpus=self._sampler.gpus())

    def _scale(
        self, scope: Scope, deployment: Deployment, ready: Sequence[Key], *, asked: bool
    ) -> int | None:
        rule = deployment.policy.autoscale
        if rule is None:
            self._scalers.pop(deployment.id, None)
            return None
        number = deployment.production
        scaler = self._scalers.setdefault(deployment.id, Scaler(clock.monotonic()))
        main = [key for key in ready if key[1] == number]
        demand = Demand(
            requests=sum(self._loads.get(key, (0, 0))[0] for key in main),
            done=self._done.get(deployment.id, 0),
            ready=len(main),
            measured=min((self._measured.get(key, float("-inf")) for key in ready), default=float("inf")),
            latency_ms=self._latencies.get((scope, deployment.endpoint(number))),
            asked=asked,
        )
        return scaler.decide(clock.monotonic(), rule, demand)

    def show(self, seen: Sequence[tuple[Wanted, Replica]]) -> None:
        """Bring the metrics of replicas up to date."""
        states: dict[tuple[str, str, str], dict[str, int]] = {}
        series: set[tuple[str, str, str, str]] = set()
        for wanted, replica in seen:
            name = (wanted.scope.tenant, wanted.scope.project, wanted.deployment.name)
            by_state = states.setdefault(name, dict.fromkeys(ReplicaState, 0))
            by_state[replica.state] += 1
            if replica.state is ReplicaState.READY:
                labels = (*name, f"{wanted.version.number}.{wanted.position}")
                series.add(labels)
                _show_usage(labels, replica)
        for labels in self._series - series:
            for gauge in (sampling.CPU, sampling.MEMORY, sampling.GPU, sampling.RUNNING, sampling.WAITING):
                gauge.drop(*labels)
        for name in self._shown.keys() - states.keys():
            for each in ReplicaState:
                sampling.REPLICAS.drop(*name, each)
        for name, by_state in states.items():
            for state, count in by_state.items():
                sampling.REPLICAS.set(count, *name, state)
        self._series, self._shown = series, states


def _show_usage(labels: tuple[str, str, str, str], replica: Replica) -> None:
    usage = replica.usage
    for gauge, value in (
        (sampling.CPU, usage.cpu_percent),
        (sampling.MEMORY, usage.memory_bytes),
        (sampling.GPU, usage.gpu_percent),
        (sampling.RUNNING, usage.running),
        (sampling.WAITING, usage.waiting),
    ):
        if value is None:
            gauge.drop(*labels)
        else:
            gauge.set(value, *labels)


def _asleep(scope: Scope, deployment: Deployment, versions: Sequence[DeploymentVersion]) -> Wanted:
    version = next(each for each in versions if each.number == deployment.production)
    return Wanted(scope=scope, deployment=deployment, version=version, position=0)


def waiting(wanted: Wanted, why: str) -> Replica:
    """Return a replica that finds no room now, as it is shown."""
    return Replica(
        number=wanted.version.number,
        position=wanted.position,
        state=ReplicaState.PENDING,
        reason=why,
        since=clock.now(),
        keeper=keeper.mark(),
    )
