"""Rules on a home, and limiters that are driven by hand or by their thread."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.gateway.limits import leasing, service
from penstock.gateway.limits.limiter import Limiter
from penstock.gateway.limits.model import Ask, Budget, Period, RateLimits, Spend, Subject, SubjectKind
from penstock.gateway.limits.settings import LimitsSettings
from penstock.traces import prices
from penstock.traces.prices import Cost, Usage

Make = Callable[..., Limiter]
CALLER = Subject("default", "default", "key_a", "ann", "chat")


class ListPrices:
    """The price list, without prices of a project's own."""

    def cost(self, scope: Scope, model: str | None, provider: str | None, usage: Usage) -> Cost | None:
        return prices.cost(model, provider, usage)


def ask(usd: float | None = 0.0, *, input_tokens: int = 0, output_tokens: int = 0) -> Ask:
    return Ask(input_tokens, output_tokens, usd)


def budget(usd: float, name: str = "cap", **more: Any) -> Budget:
    kind = more.pop("kind", SubjectKind.PROJECT)
    period = more.pop("period", Period.TOTAL)
    return Budget(name=name, kind=kind, subject=more.pop("subject", ""), period=period, usd=usd, **more)


def put(home: Home, actor: Actor, made: Budget) -> Budget:
    with home.begin() as uow:
        return service.put_budget(uow, actor, made)


def limit(
    home: Home, actor: Actor, *, kind: SubjectKind = SubjectKind.PROJECT, subject: str = "", **figures: int
) -> None:
    with home.begin() as uow:
        service.put_limits(uow, actor, kind=kind, subject=subject, limits=RateLimits(**figures))


def spend(home: Home, actor: Actor, name: str = "cap") -> Spend:
    with home.read() as uow:
        return service.spend_of(uow, actor, name)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is slow, because the machine is busy, is not taken for one that is away."""
    monkeypatch.setattr(leasing, "AWAY_SECONDS", 60.0)


@pytest.fixture
def make(home: Home) -> Iterator[Make]:
    """Makes limiters on `home` that wait for a busy machine; those whose thread was started are closed at the end."""
    made: list[Limiter] = []

    def build(
        *, started: bool = False, on: Home | None = None, leave: float = 0.0, **settings: Any
    ) -> Limiter:
        wanted = LimitsSettings(**({"wait_seconds": 60.0} | settings))
        limiter = Limiter(on or home, ListPrices(), wanted, leave=leave)
        if started:
            limiter.start()
            made.append(limiter)
        return limiter

    yield build
    for limiter in made:
        limiter.close()
