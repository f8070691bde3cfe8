"""kill -9 of the supervisor at random moments of a real run: no trainer stays behind, and the run ends the same."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.core.home import Home
from penstock.datasets import service as datasets
from penstock.registry import service as registry
from penstock.training import service
from penstock.training.model import RunState, TrainingRun
from penstock.training.reporting import REPORTS
from tests.conftest import owner_of
from tests.fakes.tiny_model import save_model
from tests.training.stage import recipe

pytestmark = [pytest.mark.heavy, pytest.mark.slow, pytest.mark.timeout(1200)]
ROWS = [{"text": f"give me {w} {n}", "label": f"word: {w}"} for n in range(12) for w in ("tea", "milk")]
PLAN: dict[str, Any] = {
    "epochs": 40,
    "batch_size": 8,
    "learning_rate": 0.01,
    "log_steps": 2,
    "checkpoint_steps": 9,
    "adapter": {"rank": 4, "dropout": 0.1},
}
"""A hundred and twenty steps: wherever it is killed, there is plenty left."""
SUPERVISOR = """
import json, sys
from penstock.core.home import Home
from penstock.training import service
from tests.conftest import owner_of
from tests.training.stage import recipe

with Home.open(sys.argv[1], upgrade=False) as home:
    service.execute(home, owner_of(home), recipe(**json.loads(sys.argv[2])), key="killed")
"""


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 300
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def trainers_of(run_id: str) -> list[int]:
    """Return the training processes of a run."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"penstock.training.child" in words and any(run_id.encode() in word for word in words):
            found.append(int(entry.name))
    return found


def step_of(folder: Path) -> int:
    """Return the last step that the run's trainer told."""
    try:
        lines = (folder / REPORTS).read_text().splitlines()
    except FileNotFoundError:
        return 0
    whole = [json.loads(line) for line in lines if line.endswith("}")]
    return max((report.get("step", 0) for report in whole), default=0)


def killed_at(home: Home, step: int) -> str:
    """Let another process supervise the run, and kill it once the trainer has told of `step`; returns the run's id."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SUPERVISOR, str(home.path), json.dumps(PLAN)]
    actor = owner_of(home)

    def known() -> TrainingRun | None:
        with home.read() as uow:
            return service.by_key(uow, actor, key="killed")

    with subprocess.Popen(command, env=environment) as supervisor:
        until(lambda: known() is not None, "the run was never opened")
        run = known()
        assert run is not None
        folder = home.path / "training" / run.id
        until(lambda: step_of(folder) >= step, f"step {step} was never reached")
        supervisor.send_signal(signal.SIGKILL)
    until(lambda: not trainers_of(run.id), "the trainer outlived its supervisor")
    (folder / REPORTS).unlink()
    return run.id


def curve(home: Home, run: TrainingRun) -> list[tuple[int, float]]:
    with home.read() as uow:
        points = service.metrics(uow, owner_of(home), run_id=run.id)
    return [(point.step, point.values["loss"]) for point in points]


def test_a_run_whose_supervisor_is_killed_ends_like_one_that_was_never_stopped(
    sqlite_home: Home, tmp_path: Path
) -> None:
    home, actor = sqlite_home, owner_of(sqlite_home)
    base = save_model(tmp_path / "base", architecture="llama")
    registry.register(home, actor, name="base", folder=base, kind="base")
    datasets.ingest(home, actor, name="tickets", source=ROWS)
    whole = service.execute(home, actor, recipe(**PLAN))

    moments = random.Random(6)
    # Before the first checkpoint, and twice after it.
    for earliest, latest in ((1, 8), (12, 40), (44, 80)):
        run_id = killed_at(home, moments.randint(earliest, latest))
        with home.read() as uow:
            left = service.get(uow, actor, run_id=run_id)
            assert (left.state, left.model) == (RunState.RUNNING, None)
            models = [version.ref for version in registry.list_versions(uow, actor, name="triage")]
        assert models == [whole.model], "nothing is registered by halves"

    ended = service.execute(home, actor, recipe(**PLAN), key="killed")
    assert (ended.id, ended.state) == (run_id, RunState.SUCCEEDED)
    assert curve(home, ended) == curve(home, whole)
    assert ended.weights_hash == whole.weights_hash
