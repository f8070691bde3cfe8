"""The training process: load the trainer, run it, report through files.

Run as: python -m penstock.training.child JOB.json
With several processes it becomes torchrun, which starts this module once for each, or a driver of a Ray cluster.
"""

import json
import os
import resource
import sys
import traceback
from pathlib import Path
from typing import Any

from penstock.core import plugins
from penstock.core.child import die_with_parent
from penstock.core.errors import MissingExtra, PenstockError
from penstock.training.environment import describe
from penstock.training.memory import is_out_of_memory
from penstock.training.reporting import Reporter
from penstock.training.running import PauseAtCheckpoint

_EARLIER_RANK = -1
LAUNCHER = "PENSTOCK_TRAINING_LAUNCHER"
"""Environment variable with the process id of torchrun, whose children the ranks are."""


def launch_command(job_file: str, job: dict[str, Any]) -> list[str]:
    """Return the command line that starts the job's processes; empty when this one is all there is.

    torchrun: a rendezvous on loopback, one process of this module per rank.
    """
    if job["cluster"]:
        return [sys.executable, "-m", "penstock.training.launchers.ray_train", job_file]
    if job["processes"] == 1:
        return []
    return [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nnodes=1",
        f"--nproc-per-node={job['processes']}",
        "--rdzv-backend=c10d",
        "--rdzv-endpoint=127.0.0.1:0",
        "--local-addr=127.0.0.1",
        "--max-restarts=0",
        "-m",
        "penstock.training.child",
        job_file,
    ]


def main(job_file: str) -> int:
    """Run the job; returns the exit code."""
    job: dict[str, Any] = json.loads(Path(job_file).read_text())
    rank = int(os.environ.get("RANK", _EARLIER_RANK))
    if rank == _EARLIER_RANK:
        die_with_parent(job["parent"])
        os.nice(int(job["nice"]))
        if command := launch_command(job_file, job):
            os.environ[LAUNCHER] = str(os.getpid())  # the launcher takes this process's place
            os.execv(command[0], command)
    else:
        # The parent's own id would be no help: it may be dead already, and its place taken.
        die_with_parent(int(os.environ.get(LAUNCHER) or os.getppid()))
    return work(job, max(rank, 0))


def work(job: dict[str, Any], rank: int) -> int:
    """Run the trainer as process `rank` of the job; returns the exit code."""
    reporter = Reporter(Path(job["folder"]), rank=rank, judged=job["judged"])
    try:
        _limit_memory(job["memory_mb"])
        reporter({"stage": "environment", "environment": describe()})
        result = plugins.load(job["group"], job["name"]).run(job["spec"], reporter)
    except PauseAtCheckpoint as pause:
        reporter.end({"type": "paused", "step": pause.step})
    except MissingExtra as error:
        what = error.message.partition(" needs ")[0]
        reporter.end({"type": "error", "code": error.code, "extra": error.extra, "what": what})
        return 1
    except PenstockError as error:
        reporter.end({"type": "error", "code": error.code, "message": error.message, "hint": error.hint})
        return 1
    except Exception as error:  # noqa: BLE001 - the boundary: the traceback belongs in the log, the parent shows its tail
        traceback.print_exc()
        if is_out_of_memory(error):
            said = (str(error).splitlines() or [type(error).__name__])[0]
            reporter.end({"type": "error", "code": "out_of_memory", "message": said, "hint": ""})
        return 1
    else:
        reporter.end({"type": "result", "result": result})
    finally:
        reporter.close()
    return 0


def _limit_memory(megabytes: int) -> None:
    if megabytes:
        resource.setrlimit(resource.RLIMIT_DATA, (megabytes << 20, megabytes << 20))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
