"""docs/your-own-data.md as its reader lives it, and the public files that people bring."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from penstock.core import lineage
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import service as datasets
from penstock.evals import service as evals
from penstock.evals.model import EvalRun
from penstock.traces import service as traces
from penstock.training import recipe as recipes
from penstock.training.rows import check
from tests.architecture.code import ROOT
from tests.conftest import owner_of
from tests.docs.pages import Reader, blocks, environment, serving

PAGE = ROOT / "docs" / "your-own-data.md"
DATA = Path(os.environ.get("PENSTOCK_TEST_DATA") or ROOT.parent / "shared" / "data")

PUBLIC = [
    ("gsm8k/test.jsonl", 1319),
    ("alpaca_seed/seed_tasks.jsonl", 175),
    ("hh_rlhf/harmless-base.test.jsonl.gz", 2312),
]


@pytest.mark.heavy
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_from_a_file_to_a_tuned_model_behind_an_endpoint(tmp_path: Path) -> None:
    env = environment(tmp_path)
    with serving(tmp_path, env) as ready, closing(Reader(tmp_path, ready)) as reader:
        for block in blocks(PAGE):
            reader.check(block)
    with Home.open(tmp_path / "home") as home:
        _check_what_it_left(home, owner_of(home))


def _exact(run: EvalRun) -> float:
    metric = run.metric("exact")
    assert metric is not None
    assert metric.value is not None
    return metric.value


def _check_what_it_left(home: Home, actor: Actor) -> None:
    with home.read() as uow:
        data = datasets.resolve(uow, actor, "mails@2")
        runs = {run.model: run for run in evals.list_runs(uow, actor)}
        usage = {row.group: row for row in traces.usage(uow, actor, group_by="route")}
        edges = lineage.neighbours(uow.conn, actor.scope, "model_version", "mail-router-gguf@1")
    assert (data.rows, data.removed, sum(data.splits.values())) == (480, 48, 480)
    assert {run.total for run in runs.values()} == {data.splits["test"]}
    assert _exact(runs["my-base@1"]) == 0.0
    assert _exact(runs["mail-router@1"]) >= 0.9
    assert abs(_exact(runs["mail-router"]) - _exact(runs["mail-router@1"])) <= 0.05
    calls = usage["mail-router"]
    assert (calls.calls, calls.errors) == (2 + data.splits["test"], 0)
    assert calls.input_tokens > calls.output_tokens > calls.calls
    assert {"mail-router@1", "my-base@1", "mails@2"} <= {edge.parent_ref for edge in edges}


@pytest.fixture
def public() -> Path:
    missing = [name for name, _ in PUBLIC if not (DATA / name).exists()]
    if missing:
        pytest.skip(f"{DATA} lacks {', '.join(missing)}; set PENSTOCK_TEST_DATA to a folder that has them")
    return DATA


@pytest.mark.slow
def test_public_files_are_ingested_whole(sqlite_home: Home, public: Path) -> None:
    actor = owner_of(sqlite_home)
    for name, rows in PUBLIC:
        version = datasets.ingest(sqlite_home, actor, name=name.partition("/")[0], source=public / name)
        assert (version.rows, version.quarantined) == (rows, 0), name


def test_a_recipe_fits_the_columns_of_a_public_file(sqlite_home: Home, public: Path) -> None:
    actor = owner_of(sqlite_home)
    datasets.ingest(sqlite_home, actor, name="gsm8k", source=public / "gsm8k/test.jsonl")
    recipe = recipes.parse(
        {
            "name": "sums",
            "method": "sft",
            "base": "my-base@1",
            "dataset": "gsm8k@1",
            "columns": {"prompt": "question", "completion": "answer"},
        }
    )
    rows = check(
        datasets.rows(sqlite_home, actor, recipe.dataset), method=recipe.method, columns=recipe.columns
    )
    assert len(rows) == 1319
    assert rows[0]["messages"][0]["content"].startswith("Janet")
    assert rows[0]["completion"].endswith("#### 18")
