"""What the gateway counts of tokens and targets."""

import asyncio

from penstock.core.home import Home
from penstock.core.metrics import REGISTRY
from penstock.core.scope import Scope
from penstock.gateway import metrics
from penstock.gateway.model import Usage
from penstock.gateway.routing.health import HealthRegistry
from penstock.gateway.routing.publisher import HealthPublisher


def test_every_class_of_token_is_counted() -> None:
    usage = Usage(
        input=100, output=90, cached=1, cache_write=2, cache_write_1h=3, reasoning=4,
        audio_input=5, image_input=6, audio_output=7, image_output=8,
    )  # fmt: skip
    metrics.spent(Scope("t", "p"), "r", "all classes", usage, 0.5)
    found = {
        labels[4]: values[0]
        for labels, values in metrics.TOKENS.family().series
        if labels[3] == "all classes"
    }
    assert found == {
        "input": 100, "output": 90, "cached": 1, "cache_write": 5, "reasoning": 4,
        "audio_input": 5, "image_input": 6, "audio_output": 7, "image_output": 8,
    }  # fmt: skip


def test_targets_tell_calls_in_flight_and_latency_until_they_are_gone(sqlite_home: Home) -> None:
    registry = HealthRegistry()
    health = registry.health(Scope(), "metered", "m")
    health.requests, health.in_flight = 5, 2
    health.observe(0.25, registry.monotonic())
    publisher = HealthPublisher(sqlite_home, registry)
    publisher.publish()
    labels = ("default", "default", "metered/m")
    assert metrics.TARGET_IN_FLIGHT.value(*labels) == 2
    assert metrics.TARGET_LATENCY.value(*labels) == 0.25
    health.in_flight = 0
    registry.sweep()
    registry.sweep()
    publisher.publish()
    assert metrics.TARGET_IN_FLIGHT.value(*labels) is None


def test_a_gateway_that_stops_takes_its_targets_figures_back(sqlite_home: Home) -> None:
    registry = HealthRegistry()
    health = registry.health(Scope(), "stopped", "m")
    health.requests, health.in_flight = 5, 2

    async def play() -> None:
        publisher = HealthPublisher(sqlite_home, registry, seconds=600.0)
        await publisher.start()
        publisher.publish()
        assert metrics.TARGET_IN_FLIGHT.value("default", "default", "stopped/m") == 2
        await publisher.stop()
        assert metrics.TARGET_IN_FLIGHT.value("default", "default", "stopped/m") is None

    asyncio.run(play())


def test_projects_of_one_name_in_two_tenants_are_counted_apart(sqlite_home: Home) -> None:
    first, second = Scope("first", "shop"), Scope("second", "shop")
    for scope, status in ((first, 200), (second, 200), (second, 200)):
        metrics.ended(scope, "r", "apart/m", "chat", status=status, seconds=0.1)
        metrics.spent(scope, "r", "apart/m", Usage(input=10), 0.5)
    assert metrics.CALLS.value("first", "shop", "r", "apart/m", "chat", "200", "") == 1
    assert metrics.CALLS.value("second", "shop", "r", "apart/m", "chat", "200", "") == 2
    assert metrics.COST.value("second", "shop", "r", "apart/m") == 1.0
    registry = HealthRegistry()
    for scope, flying in ((first, 1), (second, 2)):
        health = registry.health(scope, "apart", "m")
        health.requests, health.in_flight = 5, flying
    publisher = HealthPublisher(sqlite_home, registry)
    publisher.publish()
    found = [metrics.TARGET_IN_FLIGHT.value(tenant, "shop", "apart/m") for tenant in ("first", "second")]
    assert found == [1, 2]


def test_every_series_with_a_project_has_its_tenant() -> None:
    ours = [each for each in REGISTRY.families() if each.name.startswith("penstock_gateway_")]
    with_project = [each.labels for each in ours if "project" in each.labels]
    assert len(with_project) >= 14
    assert {labels[:2] for labels in with_project} == {("tenant", "project")}
