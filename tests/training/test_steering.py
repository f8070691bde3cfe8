"""Pausing, resuming, stopping, notes, files and comparison of runs, by verbs and over HTTP."""

from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from penstock.core import jobs
from penstock.core.errors import Cancelled, ChildFailed, Conflict, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.training import jobs as handlers
from penstock.training import service
from penstock.training.model import RunState
from penstock.training.share import service as share
from penstock.training.share.model import NoRoom
from penstock.training.share.service import Share
from tests.dying import die, wear_out
from tests.registry.folders import safetensors
from tests.training.stage import Trainer, furnish, recipe


@pytest.fixture
def trainer(home: Home, actor: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trainer:
    furnish(home, actor, tmp_path)
    scripted = Trainer()
    monkeypatch.setattr(service, "run_child", scripted)
    return scripted


JSON = {"content-type": "application/json"}


class Halting(Trainer):
    """Writes a checkpoint at step 2 and pauses or stops when that is wanted."""

    def __call__(
        self, group: str, name: str, spec: dict[str, Any], *, workdir: Path, on_progress: Any, **hooks: Any
    ) -> dict[str, Any]:
        result = super().__call__(group, name, spec, workdir=workdir, on_progress=on_progress, **hooks)
        checkpoint = workdir / "checkpoints" / "checkpoint-2"
        checkpoint.mkdir(parents=True, exist_ok=True)
        for name, content in {
            "adapter_model.safetensors": safetensors(),
            "optimizer.pt": b"state",
            "trainer_state.json": b"{}",
        }.items():
            (checkpoint / name).write_bytes(content)
        if hooks["control"].paused():
            return {"paused": True, "step": 2}
        if hooks["cancelled"]():
            raise Cancelled("Stopped.")
        return result


def asking(home: Home, actor: Actor, verb: Any) -> Any:
    def then(_spec: dict[str, Any]) -> None:
        with home.begin() as uow:
            (run,) = service.list_runs(uow, actor, state=RunState.RUNNING)
            verb(uow, actor, run_id=run.id)

    return then


def test_a_paused_run_keeps_its_checkpoint_and_goes_on(
    home: Home, actor: Actor, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued = service.start(home, actor, recipe())
    monkeypatch.setattr(service, "run_child", Halting(asking(home, actor, service.pause)))
    job = jobs.run_inline(home, str(queued.job_id), handlers.HANDLERS)
    assert job.result == {"run_id": queued.id, "state": "paused", "model": None}
    with home.read() as uow:
        files = {file.path: file for file in service.list_artifacts(uow, actor, run_id=queued.id)}
        stored = files["checkpoints/2/adapter_model.safetensors"]
        content = service.read_artifact(uow, actor, run_id=queued.id, path=stored.path)
        assert b"".join(content) == safetensors()
    assert "checkpoints/2/optimizer.pt" not in files
    assert (stored.kind, stored.step, stored.size, len(stored.sha256)) == (
        "checkpoint",
        2,
        len(safetensors()),
        64,
    )
    monkeypatch.setattr(service, "run_child", Halting())
    with home.begin() as uow:
        resumed = service.resume(uow, actor, run_id=queued.id)
    assert (resumed.state, resumed.wish) == (RunState.QUEUED, None)
    assert resumed.job_id != queued.job_id
    jobs.run_inline(home, str(resumed.job_id), handlers.HANDLERS)
    with home.begin() as uow:
        ended = service.get(uow, actor, run_id=queued.id)
        assert (ended.state, ended.model) == (RunState.SUCCEEDED, "triage@1")
        with pytest.raises(Conflict):
            service.resume(uow, actor, run_id=queued.id)
        with pytest.raises(Conflict):
            service.pause(uow, actor, run_id=queued.id)
        kept = [file.path for file in service.list_artifacts(uow, actor, run_id=queued.id)]
    assert kept == [
        "checkpoints/2/adapter_model.safetensors",
        "checkpoints/2/trainer_state.json",
        "child.log",
    ]


def test_a_run_in_the_foreground_hears_that_it_should_stop(
    home: Home, actor: Actor, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "run_child", Halting(asking(home, actor, service.cancel)))
    with pytest.raises(Cancelled):
        service.execute(home, actor, recipe())
    with home.read() as uow:
        (run,) = service.list_runs(uow, actor, state=RunState.CANCELLED)
    assert run.wish is None


def test_a_run_whose_command_is_gone_can_be_ended_and_taken_up(
    home: Home, actor: Actor, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_spec: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(service, "run_child", Trainer(interrupt))
    for verb, state in ((service.cancel, RunState.CANCELLED), (service.pause, RunState.PAUSED)):
        with pytest.raises(KeyboardInterrupt):
            service.execute(home, actor, recipe())
        with home.begin() as uow:
            (left,) = service.list_runs(uow, actor, state=RunState.RUNNING)
            assert verb(uow, actor, run_id=left.id).state is state
    monkeypatch.setattr(service, "run_child", trainer)
    with home.begin() as uow:
        service.resume(uow, actor, run_id=left.id, as_job=False)
    assert service.perform(home, actor, run_id=left.id).state is RunState.SUCCEEDED


def test_waiting_runs_pause_and_stop_at_once(home: Home, actor: Actor, trainer: Trainer) -> None:
    queued = service.start(home, actor, recipe())
    with home.begin() as uow:
        assert service.pause(uow, actor, run_id=queued.id).state is RunState.PAUSED
        assert service.pause(uow, actor, run_id=queued.id).state is RunState.PAUSED
        assert jobs.get(uow, actor, str(queued.job_id)).state is jobs.JobState.CANCELLED
    assert service.perform(home, actor, run_id=queued.id).state is RunState.PAUSED
    with home.begin() as uow:
        assert service.cancel(uow, actor, run_id=queued.id).state is RunState.CANCELLED
        assert service.resume(uow, actor, run_id=queued.id).state is RunState.QUEUED


def test_a_run_that_is_paused_while_it_begins_stays_paused(
    home: Home, actor: Actor, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(run_id: str) -> None:
        with home.begin() as uow:
            assert service.pause(uow, actor, run_id=run_id).state is RunState.PAUSED

    asked = service.start(home, actor, recipe())
    with monkeypatch.context() as patched:
        patched.setattr(Share, "obstacle", lambda _self: meanwhile(asked.id) or "")
        assert service.perform(home, actor, run_id=asked.id).state is RunState.PAUSED
    told = service.start(home, actor, recipe())
    with pytest.raises(
        Cancelled
    ):  # its job was cancelled, which is how a pause stops one that was just taken
        service.perform(home, actor, run_id=told.id, cancelled=lambda: meanwhile(told.id) is None)
    full = service.start(home, actor, recipe())
    with monkeypatch.context() as patched:
        patched.setattr(Share, "obstacle", lambda _self: meanwhile(full.id) or "There is no room.")
        with pytest.raises(NoRoom):
            service.perform(home, actor, run_id=full.id)
    with home.read() as uow:
        states = {service.get(uow, actor, run_id=run.id).state for run in (asked, told, full)}
    assert (states, trainer.specs) == ({RunState.PAUSED}, [])


def test_who_cancels_a_run_that_is_about_to_pause_is_heard(
    home: Home, actor: Actor, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(Halting):
        """Pauses as it was asked to, and somebody cancels the run in that moment."""

        def __call__(self, *given: Any, control: Any, **rest: Any) -> dict[str, Any]:
            asking(home, actor, service.pause)({})
            assert control.paused()
            asking(home, actor, service.cancel)({})
            return {"paused": True, "step": 2}

    monkeypatch.setattr(service, "run_child", Late())
    with pytest.raises(Cancelled):
        service.execute(home, actor, recipe())
    with home.read() as uow:
        (run,) = service.list_runs(uow, actor)
    assert (run.state, run.wish) == (RunState.CANCELLED, None)


def test_a_stopping_server_hands_its_run_back(
    home: Home, actor: Actor, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued = service.start(home, actor, recipe())
    stopping: list[bool] = []
    monkeypatch.setattr(service, "run_child", Halting(lambda _spec: stopping.append(True)))
    with pytest.raises(Cancelled):
        service.perform(home, actor, run_id=queued.id, stopping=lambda: bool(stopping))
    with home.read() as uow:
        left = service.get(uow, actor, run_id=queued.id)
    assert (left.state, left.error, left.ended_at) == (RunState.QUEUED, None, None)


def test_a_failed_run_says_what_to_do_and_can_go_on(
    home: Home, actor: Actor, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_spec: dict[str, Any]) -> None:
        raise ChildFailed("trainers/sft ran out of memory.", hint="Try a smaller model.")

    monkeypatch.setattr(service, "run_child", Trainer(crash))
    with pytest.raises(ChildFailed):
        service.execute(home, actor, recipe())
    with home.begin() as uow:
        (failed,) = service.list_runs(uow, actor, state=RunState.FAILED)
        assert failed.error == "trainers/sft ran out of memory. Try a smaller model."
        assert service.resume(uow, actor, run_id=failed.id).error is None


def test_a_run_whose_workers_die_again_and_again_fails_and_can_go_on(
    home: Home, actor: Actor, trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = service.start(home, actor, recipe())
    with monkeypatch.context() as patched:
        patched.setattr(service, "run_child", Trainer(die))
        reason = wear_out(home, str(run.job_id), handlers.HANDLERS)
    with home.read() as uow:
        failed = service.get(uow, actor, run_id=run.id)
        assert share.standing(uow).claims == []
    assert (failed.state, failed.error) == (RunState.FAILED, reason)
    assert "died 5 times" in reason
    with home.begin() as uow:
        again = service.resume(uow, actor, run_id=run.id)
        service.give_up(uow, actor, run_id=run.id, job_id=str(run.job_id), error="late news")
        assert service.get(uow, actor, run_id=run.id).state is RunState.QUEUED
    job = jobs.run_inline(home, str(again.job_id), handlers.HANDLERS)
    assert job.result == {"run_id": run.id, "state": "succeeded", "model": "triage@1"}


def test_a_run_records_its_inputs_cost_and_weights(home: Home, actor: Actor, trainer: Trainer) -> None:
    run = service.execute(home, actor, recipe(running={"cost_per_hour": 3600.0}))
    again = service.execute(home, actor, recipe())
    assert {given["ref"] for given in run.inputs} == {"tickets@1", "base@1"}
    assert all(len(given["hash"]) == 64 for given in run.inputs)
    assert run.inputs == again.inputs
    assert (run.weights_hash, len(str(run.weights_hash))) == (again.weights_hash, 64)
    assert run.metrics["cost_usd"] > 0
    assert "cost_usd" not in again.metrics
    with home.read() as uow:
        (first, *_rest) = service.metrics(uow, actor, run_id=run.id)
    assert first.values["estimated_cost_usd"] >= first.values["cost_usd"] + 1.0
    assert (first.values["eta_s"], first.values["tokens_per_s"]) == (1.0, 100.0)


def test_a_suite_that_is_not_there_opens_no_run(home: Home, actor: Actor, trainer: Trainer) -> None:
    with pytest.raises(NotFound):
        service.start(home, actor, recipe(early_stop={"suite": "nope"}))
    with pytest.raises(Invalid, match="cannot be cut"):
        service.start(home, actor, recipe(batch_size=3, running={"processes": 2}))
    with home.read() as uow:
        assert service.list_runs(uow, actor) == []


def test_runs_are_found_compared_and_annotated_over_http(
    client: TestClient, home: Home, actor: Actor, trainer: Trainer
) -> None:
    one, two = (service.execute(home, actor, recipe(seed=seed, epochs=2)) for seed in (1, 2))
    compared = client.get("/api/v1/training/runs/compare", params={"ids": f"{one.id},{two.id}"}).json()
    assert [run["id"] for run in compared["runs"]] == [one.id, two.id]
    assert compared["differ"] == {"seed": [1, 2]}
    assert compared["metrics"]["loss"] == [0.5, 0.5]
    assert [point["loss"] for point in compared["series"][two.id]] == [1.0, 0.5]
    assert client.get("/api/v1/training/runs/compare", params={"ids": one.id}).status_code == 400
    body = b'{"text": "the good\\u0000 one \\ud83d\\ude00"}'
    noted = client.put(f"/api/v1/training/runs/{one.id}/note", content=body, headers=JSON)
    assert (noted.status_code, noted.json()["note"]) == (200, "the good one 😀")
    assert set(noted.json()["parents"]) == {"tickets@1", "base@1"}
    found = client.get("/api/v1/training/runs", params={"query": "GOOD one", "state": "succeeded"}).json()
    assert [run["id"] for run in found["items"]] == [one.id]
    assert client.get("/api/v1/training/runs", params={"query": "100%"}).json()["items"] == []
    points = client.get(f"/api/v1/training/runs/{one.id}/metrics").json()["items"]
    assert points[0].keys() >= {"step", "time", "loss", "learning_rate", "memory_bytes", "values"}
    files = client.get(f"/api/v1/training/runs/{one.id}/artifacts").json()["items"]
    assert [file["path"] for file in files] == ["child.log"]
    content = client.get(f"/api/v1/training/runs/{one.id}/artifacts/content", params={"path": "child.log"})
    assert content.content == b"step 1\nstep 2\n"
    assert client.get(f"/api/v1/training/runs/{one.id}/log", params={"tail": 7}).json() == {"text": "step 2"}
    for verb, status in (("pause", 409), ("resume", 409)):
        assert client.post(f"/api/v1/training/runs/{one.id}/{verb}").status_code == status


def test_a_whole_recipe_starts_pauses_and_resumes_over_http(client: TestClient, trainer: Trainer) -> None:
    started = client.post("/api/v1/training/runs", json={"recipe": recipe(epochs=3).to_dict()})
    assert started.status_code == 201, started.text
    run = started.json()
    assert (run["recipe"]["epochs"], run["wish"]) == (3.0, None)
    assert client.post(f"/api/v1/training/runs/{run['id']}/pause").json()["state"] == "paused"
    assert client.post(f"/api/v1/training/runs/{run['id']}/resume").json()["state"] == "queued"
