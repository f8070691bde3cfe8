"""Health across processes: written by each, merged for people, alone in its project."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from penstock.core import clock
from penstock.core.errors import Upstream
from penstock.core.home import Home
from penstock.core.scope import Actor, Role, Scope
from penstock.gateway.routing import store
from penstock.gateway.routing.health import HealthRegistry, TargetHealth
from penstock.gateway.routing.publisher import HealthPublisher, merged, target_health

VIEWER = Actor(id="v", name="viewer", role=Role.VIEWER)
ELSEWHERE = Actor(id="e", name="elsewhere", role=Role.OWNER, scope=Scope("default", "other"))
STRANGER = Actor(id="s", name="stranger", role=Role.OWNER, scope=Scope("strange", "default"))


DEFAULT = Scope()


def _registry(requests: int, *, scope: Scope = DEFAULT) -> HealthRegistry:
    registry = HealthRegistry()
    health = registry.health(scope, "p", "m")
    health.requests = requests
    health.observe(0.25, 1.0)
    return registry


def test_two_processes_are_one_picture(home: Home) -> None:
    one, two = _registry(3), _registry(4)
    two.health(Scope(), "p", "m").failed(Upstream("x", upstream_status=500), 1.0, 2.0)
    for registry in (one, two):
        HealthPublisher(home, registry).publish()
    with home.read() as uow:
        [found] = target_health(uow, VIEWER)
        assert (found.requests, found.errors, found.last_error) == (7, 1, "upstream_error (HTTP 500)")
        assert found.last_error_at is not None and found.ewma_ms == 5000.0
        assert target_health(uow, ELSEWHERE) == [found], "the default project's providers are everybody's"
        assert target_health(uow, STRANGER) == []


def test_a_projects_own_targets_are_its_own(home: Home) -> None:
    HealthPublisher(home, _registry(1, scope=ELSEWHERE.scope)).publish()
    with home.read() as uow:
        assert len(target_health(uow, ELSEWHERE)) == 1 and target_health(uow, VIEWER) == []


def test_a_process_that_died_fades(home: Home) -> None:
    with clock.frozen(datetime(2026, 1, 1, tzinfo=UTC)):
        HealthPublisher(home, _registry(1)).publish()
    with clock.frozen(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=10)), home.read() as uow:
        assert len(target_health(uow, VIEWER)) == 1
    with clock.frozen(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=16)), home.read() as uow:
        assert target_health(uow, VIEWER) == []


def test_it_writes_while_it_runs_and_takes_back(sqlite_home: Home) -> None:
    registry = _registry(1)

    async def body() -> None:
        publisher = HealthPublisher(sqlite_home, registry, seconds=0.01)
        await publisher.start()
        for _ in range(500):
            await asyncio.sleep(0.01)
            if _stored(sqlite_home):
                break
        registry.health(Scope(), "p", "m").requests = 2
        for _ in range(500):
            await asyncio.sleep(0.01)
            if [each.requests for each in _stored(sqlite_home)] == [2]:
                break
        assert [each.requests for each in _stored(sqlite_home)] == [2]
        await publisher.stop()

    asyncio.run(body())
    assert _stored(sqlite_home) == []


def _stored(home: Home) -> list[TargetHealth]:
    with home.read() as uow:
        return store.list_health(uow.conn, Scope(), clock.from_ns(0))


def test_what_has_not_changed_is_not_written_again(
    sqlite_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    put = store.put_health
    monkeypatch.setattr(store, "put_health", lambda *given: written.append(1) or put(*given))  # type: ignore[func-returns-value]
    publisher = HealthPublisher(sqlite_home, _registry(1))
    publisher.publish()
    publisher.publish()
    assert written == [1]


def test_merging_takes_the_worst_state() -> None:
    base = {"provider": "p", "model": "m", "in_flight": 1, "ewma_ms": 1.0, "requests": 1, "errors": 0}
    [found] = merged([TargetHealth(state=state, **base) for state in ("closed", "open", "half_open")])  # type: ignore[arg-type]
    assert (found.state, found.in_flight) == ("open", 3)


def test_over_http(client: TestClient, sqlite_home: Home) -> None:
    HealthPublisher(sqlite_home, _registry(2)).publish()
    answer = client.get("/api/v1/gateway/health")
    assert answer.status_code == 200
    [item] = answer.json()["items"]
    assert (item["provider"], item["model"], item["state"], item["requests"]) == ("p", "m", "closed", 2)
