"""Fine-tuning at a provider: a scripted one that speaks OpenAI's files and jobs."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from penstock.core.errors import Conflict, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import service as datasets
from penstock.gateway import service as gateway
from penstock.training import background
from penstock.training.hosted import service
from penstock.training.hosted.model import HostedJob, HostedPlan, HostedState
from penstock.training.recipe import Columns
from tests.fakes.server import Received, ScriptedServer, Step, answer

PLAN = HostedPlan(
    provider="tuner",
    model="small-1",
    dataset="tickets",
    columns=Columns(prompt="text", completion="label"),
    hyperparameters={"n_epochs": 2},
    suffix="triage",
)


class Tuner:
    """The provider: remembers files and jobs; `status` is what it says of a job."""

    def __init__(self) -> None:
        self.files: list[bytes] = []
        self.jobs: list[dict[str, Any]] = []
        self.status = "running"
        self.fault = 0
        self.keys: set[str] = set()

    def __call__(self, request: Received) -> Iterator[Step]:
        self.keys.add(request.headers.get("authorization", ""))
        if self.fault:
            yield answer({"error": {"message": "no more", "type": "x"}}, self.fault, reason="Error")
            return
        if self.status == "succeeded" and request.path.endswith("/cancel"):
            yield answer({"error": {"message": "It has ended.", "type": "x"}}, 400, reason="Bad Request")
            return
        yield answer(self.reply(request), 200)

    def reply(self, request: Received) -> dict[str, Any]:
        path = request.path.partition("?")[0]
        if path == "/v1/files":
            self.files.append(request.body)
            assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
            return {"id": f"file-{len(self.files)}", "object": "file"}
        if path == "/v1/fine_tuning/jobs" and request.method == "POST":
            self.jobs.append({**request.json, "id": f"ftjob-{len(self.jobs)}"})
            return self.shown(self.jobs[-1])
        if path == "/v1/fine_tuning/jobs":
            return {"data": [self.shown(job) for job in self.jobs]}
        if path.endswith("/cancel"):
            self.status = "cancelled"
        return self.shown(next(job for job in self.jobs if job["id"] in path))

    def shown(self, job: dict[str, Any]) -> dict[str, Any]:
        done = {"fine_tuned_model": "ft:small-1:triage", "trained_tokens": 123}
        failed = {"error": {"message": "Bad file."}} if self.status == "failed" else {}
        return {**job, "status": self.status, **(done if self.status == "succeeded" else {}), **failed}


@pytest.fixture
def tuner(home: Home, actor: Actor) -> Iterator[Tuner]:
    made = Tuner()
    rows = [{"text": f"mail {n}", "label": "billing"} for n in range(10)]
    datasets.ingest(home, actor, name="tickets", source=rows)
    with ScriptedServer(made) as server:
        with home.begin() as uow:
            gateway.put_provider(uow, actor, "tuner", "openai", f"{server.url}/v1", "sk-tuner")
        yield made


def test_a_job_is_followed_to_its_model(home: Home, actor: Actor, tuner: Tuner) -> None:
    job = service.start(home, actor, PLAN)
    assert (job.state, job.dataset, tuner.files) == (HostedState.QUEUED, "tickets@1", [])
    for expected in (HostedState.UPLOADED, HostedState.RUNNING, HostedState.RUNNING):
        job = service.advance(home, actor, job_id=job.id)
        assert job.state is expected
    head, _, rest = tuner.files[0].partition(b"application/jsonl\r\n\r\n")
    assert b'name="purpose"\r\n\r\nfine-tune' in head
    lines = rest.partition(b"\r\n--penstock")[0].splitlines()
    assert len(lines) == 10
    assert json.loads(lines[0])["messages"] == [
        {"role": "user", "content": "mail 0"},
        {"role": "assistant", "content": "billing"},
    ]
    (made,) = tuner.jobs
    assert (made["model"], made["training_file"], made["suffix"]) == ("small-1", "file-1", "triage")
    assert made["method"] == {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}}
    tuner.status = "succeeded"
    assert background.tick(home) == 1
    with home.read() as uow:
        ended = service.get(uow, actor, job_id=job.id)
    assert (ended.state, ended.model) == (HostedState.SUCCEEDED, "ft:small-1:triage")
    assert ended.remote["trained_tokens"] == 123
    assert background.tick(home) == 0
    assert tuner.keys == {"Bearer sk-tuner"}


def test_rows_are_checked_one_by_one(
    home: Home, actor: Actor, tuner: Tuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[int] = []
    most: list[int] = []

    class Watched(dict[str, Any]):
        def __del__(self) -> None:
            alive.pop()

    def rows(*_: Any, **__: Any) -> Iterator[dict[str, Any]]:
        for number in range(500):
            alive.append(number)
            most.append(len(alive))
            yield Watched(text=f"mail {number}", label="billing" if number % 100 else "")

    monkeypatch.setattr(datasets, "rows", rows)
    with pytest.raises(Invalid, match=r"5 of 500 rows.*rows 1, 101, 201, 301, 401: column 'label' is empty"):
        service.start(home, actor, PLAN)
    assert max(most) <= 3, "the file is never whole in memory"
    assert tuner.files == []


def test_a_job_that_was_started_before_a_crash_is_found_again(home: Home, actor: Actor, tuner: Tuner) -> None:
    job = service.start(home, actor, PLAN)
    service.advance(home, actor, job_id=job.id)
    tuner.jobs.append({"id": "ftjob-0", "metadata": {"penstock": job.id}})
    assert service.advance(home, actor, job_id=job.id).remote["job"] == "ftjob-0"
    assert len(tuner.jobs) == 1


@pytest.mark.parametrize(("status", "expected"), [(503, "queued"), (429, "queued"), (400, "failed")])
def test_trouble_that_passes_is_waited_out(
    home: Home, actor: Actor, tuner: Tuner, status: int, expected: str
) -> None:
    job = service.start(home, actor, PLAN)
    tuner.fault = status
    assert service.advance(home, actor, job_id=job.id).state == expected
    tuner.fault = 0
    after = service.advance(home, actor, job_id=job.id)
    assert after.state == ("uploaded" if expected == "queued" else "failed")
    assert (after.error is None) == (expected == "queued")


def test_a_failure_is_told_in_the_providers_words(home: Home, actor: Actor, tuner: Tuner) -> None:
    job = service.start(home, actor, PLAN)
    tuner.status = "failed"
    for _ in range(3):
        job = service.advance(home, actor, job_id=job.id)
    assert (job.state, job.error) == (HostedState.FAILED, "Bad file.")


def test_a_provider_that_answers_oddly_holds_up_no_other_job(
    home: Home, actor: Actor, tuner: Tuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd, fine = service.start(home, actor, PLAN), service.start(home, actor, PLAN)
    send = service._send_file

    def failing(home: Home, actor: Actor, job: HostedJob, split: str) -> str:
        if job.id == odd.id:
            raise AttributeError("'str' object has no attribute 'get'")
        return send(home, actor, job, split)

    monkeypatch.setattr(service, "_send_file", failing)
    assert background.tick(home) == 2
    with home.read() as uow:
        states = [service.get(uow, actor, job_id=job.id).state for job in (odd, fine)]
    assert states == [HostedState.QUEUED, HostedState.UPLOADED]


def test_cancelling_reaches_the_provider(home: Home, actor: Actor, tuner: Tuner) -> None:
    early = service.start(home, actor, PLAN)
    late = service.start(home, actor, PLAN)
    for _ in range(2):
        service.advance(home, actor, job_id=late.id)
    for job in (early, late):
        with home.begin() as uow:
            service.cancel(uow, actor, job_id=job.id)
        assert service.advance(home, actor, job_id=job.id).state is HostedState.CANCELLED
        with home.begin() as uow, pytest.raises(Conflict):
            service.cancel(uow, actor, job_id=job.id)
    assert tuner.status == "cancelled"


def test_a_job_that_succeeds_as_it_is_cancelled_keeps_its_model(
    home: Home, actor: Actor, tuner: Tuner
) -> None:
    job = service.start(home, actor, PLAN)
    for _ in range(2):
        service.advance(home, actor, job_id=job.id)
    tuner.status = "succeeded"
    with home.begin() as uow:
        service.cancel(uow, actor, job_id=job.id)
    ended = service.advance(home, actor, job_id=job.id)
    assert (ended.state, ended.model, ended.error) == (HostedState.SUCCEEDED, "ft:small-1:triage", None)


def test_mistakes_are_found_before_anything_is_sent(home: Home, actor: Actor, tuner: Tuner) -> None:
    from dataclasses import replace

    with pytest.raises(Invalid, match="rows 1, 2"):
        service.start(home, actor, replace(PLAN, columns=Columns()))
    with pytest.raises(NotFound):
        service.start(home, actor, replace(PLAN, provider="nobody"))
    with pytest.raises(Invalid):
        replace(PLAN, method="grpo")
    assert tuner.keys == set()


def test_more_than_a_provider_takes_is_refused_at_once(
    home: Home, actor: Actor, tuner: Tuner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "MOST_BYTES", 500)
    with pytest.raises(Invalid, match="takes 0 MiB at most"):
        service.start(home, actor, PLAN)
    assert tuner.files == []


def test_hosted_jobs_over_http(client: TestClient, home: Home, actor: Actor, tuner: Tuner) -> None:
    new = {
        "provider": "tuner",
        "model": "small-1",
        "dataset": "tickets",
        "columns": {"prompt": "text", "completion": "label"},
    }
    made = client.post("/api/v1/training/hosted", json=new)
    assert made.status_code == 201, made.text
    job_id = made.json()["id"]
    assert [one["id"] for one in client.get("/api/v1/training/hosted").json()["items"]] == [job_id]
    assert client.post(f"/api/v1/training/hosted/{job_id}/cancel").status_code == 200
    background.tick(home)
    assert client.get(f"/api/v1/training/hosted/{job_id}").json()["state"] == "cancelled"
