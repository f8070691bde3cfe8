"""Measuring replicas: what they use, what they have to do, whether they answer. Slow, so done in its own thread."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from penstock.core import clock, metrics
from penstock.core.home import Home
from penstock.core.scope import Scope
from penstock.serving import machine
from penstock.serving.model import Usage
from penstock.serving.ports import EngineProcess, Load

CALLS = "penstock_gateway_call_seconds"
_AT_ONCE = 8

_LABELS = ("tenant", "project", "deployment", "replica")
CPU = metrics.gauge(
    "penstock_replica_cpu_percent", "CPU a replica uses, 100 is one core.", _LABELS, merge="max"
)
MEMORY = metrics.gauge("penstock_replica_memory_bytes", "Memory a replica uses.", _LABELS, merge="max")
GPU = metrics.gauge(
    "penstock_replica_gpu_percent", "Mean utilisation of a replica's GPUs.", _LABELS, merge="max"
)
RUNNING = metrics.gauge(
    "penstock_replica_requests_running", "Requests a replica is answering.", _LABELS, merge="max"
)
WAITING = metrics.gauge(
    "penstock_replica_requests_waiting", "Requests that wait inside a replica.", _LABELS, merge="max"
)
REPLICAS = metrics.gauge(
    "penstock_deployment_replicas",
    "Replicas by state.",
    ("tenant", "project", "deployment", "state"),
    merge="max",
)
RESTARTS = metrics.counter(
    "penstock_replica_failures_total",
    "Replicas that could not start or died.",
    ("tenant", "project", "deployment"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One measurement of one replica."""

    at: float
    """Monotonic seconds."""
    usage: Usage
    load: Load | None
    """None when the engine did not answer."""


class Sampler:
    """Measures processes; keeps what the next measurement needs."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._gpus = machine.Gpus()
        self._cpu: dict[int, tuple[float, float]] = {}
        self._calls: dict[tuple[Scope, str], tuple[float, float]] = {}
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="replica load")

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def gpus(self) -> tuple[int, ...]:
        """Return the numbers of the machine's GPUs, as of the last measurement."""
        return machine.allowed(tuple(gpu.index for gpu in self._gpus.seen), os.environ)

    def measure(self, processes: Iterable[tuple[EngineProcess, tuple[int, ...]]]) -> list[Sample]:
        """Return one sample per (process, GPUs), in order."""
        found = list(processes)
        loads = list(self._pool.map(lambda each: each[0].load(), found))
        spent = machine.sessions({process.pid for process, _ in found if process.pid is not None})
        now = clock.monotonic()
        percents = {gpu.index: gpu.percent for gpu in self._gpus.read()}
        samples = [
            Sample(at=now, usage=self._usage(process.pid, gpus, load, spent, percents), load=load)
            for (process, gpus), load in zip(found, loads, strict=True)
        ]
        self._cpu = {pid: (now, each.cpu_seconds) for pid, each in spent.items()}
        return samples

    def _usage(
        self,
        pid: int | None,
        gpus: tuple[int, ...],
        load: Load | None,
        spent: dict[int, machine.Spent],
        percents: dict[int, float],
    ) -> Usage:
        own = None if pid is None else spent.get(pid)
        known = [percents[gpu] for gpu in gpus if gpu in percents]
        return Usage(
            cpu_percent=None if pid is None or own is None else self._percent(pid, own.cpu_seconds),
            memory_bytes=None if own is None else own.memory_bytes,
            gpu_percent=sum(known) / len(known) if known else None,
            running=None if load is None else load.running,
            waiting=None if load is None else load.waiting,
        )

    def _percent(self, pid: int, cpu_seconds: float) -> float | None:
        before = self._cpu.get(pid)
        now = clock.monotonic()
        if before is None or now <= before[0]:
            return None
        # Whole percents: what hardly changes is not worth a write.
        return round(max(0.0, 100 * (cpu_seconds - before[1]) / (now - before[0])), 0)

    def latencies(self) -> dict[tuple[Scope, str], float]:
        """Return (project, endpoint) → mean latency in ms of the gateway calls that ended since the last look."""
        families = (family for family in metrics.merged(self._home) if family.name == CALLS)
        seen: dict[tuple[Scope, str], tuple[float, float]] = {}
        for family in families:
            for labels, values in family.series:
                said = dict(zip(family.labels, labels, strict=True))
                key = Scope(said["tenant"], said["project"]), said["target"]
                count, total = seen.get(key, (0.0, 0.0))
                seen[key] = (count + sum(values[:-1]), total + values[-1])
        found = {}
        for key, (count, total) in seen.items():
            before = self._calls.get(key, (0.0, 0.0))
            if count > before[0]:
                found[(key[0], key[1].partition("/")[2])] = 1000 * (total - before[1]) / (count - before[0])
        self._calls = seen
        return found
