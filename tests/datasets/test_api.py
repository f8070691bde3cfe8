import gzip
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from penstock.core.home import Home
from penstock.core.jobs import Worker
from penstock.core.scope import Actor
from penstock.datasets import service
from penstock.datasets.jobs import HANDLERS

URL = "/api/v1/datasets"
ROWS = [{"id": f"r{n}", "text": f"the row number {n}", "chat": [{"role": "user"}]} for n in range(30)]
BODY = "\n".join(map(json.dumps, ROWS)).encode()


def upload(client: TestClient, body: bytes = BODY, **query: Any) -> Any:
    return client.post(f"{URL}/mails/versions", params={"filename": "mails.jsonl", **query}, content=body)


def test_upload_look_page_and_compare(client: TestClient) -> None:
    made = upload(client, splits="train=0.5,test=0.5", key="id", description="Mails")
    assert made.status_code == 201, made.text
    version = made.json()["version"]
    assert (version["ref"], version["rows"], version["source"]["name"]) == ("mails@1", 30, "mails.jsonl")
    assert upload(client, splits="train=0.5,test=0.5", key="id").json()["version"]["id"] == version["id"]

    listed = client.get(URL).json()["items"]
    assert [(item["name"], item["latest"], item["rows"]) for item in listed] == [("mails", 1, 30)]
    assert client.get(f"{URL}/mails").json()["items"][0]["hash"] == version["hash"]

    detail = client.get(f"{URL}/mails/versions/1").json()
    assert detail["card"].startswith("# mails@1")
    assert detail["schema"][2] == {"name": "chat", "type": "json"}
    assert detail["lineage"][0]["kind"] == "file"
    assert detail["profile"]["rows"] == 30

    seen: list[Any] = []
    cursor = ""
    while True:
        page = client.get(f"{URL}/mails/versions/1/rows", params={"limit": 7, "cursor": cursor}).json()
        seen += [item["data"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == ROWS
    test = client.get(f"{URL}/mails/versions/1/rows", params={"split": "test"}).json()["items"]
    assert len(test) == version["splits"]["test"]

    assert (
        upload(client, gzip.compress(BODY + b'\n{"id": "z"}'), filename="m.jsonl.gz", key="id").status_code
        == 201
    )
    found = client.get(f"{URL}/mails/diff", params={"from": 1, "to": 2}).json()
    assert found["added"] == 1


def test_recipe_quarantine_append_and_parents(client: TestClient) -> None:
    body = BODY + b"\nnot json\n" + json.dumps({"id": "x", "text": "a@example.org"}).encode()
    refused = upload(client, body)
    assert refused.status_code == 400
    assert refused.json()["errors"]["bad_rows"] == 1
    assert client.get(f"{URL}/mails").status_code == 404
    steps = json.dumps([{"step": "redact", "columns": ["text"]}])
    made = upload(client, body, on_bad_rows="quarantine", recipe=steps, parent=["trace:trc_1"]).json()[
        "version"
    ]
    assert (made["rows"], made["quarantined"]) == (31, 1)
    detail = client.get(f"{URL}/mails/versions/1").json()
    assert detail["recipe_report"][0]["counts"] == {"email": 1}
    assert {"kind": "trace", "ref": "trc_1", "role": "source"} in detail["lineage"]
    out = client.get(f"{URL}/mails/versions/1/left-out", params={"step": "read"}).json()["items"]
    assert [(row["line"], row["excerpt"]) for row in out] == [(31, "not json")]
    more = upload(client, b'{"id": "y", "text": "one more"}', append=True).json()["version"]
    assert (more["number"], more["rows"]) == (2, 32)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"splits": "train"}, 400),
        ({"recipe": "nope"}, 400),
        ({"recipe": '[{"step": "nope"}]'}, 400),
        ({"parent": "trace"}, 400),
        ({"format": "xml"}, 422),
        ({"onbadrows": "fail"}, 422),
    ],
)
def test_wrong_parameters(client: TestClient, home: Home, query: dict[str, str], status: int) -> None:
    assert upload(client, **query).status_code == status
    assert list(home.folder("uploads").iterdir()) == []


def test_wrong_names_cursors_and_versions(client: TestClient) -> None:
    assert client.post(f"{URL}/a b/versions", content=BODY).status_code == 400
    assert upload(client).status_code == 201
    assert client.get(f"{URL}/mails/versions/1/rows", params={"cursor": "zzz"}).status_code == 400
    assert client.get(f"{URL}/mails/versions/9").status_code == 404
    assert client.get(f"{URL}/mails/versions/0").status_code == 422
    assert client.get(f"{URL}/mails/versions/1/rows", params={"split": "none"}).status_code == 400
    assert client.post(URL, json={"name": "mails"}).status_code == 409
    assert client.post(URL, json={"name": "new", "description": "x"}).json()["latest"] == 0


def test_a_large_upload_becomes_a_durable_job(
    client: TestClient, home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = BODY + b"\n" + json.dumps({"id": "large", "text": "x" * (3 << 20)}).encode()
    queued = upload(client, large)
    assert queued.status_code == 202
    assert queued.json()["version"] is None
    assert Worker(home, HANDLERS).tick()
    job = client.get(f"/api/v1/jobs/{queued.json()['job']}").json()
    assert (job["state"], job["result"]) == ("succeeded", {"version": "mails@1"})
    assert list(home.folder("uploads").iterdir()) == []
    with home.read() as uow:
        assert service.resolve(uow, actor, "mails").rows == 31

    broken = upload(client, large + b"\nnot json").json()["job"]
    Worker(home, HANDLERS).tick()
    failed = client.get(f"/api/v1/jobs/{broken}").json()
    assert failed["state"] == "failed"
    assert "1 of 32 records are malformed" in failed["error"]
    assert list(home.folder("uploads").iterdir()) == []


def test_an_upload_over_the_limit_is_refused(
    client: TestClient, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home.path / "penstock.toml").write_text("[server]\nmax_upload_mb = 1\n")
    with Home.open(home.path) as limited:
        client.app.api.state.home = limited  # type: ignore[attr-defined]
        answer = upload(client, b"x" * (1 << 20) + BODY)
    assert answer.status_code == 413
    assert "larger than 1 MB" in answer.json()["detail"]
    assert list(home.folder("uploads").iterdir()) == []
