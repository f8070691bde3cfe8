"""Sign-in, keys and who may use them."""

from starlette.testclient import TestClient

from penstock.app.server import Penstock
from penstock.core.auth import service as auth
from penstock.core.home import Home
from penstock.core.scope import Actor


def test_a_sign_in_link_opens_a_session_once(home: Home) -> None:
    with home.begin() as uow:
        owner, _ = auth.ensure_owner(uow)
        token = auth.create_sign_in(uow, owner)
    with TestClient(Penstock(home)) as browser:
        assert browser.get("/api/v1/me").status_code == 401
        answer = browser.post("/api/v1/session", json={"token": token})
        cookie = answer.headers["set-cookie"].lower()
        assert answer.status_code == 204
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert browser.get("/api/v1/me").json()["role"] == "owner"
        assert browser.post("/api/v1/session", json={"token": token}).status_code == 401
        assert browser.delete("/api/v1/session").status_code == 204
        assert browser.get("/api/v1/me").status_code == 401


def test_a_key_is_shown_once_and_stops_when_revoked(client: TestClient, home: Home) -> None:
    made = client.post("/api/v1/keys", json={"name": "ci", "role": "viewer"}).json()
    with TestClient(Penstock(home), headers={"authorization": f"Bearer {made['key']}"}) as caller:
        assert caller.get("/api/v1/me").json()["role"] == "viewer"
        assert caller.post("/api/v1/prompts", json={"name": "p"}).status_code == 403
        assert "key" not in client.get("/api/v1/keys").json()["items"][0]
        assert client.delete(f"/api/v1/keys/{made['id']}").status_code == 204
        assert caller.get("/api/v1/me").status_code == 401


def test_another_sites_form_cannot_use_the_session(client: TestClient) -> None:
    refused = client.post("/api/v1/keys", json={"name": "x"}, headers={"origin": "https://evil.example"})
    assert (refused.status_code, "another site" in refused.json()["detail"]) == (403, True)
    allowed = client.post("/api/v1/keys", json={"name": "x"}, headers={"origin": "http://testserver"})
    assert allowed.status_code == 201


def test_a_project_is_chosen_by_header_or_query(client: TestClient) -> None:
    client.post("/api/v1/projects", json={"name": "other"})
    client.post("/api/v1/prompts", json={"name": "here"}, headers={"x-penstock-project": "other"})
    assert [p["name"] for p in client.get("/api/v1/prompts?project=other").json()["items"]] == ["here"]
    assert client.get("/api/v1/prompts").json()["items"] == []
    assert client.get("/api/v1/prompts?project=nowhere").status_code == 404


def test_the_audit_log_is_for_administrators(client: TestClient, home: Home, actor: Actor) -> None:
    assert client.get("/api/v1/audit/verify").json()["whole"] is True
    assert client.get("/api/v1/audit").json()["items"][0]["action"]
    key = client.post("/api/v1/keys", json={"name": "v", "role": "member"}).json()["key"]
    with TestClient(Penstock(home), headers={"x-api-key": key}) as member:
        assert member.get("/api/v1/audit").status_code == 403
    assert actor.role == "owner"


def test_health_needs_no_key(home: Home) -> None:
    with TestClient(Penstock(home)) as anyone:
        assert anyone.get("/healthz").status_code == 200
        assert anyone.get("/readyz").text == "ready\n"
