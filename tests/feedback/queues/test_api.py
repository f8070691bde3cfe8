"""Annotation queues over HTTP and on the command line."""

import json
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient
from tests.feedback.queues.support import QUALITY, answer, calls, person, rows, took
from typer.testing import CliRunner

from penstock.core.home import Home
from penstock.core.scope import Actor, Scope, system_actor
from penstock.datasets import service as datasets
from penstock.feedback.queues import cli, service

QUEUES = "/api/v1/queues"


def make(client: TestClient, **more: Any) -> dict[str, Any]:
    made = client.post(QUEUES, json={"name": "review", "labels": [QUALITY], **more})
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


def test_the_whole_way(client: TestClient, home: Home, actor: Actor) -> None:
    traces = calls(home, actor, 3)
    made = make(client, source={"query": "", "limit": 2}, guidelines="Be **fair**.")
    assert made["added"] == {"added": 2, "known": 0, "skipped": {}}
    assert made["labels"][0]["options"] == ["good", "fair", "bad"]
    more = client.post(f"{QUEUES}/review/items", json={"trace_ids": traces})
    assert more.json() == {"added": 1, "known": 2, "skipped": {}}
    following = client.post(f"{QUEUES}/review/next").json()
    item = following["item"]
    assert following["reserved_until"] is not None
    assert item["kind"] == "trace"
    assert item["content"]["messages"][0]["role"] == "user"
    draft = client.put(f"{QUEUES}/items/{item['id']}/draft", json={"values": {"quality": "?"}})
    assert (draft.status_code, draft.json()["state"]) == (200, "reserved")
    assert client.post(f"{QUEUES}/review/next").json()["item"]["draft"] == {"quality": "?"}
    wrong = client.post(f"{QUEUES}/items/{item['id']}/answer", json={"values": {"quality": "?"}})
    assert wrong.status_code in (400, 422)
    given = client.post(
        f"{QUEUES}/items/{item['id']}/answer", json={"values": {"quality": "good"}, "comment": "yes"}
    )
    assert given.json()["values"] == {"quality": "good"}
    back = client.post(f"{QUEUES}/items/{item['id']}/undo").json()
    assert (back["item"]["id"], back["item"]["draft"]) == (item["id"], {"quality": "good"})
    client.post(f"{QUEUES}/items/{item['id']}/answer", json={"values": {"quality": "good"}})
    second = client.post(f"{QUEUES}/review/next", json={"suggestions": False}).json()["item"]
    assert client.post(f"{QUEUES}/items/{second['id']}/skip").json()["state"] == "skipped"
    third = client.post(f"{QUEUES}/review/next").json()["item"]
    suggestion = {"values": {"quality": "bad"}, "confidence": {"quality": 0.6}, "model": "judge"}
    assert client.put(f"{QUEUES}/items/{third['id']}/suggestion", json=suggestion).status_code == 200
    assert client.post(f"{QUEUES}/review/next").json()["item"]["suggestion"] == suggestion
    decided = client.post(f"{QUEUES}/items/{third['id']}/adjudicate", json={"values": {"quality": "fair"}})
    assert decided.json()["final"] == {"quality": "fair"}
    assert decided.json()["content"]["output"].startswith("answer")
    assert client.post(f"{QUEUES}/review/next").json() == {"item": None, "reserved_until": None}
    shown = client.get(f"{QUEUES}/review").json()
    assert shown["progress"]["done"] == 2
    assert shown["leads"] is True
    assert [one["answered"] for one in shown["people"]] == [1]
    done = client.get(f"{QUEUES}/review/items?state=done&limit=1").json()
    assert (len(done["items"]), done["next"]) == (1, done["items"][0]["id"])
    rest = client.get(f"{QUEUES}/review/items?state=done&cursor={done['next']}").json()
    assert (len(rest["items"]), rest["next"]) == (1, None)
    assert client.get(f"{QUEUES}/review/items?state=odd").status_code in (400, 422)
    exported = client.post(f"{QUEUES}/review/export", json={"dataset": "judged", "kind": "labels"})
    assert (exported.status_code, exported.json()["rows"]) == (201, 2)
    assert client.patch(f"{QUEUES}/review", json={"overlap": 2}).json()["overlap"] == 2
    assert [one["name"] for one in client.get(QUEUES).json()["items"]] == ["review"]
    assert client.delete(f"{QUEUES}/review").status_code == 204
    assert client.get(f"{QUEUES}/review").status_code == 404


