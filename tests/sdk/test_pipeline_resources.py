"""Pipelines through the SDK: found, started with parameters, watched, cancelled and taken up again."""

import pytest

from penstock.sdk.client import Client
from tests.sdk.fake_server import FakeServer

RUNS = "/api/v1/pipelines/runs"


@pytest.fixture
def client(server: FakeServer) -> Client:
    return Client(server.url, "psk_1")


def test_pipelines_are_found_started_and_followed(client: Client, server: FakeServer) -> None:
    run = {"id": "pip_1", "state": "waiting", "steps": []}
    server.answer("GET /api/v1/pipelines", {"items": [{"name": "nightly"}], "next": None})
    server.answer(f"POST {RUNS}", {"run": run, "job": "job_1"})
    server.answer(f"GET {RUNS}/pip_1", {**run, "state": "succeeded"})
    server.answer(f"POST {RUNS}/pip_1/cancel", {**run, "state": "cancelled"})
    server.answer(f"POST {RUNS}/pip_1/resume", {"run": run, "job": "job_2"})
    (pipeline,) = client.pipelines.list()
    started = client.pipelines.start(pipeline["name"], values={"seed": 3})
    assert client.pipelines.wait(started["id"])["state"] == "succeeded"
    assert client.pipelines.cancel("pip_1")["state"] == "cancelled"
    assert client.pipelines.resume("pip_1")["state"] == "waiting"
    assert server.asked[1].json() == {"pipeline": "nightly", "values": {"seed": 3}, "fresh": False}
    document = {"name": "nightly", "steps": []}
    client.pipelines.start(document, fresh=True)
    assert server.asked[-1].json() == {"document": document, "values": {}, "fresh": True}


def test_runs_are_chosen_by_pipeline_and_state(client: Client, server: FakeServer) -> None:
    server.answer(f"GET {RUNS}", {"items": [{"id": "pip_1"}], "next": None})
    assert [run["id"] for run in client.pipelines.runs(pipeline="nightly", state="failed")] == ["pip_1"]
    assert "pipeline=nightly" in server.asked[0].path
