import pytest

from penstock.sdk.client import Client
from tests.sdk.fake_server import FakeServer


@pytest.fixture
def client(server: FakeServer) -> Client:
    return Client(server.url, "psk_1")


def test_feedback_names_what_it_is_about(client: Client, server: FakeServer) -> None:
    for _ in range(2):
        server.answer("POST /api/v1/feedback", {"id": "fbk_1"}, status=201)
    server.answer("POST /api/v1/feedback/tokens", {"token": "pft_1"}, status=201)
    client.feedback.give(session="talk", name="stars", value=4)
    client.feedback.give(response_id="chatcmpl-1", value=True, subject="ada")
    assert client.feedback.token("t1", names=["thumb"])["token"] == "pft_1"
    assert [asked.json() for asked in server.asked] == [
        {"session": "talk", "name": "stars", "value": 4},
        {"response_id": "chatcmpl-1", "name": "thumb", "value": True, "subject": "ada"},
        {"trace_id": "t1", "names": ["thumb"]},
    ]


def test_score_configs_are_put_and_deleted(client: Client, server: FakeServer) -> None:
    server.answer("PUT /api/v1/score-configs/tone", {"name": "tone"})
    server.answer("GET /api/v1/score-configs", {"items": [{"name": "tone"}], "next": None})
    server.answer("DELETE /api/v1/score-configs/tone", status=204)
    client.score_configs.put("tone", kind="categorical", options=["kind", "rude"])
    assert [one["name"] for one in client.score_configs.list()] == ["tone"]
    client.score_configs.delete("tone")
    assert server.asked[0].json() == {"kind": "categorical", "options": ["kind", "rude"]}


def test_a_queue_is_worked_off(client: Client, server: FakeServer) -> None:
    server.answer("POST /api/v1/queues", {"name": "q"}, status=201)
    server.answer("POST /api/v1/queues/q/items", {"added": 1}, status=201)
    server.answer("POST /api/v1/queues/q/next", {"item": {"id": "itm_1"}, "reserved_until": "x"})
    server.answer("PUT /api/v1/queues/items/itm_1/draft", {"state": "reserved"})
    server.answer("POST /api/v1/queues/items/itm_1/answer", {"state": "answered"})
    server.answer("POST /api/v1/queues/items/itm_1/undo", {"item": {"id": "itm_1"}, "reserved_until": "x"})
    server.answer("POST /api/v1/queues/items/itm_1/skip", {"state": "skipped"})
    server.answer("POST /api/v1/queues/q/next", {"item": None, "reserved_until": None})
    server.answer("POST /api/v1/queues/q/export", {"rows": 1}, status=201)
    client.queues.create("q", labels=[{"name": "good", "type": "boolean"}], overlap=2)
    client.queues.add("q", query="model:m")
    item = client.queues.next("q", suggestions=False)
    assert item == {"id": "itm_1"}
    client.queues.draft("itm_1", {"good": True})
    client.queues.answer("itm_1", {"good": True}, comment="yes")
    assert client.queues.undo("itm_1") == {"id": "itm_1"}
    client.queues.skip("itm_1")
    assert client.queues.next("q") is None
    assert client.queues.export("q", "pairs", kind="preference")["rows"] == 1
    bodies = [asked.json() for asked in server.asked if asked.body]
    assert bodies[0] == {"name": "q", "labels": [{"name": "good", "type": "boolean"}], "overlap": 2}
    assert bodies[2:5] == [
        {"suggestions": False},
        {"values": {"good": True}, "comment": ""},
        {"values": {"good": True}, "comment": "yes"},
    ]
