"""`penstock up` as a user starts it: it serves, refuses politely, restarts what dies, and stops clean."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def penstock(*arguments: str, **options: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "penstock", *arguments],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        **options,  # type: ignore[call-overload]
    )


def get(url: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_ready(url: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if get(f"{url}/readyz")[0] == 200:
                return
        except (OSError, urllib.error.URLError):
            pass
        time.sleep(0.1)
    raise AssertionError("the server did not become ready")


class Up:
    """A running `penstock up`."""

    def __init__(self, home: Path, port: int, *arguments: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, "-m", "penstock", "up", "--home", str(home), "--port", str(port), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        )
        wait_ready(self.url)

    def children(self) -> list[int]:
        tasks = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in tasks.read_text().split()]

    def stop(self) -> tuple[int, str, str]:
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=120)
        return self.process.returncode, out, err


@pytest.fixture
def up(tmp_path: Path, free_port: int) -> Iterator[Up]:
    started = Up(tmp_path / "home", free_port, "--workers", "2")
    yield started
    if started.process.poll() is None:
        started.stop()
    for pipe in (started.process.stdout, started.process.stderr):
        if pipe is not None:
            pipe.close()


def test_it_greets_serves_and_stops(up: Up) -> None:
    made = json.loads(penstock("keys", "create", "--name", "t", "--home", str(up.home), "--json").stdout)
    status, body = get(f"{up.url}/api/v1/me", {"authorization": f"Bearer {made['key']}"})
    assert (status, json.loads(body)["name"]) == (200, "t")
    code, out, _ = up.stop()
    assert code == 0
    assert re.search(r"/signin\?token=once_\S+", out)
    assert re.search(r"first API key\s+psk_\S+", out)


def test_a_second_start_on_the_same_home_or_port_is_refused(up: Up, tmp_path: Path) -> None:
    same_home = penstock("up", "--home", str(up.home), "--port", "0")
    assert (same_home.returncode, "already running on the home" in same_home.stderr) == (1, True)
    port = up.url.rpartition(":")[2]
    same_port = penstock("up", "--home", str(tmp_path / "other"), "--port", port)
    assert (same_port.returncode, f"port {port} on 127.0.0.1 is in use" in same_port.stderr) == (1, True)
    assert "Traceback" not in same_home.stderr + same_port.stderr


def test_a_killed_worker_is_replaced(up: Up) -> None:
    deadline = time.monotonic() + 60
    while len(up.children()) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    before = up.children()
    assert len(before) == 3
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while set(before) & set(up.children()) or len(up.children()) < 3:
        assert time.monotonic() < deadline, "what was killed is not replaced"
        time.sleep(0.1)
    wait_ready(up.url)


def test_nothing_is_left_when_the_supervisor_is_killed(up: Up) -> None:
    deadline = time.monotonic() + 60
    while len(up.children()) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    children = up.children()
    assert len(children) == 3
    up.process.kill()
    up.process.wait(timeout=60)
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)


@pytest.mark.parametrize(
    ("arguments", "says", "code"),
    [
        (("ups",), "Did you mean 'up'", 2),
        (("up", "--prot", "1"), "--prot", 2),
        (("prompts", "show", "nope"), "no prompt 'nope'", 1),
        (("up", "--host", "203.0.113.9", "--port", "0"), "Cannot listen on", 1),
    ],
)
def test_mistakes_end_with_one_sentence(
    arguments: tuple[str, ...], says: str, code: int, tmp_path: Path
) -> None:
    extra = () if arguments[0] == "ups" else ("--home", str(tmp_path / "h"))
    told = penstock(*arguments, *extra)
    assert (told.returncode, says in told.stderr, "Traceback" in told.stderr) == (code, True, False)


def test_an_unknown_setting_is_refused_at_start(tmp_path: Path) -> None:
    (tmp_path / "h").mkdir()
    (tmp_path / "h" / "penstock.toml").write_text("[server]\nprot = 1\n")
    told = penstock("up", "--home", str(tmp_path / "h"))
    assert (told.returncode, "Did you mean 'port'" in told.stderr) == (1, True)


def test_help_names_every_command() -> None:
    told = penstock("--help")
    assert told.returncode == 0
    assert all(f"  {name} " in told.stdout for name in ("up", "demo", "keys", "prompts"))