def test_agreement_is_live(client: TestClient, home: Home, actor: Actor) -> None:
    calls(home, actor, 6)
    make(client, source={"query": ""}, overlap=2)
    ann, bob = person("ann"), person("bob")
    for values in ("good", "bad", "good", "bad", "good", "bad"):
        answer(home, ann, took(home, ann).item.id, quality=values)
    for values in ("good", "bad", "good", "good"):
        answer(home, bob, took(home, bob).item.id, quality=values)
    found = {one["kind"]: one for one in client.get(f"{QUEUES}/review").json()["agreement"]}
    assert set(found) == {"same", "cohen", "alpha"}
    assert (found["same"]["n"], found["same"]["value"]) == (4, 0.75)
    assert found["cohen"]["low"] <= found["cohen"]["value"] == 0.5 <= found["cohen"]["high"]


def test_a_label_takes_its_values_from_a_score_config(client: TestClient) -> None:
    client.put("/api/v1/score-configs/stars", json={"kind": "number", "low": 1, "high": 5})
    made = make(client, labels=[{"name": "stars"}])
    assert (made["labels"][0]["type"], made["labels"][0]["range"]) == ("number", [1, 5])
    refused = client.post(QUEUES, json={"name": "other", "labels": [{"name": "unknown"}]})
    assert refused.status_code in (400, 422)
    assert "needs a type" in refused.json()["detail"]


def test_gold_questions_can_be_set_over_http(client: TestClient, home: Home, actor: Actor) -> None:
    datasets.ingest(home, actor, name="sums", source=rows(1))
    make(client, kind="row", source={"dataset": "sums@1"})
    (item,) = client.get(f"{QUEUES}/review/items").json()["items"]
    set_ = client.put(f"{QUEUES}/items/{item['id']}/gold", json={"values": {"quality": "good"}})
    assert set_.json() == {"id": item["id"], "gold": {"quality": "good"}}
    assert client.get(f"{QUEUES}/items/{item['id']}").json()["content"]["reference"] == "1"
    assert client.delete(f"{QUEUES}/items/{item['id']}/suggestion").status_code == 204


def test_on_the_command_line(sqlite_home: Home, tmp_path: Path) -> None:
    actor = system_actor(Scope())
    calls(sqlite_home, actor, 2)
    place, run = ["--home", str(sqlite_home.path)], CliRunner()

    def said(*words: str) -> str:
        result = run.invoke(cli.app, [*words, *place])
        assert result.exit_code == 0, result.output
        return result.output

    file = tmp_path / "queue.yaml"
    file.write_text(
        "name: review\nguidelines: Be fair.\n"
        "labels:\n- {name: quality, type: categorical, options: [good, bad]}\nsource: {query: ''}\n"
    )
    assert "Added 2 items" in said("create", str(file))
    assert "2 were there already" in said("add", "review", "--query", "")
    item = json.loads(said("next", "review", "--json"))["item"]["id"]
    said("answer", item, "quality=good", "--comment", "fine")
    other = said("next", "review").split()[0]
    said("adjudicate", other, "quality=bad")
    assert "Nothing is left" in said("next", "review")
    assert "2 done" in said("show", "review")
    assert "review" in said("list")
    assert "Made judged@1 with 2 rows." in said("export", "review", "judged")
    said("delete", "review")
    with sqlite_home.read() as uow:
        assert service.list_queues(uow, actor) == []
    file.write_text("- not a queue")
    assert run.invoke(cli.app, ["create", str(file), *place]).exit_code == 1


def test_corrections_and_remarks_are_not_needed_unless_said(client: TestClient) -> None:
    labels = [
        QUALITY,
        {"name": "better", "type": "correction"},
        {"name": "remark", "type": "text"},
        {"name": "reason", "type": "text", "required": True},
    ]
    made = make(client, labels=labels)
    assert [label["required"] for label in made["labels"]] == [True, False, False, True]
