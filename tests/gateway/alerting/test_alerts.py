"""Alerts of budgets: kept, logged, counted and sent to the project's webhook, each once."""

import json
import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from starlette.testclient import TestClient

from penstock.app.work import JOB_HANDLERS, JOB_WORKERS, SUBSCRIBERS, background_loops
from penstock.core import clock
from penstock.core import jobs as core_jobs
from penstock.core.errors import Denied, Invalid, NotFound
from penstock.core.events import Dispatcher
from penstock.core.home import Home
from penstock.core.http import encode_cursor
from penstock.core.jobs import Worker
from penstock.core.scope import Actor, Role
from penstock.gateway.alerting import jobs, sending, service, store
from penstock.gateway.alerting.model import Alert, Delivery
from penstock.gateway.limits.limiter import Limiter
from tests.gateway.limits.conftest import CALLER, ask, budget, make, patient, put

__all__ = ["make", "patient"]


class Hook(HTTPServer):
    """Keeps what it is sent; answers with the next of `statuses`, then with 204."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 204)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "FIRST_PAUSE", 0.0)
    monkeypatch.setattr(jobs, "LONGEST_PAUSE", 0.0)


def work(home: Home, times: int = 10) -> None:
    """Do what the background process does, until nothing is due."""
    while Dispatcher(home, SUBSCRIBERS).tick():
        pass
    worker = Worker(home, JOB_HANDLERS)
    while times and worker.tick():
        times -= 1


def alerts(home: Home, actor: Actor) -> list[Alert]:
    with home.read() as uow:
        return service.list_alerts(uow, actor)


def spend(limiter: Limiter, usd: float) -> None:
    ticket = limiter.try_admit(CALLER, ask(usd))
    if ticket is None:
        limiter.lessor.flush()
        ticket = limiter.try_admit(CALLER, ask(usd))
    assert ticket is not None
    ticket.settle(0, 0, usd)
    limiter.lessor.flush()


def test_each_threshold_is_told_once_over_all_processes(
    home: Home, actor: Actor, make: Any, patient: None, hook: Hook, caplog: pytest.LogCaptureFixture
) -> None:
    put(home, actor, budget(1.0, soft=(0.5, 0.8), hard=False))
    with home.begin() as uow:
        _, secret = service.put_webhook(uow, actor, hook.url)
    with caplog.at_level(logging.WARNING, "penstock.gateway.alerts"):
        for _ in range(6):
            for limiter in (make(), make()):
                spend(limiter, 0.1)
            work(home)
    told = [json.loads(body) for _, body in hook.got]
    fractions = [(each["type"], each["data"]["fraction"]) for each in told]
    assert sorted(fractions) == [
        ("gateway.budget_alerted", 0.5),
        ("gateway.budget_alerted", 0.8),
        ("gateway.budget_exhausted", 1.0),
    ]
    for headers, body in hook.got:
        at = int(headers["webhook-timestamp"])
        assert headers["webhook-signature"] == sending.signature(secret, headers["webhook-id"], at, body)
    found = alerts(home, actor)
    assert [(each.fraction, each.delivery) for each in found] == [
        (1.0, Delivery.DELIVERED),
        (0.8, Delivery.DELIVERED),
        (0.5, Delivery.DELIVERED),
    ]
    assert "has reached 50%" in caplog.text and caplog.text.count("is used up") == 1
    assert told[0]["text"] in {each.text for each in found}


@pytest.fixture
def told(home: Home, actor: Actor, make: Any, patient: None) -> Any:
    """Return what makes a budget of a dollar alert at 80 %."""

    def tell() -> None:
        put(home, actor, budget(1.0, hard=False))
        spend(make(), 0.85)

    return tell


def test_a_webhook_that_fails_is_tried_again(
    home: Home, actor: Actor, told: Any, hook: Hook, at_once: None
) -> None:
    with home.begin() as uow:
        service.put_webhook(uow, actor, hook.url)
    hook.statuses = [500, 302]
    told()
    work(home, times=1)
    (alert,) = alerts(home, actor)
    assert (alert.delivery, alert.error) == (Delivery.WAITING, "The webhook answered with HTTP 500.")
    work(home)
    assert alerts(home, actor)[0].delivery is Delivery.DELIVERED
    ids = {headers["webhook-id"] for headers, _ in hook.got}
    assert (len(hook.got), ids) == (3, {alert.id})


def test_alerts_wait_for_no_other_work(
    home: Home, actor: Actor, told: Any, hook: Hook, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    busy, done, stop = threading.Semaphore(0), threading.Event(), threading.Event()

    def long(_: Any) -> dict[str, Any]:
        busy.release()
        done.wait(120)
        return {}

    monkeypatch.setitem(JOB_HANDLERS, "test.long", long)
    with home.begin() as uow:
        service.put_webhook(uow, actor, hook.url)
        for number in range(JOB_WORKERS):
            core_jobs.enqueue(uow, actor, "test.long", {}, key=str(number))
    loops = background_loops(home)
    names = ["alerts", *(f"jobs {number}" for number in range(1, JOB_WORKERS + 1))]
    threads = [threading.Thread(target=loops[name], args=(stop,), daemon=True) for name in names]
    try:
        for thread in threads:
            thread.start()
        assert all(busy.acquire(timeout=60) for _ in range(JOB_WORKERS))
        told()
        while Dispatcher(home, SUBSCRIBERS).tick():
            pass
        eventually(lambda: len(hook.got) == 1)
    finally:
        done.set()
        stop.set()
        for thread in threads:
            thread.join(60)


def test_a_webhook_that_is_gone_is_given_up(
    home: Home, actor: Actor, told: Any, hook: Hook, at_once: None
) -> None:
    with home.begin() as uow:
        service.put_webhook(uow, actor, hook.url)
    hook.statuses = [410]
    told()
    work(home)
    assert (alerts(home, actor)[0].delivery, len(hook.got)) == (Delivery.FAILED, 1)


def test_addresses_that_may_not_be_called_are_not(
    home: Home, actor: Actor, told: Any, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    with home.begin() as uow:
        for url, error in (("http://169.254.169.254/x", Denied), ("ftp://example.com", Invalid)):
            with pytest.raises(error):
                service.put_webhook(uow, actor, url)
        service.put_webhook(uow, actor, hook.url.replace("127.0.0.1", "localhost"))
    monkeypatch.setattr(service, "_allows_private", lambda _: False)
    told()
    work(home, times=1)
    (alert,) = alerts(home, actor)
    assert alert.delivery is Delivery.WAITING and "private address" in str(alert.error)
    assert not hook.got


def test_without_a_webhook_alerts_are_listed(home: Home, actor: Actor, told: Any) -> None:
    told()
    work(home)
    (alert,) = alerts(home, actor)
    assert (alert.delivery, alert.fraction, alert.spent_usd) == (Delivery.NONE, 0.8, pytest.approx(0.85))
    with home.read() as uow, pytest.raises(NotFound):
        service.get_webhook(uow, actor)


def test_a_trial_says_so(home: Home, actor: Actor, hook: Hook) -> None:
    with home.begin() as uow:
        service.put_webhook(uow, actor, hook.url)
    for _ in range(2):
        service.try_webhook(home, actor)
    assert json.loads(hook.got[0][1])["data"]["budget"] == "trial"
    assert len({headers["webhook-id"] for headers, _ in hook.got}) == 2, "receivers drop what they had before"
    with home.begin() as uow:
        service.delete_webhook(uow, actor)
    with pytest.raises(NotFound):
        service.try_webhook(home, actor)


def test_only_administrators_see_the_whole_address(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        service.put_webhook(uow, actor, "https://hooks.example.com:8443/services/T0/B0/secret?token=x")
    with home.read() as uow:
        assert service.get_webhook(uow, actor).url.endswith("/secret?token=x")
        for role in (Role.VIEWER, Role.MEMBER):
            reader = Actor(id="r", name="reader", role=role)
            assert service.get_webhook(uow, reader).url == "https://hooks.example.com:8443/…"
            found = service.find_webhook(uow, reader)
            assert found is not None and "secret" not in found.url


def test_alerts_over_http(client: TestClient, home: Home, told: Any, hook: Hook) -> None:
    assert client.get("/api/v1/alerts/webhook").json() == {"url": None, "updated_at": None}
    assert client.post("/api/v1/alerts/webhook/trial").status_code == 404
    made = client.put("/api/v1/alerts/webhook", json={"url": hook.url}).json()
    assert made["secret"].startswith("whsec_")
    assert client.get("/api/v1/alerts/webhook").json()["url"] == hook.url
    assert client.post("/api/v1/alerts/webhook/trial").status_code == 200
    told()
    work(home)
    (alert,) = client.get("/api/v1/alerts").json()["items"]
    assert (alert["fraction"], alert["delivery"]) == (0.8, "delivered")
    assert made["secret"] not in client.get("/api/v1/alerts/webhook").text
    assert client.delete("/api/v1/alerts/webhook").status_code == 204
    assert client.put("/api/v1/alerts/webhook", json={"url": "ftp://x"}).status_code in (400, 422)


def test_alerts_are_listed_in_pages(client: TestClient, home: Home, actor: Actor) -> None:
    moments = [clock.now() - timedelta(minutes=number // 2) for number in range(7)]  # two at a time
    with home.begin() as uow:
        for number, at in enumerate(moments):
            made = {"budget": "cap", "kind": "project", "subject": "default", "period": "total"}
            alert = Alert(id=f"evt_{number}", at=at, **made, fraction=0.5, spent_usd=1.0, limit_usd=2.0)
            store.add_alert(uow.conn, actor.scope, alert)
    whole = [each["id"] for each in client.get("/api/v1/alerts").json()["items"]]
    assert len(whole) == 7
    found, cursor, pages = [], "", 0
    while cursor is not None:
        page = client.get(
            "/api/v1/alerts", params={"limit": 3} | ({"cursor": cursor} if cursor else {})
        ).json()
        found += [each["id"] for each in page["items"]]
        cursor, pages = page["next"], pages + 1
    assert (found, pages) == (whole, 3)
    assert client.get("/api/v1/alerts", params={"cursor": "x"}).status_code == 400
    assert client.get("/api/v1/alerts", params={"cursor": encode_cursor("x", 1)}).status_code == 400
