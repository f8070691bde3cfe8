import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock.serving import machine


def test_a_session_counts_with_all_its_processes() -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("no /proc on this machine")
    program = (
        "import subprocess, sys\n"
        "inner = 'import sys, time; b = bytearray(40_000_000)\\n'\n"
        "inner += 'while time.process_time() < 0.1: sum(range(10_000))\\n'\n"
        "inner += 'print(1, flush=True); sys.stdin.read()'\n"
        "child = subprocess.Popen([sys.executable, '-c', inner], stdin=sys.stdin, stdout=sys.stdout)\n"
        "child.wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None and process.stdin is not None
        process.stdout.readline()
        found = machine.sessions({process.pid, 2**22 + 7})
        process.stdin.close()
    assert set(found) == {process.pid}
    assert found[process.pid].memory_bytes > 45_000_000, "its child's memory is its own"
    assert found[process.pid].cpu_seconds > 0
    assert machine.sessions({process.pid}) == {}
    assert machine.memory_bytes() > 10**8


def test_a_machine_without_proc_tells_nothing(tmp_path: Path) -> None:
    assert machine.sessions({os.getpid()}, tmp_path / "none") == {}


def test_what_nvidia_smi_prints_is_read() -> None:
    text = "0, 37, 1024, 143771\n1, [N/A], 0, 143771\n"
    first, second = machine.parse_gpus(text)
    assert (first.index, first.percent, first.memory_used) == (0, 37.0, 1024**3)
    assert (second.index, second.percent, second.memory_total) == (1, 0.0, 143771 * 1024**2)


def test_gpus_are_asked_through_the_program_and_seldom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\necho "0, 50, 10, 100"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    gpus = machine.Gpus()
    assert [gpu.percent for gpu in gpus.read()] == [50.0]
    assert [gpu.percent for gpu in gpus.read()] == [50.0]
    assert (tmp_path / "asked").read_text().splitlines() == [
        "--query-gpu=index,utilization.gpu,memory.used,memory.total --format=csv,noheader,nounits"
    ]


def test_a_driver_that_does_not_answer_leaves_what_was_last_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nexit 9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    before = time.monotonic()
    assert machine.Gpus().read() == []
    assert time.monotonic() - before < machine._GPU_SECONDS, "it is not waited for"


@pytest.mark.parametrize(
    ("told", "left"), [(None, (0, 1, 2)), ("2,0", (0, 2)), ("", ()), ("GPU-8932f937", ()), ("7", ())]
)
def test_gpus_that_the_server_was_not_left_are_not_shared_out(
    told: str | None, left: tuple[int, ...]
) -> None:
    environment = {} if told is None else {machine.VISIBLE: told}
    assert machine.allowed((0, 1, 2), environment) == left
