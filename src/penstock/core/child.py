"""The child's side of core.children: load the plug-in, run it, report on the pipe.

Run as: python -m penstock.core.child JOB.json PIPE_FD
"""

import ctypes
import json
import os
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock.core import plugins
from penstock.core.errors import MissingExtra, PenstockError

_PR_SET_PDEATHSIG = 1
_LOOK_SECONDS = 1.0


def die_with_parent(parent: int, by: int = signal.SIGKILL) -> None:
    """End this process when the process `parent` dies, at once if it is dead already.

    On Linux the kernel sends the signal `by`. The usual one cannot be caught: a library's handler (torchrun and Ray
    have one), or a main thread that sits in foreign code, would keep a process alive whose result nobody waits for.
    Elsewhere a thread looks now and then.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, by)
    else:
        threading.Thread(target=_watch, args=(parent, by), name="parent", daemon=True).start()
    if os.getppid() != parent:
        sys.exit(1)


def bound() -> Callable[[], None]:
    """Return a `preexec_fn` by which a program that this process starts dies with it; on Linux, else it does nothing.

    For a program that knows nothing of `die_with_parent`. The thread that starts it must live as long as it does.
    """
    own, linux = os.getpid(), sys.platform == "linux"
    libc = ctypes.CDLL(None) if linux else None

    def bind() -> None:
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
            if os.getppid() != own:
                os._exit(1)

    return bind


def end_after_parent(parent: int, seconds: float) -> None:
    """End this process `seconds` after the process `parent` died, for one that wants to finish what it has in hand.

    Nobody else would end it if it did not come to its end by itself.
    """

    def look() -> None:
        pause = threading.Event()
        while os.getppid() == parent:
            pause.wait(_LOOK_SECONDS)
        pause.wait(seconds)
        os._exit(1)

    threading.Thread(target=look, name="parent", daemon=True).start()


def _watch(parent: int, by: int) -> None:
    pause = threading.Event()
    while os.getppid() == parent:
        pause.wait(_LOOK_SECONDS)
    os.kill(os.getpid(), by)


def main(job_file: str, pipe: str) -> int:
    """Run the job; returns the exit code."""
    job: dict[str, Any] = json.loads(Path(job_file).read_text())
    die_with_parent(job["parent"])
    os.nice(int(job["nice"]))
    if job["memory_mb"]:
        most = int(job["memory_mb"]) << 20
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    with os.fdopen(int(pipe), "w", encoding="utf-8") as out:

        def send(message: dict[str, Any]) -> None:
            out.write(json.dumps(message) + "\n")
            out.flush()

        def report(progress: dict[str, Any]) -> None:
            send({"type": "progress", "report": progress})

        try:
            result = plugins.load(job["group"], job["name"]).run(job["spec"], report)
        except MissingExtra as error:
            what = error.message.partition(" needs ")[0]
            send({"type": "error", "code": error.code, "extra": error.extra, "what": what})
            return 1
        except PenstockError as error:
            send({"type": "error", "code": error.code, "message": error.message, "hint": error.hint})
            return 1
        except Exception:  # noqa: BLE001 - the boundary: the traceback belongs in the log, the parent shows its tail
            traceback.print_exc()
            return 1
        send({"type": "result", "result": result})
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
