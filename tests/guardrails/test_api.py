from fastapi import FastAPI
from starlette.testclient import TestClient

from penstock.guardrails import api

RULES = {
    "guards": [{"kind": "pii", "action": "mask", "options": {"kinds": ["email"]}}, {"kind": "secrets"}],
    "routes": ["chat"],
    "record": "hash",
    "description": "no personal data",
}


def mounted(client: TestClient) -> TestClient:
    """Mount the routes where the composition root has not done so."""
    app: FastAPI = client.app.api  # type: ignore[attr-defined] # the whole app's management part
    if "/api/v1/guardrails" not in app.openapi()["paths"]:
        app.openapi_schema = None
        app.include_router(api.router, prefix="/api/v1")
    return client


def test_policies_are_put_shown_and_removed(client: TestClient) -> None:
    mounted(client)
    made = client.put("/api/v1/guardrails/default", json=RULES)
    assert made.status_code == 200, made.text
    body = made.json()
    assert (body["name"], body["number"], body["routes"], body["record"]) == ("default", 1, ["chat"], "hash")
    assert body["guards"][0]["options"] == {"kinds": ["email"]}
    client.put("/api/v1/guardrails/default", json=RULES | {"order": 3})
    assert client.get("/api/v1/guardrails/default").json()["number"] == 2
    assert [each["number"] for each in client.get("/api/v1/guardrails/default/versions").json()["items"]] == [
        2,
        1,
    ]
    assert client.get("/api/v1/guardrails/default/versions/1").json() == body
    assert [each["name"] for each in client.get("/api/v1/guardrails").json()["items"]] == ["default"]
    client.post("/api/v1/projects", json={"name": "other"})
    other = client.get("/api/v1/guardrails", params={"project": "other"})
    assert other.status_code in (200, 404)
    assert other.json().get("items", []) == []
    assert client.delete("/api/v1/guardrails/default").status_code == 204
    assert client.delete("/api/v1/guardrails/default").status_code == 404
    assert client.get("/api/v1/guardrails/default").status_code == 404


def test_what_cannot_be_is_refused(client: TestClient) -> None:
    mounted(client)
    for given in (
        {"guards": []},
        {"guards": [{"kind": "nothing"}]},
        {"guards": [{"kind": "pii", "options": {"kinds": ["mail"]}}]},
        {"guards": [{"kind": "pii", "kinds": ["email"]}]},
        {"guards": [{"kind": "pii"}], "record": "all"},
    ):
        assert client.put("/api/v1/guardrails/x", json=given).status_code in (400, 422), given
    assert client.get("/api/v1/guardrails").json()["items"] == []


def test_a_text_is_checked(client: TestClient) -> None:
    mounted(client)
    client.put("/api/v1/guardrails/default", json=RULES)
    found = client.post("/api/v1/guardrails/check", json={"text": "to a@example.com", "route": "chat"}).json()
    assert (found["allowed"], found["text"], found["policies"]) == (True, "to [EMAIL]", ["default@1"])
    (verdict,) = found["verdicts"]
    assert (verdict["outcome"], verdict["guard"], verdict["rule"], verdict["count"]) == (
        "modify",
        "pii",
        "email",
        1,
    )
    rules = {"guards": [{"kind": "pattern", "action": "block", "options": {"patterns": {"word": "zebra"}}}]}
    found = client.post("/api/v1/guardrails/check", json={"text": "a zebra", "rules": rules}).json()
    assert (found["allowed"], found["text"]) == (False, None)
    assert "zebra" not in found["reason"]
    assert client.post("/api/v1/guardrails/check", json={"text": "x", "stage": "both"}).status_code in (
        400,
        422,
    )


def test_kinds_are_listed_for_who_is_signed_in(client: TestClient) -> None:
    mounted(client)
    found = {each["kind"]: each for each in client.get("/api/v1/guardrails/kinds").json()["items"]}
    assert found["pii"]["actions"] == ["mask", "tokenise", "block", "flag"]
    assert "kinds" in found["pii"]["options"]
    client.cookies.clear()
    assert client.get("/api/v1/guardrails/kinds").status_code == 401
