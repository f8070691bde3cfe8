"""The parent's side of a training process: start it, hear it, measure it, pause or stop it, say why it died."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from penstock.core import clock
from penstock.core.children import tail
from penstock.core.errors import Cancelled, ChildFailed, Invalid, MissingExtra, PenstockError
from penstock.training import memory
from penstock.training.monitor import Monitor
from penstock.training.reporting import OUTCOME, PAUSE, REPORTS, VERDICTS, put

JOB = "child.json"
LOG = "child.log"
_POLL_SECONDS = 0.1
_SAMPLE_SECONDS = 0.5
_GRACE_SECONDS = 10.0
_TAIL_BYTES = 4000
PAUSE_SECONDS = 120.0
"""A child that has not answered a wanted pause by then is stopped; it will go on from its last checkpoint."""

Report = dict[str, Any]


def _ignore(_report: Report) -> None:
    return None


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """What the one who started the run wants of it while it goes on."""

    paused: Callable[[], bool] = _never
    """Turns true when the run should stop at its next checkpoint."""
    judge: Callable[[int, str], Report] | None = None
    """Returns `{"stop", "best_step"}` for the checkpoint of a step in a folder; the child waits for it."""
    environment: Callable[[Report], None] = _ignore
    """Hears what the training process runs on (see `training.environment`), first of all."""


def run_child(
    group: str,
    name: str,
    spec: dict[str, Any],
    *,
    workdir: Path,
    on_progress: Callable[[Report], None] = _ignore,
    cancelled: Callable[[], bool] = _never,
    environment: dict[str, str] | None = None,
    control: Control | None = None,
    nice: int = 10,
) -> dict[str, Any]:
    """Run plug-in `name` of `penstock.<group>` on `spec` in a child, or in `spec["running"]["processes"]` of them.

    `spec["cluster"]`, a Ray cluster's `address` and the `timeout` in seconds for reaching it, puts them there.
    Returns its JSON result, or `{"paused": True, "step": N}`. Output goes to `workdir/child.log`; `on_progress` is
    called in this thread, reports of a step with what the processes use. Raises Cancelled when `cancelled()` turns
    true, ChildFailed with the log's tail when the child crashes or is killed (for lack of memory: with a
    suggestion), and the child's own PenstockError otherwise.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    for stale in (REPORTS, OUTCOME, PAUSE):
        (workdir / stale).unlink(missing_ok=True)
    (workdir / VERDICTS).mkdir(exist_ok=True)
    wanted = control or Control()
    running = spec.get("running") or {}
    job = {"group": group, "name": name, "spec": spec, "nice": nice, "parent": os.getpid()}
    job |= {"folder": str(workdir), "judged": wanted.judge is not None, "cluster": spec.get("cluster")}
    job |= {"processes": running.get("processes", 1), "memory_mb": running.get("memory_mb", 0)}
    put(workdir / JOB, job)
    kills = memory.kills()
    with (workdir / LOG).open("ab") as log:
        earlier = log.tell()
        child = subprocess.Popen(
            [sys.executable, "-m", "penstock.training.child", str(workdir / JOB)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=workdir,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    watch = Watch(child, workdir, on_progress, wanted, environment or {}, log_from=earlier)
    try:
        watch.until_end(cancelled)
    finally:
        stop(child)
    if watch.gave_up_waiting:
        return {"paused": True, "step": watch.step}
    return _outcome(watch, f"{group}/{name}", spec, killed=memory.kills() > kills)


class Watch:
    """Follows one child to its end."""

    def __init__(
        self,
        child: "subprocess.Popen[bytes]",
        folder: Path,
        on_progress: Callable[[Report], None],
        control: Control,
        environment: dict[str, str],
        *,
        log_from: int,
    ) -> None:
        self.child = child
        self.folder = folder
        self.monitor = Monitor(child.pid, gpus=environment.get("CUDA_VISIBLE_DEVICES"))
        self.step = 0
        self.gave_up_waiting = False
        self.log_from = log_from
        """Where this attempt begins in the log."""
        self._heard = on_progress
        self._control = control
        self._rest = ""
        self._resources: dict[str, float] = {}
        self._sampled = float("-inf")
        self._pause_since: float | None = None

    def until_end(self, cancelled: Callable[[], bool]) -> None:
        """Return when the child has ended and all its reports were heard; raises Cancelled."""
        lines: TextIO | None = None
        try:
            while True:
                ended = _ended(self.child)
                lines = lines or self._open()
                self._hear(lines)
                if ended:
                    return
                if cancelled():
                    raise Cancelled("The run was cancelled; its process was stopped.")
                self._look_at_pause()
                if self.gave_up_waiting:
                    return
                self._measure()
        finally:
            if lines is not None:
                lines.close()

    def log_tail(self) -> str:
        """Return the end of what this attempt wrote to the log."""
        path = self.folder / LOG
        return tail(path, min(_TAIL_BYTES, path.stat().st_size - self.log_from))

    def _open(self) -> TextIO | None:
        path = self.folder / REPORTS
        return path.open(encoding="utf-8") if path.exists() else None

    def _hear(self, lines: TextIO | None) -> None:
        while lines is not None and (text := lines.readline()):
            self._rest += text
            if not self._rest.endswith("\n"):
                continue  # the child is in the middle of writing it
            report, self._rest = json.loads(self._rest), ""
            self._tell(report)

    def _tell(self, report: Report) -> None:
        if "environment" in report:
            self._control.environment(report["environment"])
            return
        if report.get("stage") == "train":
            self._measure()
            report = {**report, **self._resources}
            self.step = report.get("step", self.step)
        self._heard(report)
        if report.get("judge") and self._control.judge is not None:
            verdict = self._control.judge(report["step"], report["folder"])
            put(self.folder / VERDICTS / f"{report['step']}.json", verdict)

    def _measure(self) -> None:
        if clock.monotonic() - self._sampled >= _SAMPLE_SECONDS:
            self._sampled = clock.monotonic()
            self._resources = {**self._resources, **self.monitor.sample()}

    def _look_at_pause(self) -> None:
        if self._pause_since is None:
            if self._control.paused():
                self._pause_since = clock.monotonic()
                (self.folder / PAUSE).touch()
        elif clock.monotonic() - self._pause_since > PAUSE_SECONDS:
            self.gave_up_waiting = True


def _ended(child: "subprocess.Popen[bytes]") -> bool:
    try:
        child.wait(timeout=_POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def stop(child: "subprocess.Popen[bytes]") -> None:
    """End a child that still runs: asked first, killed after a grace period, with all of its session."""
    if child.poll() is not None:
        return
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(timeout=_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _outcome(watch: Watch, what: str, spec: dict[str, Any], *, killed: bool) -> dict[str, Any]:
    log, code = watch.folder / LOG, watch.child.returncode
    path = watch.folder / OUTCOME
    answer: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    if answer.get("type") == "paused":
        return {"paused": True, "step": answer["step"]}
    if answer.get("type") == "result" and code == 0:
        result: dict[str, Any] = answer["result"]
        return result
    crashed = answer.get("type") != "error" and memory.says_out_of_memory(watch.log_tail())
    if answer.get("code") == "out_of_memory" or killed or crashed:
        said = answer.get("message") or "the system ended it"
        raise ChildFailed(
            f"{what} ran out of memory: {said}.",
            hint=memory.suggestion(spec, watch.monitor.peak_memory),
            details={"peak_memory_bytes": watch.monitor.peak_memory},
        )
    if answer.get("type") == "error":
        raise _error(answer)
    if code < 0:
        killer = signal.Signals(-code).name
        cause = f"was killed by {killer}" + (" (out of memory?)" if killer == "SIGKILL" else "")
    else:
        cause = f"ended with exit code {code}"
    hint = f"The whole log: {log}"
    if code == -signal.SIGKILL:
        hint += f". If memory was short: {memory.suggestion(spec, watch.monitor.peak_memory)}"
    raise ChildFailed(f"{what} {cause}. The end of its log:\n{watch.log_tail()}", hint=hint)


def _error(answer: dict[str, Any]) -> PenstockError:
    if answer["code"] == "missing_extra":
        return MissingExtra(answer["extra"], answer["what"])
    kinds = {"invalid": Invalid, "cancelled": Cancelled}
    return kinds.get(answer["code"], ChildFailed)(answer["message"], hint=answer["hint"])
