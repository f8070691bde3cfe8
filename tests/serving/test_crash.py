"""kill -9 of an engine and of the platform, with real llama.cpp children."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from penstock.core.home import Home
from penstock.gateway import service as gateway
from penstock.registry import service as registry
from penstock.serving import service
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
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.05)


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
        deadline = time.monotonic() + 30
        while (two := engine_pid()) == one:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        first.kill()
        first.wait()
    gone(two)
    second = platform(home)
    try:
        deadline = time.monotonic() + 30
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
