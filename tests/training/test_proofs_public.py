"""End to end on a public file: each method makes a model significantly better at naming the marked person."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from penstock.core.home import Home
from penstock.datasets import service as datasets
from penstock.evals.model import Difference, EvalRun
from penstock.registry import service as registry
from penstock.training import recipe as ready
from penstock.training.recipe import Recipe
from tests.conftest import owner_of
from tests.training import marked
from tests.training.proving import Ground

pytestmark = [pytest.mark.heavy, pytest.mark.slow, pytest.mark.timeout(2400)]

DATA = Path(os.environ.get("PENSTOCK_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
FIRST, LATER, HELD_OUT, MAX_TOKENS = 600, 800, 300, 12
"""Sentences that the first model learns from, those it is asked about afterwards, and those of the file's test part."""
WHOLE = {"adapter.rank": 0, "batch_size": 16, "max_length": 128}
COLUMNS = {"prompt": "text", "completion": "person"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A model that has seen a part of the file, and its verdict on sentences that nobody has seen."""

    ground: Ground
    untrained: EvalRun
    start: str
    judged: EvalRun

    def recipe(self, name: str, dataset: str, **values: Any) -> Recipe:
        """Return a ready recipe that goes on from the first model, every weight trained."""
        return ready.load(name, name=name, base=self.start, dataset=dataset, **{**WHOLE, **values})

    def beaten_by(self, recipe: Recipe) -> Difference:
        """Train the recipe; returns what it is better by than the first model."""
        return self.ground.better(self.judged, self.ground.judge(self.ground.train(recipe)))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    if not (DATA / "winobias").is_dir():
        pytest.skip(f"{DATA / 'winobias'} is not there; set PENSTOCK_TEST_DATA to a folder that has it")
    folder = tmp_path_factory.mktemp("public")
    with Home.open(folder / "home") as home:
        ground = Ground(
            home=home, actor=owner_of(home), expected="person", scorers=("exact",), max_tokens=MAX_TOKENS
        )
        rows = marked.rows(DATA, "dev")
        parts = {"first": rows[:FIRST], "later": rows[FIRST : FIRST + LATER]}
        for name, part in {**parts, "held-out": marked.rows(DATA, "test")[:HELD_OUT]}.items():
            datasets.ingest(home, ground.actor, name=name, source=part, key="id")
        made = marked.base(DATA, folder / "random")
        base = registry.register(home, ground.actor, name="random", folder=made, kind="base").ref
        values = {**WHOLE, "columns": COLUMNS, "epochs": 6.0, "learning_rate": 3e-3}
        start = ground.train(ready.load("sft-full", name="start", base=base, dataset="first@1", **values))
        ground.review(ground.judge(start, "later"))
        yield Stage(ground=ground, untrained=ground.judge(base), start=start, judged=ground.judge(start))


def test_supervised_fine_tuning_learns_the_task(stage: Stage) -> None:
    found = stage.ground.better(stage.untrained, stage.judged)
    assert found.difference > 0.2
    assert found.p_adjusted < 0.001


def test_corrections_make_it_better(stage: Stage) -> None:
    losses = {"losses": ["sigmoid", "sft"], "weights": [1.0, 1.0]}
    values = {"preference": losses, "epochs": 2.0, "learning_rate": 1e-3}
    found = stage.beaten_by(stage.recipe("dpo-corrections", "corrections@1", **values))
    assert found.difference > 0.05
    assert found.p_adjusted < 0.01


def test_thumbs_make_it_better(stage: Stage) -> None:
    found = stage.beaten_by(stage.recipe("kto-thumbs", "thumbs@1", learning_rate=1e-3))
    assert found.difference > 0.05
    assert found.p_adjusted < 0.01


def test_rewards_make_it_better(stage: Stage) -> None:
    values = {"columns": COLUMNS, "limit": 480, "batch_size": 64, "learning_rate": 5e-4}
    found = stage.beaten_by(stage.recipe("grpo-scorer", "later@1", **values, **{"sampling.max_tokens": 6}))
    assert found.difference > 0.05
    assert found.p_adjusted < 0.01


def test_a_teacher_makes_it_better(stage: Stage) -> None:
    values = {"columns": COLUMNS, "epochs": 3.0, "learning_rate": 3e-3, "warmup_steps": 0}
    teacher = stage.ground.train(stage.recipe("sft-full", "later@1", **values))
    values |= {"epochs": 2.0, "learning_rate": 2e-3, "teacher.model": teacher}
    found = stage.beaten_by(stage.recipe("distil-teacher", "later@1", **values))
    assert found.difference > 0.05
    assert found.p_adjusted < 0.01
