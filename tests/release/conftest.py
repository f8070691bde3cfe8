"""Releases whose calls the test makes up."""

from collections.abc import Callable, Iterable
from itertools import count
from random import Random
from typing import Any

import pytest

from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.gateway import service as gateway
from penstock.gateway.model import ArmOutcome
from penstock.gateway.splits import store as splits
from penstock.prompts import service as prompts
from penstock.prompts.model import Body, Kind
from penstock.release import service
from penstock.release.model import Release
from penstock.release.reading import plan_of

Start = Callable[..., Release]
Report = Callable[..., None]
_numbers = count(1)


@pytest.fixture
def ready(home: Home, actor: Actor) -> Home:
    """A home with the provider `mo`, the routes `chat` and `other`, and a prompt `greet` of two versions."""
    target = {"provider": "mo", "model": "old"}
    tables = {
        "providers": {"mo": {"kind": "openai", "base_url": "http://127.0.0.1:9/v1"}},
        "routes": {"chat": {"targets": [target]}, "other": {"targets": [target | {"model": "other"}]}},
    }
    with home.begin() as uow:
        gateway.apply(uow, actor, tables)
        for text in ("Say hello.", "Say hi."):
            prompts.add_version(uow, actor, name="greet", body=Body(kind=Kind.TEXT, text=text))
        prompts.set_label(uow, actor, name="greet", label="production", version=1)
    return home


def table(**more: Any) -> dict[str, Any]:
    """A plan: a canary of the model `new` on the route `chat`."""
    return {
        "name": "new-model",
        "kind": "canary",
        "subject": {"type": "model", "route": "chat"},
        "arms": [{"name": "control"}, {"name": "new", "provider": "mo", "model": "new"}],
        "steps": [
            {"weight": 0.2, "min_calls": 50, "min_seconds": 0},
            {"weight": 0.5, "min_calls": 50, "min_seconds": 0},
        ],
        "metrics": [{"name": "errors"}, {"name": "latency"}],
        **more,
    }


@pytest.fixture
def start(ready: Home, actor: Actor) -> Start:
    """Begin a release; the keywords change the plan of `table`."""

    def begin(**more: Any) -> Release:
        with ready.begin() as uow:
            return service.start(uow, actor, plan=plan_of(table(**more)))

    return begin


def outcome(phase: int, arm: str, **more: Any) -> ArmOutcome:
    """A good call, with made up ids."""
    number = next(_numbers)
    own = {"trace_id": f"{number:032x}", "span_id": f"{number:016x}", "latency_s": 0.5 + number % 7 / 50}
    return ArmOutcome(phase=phase, arm=arm, **(own | more))


def traffic(
    release: Release, calls: int, *, fails: dict[str, float] | None = None, seed: int = 1, **more: Any
) -> list[ArmOutcome]:
    """Calls divided by the release's shares, failing at the rates given."""
    dice, rates = Random(seed), fails or {}
    names = sorted(release.shares)
    weights = [release.shares[name] for name in names]
    found = []
    for _ in range(calls):
        arm = dice.choices(names, weights)[0]
        failed = dice.random() < rates.get(arm, 0.01)
        lasted = {"latency_s": None} if failed else {"latency_s": dice.lognormvariate(-1, 0.5)}
        found.append(outcome(release.phase, arm, failed=failed, **lasted, **more))
    return found


def tell(home: Home, release: Release, outcomes: Iterable[ArmOutcome]) -> None:
    """Store outcomes as web processes do, and advance the release."""
    items = list(outcomes)
    with home.begin() as uow:
        for start in range(0, len(items), 500):
            splits.add_outcomes(uow.conn, Scope(), release.id, items[start : start + 500])
    more = True
    while more:
        with home.begin() as uow:
            more = service.advance(uow, Scope(), release.id)


def found(home: Home, actor: Actor, id: str) -> Release:
    """The release as stored."""
    with home.read() as uow:
        return service.find(uow, actor, id=id)
