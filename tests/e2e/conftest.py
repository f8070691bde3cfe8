"""What browser tests need: Node, the UI's test packages, Chromium, a built UI, and the scripted server."""

import fcntl
import hashlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FRONTEND = ROOT / "frontend"
GIVEN = {name: value for name, value in os.environ.items() if name.startswith("PENSTOCK_E2E_")}
"""What whoever runs the tests wants of the browser, such as pictures; every test clears such names."""


@pytest.fixture(scope="session")
def given() -> dict[str, str]:
    """What whoever runs the tests wants of the browser."""
    return dict(GIVEN)


def load_hook():
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def node() -> str:
    """Node with the UI built and its test packages installed; fails, never skips, when that is impossible."""
    if os.environ.get("PENSTOCK_SKIP_E2E", "") not in ("", "0"):
        pytest.skip("PENSTOCK_SKIP_E2E is set")
    hook = load_hook()
    command, npm, folder = hook.node_commands()
    modules = FRONTEND / "node_modules"
    lock = hashlib.sha256((FRONTEND / "package-lock.json").read_bytes()).hexdigest()
    marker = modules / ".lock-sha256"
    # The test processes share the checkout: one installs and builds, the others wait and find it done.
    with (ROOT / "tests/e2e/.node.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        has_tools = (modules / "playwright-core").exists() and (modules / "axe-core").exists()
        if not (has_tools and marker.is_file() and marker.read_text() == lock):
            hook.run([*npm, "ci", "--fetch-retries=1", "--no-audit", "--no-fund"], FRONTEND, folder)
            marker.write_text(lock)
        if hook.stale(ROOT):
            hook.build(ROOT)
    return str(command[0])


@pytest.fixture(scope="session")
def chromium() -> str:
    """The system's Chromium."""
    found = (
        os.environ.get("PENSTOCK_E2E_CHROMIUM")
        or shutil.which("chromium")
        or shutil.which("chromium-browser")
    )
    assert found, "Browser tests need Chromium: apt-get install chromium, or set PENSTOCK_SKIP_E2E=1"
    return found


def wait_until_up(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(2400):
        assert process.poll() is None, "the scripted server ended early"
        try:
            with urllib.request.urlopen(url, timeout=2) as response:
                assert response.status == 200
                return
        except urllib.error.URLError:
            time.sleep(0.05)
    raise AssertionError("the scripted server did not start")


@pytest.fixture(scope="session")
def fake_server(node: str) -> Iterator[str]:
    """The scripted server's address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, str(ROOT / "tests/e2e/fake_api.py"), str(port)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT / "src")})
    try:
        wait_until_up(f"http://127.0.0.1:{port}/", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def browse(node: str, chromium: str) -> Callable[..., str]:
    """Run one scenario of run.mjs, `browse(scenario, url, sign-in link or token)`; fails with what it said.

    More names are environment variables of the scenario.
    """

    def run(scenario: str, url: str, signin: str, *, seconds: int = 280, **more: str) -> str:
        env = {
            **os.environ,
            **GIVEN,
            **more,
            "PENSTOCK_E2E_URL": url,
            "PENSTOCK_E2E_SIGNIN": signin,
            "PENSTOCK_E2E_CHROMIUM": chromium,
        }
        command = [node, str(ROOT / "tests/e2e/run.mjs"), scenario]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=seconds, check=False)
        if done.returncode:
            pytest.fail(f"{scenario}:\n{done.stdout}\n{done.stderr}", pytrace=False)
        return "passed"

    return run
