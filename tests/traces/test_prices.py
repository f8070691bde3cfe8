import pytest

from penstock.core.errors import Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.traces import prices, service
from penstock.traces.prices import OwnPrice, Price, Usage


def test_every_class_of_tokens_has_its_own_price() -> None:
    usage = Usage(input=1_000_000, cached=600_000, cache_write=100_000, output=100_000)
    found = prices.cost("claude-sonnet-4-5", "anthropic", usage)
    assert found is not None
    assert found.usd == pytest.approx(0.3 * 3 + 0.6 * 0.3 + 0.1 * 3.75 + 0.1 * 15)
    assert found.version == prices.book().version


def test_classes_without_a_price_cost_as_input() -> None:
    found = prices.amount(Price(input=10), Usage(input=100, cached=50, cache_write=25, output=7))
    assert found == pytest.approx(100 * 10 / 1e6)


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("openai/gpt-4o-mini", "gpt-4o-mini"),
        ("gpt-4-0613", "gpt-4"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5"),
        ("claude-3-5-haiku@20241022", "claude-3-5-haiku"),
        ("claude-3-5-sonnet-latest", "claude-3-5-sonnet"),
        ("models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("GPT-4.1", "gpt-4.1"),
    ],
)
def test_dated_and_prefixed_names_are_the_listed_model(name: str, listed: str) -> None:
    usage = Usage(input=1000, output=1000)
    assert prices.cost(name, None, usage) == prices.cost(listed, None, usage)
    assert prices.cost(listed, None, usage) is not None


@pytest.mark.parametrize("name", ["gpt-mock", "", None, "gpt-4o-minimax", "qwen3"])
def test_a_model_nobody_has_a_price_for_has_none(name: str | None) -> None:
    assert prices.cost(name, "openai", Usage(input=5)) is None


def test_models_on_one_s_own_machine_are_free_until_priced() -> None:
    free = prices.cost("triage", "local", Usage(input=5))
    assert free is not None
    assert free.usd == 0
    own = OwnPrice(id="prc_1", model="tri*", provider="local", price=Price(input=1_000_000))
    priced = prices.cost("triage", "local", Usage(input=5), [own])
    assert priced is not None
    assert (priced.usd, priced.version) == (5, "own:prc_1")


def test_the_most_exact_price_wins() -> None:
    made = [
        OwnPrice(id=str(number), model=model, provider=provider, price=Price(input=1))
        for number, (model, provider) in enumerate([("*", ""), ("a*", ""), ("abc", ""), ("*", "local")])
    ]
    assert [own.id for own in prices.ordered(made)] == ["3", "2", "1", "0"]


def test_the_book_is_sane() -> None:
    for model, price in prices.book().models.items():
        assert model == model.lower()
        prices.check_price(price)
        assert price.cached is None or price.cached <= price.input
    for target in prices.book().aliases.values():
        assert target in prices.book().models


def test_prices_are_put_listed_replaced_and_dropped(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        service.put_price(uow, actor, model="m", input_per_mtok=1, output_per_mtok=2)
        service.put_price(uow, actor, model="m", input_per_mtok=3)
        service.put_price(uow, actor.within("other"), model="m", input_per_mtok=9)
        (only,) = service.list_prices(uow, actor)
        assert only.price == Price(input=3, output=0)
        with pytest.raises(Invalid):
            service.put_price(uow, actor, model="m", input_per_mtok=-1)
        service.delete_price(uow, actor, model="m")
        assert service.list_prices(uow, actor) == ()
        assert len(service.list_prices(uow, actor.within("other"))) == 1
        with pytest.raises(NotFound):
            service.delete_price(uow, actor, model="m")
