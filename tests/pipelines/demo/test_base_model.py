"""The demo's base model: what it reads, and that it is made once."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import owner_of
from tests.registry.folders import base_folder

from penstock.core.errors import ChildFailed
from penstock.core.home import Home
from penstock.pipelines.demo import base_model, tickets
from penstock.registry import service as registry
from penstock.training import service as training


class Trainer:
    """Stands in for the child process; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def __call__(self, name: str, spec: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Leave a model folder behind."""
        self.asked.append(spec)
        assert name == "pretrain"
        assert Path(spec["train_file"]).exists()
        folder = base_folder(Path(spec["workdir"]) / "model", {"note.txt": str(spec["seed"])})
        return {
            "folder": str(folder),
            "seed": spec["seed"],
            "steps": 9,
            "attempts": [],
            "metrics": {"probe_x": 1.0},
        }


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch) -> Trainer:
    made = Trainer()
    monkeypatch.setattr(training, "run_trainer", made)
    return made


def test_the_second_run_reuses_the_first(sqlite_home: Home, trainer: Trainer) -> None:
    actor = owner_of(sqlite_home)
    version, made = base_model.build(sqlite_home, actor, seed=1)
    again, cached = base_model.build(sqlite_home, actor, seed=1)
    assert (made["cached"], cached["cached"], len(trainer.asked)) == (False, True, 1)
    assert version.ref == again.ref == "ticket-base@1"
    assert version.metrics == {"probe_x": 1.0}
    other, _ = base_model.build(sqlite_home, actor, seed=2)
    assert (other.ref, len(trainer.asked)) == ("ticket-base@2", 2)
    assert list((sqlite_home.path / "work" / "base").iterdir()) == []
    assert (registry.materialize(sqlite_home, actor, ref=other.ref) / "note.txt").read_text() == "2"


def test_changed_settings_or_code_are_not_served_from_the_cache(
    sqlite_home: Home, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = owner_of(sqlite_home)
    base_model.build(sqlite_home, actor)
    monkeypatch.setitem(base_model.SETTINGS, "learning_rate", 1e-3)
    base_model.build(sqlite_home, actor)
    monkeypatch.setattr(base_model, "_code", lambda: b"other code")
    base_model.build(sqlite_home, actor)
    assert len(trainer.asked) == 3


def test_a_failed_attempt_leaves_nothing_in_the_cache(
    sqlite_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str, spec: dict[str, Any], **_: Any) -> dict[str, Any]:
        raise ChildFailed("No base model was good enough.")

    monkeypatch.setattr(training, "run_trainer", fail)
    with pytest.raises(ChildFailed):
        base_model.build(sqlite_home, owner_of(sqlite_home))
    assert list((sqlite_home.path / "cache" / "base").iterdir()) == []


def test_preparing_is_reproducible_and_depends_on_the_seed(tmp_path: Path) -> None:
    _, first = base_model.prepare(tmp_path / "a", seed=0)
    spec, second = base_model.prepare(tmp_path / "b", seed=0)
    _, other = base_model.prepare(tmp_path / "c", seed=1)
    assert first == second != other
    assert json.loads(Path(spec["probe_file"]).read_text().splitlines()[0]).keys() == {
        "messages",
        "completion",
    }


def test_what_the_model_reads_shows_the_form_but_never_the_policy() -> None:
    rows = base_model.threads(0, 6000)
    policy_words = set(tickets.CATEGORIES) | {"low", "medium", "high"}
    forms = [row["completion"] for row in rows if "completion" in row and row["completion"].count("\n") == 2]
    fields = [dict(line.split(": ") for line in form.splitlines()) for form in forms]
    in_policy_words = [f for f in fields if f["category"] in policy_words]
    assert {tuple(f) for f in fields} == {("category", "product", "priority")}
    assert 0.05 < len(in_policy_words) / len(rows) < 0.15
    # Random labels: each priority follows each category about equally often.
    seen = {(f["category"], f["priority"]) for f in in_policy_words}
    assert len(seen) == 18
    assert all(f["priority"] in policy_words for f in in_policy_words)
    for row in rows:
        text = row["messages"][0]["content"] if "messages" in row else row["context"]
        assert text.strip()
