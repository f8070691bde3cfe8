"""Real training that is stopped, killed, shared between processes and judged: it must come to the same."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import ChildFailed
from penstock.core.home import Home
from penstock.datasets import service as datasets
from penstock.evals.suite import parse_suite
from penstock.evals.suites import service as suites
from penstock.registry import service as registry
from penstock.training import service
from penstock.training.model import RunState, TrainingRun
from penstock.training.reporting import PAUSE, REPORTS
from tests.conftest import owner_of
from tests.fakes.tiny_model import save_model
from tests.training.stage import recipe

ROWS = [{"text": f"give me {w} {n}", "label": f"word: {w}"} for n in range(12) for w in ("tea", "milk")]
pytestmark = [pytest.mark.heavy, pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("base"), architecture="llama")


@pytest.fixture
def furnished(sqlite_home: Home, base: Path) -> Home:
    actor = owner_of(sqlite_home)
    registry.register(sqlite_home, actor, name="base", folder=base, kind="base")
    datasets.ingest(sqlite_home, actor, name="tickets", source=ROWS)
    return sqlite_home


SHORT: dict[str, Any] = {
    "epochs": 4,
    "batch_size": 8,
    "learning_rate": 0.01,
    "log_steps": 2,
    "checkpoint_steps": 3,
    "adapter": {"rank": 4, "dropout": 0.1},
}
LONG = {**SHORT, "epochs": 20, "checkpoint_steps": 9}
"""Sixty steps: after the first checkpoint there is plenty left to be killed or paused in."""


def curve(home: Home, run: TrainingRun) -> list[tuple[int, float]]:
    with home.read() as uow:
        points = service.metrics(uow, owner_of(home), run_id=run.id)
    return [(point.step, point.values["loss"]) for point in points]


class AtCheckpoint(threading.Thread):
    """Does something the moment a run's trainer has written a checkpoint; tests are not to race against its end."""

    def __init__(self, home: Home, step: int, act: Callable[[str], None]) -> None:
        super().__init__(daemon=True)
        self._home, self._step, self._act = home, step, act
        with home.read() as uow:
            self._earlier = {run.id for run in service.list_runs(uow, owner_of(home))}
        self.acted = False

    def run(self) -> None:
        """Wait for the checkpoint, at most five minutes."""
        deadline = time.monotonic() + 300
        line = json.dumps({"stage": "checkpoint", "step": self._step})
        while time.monotonic() < deadline:
            with self._home.read() as uow:
                runs = [run.id for run in service.list_runs(uow, owner_of(self._home))]
            for run_id in runs:
                reports = folder_of(self._home, run_id) / REPORTS
                if run_id not in self._earlier and reports.exists() and line in reports.read_text():
                    self._act(run_id)
                    self.acted = True
                    return
            time.sleep(0.002)


def folder_of(home: Home, run_id: str) -> Path:
    return home.folder("training", run_id)


def signal_trainer_of(run_id: str, number: int) -> None:
    """Send a signal to the training process of a run."""
    told = 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"penstock.training.child" in words and any(run_id.encode() in word for word in words):
            os.kill(int(entry.name), number)
            told += 1
    assert told == 1


def test_a_killed_run_ends_like_one_that_was_never_stopped(furnished: Home) -> None:
    actor = owner_of(furnished)
    whole = service.execute(furnished, actor, recipe(**LONG))
    assert [step for step, _ in curve(furnished, whole)] == sorted({*range(2, 61, 2), 9, 27, 45})
    assert whole.weights_hash is not None
    assert len(whole.weights_hash) == 64
    assert whole.environment["packages"]["torch"].startswith("2.")
    assert {given["kind"] for given in whole.inputs} == {"dataset_version", "model_version"}

    killer = AtCheckpoint(furnished, 9, lambda run_id: signal_trainer_of(run_id, signal.SIGKILL))
    killer.start()
    with pytest.raises(ChildFailed, match="SIGKILL"):
        service.execute(furnished, actor, recipe(**LONG), key="killed")
    killer.join()
    assert killer.acted
    killed = service.execute(furnished, actor, recipe(**LONG), key="killed")
    assert curve(furnished, killed) == curve(furnished, whole)
    assert killed.weights_hash == whole.weights_hash


def test_a_paused_run_ends_like_one_that_was_never_stopped(furnished: Home) -> None:
    actor = owner_of(furnished)
    whole = service.execute(furnished, actor, recipe(**LONG))

    def pause(run_id: str) -> None:
        signal_trainer_of(run_id, signal.SIGSTOP)
        with furnished.begin() as uow:
            assert service.pause(uow, actor, run_id=run_id).wish == "pause"
        while not (folder_of(furnished, run_id) / PAUSE).exists():
            time.sleep(0.01)
        signal_trainer_of(run_id, signal.SIGCONT)

    pauser = AtCheckpoint(furnished, 9, pause)
    pauser.start()
    paused = service.execute(furnished, actor, recipe(**LONG), key="paused")
    pauser.join()
    assert pauser.acted
    assert paused.state is RunState.PAUSED
    assert paused.model is None
    with furnished.read() as uow:
        files = [file.path for file in service.list_artifacts(uow, actor, run_id=paused.id)]
    assert any(path.endswith("adapter_model.safetensors") for path in files)
    assert not any("optimizer" in path for path in files)
    resumed = service.execute(furnished, actor, recipe(**LONG), key="paused")
    assert resumed.state is RunState.SUCCEEDED
    assert curve(furnished, resumed)[-1] == curve(furnished, whole)[-1]
    assert resumed.weights_hash == whole.weights_hash


def test_two_processes_learn_what_one_does(furnished: Home) -> None:
    actor = owner_of(furnished)
    plain = {**SHORT, "epochs": 1, "log_steps": 1, "adapter": {"rank": 0}}
    alone = service.execute(furnished, actor, recipe(**plain))
    for strategy in ("ddp", "fsdp2"):
        running = {"processes": 2, "strategy": strategy}
        together = service.execute(furnished, actor, recipe(**plain, running=running))
        assert together.metrics["steps"] == alone.metrics["steps"] == 3
        for (step, loss), (same_step, same_loss) in zip(
            curve(furnished, alone), curve(furnished, together), strict=True
        ):
            assert step == same_step
            assert loss == pytest.approx(same_loss, rel=1e-3), strategy
        with furnished.read() as uow:
            made = registry.get(uow, actor, ref=str(together.model))
        assert "model.safetensors" in {file.path for file in made.files}


def test_a_run_stops_when_its_suite_no_longer_improves(furnished: Home) -> None:
    actor = owner_of(furnished)
    spec = {
        "name": "held-out",
        "dataset": "tickets@1",
        "limit": 4,
        "target": {"kind": "transformers", "model": "base@1", "max_tokens": 4},
        "scorers": ["exact"],
        "columns": {"input": "text", "expected": "label"},
    }
    with furnished.begin() as uow:
        suites.put(uow, actor, name="held-out", suite=parse_suite(spec))
    # So low a learning rate learns nothing: every checkpoint scores the same.
    early = {"suite": "held-out", "metric": "exact", "patience": 1}
    run = service.execute(furnished, actor, recipe(**{**SHORT, "learning_rate": 1e-9}, early_stop=early))
    assert run.state is RunState.SUCCEEDED
    assert (run.metrics["steps"], run.metrics["best_step"]) == (6, 3)
    with furnished.read() as uow:
        points = service.metrics(uow, actor, run_id=run.id)
    assert [point.step for point in points if "eval_exact" in point.values] == [3, 6]
