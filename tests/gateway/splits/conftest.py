"""A gateway in front of one provider whose moods the test sets, and the splits of its calls."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock.core.home import Home
from penstock.core.scope import Scope
from penstock.gateway import service, snapshot
from penstock.gateway.model import ArmOutcome, Split, SplitArm, Target
from tests.conftest import owner_of
from tests.fakes.moody import MoodyUpstream
from tests.gateway.conftest import Running

Divide = Callable[..., None]


@pytest.fixture
def moody() -> Iterator[MoodyUpstream]:
    with MoodyUpstream() as server:
        yield server


@pytest.fixture
def gateway(sqlite_home: Home, moody: MoodyUpstream) -> Iterator[Running]:
    """A gateway with the provider `mo` and the route `r` to its model `old`."""
    actor = owner_of(sqlite_home)
    tables = {
        "providers": {"mo": {"kind": "openai", "base_url": moody.base_url}},
        "routes": {"r": {"targets": [{"provider": "mo", "model": "old"}], "retries": 0}},
    }
    with sqlite_home.begin() as uow:
        service.apply(uow, actor, tables)
    running = Running(sqlite_home, actor)
    running.start()
    yield running
    running.stop()


def arm(name: str, weight: float, model: str = "", **more: Any) -> SplitArm:
    """An arm to a model of `mo`, or without one to what the route has."""
    targets = (Target("mo", model),) if model else ()
    return SplitArm(name=name, weight=weight, targets=targets, **more)


@pytest.fixture
def divide(gateway: Running) -> Divide:
    """Put a split of the route `r` (or as the keywords say) and wait until the gateway has it."""

    def make(*arms: SplitArm, **more: Any) -> None:
        with gateway.home.begin() as uow:
            service.put_split(uow, Scope(), Split(**{"release": "rel_1", "arms": arms, "route": "r"} | more))
        current(gateway)

    return make


def current(gateway: Running) -> None:
    """Wait until the gateway has read the configuration as it is now; before its first call it reads it with that."""
    deadline = time.monotonic() + 60
    while gateway.app._watch.running and gateway.app._watch.current.revisions != snapshot.revisions(
        gateway.home
    ):
        assert time.monotonic() < deadline, "the gateway did not read its configuration"
        time.sleep(0.02)


def outcomes(gateway: Running, count: int) -> list[ArmOutcome]:
    """Return what became of calls, once there are `count`."""
    found: list[ArmOutcome] = []
    deadline = time.monotonic() + 60
    while len(found) < count and time.monotonic() < deadline:
        with gateway.home.begin() as uow:
            found += service.take_outcomes(uow, Scope(), "rel_1")
        time.sleep(0.05)
    return found
