"""End to end: training makes a model significantly better on held-out mails, and on a public file."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest

from penstock.core.home import Home
from penstock.datasets import service as datasets
from penstock.evals.model import Difference, EvalRun
from penstock.pipelines.demo import base_model, recipes, tickets
from penstock.registry import service as registry
from penstock.training import recipe as ready
from penstock.training import service
from penstock.training.recipe import Recipe
from tests.conftest import owner_of
from tests.training import tiny
from tests.training.proving import Ground

pytestmark = [pytest.mark.heavy, pytest.mark.slow, pytest.mark.timeout(2400)]

DATA = Path(os.environ.get("PENSTOCK_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
HELD_OUT, REVIEWED, HISTORY, MAX_TOKENS = 200, 300, 1500, 40
FEW = 150
"""Right labels enough for the form of an answer, and too few for what stands in it."""
MAILS = {"prompt": "text", "completion": "label"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The demo's base model, its data, and a model that was tuned on last year's labels."""

    ground: Ground
    base: str
    tuned: str
    judged: EvalRun
    """The tuned model on the held-out mails."""

    def beaten_by(self, recipe: Recipe) -> Difference:
        """Train the recipe; returns what it is better by than the tuned model."""
        return self.ground.better(self.judged, self.ground.judge(self.ground.train(recipe)))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Home.open(tmp_path_factory.mktemp("proofs")) as home:
        actor = owner_of(home)
        corpus = tickets.make(0, history=HISTORY, test=HELD_OUT, traffic=REVIEWED)
        traffic = [{"id": one.id, "text": one.text, "label": one.answer} for one in corpus.traffic]
        for name, rows in (("history", corpus.history), ("held-out", corpus.test), ("traffic", traffic)):
            datasets.ingest(home, actor, name=name, source=rows, key="id")
        base, _ = base_model.build(home, actor, seed=0)
        ground = Ground(
            home=home, actor=actor, expected="label", scorers=("exact", "fields"), max_tokens=MAX_TOKENS
        )
        tuned = ground.train(recipes.fine_tune(base=base.ref, dataset="history@1"))
        ground.review(ground.judge(tuned, "traffic"))
        yield Stage(ground=ground, base=base.ref, tuned=tuned, judged=ground.judge(tuned))


def test_supervised_fine_tuning_learns_the_task(stage: Stage) -> None:
    found = stage.ground.better(stage.ground.judge(stage.base), stage.judged)
    assert found.difference > 0.4
    assert found.p_adjusted < 0.001


def test_corrections_with_replay_beat_the_tuned_model(stage: Stage) -> None:
    found = stage.beaten_by(
        recipes.with_replay(base=stage.tuned, dataset="corrections@1", accepted="accepted@1")
    )
    assert found.difference > 0.05
    assert found.p_adjusted < 0.01


def test_thumbs_beat_the_tuned_model(stage: Stage) -> None:
    values = {"name": "by-thumbs", "base": stage.tuned, "dataset": "thumbs@1", "max_length": 320}
    found = stage.beaten_by(ready.load("kto-thumbs", **values, batch_size=8, learning_rate=1e-3))
    assert found.difference > 0.05
    assert found.p_adjusted < 0.01


def test_rewards_beat_a_model_that_has_seen_little(stage: Stage) -> None:
    ground = stage.ground
    shared = {"dataset": "traffic@1", "columns": MAILS, "max_length": 320}
    few = ready.load(
        "sft-lora",
        name="few",
        base=stage.base,
        limit=FEW,
        **shared,
        batch_size=8,
        learning_rate=5e-3,
        warmup_steps=0,
    )
    start = ground.train(few)
    rewarded = ready.load(
        "grpo-scorer",
        name="rewarded",
        base=start,
        limit=240,
        **shared,
        **{"rewards": [{"scorer": "fields"}, {"scorer": "exact", "weight": 0.5}], "sampling.max_tokens": 32},
        batch_size=64,
        learning_rate=1e-3,
    )
    found = ground.better(ground.judge(start), ground.judge(ground.train(rewarded)))
    assert found.difference > 0.05
    assert found.p_adjusted < 0.01


def test_a_student_learns_from_its_teacher_what_the_labels_do_not_say(stage: Stage) -> None:
    shared = {"columns": MAILS, "batch_size": 8, "max_length": 320}
    taught = ready.load(
        "sft-lora",
        name="teacher",
        base=stage.tuned,
        dataset="traffic@1",
        **shared,
        epochs=2.0,
        learning_rate=2e-3,
    )
    student = ready.load(
        "distil-teacher",
        name="student",
        base=stage.base,
        dataset="history@1",
        limit=800,
        **shared,
        **{"adapter.rank": 16, "adapter.alpha": 32},
        teacher={"model": stage.ground.train(taught), "share": 1.0},
        epochs=1.0,
        learning_rate=5e-3,
    )
    found = stage.beaten_by(student)
    assert found.difference > 0.05
    assert found.p_adjusted < 0.01


def test_a_public_file_is_learnt(sqlite_home: Home, tmp_path: Path) -> None:
    source = DATA / "gsm8k" / "test.jsonl"
    if not source.exists():
        pytest.skip(f"{source} is not there; set PENSTOCK_TEST_DATA to a folder that has it")
    actor = owner_of(sqlite_home)
    registry.register(sqlite_home, actor, name="tiny", folder=tiny.base(tmp_path / "tiny"), kind="base")
    short = [
        row
        for row in map(json.loads, source.read_text().splitlines())
        if len(row["question"] + row["answer"]) < 400
    ]
    train_rows, test_rows = short[-280:-40], short[-40:]
    datasets.ingest(sqlite_home, actor, name="sums", source=train_rows)
    values = {"name": "counts", "base": "tiny@1", "dataset": "sums@1", "learning_rate": 3e-3, "epochs": 3.0}
    columns = {"prompt": "question", "completion": "answer"}
    recipe = ready.load("sft-full", **values, columns=columns, batch_size=8)
    model = str(service.execute(sqlite_home, actor, recipe).model)
    before = _losses(registry.materialize(sqlite_home, actor, ref="tiny@1"), test_rows, tmp_path)
    after = _losses(registry.materialize(sqlite_home, actor, ref=model), test_rows, tmp_path)
    gains = [one - other for one, other in zip(before, after, strict=True)]
    assert fmean(gains) > 0.5
    assert fmean(gains) > 5 * stdev(gains) / len(gains) ** 0.5


def _losses(folder: Path, rows: list[dict[str, Any]], workdir: Path) -> list[float]:
    """Return each answer's mean loss per token under the model in `folder`."""
    given = workdir / "held-out.json"
    given.write_text(json.dumps([[row["question"], row["answer"]] for row in rows]))
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    command = [sys.executable, "-m", "tests.training.losses", str(folder), str(given)]
    done = subprocess.run(command, check=True, timeout=120, env=environment, capture_output=True, text=True)
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found
