"""Callers of a deployment that sleeps wait until it answers."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from penstock.core import clock
from penstock.core.scope import Scope
from penstock.gateway import service
from penstock.gateway.model import LOCAL, Route, Target
from penstock.gateway.waiting import service as waiting
from penstock.gateway.waiting import waking
from tests.fakes.engine import FakeProcess
from tests.gateway.conftest import Running, Waiter


class Callers:
    """Calls made at the same time, each in a thread."""

    def __init__(self, gateway: Running, count: int) -> None:
        self.statuses: list[int] = []
        self.bodies: list[bytes] = []
        self._gateway = gateway
        self._threads = [threading.Thread(target=self._call) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _call(self) -> None:
        body = json.dumps({"model": "triage", "prompt": "Hi"}).encode()
        headers = {"authorization": f"Bearer {self._gateway.key}", "content-type": "application/json"}
        request = urllib.request.Request(f"{self._gateway.url}/v1/completions", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                self.bodies.append(answer.read())
                self.statuses.append(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                self.bodies.append(error.read())
                self.statuses.append(error.code)

    def join(self) -> list[int]:
        for thread in self._threads:
            thread.join(60)
        return self.statuses


def sleep(gateway: Running, patience: float) -> None:
    """Let the deployment `triage@1` be asleep."""
    with gateway.home.begin() as uow:
        service.set_endpoint(uow, "triage@1", [], patience=patience)
        route = Route("weighted", (Target(LOCAL, "triage@1", 1.0),))
        service.put_route(uow, gateway.actor, "triage", route)


@pytest.fixture
def replica() -> Iterator[FakeProcess]:
    made = FakeProcess("triage@1")
    yield made
    made.stop()


def asked(gateway: Running) -> bool:
    with gateway.home.read() as uow:
        found = waiting.list_asked(uow, clock.from_ns(clock.now_ns() - 5 * 10**9))
    return (Scope(), "triage@1") in found


def test_callers_wait_for_a_sleeping_deployment_and_all_are_answered(
    gateway: Running, replica: FakeProcess, eventually: Waiter
) -> None:
    sleep(gateway, 20)
    before = gateway.home.revision(waiting.ASKED)
    callers = Callers(gateway, 12)
    eventually(lambda: asked(gateway))
    assert gateway.home.revision(waiting.ASKED) > before, "serving hears of it"
    assert callers.statuses == []
    with gateway.home.begin() as uow:
        service.set_endpoint(uow, "triage@1", [replica.url], patience=20)
    assert callers.join() == [200] * 12
    assert replica.served == 12


def test_patience_ends_with_a_clear_word(gateway: Running, eventually: Waiter) -> None:
    sleep(gateway, 0.3)
    callers = Callers(gateway, 2)
    assert callers.join() == [503, 503]
    assert b"did not start within 0.3 seconds" in callers.bodies[0]


def test_a_deployment_that_is_removed_while_callers_wait_is_told(
    gateway: Running, eventually: Waiter
) -> None:
    sleep(gateway, 20)
    callers = Callers(gateway, 1)
    eventually(lambda: asked(gateway))
    with gateway.home.begin() as uow:
        service.set_endpoint(uow, "triage@1", [])
    assert callers.join() == [503]
    assert b"no replica that is ready" in callers.bodies[0]


def test_too_many_callers_are_refused_at_once(
    gateway: Running, replica: FakeProcess, eventually: Waiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waking, "MOST_WAITING", 2)
    sleep(gateway, 20)
    callers = Callers(gateway, 5)
    eventually(lambda: len(callers.statuses) == 3)
    assert callers.statuses == [503] * 3
    with gateway.home.begin() as uow:
        service.set_endpoint(uow, "triage@1", [replica.url], patience=20)
    assert sorted(callers.join()) == [200, 200, 503, 503, 503]
