"""Releases over HTTP."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from penstock.core.home import Home
from tests.release.conftest import Start, outcome, table, tell


@pytest.mark.usefixtures("ready")
def test_a_release_from_start_to_end(client: TestClient) -> None:
    made = client.post("/api/v1/releases", json=table())
    assert made.status_code == 201, made.text
    body: dict[str, Any] = made.json()
    assert (body["state"], body["shares"]) == ("running", {"control": 0.8, "new": 0.2})
    assert body["arms"][1]["plan"]["model"] == "new" and body["auto_promote"] is True
    assert [each["decision"] for each in body["decisions"]] == ["start"]
    at = f"/api/v1/releases/{body['id']}"
    assert client.post(f"{at}/step").json()["shares"] == {"control": 0.5, "new": 0.5}
    assert client.post(f"{at}/pause").json()["state"] == "paused"
    assert client.post(f"{at}/pause").status_code == 409
    assert client.post(f"{at}/resume").json()["state"] == "running"
    assert client.post(f"{at}/promote", json={"reason": "good"}).json()["state"] == "promoted"
    done = client.post(f"{at}/rollback").json()
    assert done["state"] == "rolled_back" and done["decisions"][0]["decision"] == "roll_back"
    listed = client.get("/api/v1/releases", params={"state": "rolled_back"}).json()
    assert [each["id"] for each in listed["items"]] == [body["id"]] and listed["next"] is None
    assert client.get("/api/v1/releases", params={"state": "running"}).json()["items"] == []


def test_what_is_known_is_shown(ready: Home, client: TestClient, start: Start) -> None:
    release = start(steps=[{"weight": 0.5}])
    calls = [outcome(0, "new" if n % 2 else "control") for n in range(300)]
    tell(ready, release, calls)
    body = client.get("/api/v1/releases/new-model").json()
    arms = {arm["name"]: arm for arm in body["arms"]}
    assert arms["new"]["calls"] == 150 and arms["new"]["metrics"]["errors"] == {
        "mean": 0.0, "low": 0.0, "high": pytest.approx(0.06, abs=0.06), "n": 150,
    }  # fmt: skip
    [errors, latency] = body["comparisons"]
    assert (
        errors["verdict"] in ("open", "safe")
        and errors["p_value"] == 1.0
        and errors["low"] < 0 < errors["high"]
    )
    assert latency["relative"] is True
    assert body["ratio_check"]["counts"] == {"control": 150, "new": 150} and body["ratio_check"]["ok"]


def test_nothing_known_on_one_side_is_null(ready: Home, client: TestClient, start: Start) -> None:
    release = start(steps=[{"weight": 0.5}])
    tell(ready, release, [outcome(0, "new", failed=True, latency_s=None)])
    [errors] = client.get("/api/v1/releases/new-model").json()["comparisons"]
    assert errors["low"] is None and errors["high"] is None and errors["verdict"] == "open"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "wild"}, "kind"),
        ({"arms": [{"name": "control"}]}, "2 to 10 arms"),
        ({"metrics": [{"name": "eror"}]}, "no metric 'eror'"),
        ({"steps": [{"weight": 0.5}, {"weight": 0.2}]}, "must grow"),
        ({"goal": "cost"}, "none of the metrics"),
        ({"sticky_by": "moon"}, "sticky_by"),
        ({"kind": "ab"}, "no steps"),
        ({"name": "a b"}, "not a name"),
        ({"alpha": 0.9}, "alpha"),
        ({"subject": {"type": "model"}}, "names a route"),
        ({"subject": {"type": "prompt", "prompt": "greet"}}, "needs version"),
        (
            {"kind": "shadow", "subject": {"type": "prompt", "prompt": "greet"}, "steps": []},
            "needs version",
        ),
        ({"extra": 1}, "extra"),
    ],
)
@pytest.mark.usefixtures("ready")
def test_a_wrong_plan_says_what_is_wrong(client: TestClient, change: dict[str, Any], said: str) -> None:
    answer = client.post("/api/v1/releases", json=table() | change)
    assert answer.status_code in (400, 422) and said in answer.text
    assert client.get("/api/v1/releases").json()["items"] == []
