"""Whatever line its parent dies at, a child process ends: also one that ignores signals, sleeps, or has just begun."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from penstock.training.child import LAUNCHER

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's death signal is Linux's")

STUBBORN = """
import signal, sys, time
from penstock.core.child import die_with_parent, end_after_parent
signal.signal(signal.SIGTERM, signal.SIG_IGN)
{bind}
print("bound", flush=True)
time.sleep(600)
"""
PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid())], stdout=subprocess.PIPE, text=True)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(600)
"""
BINDING = """
import subprocess, time
from penstock.core.child import bound
print(subprocess.Popen(["sleep", "600"], preexec_fn=bound()).pid, flush=True)
time.sleep(600)
"""
CODE = "print('x', flush=True)\nimport time\ntime.sleep(600)"
SANDBOX = (
    f"from penstock.evals.sandbox.run import *\nrun_python({CODE!r}, Limits(seconds=300, allow_weak=True))"
)


def start(code: str, *arguments: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def eventually(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def killed(parent: "subprocess.Popen[str]", child: int) -> bool:
    """Kill a parent, and wait until its child has ended; returns whether it did, and ends it if not."""
    parent.kill()
    parent.wait()
    assert parent.stdout is not None
    parent.stdout.close()
    try:
        eventually(lambda: gone(child), "the child outlived its parent")
        return gone(child)
    finally:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize(
    "bind", ["die_with_parent(int(sys.argv[1]))", "end_after_parent(int(sys.argv[1]), 0.2)"]
)
def test_a_child_that_ignores_the_signal_ends_all_the_same(bind: str) -> None:
    parent = start(PARENT, STUBBORN.format(bind=bind))
    assert parent.stdout is not None
    assert killed(parent, int(parent.stdout.readline()))


def test_a_program_that_knows_nothing_of_it_dies_with_the_process_that_started_it() -> None:
    parent = start(BINDING)
    assert parent.stdout is not None
    assert killed(parent, int(parent.stdout.readline()))


def test_a_child_whose_parent_died_before_it_could_say_so_ends_at_once() -> None:
    child = start(STUBBORN.format(bind="die_with_parent(int(sys.argv[1]))"), str(os.getpid() + 1))
    out, _ = child.communicate(timeout=120)
    assert (child.returncode, out) == (1, "")


def test_a_rank_whose_launcher_died_before_it_could_say_so_ends_at_once(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text(json.dumps({"folder": str(tmp_path), "judged": False}))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "RANK": "0"}
    ended = subprocess.run(
        [sys.executable, "-m", "penstock.training.child", str(tmp_path / "job.json")],
        env={**environment, LAUNCHER: str(os.getpid() + 1)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (1, "")
    assert [path.name for path in tmp_path.iterdir()] == ["job.json"]


def sandboxed(parent: int) -> list[int]:
    """Return the sandbox processes of a parent."""
    found = []
    for each in Path(f"/proc/{parent}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(pid) for pid in each.read_text().split()]
    return found


@pytest.mark.parametrize("running", [False, True], ids=["as it starts", "as it sleeps"])
def test_code_in_the_sandbox_ends_with_the_one_who_asked_for_it(running: bool) -> None:
    parent = start(SANDBOX)
    eventually(lambda: sandboxed(parent.pid), "no sandbox was started")
    (child,) = sandboxed(parent.pid)

    def printed() -> bool:
        return (Path(f"/proc/{child}/fd/1").stat().st_size) > 0

    if running:
        eventually(printed, "the code was not run")
    assert killed(parent, child)


def test_a_program_under_guard_ends_when_nobody_hears_that_it_started() -> None:
    spec = {"command": ["sleep", "600"], "environment": {"GUARDED": "yes"}, "url": "http://127.0.0.1:1"}
    guard = subprocess.Popen(
        [sys.executable, "-m", "penstock.serving.engines.guarded_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert guard.stdin is not None and guard.stdout is not None
    guard.stdout.close()
    guard.stdin.write(json.dumps(spec).encode() + b"\n")
    guard.stdin.flush()
    try:
        assert guard.wait(120) == -signal.SIGKILL
        of_group = [path for path in Path("/proc").glob("[0-9]*") if group(path) == guard.pid]
        assert all(gone(int(path.name)) for path in of_group)
    finally:
        guard.stdin.close()
        with suppress(ProcessLookupError):
            os.killpg(guard.pid, signal.SIGKILL)


def group(process: Path) -> int:
    """Return the process group of an entry of /proc; 0 for one that is gone."""
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[2])
    except OSError:
        return 0
