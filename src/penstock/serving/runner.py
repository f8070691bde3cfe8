"""One replica's life: start in a thread of its own, watch, drain, end, and start again after a crash."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from penstock.core import clock, log
from penstock.core.errors import Cancelled, PenstockError
from penstock.core.home import Home
from penstock.core.scope import system_actor
from penstock.registry import service as registry
from penstock.serving import probe
from penstock.serving.model import Replica, ReplicaState, Wanted
from penstock.serving.ports import Engine, EngineProcess
from penstock.serving.settings import ServingSettings

logger = log.get("serving")
_STEADY_SECONDS = 60.0
_NOTICE_SECONDS = 1.5
"""Gateways hold routes in memory; within this time they have all noticed a change."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    process: EngineProcess | None
    reason: str


class Runner:
    """Owns at most one engine process. Every method returns at once; `step` moves it on."""

    def __init__(self, home: Home, wanted: Wanted, engines: Callable[[str], Engine]) -> None:
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

    def step(self) -> None:
        """Look at the process and act: start, take the outcome of a start, notice a crash."""
        if self._seen.state in (ReplicaState.PENDING, ReplicaState.FAILED):
            if clock.monotonic() >= self._due:
                self._start()
        elif self._seen.state is ReplicaState.STARTING:
            self._take_outcome()
        elif self._seen.state is ReplicaState.READY and self._process is not None:
            reason = self._process.exit_reason()
            if reason is not None:
                if clock.monotonic() - self._ready_at > _STEADY_SECONDS:
                    self._crashes = 0
                self._fail(reason)

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
        self._see(ReplicaState.STARTING, restarts=self._crashes)
        self._thread = threading.Thread(target=self._work, name=f"start {self._endpoint}", daemon=True)
        self._thread.start()

    @property
    def _endpoint(self) -> str:
        return self.wanted.deployment.endpoint(self.wanted.version.number)

    def _work(self) -> None:
        """Fetch the model, start the engine, generate one token; runs in its own thread."""
        process: EngineProcess | None = None
        version, wanted = self.wanted.version, self.wanted
        try:
            folder = registry.materialize(self._home, system_actor(wanted.scope), ref=version.model)
            file = f"{wanted.deployment.name}@{version.number}.{wanted.position}.log"
            process = self._engines(version.engine).start(
                folder,
                name=self._endpoint,
                options=version.options,
                log=self._home.folder("logs", "engines", wanted.scope.project) / file,
                timeout=self._settings.start_timeout,
                cancelled=self._cancel.is_set,
            )
            probe.generate_one(process.url, self._endpoint, self._settings.start_timeout)
        except Exception as error:
            if process is not None:
                process.stop()
            if not isinstance(error, PenstockError):
                logger.exception("engine start failed", extra={"endpoint": self._endpoint})
            reason = "" if isinstance(error, Cancelled) else str(error) or type(error).__name__
            self._outcome = _Outcome(None, reason)
        else:
            self._outcome = _Outcome(process, "")

    def _take_outcome(self) -> None:
        outcome = self._outcome
        if outcome is None:
            return
        self._outcome, self._thread = None, None
        if outcome.process is None:
            self._fail(outcome.reason)
            return
        self._process, self._ready_at = outcome.process, clock.monotonic()
        self._see(
            ReplicaState.READY, url=outcome.process.url, pid=outcome.process.pid, restarts=self._crashes
        )

    def _fail(self, reason: str) -> None:
        if self._process is not None:
            self._process.stop()
            self._process = None
        pause = min(self._settings.restart_pause * 2**self._crashes, self._settings.restart_pause_max)
        self._crashes += 1
        self._due = clock.monotonic() + pause
        logger.warning(
            "replica failed", extra={"endpoint": self._endpoint, "reason": reason, "pause_s": pause}
        )
        self._see(ReplicaState.FAILED, reason=reason, restarts=self._crashes)

    def _see(
        self,
        state: ReplicaState,
        *,
        reason: str = "",
        url: str = "",
        pid: int | None = None,
        restarts: int = 0,
    ) -> None:
        self._seen = self._replica(state, reason=reason, url=url, pid=pid, restarts=restarts)
        self.changed = True

    def _replica(
        self,
        state: ReplicaState,
        *,
        reason: str = "",
        url: str = "",
        pid: int | None = None,
        restarts: int = 0,
    ) -> Replica:
        return Replica(
            number=self.wanted.version.number,
            position=self.wanted.position,
            state=state,
            reason=reason,
            url=url,
            pid=pid,
            restarts=restarts,
            since=clock.now(),
        )
