import json
from pathlib import Path

import pytest

from penstock.sdk.client import Client
from penstock.sdk.errors import SdkError
from tests.sdk.fake_server import FakeServer


@pytest.fixture
def client(server: FakeServer) -> Client:
    return Client(server.url, "psk_1")


def test_lists_follow_the_cursor_to_the_end(server: FakeServer, client: Client) -> None:
    server.answer("GET /api/v1/traces", {"items": [{"n": 1}, {"n": 2}], "next": "c/1"})
    server.answer("GET /api/v1/traces", {"items": [{"n": 3}], "next": None})
    assert [item["n"] for item in client.traces.list(model="gpt", user=None)] == [1, 2, 3]
    assert [asked.path for asked in server.asked] == [
        "/api/v1/traces?model=gpt",
        "/api/v1/traces?cursor=c%2F1&model=gpt",
    ]


def test_lists_fetch_no_page_before_it_is_needed(server: FakeServer, client: Client) -> None:
    server.answer("GET /api/v1/traces", {"items": [{"n": 1}, {"n": 2}], "next": "c1"})
    assert next(client.traces.list()) == {"n": 1}
    assert len(server.asked) == 1


def test_names_are_quoted_in_paths(server: FakeServer, client: Client) -> None:
    server.answer("GET /api/v1/models/a%2Fb%20c", {"name": "a/b c"})
    assert client.models.get("a/b c") == {"name": "a/b c"}


def test_files_and_rows_are_uploaded_as_bodies(server: FakeServer, client: Client, tmp_path: Path) -> None:
    server.answer("POST /api/v1/datasets/d/versions", {"number": 1}, status=201)
    file = tmp_path / "rows.jsonl"
    file.write_text('{"a": 1}\n')
    client.datasets.upload("d", file, on_bad_rows="quarantine")
    client.datasets.upload("d", [{"text": "ä"}, {"text": "b"}])
    first, second = server.asked
    assert first.path.endswith("?format=jsonl&on_bad_rows=quarantine")
    assert first.body == b'{"a": 1}\n'
    assert [json.loads(line) for line in second.body.decode().splitlines()] == [{"text": "ä"}, {"text": "b"}]


def test_fields_that_are_none_are_left_out(server: FakeServer, client: Client) -> None:
    server.answer("POST /api/v1/feedback", {"id": "fbk_1"}, status=201)
    client.feedback.give("t1", value=1)
    assert server.asked[0].json() == {"trace_id": "t1", "name": "thumb", "value": 1}


def test_empty_answers_are_fine(server: FakeServer, client: Client) -> None:
    server.answer("DELETE /api/v1/keys/key_1", status=204)
    client.keys.revoke("key_1")
    assert server.asked[0].method == "DELETE"


def test_waiting_for_a_job_ends_with_the_job(server: FakeServer, client: Client, pauses: list[float]) -> None:
    for state in ("queued", "running", "succeeded"):
        server.answer("GET /api/v1/jobs/job_1", {"id": "job_1", "state": state})
    assert client.jobs.wait("job_1")["state"] == "succeeded"
    assert len(pauses) == 2


def test_waiting_for_a_job_has_an_end(server: FakeServer, client: Client, pauses: list[float]) -> None:
    server.answer("GET /api/v1/jobs/job_1", {"id": "job_1", "state": "running"})
    with pytest.raises(SdkError, match="still running"):
        client.jobs.wait("job_1", timeout=0.0)
