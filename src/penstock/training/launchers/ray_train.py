"""Ray Train (https://docs.ray.io/en/latest/train) as a launcher: each process of a run is a worker on a cluster.

Run as: python -m penstock.training.launchers.ray_train JOB.json
The workers write reports, checkpoints and the result where the processes of one machine do, so every node must see
the run's folder under the same path.
"""

import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from penstock.core.errors import Invalid, PenstockError, Unavailable
from penstock.training import child
from penstock.training.reporting import Reporter

_NOT_THE_FIRST = 1
"""The driver stands behind the workers: an outcome that one of them left is kept."""
_WAIT_SECONDS = 6 * 3600
"""How long a worker waits for the others: a checkpoint's evaluation may take long."""
_PASSED_ON = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TOKENIZERS_PARALLELISM",
    "HF_HUB_OFFLINE",
    "HF_HUB_DISABLE_TELEMETRY",
    "HF_HOME",
    "CUBLAS_WORKSPACE_CONFIG",
)


def main(job_file: str) -> int:
    """Run the job's processes as workers of the cluster; returns the exit code."""
    job: dict[str, Any] = json.loads(Path(job_file).read_text())
    reporter = Reporter(Path(job["folder"]), rank=_NOT_THE_FIRST)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ImportError:
        reporter.end(
            {"type": "error", "code": "missing_extra", "extra": "ray", "what": "running.launcher: ray"}
        )
        return 1
    try:
        _connect(job["cluster"], reporter)
        _fit(job)
    except PenstockError as error:
        reporter.end({"type": "error", "code": error.code, "message": error.message, "hint": error.hint})
        return 1
    finally:
        ray.shutdown()
    return 0


def _connect(cluster: dict[str, Any], reporter: Reporter) -> None:
    """Join the cluster as its driver; raises Unavailable when nobody listens there.

    Ray itself goes on trying for minutes, deep inside, where no exception reaches: the process ends instead.
    """
    import ray

    address, seconds = cluster["address"], float(cluster["timeout"])
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=seconds).close()
    except OSError as error:
        raise Unavailable(
            f"There is no Ray cluster at {address}: {error.strerror or error}.",
            hint="Look at training.ray_address in the settings, and at `ray status` on the head node.",
        ) from error
    with _at_most(seconds, address, reporter):
        # Of several nodes of one machine, which have addresses like 127.0.0.2, Ray cannot guess the driver's.
        own = host if host.startswith("127.") else None
        ray.init(address=address, _node_ip_address=own, log_to_driver=True)


@contextmanager
def _at_most(seconds: float, address: str, reporter: Reporter) -> Iterator[None]:
    def give_up() -> None:
        message = f"The Ray cluster at {address} did not take the run within {seconds:g} seconds."
        hint = "Are its nodes alive, and do its Ray and Python versions equal the ones here?"
        reporter.end({"type": "error", "code": "unavailable", "message": message, "hint": hint})
        os._exit(1)

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _fit(job: dict[str, Any]) -> None:
    """Carry the job out; raises Invalid when the cluster is too small, and what Ray raises when a worker fails."""
    import ray
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    processes, resources = int(job["processes"]), ray.cluster_resources()
    gpu = resources.get("GPU", 0) > 0
    kind = "GPU" if gpu else "CPU"
    if resources.get(kind, 0) < processes:
        raise Invalid(
            f"The Ray cluster has {resources.get(kind, 0):g} {kind}s; the run needs {processes}.",
            hint="Set running.processes lower, or add nodes.",
        )
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    TorchTrainer(
        worker,
        train_loop_config={"job": job, "environment": environment},
        torch_config=TorchConfig(backend="nccl" if gpu else "gloo", timeout_s=_WAIT_SECONDS),
        scaling_config=ScalingConfig(num_workers=processes, use_gpu=gpu, placement_strategy="SPREAD"),
        run_config=RunConfig(
            name="run",
            storage_path=str(Path(job["folder"]) / "ray"),
            failure_config=FailureConfig(max_failures=0),
        ),
    ).fit()


def worker(config: dict[str, Any]) -> None:
    """Be one process of the run, on some node; raises RuntimeError after a failure that the outcome tells of."""
    from ray import train

    os.environ.update(config["environment"])
    job, rank = config["job"], train.get_context().get_world_rank()
    if not Path(job["folder"]).is_dir():
        raise RuntimeError(
            f"The node {socket.gethostname()} does not see {job['folder']}: "
            "put the home on storage that all nodes share."
        )
    if child.work(job, rank):
        raise RuntimeError(f"Process {rank} of the run failed.")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
