"""`GET /metrics`: who may read it, and what it says."""

import pytest
from starlette.testclient import TestClient

from penstock.app.server import Penstock
from penstock.core.auth import service as auth
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor, Role


def key(home: Home, actor: Actor, role: Role) -> dict[str, str]:
    with home.begin() as uow:
        _, secret = auth.create_key(uow, actor, name="scraper", role=role)
    return {"authorization": f"Bearer {secret}"}


def test_it_takes_a_key_that_may_see_everything(sqlite_home: Home) -> None:
    from tests.conftest import owner_of

    actor = owner_of(sqlite_home)
    with sqlite_home.begin() as uow:
        auth.create_project(uow, actor, name="other")
    with TestClient(Penstock(sqlite_home)) as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers={"authorization": "Bearer psk_no"}).status_code == 401
        assert client.get("/metrics", headers=key(sqlite_home, actor, Role.GATEWAY)).status_code == 403
        other = key(sqlite_home, actor.within("other"), Role.ADMIN)
        assert client.get("/metrics", headers=other).status_code == 403
        page = client.get("/metrics", headers=key(sqlite_home, actor, Role.VIEWER))
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'penstock_processes{process="web"} 1\n' in page.text
    assert "# TYPE penstock_http_requests_total counter\n" in page.text
    assert "psk_" not in page.text


def test_it_can_be_opened(sqlite_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_SERVER__METRICS", "open")
    with Home.open(sqlite_home.path) as home, TestClient(Penstock(home)) as client:
        assert client.get("/metrics").status_code == 200
    monkeypatch.setenv("PENSTOCK_SERVER__METRICS", "maybe")
    with Home.open(sqlite_home.path) as home, pytest.raises(Invalid, match="key, open"):
        Penstock(home)


def test_a_draining_process_is_not_ready(sqlite_home: Home) -> None:
    app = Penstock(sqlite_home)
    with TestClient(app) as client:
        assert client.get("/readyz").status_code == 200
        app.begin_drain()
        answer = client.get("/readyz")
        assert (answer.status_code, answer.text) == (503, "not ready: this process is draining\n")
        assert client.get("/healthz").status_code == 200
