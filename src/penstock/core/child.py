"""The child's side of core.children: load the plug-in, run it, report on the pipe.

Run as: python -m penstock.core.child JOB.json PIPE_FD
"""

import ctypes
import json
import os
import resource
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

from penstock.core import plugins
from penstock.core.errors import MissingExtra, PenstockError

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """End this process when the process `parent` dies, at once if it is dead already.

    On Linux the kernel sends SIGTERM; elsewhere the broken pipe or the closed socket does it.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)


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
