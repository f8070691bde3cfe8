"""One replica's life: start in a thread of its own, watch, drain, end, and start again after a crash."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from penstock.core import clock, log, net
from penstock.core.errors import Cancelled, PenstockError
from penstock.core.home import Home
from penstock.core.scope import Scope, system_actor
from penstock.core.settings import CoreSettings
from penstock.registry import service as registry
from penstock.serving import keeper, probe
from penstock.serving.model import Deployment, Replica, ReplicaState, Wanted
from penstock.serving.ports import Engine, EngineProcess, Launch
from penstock.serving.sampling import Sample
from penstock.serving.settings import ServingSettings

logger = log.get("serving")
_STEADY_SECONDS = 60.0
_NOTICE_SECONDS = 1.5
"""Gateways hold routes in memory; within this time they have all noticed a change."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    process: EngineProcess | None
    reason: str
    adapters: dict[str, str]


class Runner:
    """Owns at most one engine process. Every method returns at once; `step` moves it on."""

    def __init__(
        self, home: Home, wanted: Wanted, engines: Callable[[str], Engine], gpus: tuple[int, ...] = ()
    ) -> None:
        self._home = home
        self._settings = home.settings.section(ServingSettings)
        self._engines = engines
        self.wanted = wanted
        self._process: EngineProcess | None = None
        self._thread: threading.Thread | None = None
        self._outcome: _Outcome | None = None
        self._cancel = threading.Event()
        self._due = clock.monotonic()
        self._ready_at = 0.0
        self._crashes = 0
        self._attempt = wanted.deployment.policy.attempt
        self._adapters: dict[str, str] = {}
        self._broken_adapters: dict[str, str] = {}
        self._adapter_error = ""
        self._answered = 0.0
        self.gpus = gpus
        self._idle_from = 0.0
        self._drain_until: float | None = None
        self._seen = self._replica(ReplicaState.PENDING)
        self.changed = True
        """Whether what is seen differs from what was last stored."""

    @property
    def seen(self) -> Replica:
        """The replica as it is now."""
        return self._seen

    @property
    def draining(self) -> bool:
        """Whether it is no longer wanted."""
        return self._drain_until is not None

    @property
    def process(self) -> EngineProcess | None:
        """The engine, while it is ready."""
        return self._process if self._seen.state is ReplicaState.READY else None

    def step(self) -> None:
        """Look at the process and act: start, take the outcome of a start, notice a crash."""
        if self._attempt != self.wanted.deployment.policy.attempt:
            self._attempt = self.wanted.deployment.policy.attempt
            self._crashes, self._due = 0, min(self._due, clock.monotonic())
        if self._seen.state in (ReplicaState.PENDING, ReplicaState.FAILED):
            if clock.monotonic() >= self._due:
                self._start()
        elif self._seen.state is ReplicaState.STARTING:
            self._take_outcome()
        elif self._seen.state is ReplicaState.READY and self._process is not None:
            reason = self._process.exit_reason()
            if reason is not None:
                self._crashed(reason)
            else:
                self._swap(self._process)

    def take(self, sample: Sample) -> None:
        """Take a measurement: one that uses too much memory, or does not answer for too long, is ended."""
        if self._process is None or self._seen.state is not ReplicaState.READY:
            return
        if sample.load is not None:
            self._answered = sample.at
        silent, used = sample.at - self._answered, sample.usage.memory_bytes
        limit = self.wanted.version.memory_bytes
        if limit is not None and used is not None and used > limit:
            self._crashed(f"It used {used} bytes of memory; its limit is {limit}.")
        elif silent > self._settings.liveness_timeout:
            self._crashed(f"It did not answer for {silent:.0f} seconds.")
        elif sample.usage != self._seen.usage:
            self._seen = replace(self._seen, usage=sample.usage)
            self.changed = True

    def _crashed(self, reason: str) -> None:
        if clock.monotonic() - self._ready_at > _STEADY_SECONDS:
            self._crashes = 0
        self._fail(reason)

    def _swap(self, process: EngineProcess) -> None:
        """Load and unload adapters so that they are those of the deployment; in a thread, one change at a time."""
        if self._thread is not None:
            if self._thread.is_alive():
                return
            self._thread = None
            self._see(self._seen.state, like=self._seen)
        target = self._target()
        if target != self._adapters:
            work = partial(self._change_adapters, process, self._adapters, target)
            self._thread = threading.Thread(target=work, name=f"adapters {self._endpoint}", daemon=True)
            self._thread.start()

    def _target(self) -> dict[str, str]:
        """The adapters that it should have: name → registry reference."""
        deployment = self.wanted.deployment
        if deployment.candidate == self.wanted.version.number:
            return {}  # a canary's model is another one
        wanted = deployment.policy.adapters.items()
        return {name: ref for name, ref in wanted if self._broken_adapters.get(name) != ref}

    def _change_adapters(
        self, process: EngineProcess, served: dict[str, str], target: dict[str, str]
    ) -> None:
        """Bring `served`, which is what this process has, to `target`; runs in its own thread."""
        for name in [name for name, ref in served.items() if target.get(name) != ref]:
            del served[name]
            try:
                process.remove_adapter(self.wanted.deployment.adapter(name))
            except PenstockError as error:
                logger.warning("adapter not removed", extra={"adapter": name, "reason": str(error)})
        for name, ref in target.items():
            if served.get(name) == ref:
                continue
            try:
                folder = registry.materialize(self._home, system_actor(self.wanted.scope), ref=ref)
                process.add_adapter(self.wanted.deployment.adapter(name), folder)
            except PenstockError as error:
                self._broken_adapters[name] = ref
                self._adapter_error = f"The adapter {name!r} ({ref}) cannot be served: {error}"
                logger.warning("adapter refused", extra={"adapter": name, "reason": str(error)})
            else:
                served[name] = ref

    def drain(self) -> None:
        """Stop being offered traffic; ends when idle."""
        self._cancel.set()
        now = clock.monotonic()
        self._idle_from = now + min(_NOTICE_SECONDS, self._settings.drain_timeout)
        self._drain_until = now + self._settings.drain_timeout
        if self._process is None and self._seen.state is not ReplicaState.STARTING:
            self._drain_until = now
        self._see(ReplicaState.STOPPED)

    def drained(self) -> bool:
        """Whether a draining replica has ended; ends it when it is idle or out of time."""
        if self._thread is not None and self._thread.is_alive():
            return False
        if self._outcome is not None and self._outcome.process is not None:
            self._outcome.process.stop()
            self._outcome = None
        if self._process is None:
            return True
        now = clock.monotonic()
        idle = now >= self._idle_from and not self._process.busy()
        if idle or now >= (self._drain_until or 0.0) or self._process.exit_reason() is not None:
            self.kill()
            return True
        return False

    def kill(self) -> None:
        """End the process and any start under way, waiting for both."""
        self._cancel.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._outcome is not None and self._outcome.process is not None:
            self._outcome.process.stop()
        self._outcome = None
        if self._process is not None:
            self._process.stop()
            self._process = None

    def _start(self) -> None:
        self._broken_adapters, self._adapter_error = {}, ""
        self._see(ReplicaState.STARTING)
        self._thread = threading.Thread(target=self._work, name=f"start {self._endpoint}", daemon=True)
        self._thread.start()

    @property
    def _endpoint(self) -> str:
        return self.wanted.deployment.endpoint(self.wanted.version.number)

    def _work(self) -> None:
        """Fetch the model, start the engine, generate one token; runs in its own thread."""
        process: EngineProcess | None = None
        served: dict[str, str] = {}
        version, wanted = self.wanted.version, self.wanted
        try:
            engine = self._engines(version.engine)
            engine.check(version.options)  # what it needs may be gone since it was deployed
            self._check_address(version.options.get("url"))
            folder = registry.materialize(self._home, system_actor(wanted.scope), ref=version.model)
            launch = Launch(
                name=self._endpoint,
                options=version.options,
                log=log_file(self._home, wanted.scope, wanted.deployment, version.number, wanted.position),
                timeout=self._settings.start_timeout,
                cancelled=self._cancel.is_set,
                gpus=self.gpus,
            )
            process = engine.start(folder, launch)
            probe.generate_one(process.url, self._endpoint, self._settings.start_timeout)
            self._change_adapters(process, served, self._target())
        except Exception as error:
            if process is not None:
                process.stop()
            if not isinstance(error, PenstockError):
                logger.exception("engine start failed", extra={"endpoint": self._endpoint})
            reason = "" if isinstance(error, Cancelled) else str(error) or type(error).__name__
            self._outcome = _Outcome(None, reason, {})
        else:
            self._outcome = _Outcome(process, "", served)

    def _check_address(self, url: object) -> None:
        """Raise Denied for an engine elsewhere at an address that Penstock may not call."""
        if isinstance(url, str):
            allowed = self._home.settings.section(CoreSettings).allow_private_urls
            net.check_url(url, allow_private=allowed)

    def _take_outcome(self) -> None:
        outcome = self._outcome
        if outcome is None:
            return
        self._outcome, self._thread = None, None
        if outcome.process is None:
            self._fail(outcome.reason)
            return
        self._process, self._ready_at = outcome.process, clock.monotonic()
        self._answered, self._adapters = self._ready_at, outcome.adapters
        self._see(ReplicaState.READY, reason=self._adapter_error, process=outcome.process)

    def _fail(self, reason: str) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None
        self._thread = None
        pause = min(self._settings.restart_pause * 2**self._crashes, self._settings.restart_pause_max)
        self._crashes += 1
        if self._crashes >= self._settings.crash_limit:
            pause = float("inf")
            reason = f"{reason}\nGiven up after {self._crashes} failures in a row; `penstock deploy retry` tries again."
        self._due = clock.monotonic() + pause
        logger.warning(
            "replica failed", extra={"endpoint": self._endpoint, "reason": reason, "pause_s": pause}
        )
        self._see(ReplicaState.FAILED, reason=reason)

    def _see(
        self,
        state: ReplicaState,
        *,
        reason: str = "",
        process: EngineProcess | None = None,
        like: Replica | None = None,
    ) -> None:
        found = self._replica(state, reason=reason, process=process)
        if like is not None:
            served = tuple(sorted(self._adapters))
            found = replace(like, reason=self._adapter_error, adapters=served)
        self._seen = found
        self.changed = True

    def _replica(
        self, state: ReplicaState, *, reason: str = "", process: EngineProcess | None = None
    ) -> Replica:
        return Replica(
            number=self.wanted.version.number,
            position=self.wanted.position,
            state=state,
            reason=reason,
            url="" if process is None else process.url,
            pid=None if process is None else process.pid,
            restarts=self._crashes,
            since=clock.now(),
            gpus=self.gpus,
            adapters=tuple(sorted(self._adapters)) if state is ReplicaState.READY else (),
            keeper=keeper.mark(),
        )


def log_folder(home: Path, scope: Scope) -> Path:
    """Return where the output of a project's replicas goes, below the home's folder."""
    return home / "logs" / "engines" / scope.project


def log_file(home: Home, scope: Scope, deployment: Deployment, number: int, position: int) -> Path:
    """Return where the output of one replica goes; its folder is made."""
    home.folder("logs", "engines", scope.project)
    return log_folder(home.path, scope) / f"{deployment.endpoint(number)}.{position}.log"
