import threading
import time
from collections.abc import Callable

import pytest

from penstock.core import clock
from penstock.core.errors import Unavailable
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.traces import service
from penstock.traces.model import SpanRecord
from penstock.traces.prices import Price, Usage
from penstock.traces.pricing import PriceTable


def _until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.traces.pricing._REFRESH_SECONDS", 0.01)


def test_a_price_is_found_once_and_then_remembered(home: Home, actor: Actor) -> None:
    table = PriceTable(home)
    first = table.price_of(actor.scope, "gpt-4o-mini", "openai")
    assert first is not None
    assert table.price_of(actor.scope, "gpt-4o-mini", "openai") is first
    assert table.price_of(actor.scope, "nobody", "openai") is None
    found = table.cost(actor.scope, "gpt-4o-mini", "openai", Usage(input=1_000_000))
    assert found is not None
    assert found.usd == pytest.approx(0.15)


@pytest.mark.usefixtures("hurried")
def test_changes_show_and_projects_are_apart(home: Home, actor: Actor) -> None:
    table, elsewhere = PriceTable(home), actor.within("other").scope
    assert table.price_of(actor.scope, "m", "p") is None
    assert table.price_of(elsewhere, "m", "p") is None
    with home.begin() as uow:
        own = service.set_price(uow, actor, model="m", price=Price(input=7))
    _until(lambda: table.price_of(actor.scope, "m", "p") == (Price(input=7), f"own:{own.id}"))
    assert table.price_of(elsewhere, "m", "p") is None
    with home.begin() as uow:
        service.delete_price(uow, actor, model="m")
    _until(lambda: table.price_of(actor.scope, "m", "p") is None)


@pytest.mark.usefixtures("hurried")
def test_prices_stay_while_the_database_is_away(sqlite_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    table = PriceTable(sqlite_home)
    scope = Scope()
    table.price_of(scope, "gpt-4o", None)
    asked: list[float] = []

    def away(_topic: str) -> int:
        asked.append(clock.monotonic())
        raise Unavailable("The database is away.")

    monkeypatch.setattr(sqlite_home, "revision", away)
    _until(lambda: table.price_of(scope, "gpt-4o", None) is not None and len(asked) > 1)
    assert table.price_of(scope, "gpt-4o", None) is not None
    for thread in threading.enumerate():
        if thread.name == "penstock-prices":
            thread.join(60)


def test_what_the_gateway_priced_stays_and_what_others_say_gives_way_to_own_prices(
    home: Home, actor: Actor
) -> None:
    with home.begin() as uow:
        own = service.set_price(uow, actor, model="m", price=Price(input=10))
    table = PriceTable(home)

    def span(cost: float | None, version: str | None) -> SpanRecord:
        return table.priced(
            actor.scope,
            SpanRecord(
                trace_id="0" * 31 + "1",
                span_id="0" * 15 + "1",
                name="chat",
                kind="llm",
                start_ns=1,
                end_ns=2,
                model="m",
                input_tokens=100,
                cost_usd=cost,
                price_version=version,
            ),
        )

    assert (span(5.0, "own:prc_x").cost_usd, span(5.0, "own:prc_x").price_version) == (5.0, "own:prc_x")
    assert span(5.0, "given").cost_usd == pytest.approx(0.001)
    assert span(None, None).price_version == f"own:{own.id}"
