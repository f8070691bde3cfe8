"""A gateway in front of one provider whose moods the test sets."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock.core.home import Home
from penstock.gateway import service
from tests.conftest import owner_of
from tests.fakes.moody import MoodyUpstream
from tests.gateway.conftest import Running

Configure = Callable[..., None]


@pytest.fixture
def moody() -> Iterator[MoodyUpstream]:
    with MoodyUpstream() as server:
        yield server


@pytest.fixture
def gateway(sqlite_home: Home, moody: MoodyUpstream) -> Iterator[Running]:
    """A gateway with the provider `mo`; see `route`."""
    actor = owner_of(sqlite_home)
    with sqlite_home.begin() as uow:
        service.apply(uow, actor, {"providers": {"mo": {"kind": "openai", "base_url": moody.base_url}}})
    running = Running(sqlite_home, actor)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def route(gateway: Running) -> Configure:
    """Make the route `r` over models of `mo` (more settings as keywords), or others by `named`."""

    def make(*models: str, named: str = "r", **more: Any) -> None:
        targets = [{"provider": "mo", "model": model} for model in models]
        gateway.configure({}, {named: {"targets": targets, "retries": 0, **more}})

    return make
