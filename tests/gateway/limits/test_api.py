"""Limits, budgets and rotation over HTTP."""

from starlette.testclient import TestClient

from penstock.core.home import Home
from penstock.core.scope import Actor
from tests.gateway.limits.conftest import CALLER, Make, ask


def test_a_key_is_limited_and_rotated(client: TestClient) -> None:
    key = client.post("/api/v1/keys", json={"name": "ci"}).json()
    place = f"/api/v1/keys/{key['id']}/limits"
    assert client.get(place).json()["concurrent"] is None
    assert client.put(place, json={"requests_per_minute": 9}).json()["requests_per_minute"] == 9
    assert client.get("/api/v1/limits").json()["items"][0]["limits"]["requests_per_minute"] == 9
    assert client.put(place, json={"requests_per_minute": 0}).status_code in (400, 422)
    assert client.put("/api/v1/keys/key_none/limits", json={}).status_code == 404
    rotated = client.post(f"/api/v1/keys/{key['id']}/rotate", json={"grace_seconds": 60}).json()
    assert (rotated["id"], rotated["key"] == key["key"]) == (key["id"], False)
    client.cookies.clear()
    for secret in (key["key"], rotated["key"]):
        found = client.get("/api/v1/me", headers={"authorization": f"Bearer {secret}"}).json()
        assert found["id"] == key["id"]


def test_a_budget_shows_its_state(client: TestClient, home: Home, actor: Actor, make: Make) -> None:
    made = client.put("/api/v1/budgets/cap", json={"usd": 2, "period": "total", "hard": False}).json()
    assert (made["name"], made["kind"], made["subject"], made["soft"]) == ("cap", "project", "default", [0.8])
    limiter = make()
    ticket = limiter.try_admit(CALLER, ask(0.5))
    assert ticket is not None
    ticket.settle(1, 1, 0.5)
    assert limiter.lessor.flush()
    state = client.get("/api/v1/budgets").json()["items"][0]["state"]
    assert (state["spent_usd"], state["reserved_usd"], state["left_usd"]) == (0.5, 0.0, 1.5)
    assert client.get("/api/v1/budgets/cap/subjects").json()["items"] == [state]
    assert client.put("/api/v1/budgets/cap", json={"usd": -1}).status_code in (400, 422)
    assert (
        client.put("/api/v1/budgets/cap", json={"usd": 1, "kind": "user", "subject": "a"}).status_code == 409
    )
    assert client.delete("/api/v1/budgets/cap").status_code == 204
    assert client.get("/api/v1/budgets/cap").status_code == 404
    limiter.close()
