"""Budgets over real processes: a hundred clients on four workers, and workers killed with leases in hand."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock.core.errors import LimitExceeded
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.gateway.limits.model import NANO
from tests.architecture.code import ROOT
from tests.gateway.limits.conftest import CALLER, Make, ask, budget, put, spend

pytestmark = pytest.mark.usefixtures("patient")


def start(home: Home, log: Path, tasks: int, seconds: float) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "tests.gateway.limits.spender",
        str(home.path),
        str(log),
        str(tasks),
        str(seconds),
    ]
    env = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    return subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def wait_ready(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"


def finish(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        process.wait(60)
        assert process.stdout is not None
        process.stdout.close()


def spent_upstream(folder: Path) -> int:
    return sum(int(line) for log in folder.glob("*.spent") for line in log.read_text().split())


def test_a_hundred_clients_on_four_workers_keep_to_one_dollar(
    home: Home, actor: Actor, tmp_path: Path
) -> None:
    put(home, actor, budget(1.0))
    processes = [start(home, tmp_path / f"{n}.spent", 25, 90) for n in range(4)]
    wait_ready(processes)
    finish(processes)
    assert [process.returncode for process in processes] == [0] * 4
    total = spent_upstream(tmp_path)
    assert 0.98 * NANO <= total <= NANO
    state = spend(home, actor)
    assert (round(state.spent * NANO), state.reserved) == (total, 0.0)


def test_killed_workers_never_let_the_budget_be_passed(
    home: Home, actor: Actor, tmp_path: Path, make: Make
) -> None:
    put(home, actor, budget(1.0))
    for turn in range(2):
        doomed = [start(home, tmp_path / f"{turn}{n}.spent", 10, 30) for n in range(2)]
        wait_ready(doomed)
        time.sleep(0.4)
        for process in doomed:
            process.send_signal(signal.SIGKILL)
        finish(doomed)
    survivor = [start(home, tmp_path / "last.spent", 25, 90)]
    wait_ready(survivor)
    finish(survivor)
    total, state = spent_upstream(tmp_path), spend(home, actor)
    assert 0 < total <= NANO
    assert (state.spent + state.reserved) * NANO >= total
    assert state.spent + state.reserved <= 1.0 + 1e-9
    undertaker = make(started=True, dead_after_seconds=0.5)
    for _ in range(60):
        with contextlib.suppress(LimitExceeded):
            asyncio.run(undertaker.admit(CALLER, ask(0.0001))).cancel()
        if spend(home, actor).reserved == 0:
            break
        time.sleep(0.1)
    state = spend(home, actor)
    assert state.reserved <= 0.05
    assert total <= round(state.spent * NANO) <= NANO
    assert state.spent * NANO - total < 0.25 * NANO
