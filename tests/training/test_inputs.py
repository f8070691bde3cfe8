"""What a run is given: pinned references, replayed answers, folders of teachers and reward models."""

from pathlib import Path

import pytest

from penstock.core import lineage
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import service as datasets
from penstock.registry import service as registry
from penstock.training import inputs, service
from tests.registry.folders import adapter_folder, base_folder
from tests.training.stage import Trainer, furnish, recipe

THUMBS = [{"text": f"mail {n}", "label": "c", "verdict": "down"} for n in range(4)]


@pytest.fixture
def stage(home: Home, actor: Actor, tmp_path: Path) -> Path:
    furnish(home, actor, tmp_path)
    registry.register(
        home, actor, name="judge", folder=base_folder(tmp_path / "j", {"a": "1"}), kind="merged"
    )
    folder = adapter_folder(tmp_path / "t")
    registry.register(home, actor, name="teacher", folder=folder, kind="adapter", base="base@1")
    datasets.ingest(home, actor, name="thumbs", source=THUMBS)
    made = tmp_path / "work"
    made.mkdir()
    return made


def test_rewards_and_teachers_are_pinned_laid_out_and_linked(home: Home, actor: Actor, stage: Path) -> None:
    rewards = [{"scorer": "exact"}, {"model": "judge@latest", "weight": 0.5}]
    wanted = recipe(method="grpo", rewards=rewards, teacher={"model": "teacher@latest"})
    with home.read() as uow:
        pinned = inputs.pinned(uow, actor, wanted)
    assert [term.model for term in pinned.rewards] == ["", "judge@1"]
    assert pinned.teacher.model == "teacher@1"
    spec = inputs.furnish(home, actor, pinned, stage)
    first, second = spec["reward_folders"]
    assert (first, (Path(second) / "a").read_text()) == ("", "1")
    assert (Path(spec["teacher_adapter_folder"]) / "adapter_config.json").exists()
    assert Path(spec["teacher_folder"]) == Path(spec["model_folder"])
    assert spec["rows"] == len(Path(spec["train_file"]).read_text().splitlines()) == 12
    links = {(link.ref, link.role) for link in inputs.links(pinned.to_dict())}
    assert links == {("judge@1", "reward model"), ("teacher@1", "teacher")}


def test_a_judge_must_be_a_whole_model(home: Home, actor: Actor, stage: Path) -> None:
    wanted = recipe(method="grpo", rewards=[{"model": "teacher@1"}])
    with home.read() as uow, pytest.raises(Invalid, match="an adapter, not a reward model"):
        inputs.pinned(uow, actor, wanted)


def test_accepted_answers_are_replayed_as_good_ones(home: Home, actor: Actor, stage: Path) -> None:
    columns = {"prompt": "text", "completion": "label", "label": "verdict"}
    alone = recipe(method="kto", dataset="thumbs@1", columns=columns)
    with pytest.raises(Invalid, match="judged the same"):
        inputs.gather(home, actor, alone)
    replayed = recipe(
        method="kto", dataset="thumbs@1", columns=columns, replay={"dataset": "tickets@1", "limit": 3}
    )
    found = inputs.gather(home, actor, replayed)
    assert [row["good"] for row in found] == [False] * 4 + [True] * 3


def test_rows_that_cannot_be_rewarded_stop_the_run(home: Home, actor: Actor, stage: Path) -> None:
    columns = {"prompt": "text", "completion": "nope"}
    wanted = recipe(method="grpo", columns=columns, rewards=[{"scorer": "exact"}])
    with pytest.raises(Invalid, match=r"12 of 12 rows.*and 7 more: the scorer 'exact' gives no 'exact'"):
        inputs.gather(home, actor, wanted)


def test_the_result_knows_its_teacher(
    home: Home, actor: Actor, stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer()
    monkeypatch.setattr(service, "run_child", trainer)
    run = service.execute(home, actor, recipe(method="distil", teacher={"model": "teacher@1"}))
    assert run.model == "triage@1"
    assert trainer.specs[0]["teacher_adapter_folder"]
    with home.read() as uow:
        found = lineage.neighbours(uow.conn, actor.scope, "model_version", "triage@1")
    assert "teacher@1" in str(found)
