"""kill -9 of an engine and of the platform, with real llama.cpp children."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from penstock.core.errors import ChildFailed, Unavailable
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.gateway import service as gateway
from penstock.registry import service as registry
from penstock.serving import probe, service
from tests.conftest import owner_of
from tests.fakes import trained

pytestmark = [pytest.mark.heavy, pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

PLATFORM = (
    "import sys, threading\nfrom penstock.core.home import Home\n"
    "from penstock.serving.reconciler import Reconciler\n"
    "with Home.open(sys.argv[1], upgrade=False) as home:\n    Reconciler(home).run(threading.Event())\n"
)


def platform(home: Home) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", PLATFORM, str(home.path)])


def gone(pid: int) -> None:
    deadline = time.monotonic() + 60
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    """Return the processes that the process has started, as of now."""
    found: list[int] = []
    for each in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended meanwhile
            found += [int(child) for child in each.read_text().split()]
    return found


def test_killing_the_platform_at_any_moment_of_a_start_leaves_nothing_half_started(sqlite_home: Home) -> None:
    home, actor = sqlite_home, owner_of(sqlite_home)
    registry.register(home, actor, name="triage", folder=trained.gguf_folder(), kind="gguf")
    with home.begin() as uow:
        service.deploy(uow, actor, name="triage", model="triage@1", replicas=2)
    moments = Random(6)
    for _ in range(4):
        running = platform(home)
        time.sleep(moments.uniform(0.5, 3.0))
        started = children(running.pid)
        running.kill()
        running.wait()
        for child in started:
            gone(child)
    last = platform(home)
    try:
        # What the killed platform wrote stands until the new one has looked for the first time.
        deadline = time.monotonic() + 60
        while not _both_answer(home, actor):
            assert time.monotonic() < deadline, "the deployment did not come back within a minute"
            time.sleep(0.2)
    finally:
        last.terminate()
        last.wait()


def _both_answer(home: Home, actor: Actor) -> bool:
    status = service.until_ready(home, actor, name="triage", timeout=60)
    live = {replica.url for replica in status.production.replicas if replica.url}
    with home.read() as uow:
        known = set(gateway.list_endpoints(uow).get("triage@1", ()))
    try:
        for url in live:
            probe.generate_one(url, "triage@1", 30)
    except ChildFailed:
        return False
    return len(live) == 2 and known == live


def test_a_damaged_file_is_never_served(sqlite_home: Home, tmp_path: Path) -> None:
    home, actor = sqlite_home, owner_of(sqlite_home)
    whole = next(trained.gguf_folder().glob("*.gguf")).read_bytes()
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "m.gguf").write_bytes(whole[: len(whole) * 2 // 3])
    registry.register(home, actor, name="triage", folder=tmp_path / "cut", kind="gguf")
    with home.begin() as uow:
        service.deploy(uow, actor, name="triage", model="triage@1")
    running = platform(home)
    try:
        with pytest.raises(Unavailable, match="failed to load model"):
            service.until_ready(home, actor, name="triage", timeout=60)
        with home.read() as uow:
            assert gateway.list_endpoints(uow) == {}
    finally:
        running.terminate()
        running.wait()


def test_killing_engine_and_platform_loses_no_deployment_and_leaves_no_orphan(sqlite_home: Home) -> None:
    home, actor = sqlite_home, owner_of(sqlite_home)

    def engine_pid() -> int:
        status = service.until_ready(home, actor, name="triage", timeout=60)
        (pid,) = [replica.pid for replica in status.production.replicas]
        assert pid is not None
        return pid

    registry.register(home, actor, name="triage", folder=trained.gguf_folder(), kind="gguf")
    with home.begin() as uow:
        service.deploy(uow, actor, name="triage", model="triage@1")
    first = platform(home)
    try:
        one = engine_pid()
        os.kill(one, signal.SIGKILL)
        deadline = time.monotonic() + 60
        while (two := engine_pid()) == one:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        first.kill()
        first.wait()
    gone(two)
    second = platform(home)
    try:
        deadline = time.monotonic() + 60
        while (three := engine_pid()) == two:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with home.read() as uow:
            (url,) = gateway.list_endpoints(uow)["triage@1"]
        body = json.dumps({"prompt": "My invoice 4711", "max_tokens": 4, "temperature": 0}).encode()
        request = urllib.request.Request(f"{url}/v1/completions", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            assert json.load(answer)["usage"]["completion_tokens"] == 4
    finally:
        second.terminate()
        second.wait()
    gone(three)


SLOW_TO_GO = (
    "import threading\n"
    "class _Any:\n    def __getattr__(self, name):\n        found = _Any()\n        setattr(self, name, found)\n"
    "        return found\n"
    "CommonParams, ggml_type = _Any, _Any()\n"
    "class Server:\n    listening_address = 'http://127.0.0.1:1'\n    def __init__(self, parameters):\n"
    "        import time\n        time.sleep(0.5)\n"
    "    def __del__(self):\n        threading.Event().wait()\n"
)
"""A stand-in for xllamacpp whose server, like the real one now and then, never ends once it is taken apart."""


def test_an_engine_whose_parent_died_while_the_model_was_loading_ends(tmp_path: Path) -> None:
    (tmp_path / "xllamacpp.py").write_text(SLOW_TO_GO)
    message = {
        "model": "m.gguf",
        "name": "m",
        "threads": 1,
        "context": 16,
        "slots": 1,
        "cache": "f16",
        "port": 0,
    }
    child = subprocess.Popen(
        [sys.executable, "-m", "penstock.serving.engines.llamacpp_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write(json.dumps(message).encode() + b"\n")
        child.stdin.flush()
        child.stdout.close()
        child.stdin.close()
        child.wait(60)
    finally:
        child.kill()
        child.wait()
