"""Suggestions by a model, on both databases."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.feedback.queues.support import QUALITY, answer, calls, person, queue, took

from penstock.core import jobs
from penstock.core.errors import Invalid, Upstream
from penstock.core.home import Home
from penstock.core.jobs import Job, JobState
from penstock.core.scope import Actor
from penstock.datasets import service as datasets
from penstock.feedback import jobs as feedback_jobs
from penstock.feedback.queues import service, suggesting
from penstock.feedback.queues.model import Item, Suggestion


@dataclass
class Said:
    status: int
    body: bytes


class Model:
    """A gateway that answers what `answer` makes of the request's number and its question."""

    def __init__(self, answer: Callable[[int, dict[str, Any]], str | int]) -> None:
        self.answer = answer
        self.asked: list[dict[str, Any]] = []

    @asynccontextmanager
    async def opened(self, _home: Home, _actor: Actor) -> AsyncIterator[suggesting.Ask]:
        yield self.call

    async def call(self, path: str, headers: Mapping[bytes, bytes], body: bytes) -> Said:
        assert (path, headers[b"x-penstock-tags"]) == ("/v1/chat/completions", b"annotation-suggestion")
        request = json.loads(body)
        self.asked.append(request)
        said = self.answer(len(self.asked), json.loads(request["messages"][1]["content"]))
        if isinstance(said, int):
            return Said(said, b"{}")
        return Said(200, json.dumps({"choices": [{"message": {"content": said}}]}).encode())


def run(home: Home, actor: Actor, model: Model, **options: Any) -> Job:
    with home.begin() as uow:
        job = suggesting.start(uow, actor, name="review", model="judge", **options)
    return jobs.run_inline(home, job.id, feedback_jobs.handlers(model.opened))


def items(home: Home, actor: Actor) -> list[Item]:
    with home.read() as uow:
        return [item for item, _ in service.list_items(uow, actor, name="review")]


def test_open_items_get_a_suggestion_once(home: Home, actor: Actor) -> None:
    calls(home, actor, 4)
    queue(home, actor, source={"query": ""}, guidelines="Be strict.")
    ann = person("ann")
    answer(home, ann, took(home, ann).item.id, quality="good")
    model = Model(lambda _n, asked: f'Sure: {{"quality": "{"bad" if "3" in asked["output"] else "good"}"}}')
    job = run(home, actor, model)
    assert (job.state, job.result) == (JobState.SUCCEEDED, {"suggested": 3, "failed": {}})
    assert "Be strict." in model.asked[0]["messages"][0]["content"]
    assert '"good" | "fair" | "bad"' in model.asked[0]["messages"][0]["content"]
    found = [item.suggestion for item in items(home, actor)]
    assert found.count(None) == 1, "the one that is done"
    assert Suggestion(values={"quality": "good"}, model="judge") in found
    again = Model(lambda _n, _asked: 500)
    assert run(home, actor, again).result == {"suggested": 0, "failed": {}}
    assert again.asked == []


def test_votes_make_a_confidence(home: Home, actor: Actor) -> None:
    calls(home, actor, 1)
    queue(home, actor, source={"query": ""})
    run(home, actor, Model(lambda n, _asked: f'{{"quality": "{"bad" if n == 2 else "good"}"}}'), votes=3)
    (item,) = items(home, actor)
    assert item.suggestion is not None
    assert item.suggestion.confidence == {"quality": pytest.approx(2 / 3)}
    assert item.uncertainty == pytest.approx(1 / 3)


def test_a_pair_is_shown_both_ways(home: Home, actor: Actor) -> None:
    datasets.ingest(
        home, actor, name="pairs", source=[{"prompt": "p", "chosen": "long", "rejected": "short"}]
    )
    side = {"name": "better", "type": "preference"}
    queue(home, actor, kind="pair", labels=[side], source={"dataset": "pairs"})
    run(home, actor, Model(lambda _n, _asked: '{"better": "a"}'), votes=2)
    (item,) = items(home, actor)
    assert item.suggestion is not None
    assert item.suggestion.confidence == {"better": 0.5}, "a liking for the first answer is no confidence"
    with home.begin() as uow:
        service.suggest(uow, actor, item_id=item.id, suggestion=None)
    sure = Model(lambda _n, asked: json.dumps({"better": "a" if asked["a"] == "short" else "b"}))
    run(home, actor, sure, votes=2)
    (item,) = items(home, actor)
    assert item.suggestion == Suggestion(values={"better": "b"}, confidence={"better": 1.0}, model="judge")


def test_answers_that_do_not_fit_are_counted(home: Home, actor: Actor) -> None:
    calls(home, actor, 3)
    queue(home, actor, source={"query": ""})
    told: list[str | int] = ["no idea", 429, '{"quality": "good"}']
    job = run(home, actor, Model(lambda n, _asked: told[n - 1]))
    assert job.state is JobState.SUCCEEDED
    assert job.result is not None
    assert job.result["suggested"] == 1
    assert sorted(job.result["failed"].values()) == [1, 1]
    with pytest.raises(Upstream, match="not an option"):
        run(home, actor, Model(lambda _n, _asked: '{"quality": "odd"}'))


def test_it_starts_over_http(client: TestClient, home: Home, actor: Actor) -> None:
    client.post("/api/v1/queues", json={"name": "review", "labels": [QUALITY]})
    started = client.post("/api/v1/queues/review/suggest", json={"model": "judge", "votes": 3})
    assert started.status_code == 202, started.text
    job = client.get(f"/api/v1/jobs/{started.json()['job_id']}").json()
    assert (job["kind"], job["state"]) == ("feedback.suggest", "queued")
    assert client.post("/api/v1/queues/none/suggest", json={"model": "judge"}).status_code == 404
    with home.begin() as uow, pytest.raises(Invalid):
        suggesting.start(uow, actor, name="review", model=" ")
