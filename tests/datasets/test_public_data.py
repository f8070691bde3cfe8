"""Real public files; skipped when the folder is not there."""

import os
from pathlib import Path

import pytest

from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import recipe, service
from penstock.datasets.model import ColumnType

DATA = Path(os.environ.get("PENSTOCK_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")

FILES = [
    ("gsm8k/test.jsonl", 1319, ["question", "answer"]),
    ("alpaca_seed/seed_tasks.jsonl", 175, ["id", "name", "instruction", "instances", "is_classification"]),
    ("hh_rlhf/harmless-base.test.jsonl.gz", 2312, ["chosen", "rejected"]),
    (
        "truthfulqa/TruthfulQA.csv",
        817,
        ["Type", "Category", "Question", "Best Answer", "Correct Answers", "Incorrect Answers", "Source"],
    ),
]


def public(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not there; set PENSTOCK_TEST_DATA to a folder that has it")
    return path


@pytest.mark.parametrize(("name", "rows", "columns"), FILES)
def test_every_row_is_ingested(
    sqlite_home: Home, owner: Actor, name: str, rows: int, columns: list[str]
) -> None:
    version = service.ingest(
        sqlite_home, owner, name="public", source=public(name), splits={"train": 0.8, "test": 0.2}
    )
    assert (version.rows, version.quarantined, sum(version.splits.values())) == (rows, 0, rows)
    assert [column.name for column in version.schema] == columns
    assert version.profile["rows"] == rows
    assert max(version.profile["text"]["languages"], key=version.profile["text"]["languages"].get) == "en"
    read = list(service.rows(sqlite_home, owner, "public@1"))
    assert len(read) == rows
    assert all(isinstance(row[columns[0]], str) and row[columns[0]] for row in read)


def test_nested_values_and_a_key(sqlite_home: Home, owner: Actor) -> None:
    path = public("alpaca_seed/seed_tasks.jsonl")
    version = service.ingest(sqlite_home, owner, name="seed", source=path, key="id")
    assert {column.name: column.type for column in version.schema}["instances"] is ColumnType.JSON
    first = next(service.stored_rows(sqlite_home, owner, "seed", limit=1))
    assert first.key == "seed_task_0"
    assert first.row["instances"][0]["output"].startswith("Yes")


def test_a_full_recipe_on_dialogues(sqlite_home: Home, owner: Actor) -> None:
    steps = recipe.parse(
        [
            {"step": "normalise"},
            {"step": "language"},
            {"step": "exact_duplicates"},
            {"step": "near_duplicates", "columns": ["chosen"], "threshold": 0.7},
            {"step": "redact"},
        ]
    )
    path = public("hh_rlhf/harmless-base.test.jsonl.gz")
    version = service.ingest(sqlite_home, owner, name="dialogues", source=path, recipe=steps)
    assert version.rows + version.removed == 2312
    assert version.recipe_report[-1]["counts"]["email"] >= 1
    assert version.profile["text"]["personal_data"] == {}
