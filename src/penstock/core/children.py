"""Heavy work in a child process: its own memory, niced below the gateway, killed when no longer wanted.

The child is `python -m penstock.core.child`, which loads a plug-in by name and calls its
`run(spec, report)`. Reports and the result travel as JSON lines on a pipe of their own, so that
whatever a library prints goes to the log and nowhere else.
"""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock.core.errors import Cancelled, ChildFailed, Invalid, MissingExtra, PenstockError

_POLL_SECONDS = 0.2
_GRACE_SECONDS = 10.0


def _ignore(_report: dict[str, Any]) -> None:
    return None


def _never() -> bool:
    return False


def run_child(
    group: str,
    name: str,
    spec: dict[str, Any],
    *,
    workdir: Path,
    on_progress: Callable[[dict[str, Any]], None] = _ignore,
    cancelled: Callable[[], bool] = _never,
    nice: int = 10,
    environment: dict[str, str] | None = None,
    stdin: int | None = None,
    memory_mb: int = 0,
) -> dict[str, Any]:
    """Run plug-in `name` of `penstock.<group>` on `spec` in a child; returns its JSON result.

    `stdin` is a descriptor that the child reads as its standard input; it is closed here. `memory_mb` is the most
    memory it may take, in MiB; 0: all. Output goes to `workdir/child.log`. Raises ChildFailed with the log's tail when
    the child crashes or is killed, Cancelled when `cancelled()` turns true, else the child's own PenstockError.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    job_file, log_file = workdir / "child.json", workdir / "child.log"
    job = {"group": group, "name": name, "spec": spec, "nice": nice, "memory_mb": memory_mb}
    job_file.write_text(json.dumps({**job, "parent": os.getpid()}))
    read_end, write_end = os.pipe()
    with log_file.open("ab") as log:
        try:
            child = subprocess.Popen(
                [sys.executable, "-m", "penstock.core.child", str(job_file), str(write_end)],
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=log,
                stderr=log,
                pass_fds=(write_end,),
                cwd=workdir,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        finally:
            os.close(write_end)
            if stdin is not None:
                # Else a writer would not learn of the child's end.
                os.close(stdin)
    answer: dict[str, Any] = {}
    reader = threading.Thread(target=_read, args=(read_end, on_progress, answer), daemon=True)
    reader.start()
    try:
        _wait(child, cancelled)
    finally:
        _stop(child)
        reader.join()
    return _outcome(answer, child.returncode, log_file, f"{group}/{name}")


def _read(read_end: int, on_progress: Callable[[dict[str, Any]], None], answer: dict[str, Any]) -> None:
    with os.fdopen(read_end, "r", encoding="utf-8") as lines:
        for line in lines:
            message = json.loads(line)
            if message["type"] == "progress":
                try:
                    on_progress(message["report"])
                except Exception as error:  # noqa: BLE001 - handed to the thread that waits, which raises it
                    answer.setdefault("listener_error", error)
            else:
                answer.update(message)


def _wait(child: "subprocess.Popen[bytes]", cancelled: Callable[[], bool]) -> None:
    while True:
        try:
            child.wait(timeout=_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if cancelled():
                raise Cancelled("The work was cancelled; its child process was stopped.") from None
        else:
            return


def _stop(child: "subprocess.Popen[bytes]") -> None:
    if child.poll() is not None:
        return
    child.send_signal(signal.SIGTERM)
    try:
        child.wait(timeout=_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _outcome(answer: dict[str, Any], code: int, log_file: Path, what: str) -> dict[str, Any]:
    if "listener_error" in answer:
        raise answer["listener_error"]
    if answer.get("type") == "result" and code == 0:
        result: dict[str, Any] = answer["result"]
        return result
    if answer.get("type") == "error":
        raise _error(answer)
    if code < 0:
        killer = signal.Signals(-code).name
        cause = f"was killed by {killer}" + (" (out of memory?)" if killer == "SIGKILL" else "")
    else:
        cause = f"ended with exit code {code}"
    raise ChildFailed(
        f"{what} {cause}. The end of its log:\n{tail(log_file)}", hint=f"The whole log: {log_file}"
    )


def _error(answer: dict[str, Any]) -> PenstockError:
    if answer["code"] == "missing_extra":
        return MissingExtra(answer["extra"], answer["what"])
    kinds = {"invalid": Invalid, "cancelled": Cancelled}
    return kinds.get(answer["code"], ChildFailed)(answer["message"], hint=answer["hint"])


def tail(path: Path, limit: int = 4000) -> str:
    """Return the last `limit` bytes of a log as text; empty when there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - limit))
        return file.read().decode(errors="replace").strip()
