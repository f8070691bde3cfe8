"""Runs: pinned, checked before anything starts, remembered step by step, registered with their lineage."""

from pathlib import Path

import pytest

from penstock.core import jobs, lineage
from penstock.core.errors import Cancelled, ChildFailed, Conflict, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import service as datasets
from penstock.registry import service as registry
from penstock.training import artifacts, service
from penstock.training import jobs as handlers
from penstock.training.model import RunState
from tests.training.stage import Trainer, furnish, recipe


@pytest.fixture
def trainer(home: Home, actor: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trainer:
    furnish(home, actor, tmp_path)
    scripted = Trainer()
    monkeypatch.setattr(service, "run_child", scripted)
    return scripted


def test_a_run_ends_as_a_registered_version_with_lineage(home: Home, actor: Actor, trainer: Trainer) -> None:
    seen: list[str] = []
    run = service.execute(home, actor, recipe(seed=4), progress=lambda report: seen.append(report["stage"]))
    assert (run.state, run.model, run.base, run.dataset) == ("succeeded", "triage@1", "base@1", "tickets@1")
    assert (run.recipe["base"], run.recipe["dataset"], run.recipe["seed"]) == ("base@1", "tickets@1", 4)
    assert (run.metrics["rows"], run.metrics["loss"], len(trainer.rows)) == (12, 0.5, 12)
    assert run.examples == [{"context": "mail", "trained": "category: c0"}]
    assert seen == ["preview", "train", "train"]
    with home.read() as uow:
        points = service.metrics(uow, actor, run_id=run.id)
        made = registry.get(uow, actor, ref="triage@1")
        assert service.log_tail(uow, actor, run_id=run.id) == "step 1\nstep 2"
        up = lineage.neighbours(uow.conn, actor.scope, "model_version", "triage@1")
    assert [(p.step, p.values["loss"]) for p in points] == [(1, 1.0), (2, 0.5)]
    assert (made.kind, made.base, made.metrics["train_loss"]) == ("adapter", "base@1", 0.5)
    parents = {(edge.parent_kind, edge.parent_ref) for edge in up}
    assert {
        ("dataset_version", "tickets@1"),
        ("training_run", run.id),
        ("model_version", "base@1"),
    } <= parents
    assert not (home.path / "training" / run.id / "train.jsonl").exists()


def test_references_are_pinned_when_the_run_is_opened(home: Home, actor: Actor, trainer: Trainer) -> None:
    queued = service.start(home, actor, recipe())
    datasets.ingest(home, actor, name="tickets", source=[{"text": "new", "label": "category: c1"}])
    job = jobs.run_inline(home, str(queued.job_id), handlers.HANDLERS)
    assert job.result is not None
    assert job.result["model"] == "triage@1"
    assert len(trainer.rows) == 12


def test_an_adapter_is_trained_further_on_its_own_base(home: Home, actor: Actor, trainer: Trainer) -> None:
    service.execute(home, actor, recipe())
    replay = {"dataset": "tickets@1", "limit": 4}
    columns = {"prompt": "text", "completion": "label"}
    datasets.ingest(
        home,
        actor,
        name="fixes",
        source=[{"text": "m", "chosen": "category: c1", "rejected": "category: c2"}],
    )
    run = service.execute(
        home, actor, recipe(method="dpo", base="triage@1", dataset="fixes", replay=replay, columns=columns)
    )
    spec = trainer.specs[-1]
    assert spec["plugin"] == "trainers/dpo"
    assert Path(spec["adapter_folder"], "adapter_config.json").exists()
    assert Path(spec["model_folder"], "model.safetensors").exists()
    assert len(trainer.rows) == 1 + 4
    with home.read() as uow:
        made = registry.get(uow, actor, ref=str(run.model))
    assert (made.ref, made.base) == ("triage@2", "base@1")
    linked = {(link.ref, link.role) for link in made.lineage}
    assert {("triage@1", "start"), ("fixes@1", "training data"), ("tickets@1", "replay data")} <= linked


def test_bad_rows_stop_a_run_before_the_child_starts(home: Home, actor: Actor, trainer: Trainer) -> None:
    with pytest.raises(Invalid, match=r"rows 1, 2.*no column 'completion'"):
        service.execute(home, actor, recipe(columns={"prompt": "text"}), key="k")
    assert trainer.specs == []
    with home.read() as uow:
        (run,) = service.list_runs(uow, actor)
    assert run.state is RunState.FAILED
    assert run.error is not None
    assert "rows 1, 2" in run.error


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"base": "nope@1"}, NotFound),
        ({"base": "base@9"}, NotFound),
        ({"dataset": "nope"}, NotFound),
        ({"replay": {"dataset": "tickets"}}, Invalid),
    ],
)
def test_a_recipe_that_cannot_work_opens_no_run(
    home: Home, actor: Actor, trainer: Trainer, changes: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        service.start(home, actor, recipe(**changes))
    with home.read() as uow:
        assert service.list_runs(uow, actor) == []


def test_a_teacher_in_a_folder_is_to_be_imported_first(home: Home, actor: Actor, trainer: Trainer) -> None:
    with pytest.raises(Invalid) as refused:
        service.start(home, actor, recipe(method="distil", teacher={"model": "/models/large"}))
    assert "penstock models import-hub" in str(refused.value.hint)


def test_a_key_runs_once_and_a_broken_run_can_be_repeated(
    home: Home, actor: Actor, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_spec: dict[str, object]) -> None:
        raise ChildFailed("trainers/sft was killed by SIGKILL.")

    monkeypatch.setattr(service, "run_child", Trainer(crash))
    with pytest.raises(ChildFailed):
        service.execute(home, actor, recipe(), key="demo/sft")
    monkeypatch.setattr(service, "run_child", trainer)
    again = service.execute(home, actor, recipe(), key="demo/sft")
    assert (again.state, again.error, len(trainer.specs)) == ("succeeded", None, 1)
    assert service.execute(home, actor, recipe(), key="demo/sft") == again
    assert len(trainer.specs) == 1
    with home.read() as uow:
        assert len(service.list_runs(uow, actor)) == 1


def test_interrupted_work_is_taken_up_by_the_same_key(
    home: Home, actor: Actor, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_spec: dict[str, object]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(service, "run_child", Trainer(interrupt))
    with pytest.raises(KeyboardInterrupt):
        service.execute(home, actor, recipe(), key="k")
    monkeypatch.setattr(service, "run_child", trainer)
    assert service.execute(home, actor, recipe(), key="k").state is RunState.SUCCEEDED


def test_cancelling(home: Home, actor: Actor, trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    queued = service.start(home, actor, recipe())
    with home.begin() as uow:
        assert service.cancel(uow, actor, run_id=queued.id).state is RunState.CANCELLED
    with home.begin() as uow, pytest.raises(Conflict):
        service.cancel(uow, actor, run_id=queued.id)

    def stopped(_spec: dict[str, object]) -> None:
        raise Cancelled("The work was cancelled.")

    monkeypatch.setattr(service, "run_child", Trainer(stopped))
    with pytest.raises(Cancelled):
        service.execute(home, actor, recipe())
    with home.read() as uow:
        states = [run.state for run in service.list_runs(uow, actor)]
    assert states == [RunState.CANCELLED, RunState.CANCELLED]


def test_a_run_belongs_to_its_project(home: Home, actor: Actor, trainer: Trainer) -> None:
    run = service.execute(home, actor, recipe())
    stranger = Actor(
        id=actor.id, name=actor.name, role=actor.role, scope=type(actor.scope)("default", "other")
    )
    with home.read() as uow:
        with pytest.raises(NotFound):
            service.get(uow, stranger, run_id=run.id)
        assert service.list_runs(uow, stranger) == []


def test_runs_page_newest_first(home: Home, actor: Actor, trainer: Trainer) -> None:
    made = [service.start(home, actor, recipe(seed=n)).id for n in range(3)]
    with home.read() as uow:
        first = service.list_runs(uow, actor, limit=2)
        rest = service.list_runs(uow, actor, before=first[-1].id, limit=2)
    assert [run.id for run in first + rest] == made[::-1]


@pytest.mark.parametrize("last", ["nothing", "the record"], ids=["registered only", "recorded, not tidied"])
def test_a_run_that_was_killed_right_after_it_registered_has_one_model(
    home: Home, actor: Actor, trainer: Trainer, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    class Killed(BaseException):
        """As kill -9 ends it: nothing catches it, nothing is cleaned up."""

    def kill(*_: object, **__: object) -> None:
        raise Killed

    if last == "nothing":
        monkeypatch.setattr(service, "_end", kill)
    else:
        monkeypatch.setattr(artifacts.shutil, "rmtree", kill)
    with pytest.raises(Killed):
        service.execute(home, actor, recipe(), key="k")
    monkeypatch.undo()
    monkeypatch.setattr(service, "run_child", trainer)
    ended = service.execute(home, actor, recipe(), key="k")
    assert (ended.state, ended.model, len(trainer.specs)) == (RunState.SUCCEEDED, "triage@1", 1)
    assert ended.metrics["loss"] == 0.5
    assert ended.weights_hash
    with home.read() as uow:
        assert [one.number for one in registry.list_versions(uow, actor, name="triage")] == [1]
    left = {path.name for path in (home.path / "training" / ended.id).iterdir()}
    assert not left & {"model", "cache", "train.jsonl"}
