"""Ray Train as a launcher, on a cluster of two nodes on this machine's loopback addresses."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from penstock.core import clock, ids
from penstock.core.errors import ChildFailed, Invalid, MissingExtra
from penstock.core.home import Home
from penstock.training import service
from penstock.training.supervisor import run_child
from tests.conftest import owner_of
from tests.training import many, tiny
from tests.training.stage import furnish, recipe
from tests.training.test_distributed import ROWS, same, train

HEAD, SECOND = "127.0.0.2", "127.0.0.3"
"""Loopback addresses that Ray does not take for `localhost`, which it would replace by the machine's own address."""
_START_SECONDS = 600.0
INSTALLED = find_spec("ray") is not None


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        found: int = probe.getsockname()[1]
        return found


def start(environment: dict[str, str], folder: Path, host: str, *where: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block", f"--node-ip-address={host}"]
    command += [
        "--num-cpus=1",
        "--num-gpus=0",
        "--object-store-memory=80000000",
        "--disable-usage-stats",
        *where,
    ]
    with (folder / f"{host}.log").open("wb") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
        )


def end(node: "subprocess.Popen[bytes]") -> None:
    """End a node with all of its session; `ray start --block` ends its own children when it is asked to."""
    node.send_signal(signal.SIGTERM)
    try:
        node.wait(timeout=30)
    except subprocess.TimeoutExpired:
        pass
    finally:
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                session = int((entry / "stat").read_text().rpartition(")")[2].split()[3])
            except OSError:
                continue
            if session == node.pid:
                os.kill(int(entry.name), signal.SIGKILL)
        node.wait()


def started(node: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until a node says that it runs."""
    deadline, pause = clock.monotonic() + _START_SECONDS, threading.Event()
    while "Ray runtime started" not in log.read_text():
        assert node.poll() is None, log.read_text()
        assert clock.monotonic() < deadline, log.read_text()
        pause.wait(0.2)


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    """Start two nodes; yields the environment, with a token, in which a driver may join, and `ADDRESS`."""
    # The paths of Ray's sockets must be short.
    folder = Path(tempfile.mkdtemp(prefix="ray"))
    token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": ids.new_secret("ray")}
    environment = {
        **os.environ,
        **token,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "OMP_NUM_THREADS": "1",
        "RAY_raylet_start_wait_time_s": "200",
    }
    address = f"{HEAD}:{free_port(HEAD)}"
    nodes = []
    try:
        where = (
            "--head",
            f"--port={address.rpartition(':')[2]}",
            "--include-dashboard=false",
            f"--ray-client-server-port={free_port(HEAD)}",
        )
        nodes.append(start(environment, folder, HEAD, *where, f"--temp-dir={folder}"))
        started(nodes[-1], folder / f"{HEAD}.log")
        nodes.append(start(environment, folder, SECOND, f"--address={address}"))
        started(nodes[-1], folder / f"{SECOND}.log")
        yield {**token, "RAY_raylet_start_wait_time_s": "200", "ADDRESS": address}
    finally:
        for node in reversed(nodes):
            end(node)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.heavy
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not INSTALLED, reason="needs the extra ray")
def test_two_nodes_learn_what_one_process_does(
    tmp_path: Path, cluster: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tiny.base(tmp_path / "base")
    plain = {"method": "sft", "epochs": 1, "learning_rate": 0.01, "adapter": {"rank": 0}}
    alone, _ = train(many.spec(tmp_path / "alone", base, ROWS, **plain))
    for name, value in cluster.items():
        monkeypatch.setenv(name, value)
    running = {"processes": 2, "launcher": "ray"}
    for strategy in ("ddp", "fsdp2"):
        spec = many.spec(tmp_path / strategy, base, ROWS, **plain, running={**running, "strategy": strategy})
        together, result = train({**spec, "cluster": {"address": cluster["ADDRESS"], "timeout": 200.0}})
        assert same(together, alone, 1e-3), strategy
        assert result["steps"] == 3
        assert (Path(result["folder"]) / "model.safetensors").exists()
        said = (tmp_path / strategy / "child.log").read_text()
        assert f"ip={HEAD}" in said
        assert f"ip={SECOND}" in said
    spec = many.spec(tmp_path / "large", base, ROWS, **plain, running={**running, "processes": 4})
    with pytest.raises(Invalid, match="has 2 CPUs; the run needs 4"):
        train({**spec, "cluster": {"address": cluster["ADDRESS"], "timeout": 200.0}})


def job(folder: Path, address: str, timeout: float) -> Any:
    spec = {
        "running": {"processes": 2, "launcher": "ray"},
        "cluster": {"address": address, "timeout": timeout},
    }
    return run_child("trainers", "sft", spec, workdir=folder)


@pytest.mark.skipif(INSTALLED, reason="ray is installed")
def test_without_ray_the_extra_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingExtra, match=r"running\.launcher: ray"):
        job(tmp_path, "127.0.0.1:1", 5.0)


@pytest.mark.skipif(not INSTALLED, reason="needs the extra ray")
def test_a_cluster_that_is_not_there_or_never_answers_ends_the_run_in_time(tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match="There is no Ray cluster at 127"):
        job(tmp_path / "gone", f"127.0.0.1:{free_port('127.0.0.1')}", 5.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ChildFailed, match="did not take the run within 3 seconds"):
            job(tmp_path / "silent", address, 3.0)


def test_the_cluster_is_the_administrators_choice(
    sqlite_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = owner_of(sqlite_home)
    furnish(sqlite_home, actor, tmp_path)
    with pytest.raises(Invalid, match="needs a Ray cluster"):
        service.start(sqlite_home, actor, recipe(running={"launcher": "ray"}))
    with pytest.raises(Invalid, match="needs the launcher torchrun"):
        recipe(running={"launcher": "ray", "strategy": "zero2"})
