import dataclasses
from importlib.resources import files

import pytest

from penstock.core.errors import Denied, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.traces import prices, service
from penstock.traces.prices import OwnPrice, Price, Tier, Usage


def test_every_class_of_tokens_has_its_own_price() -> None:
    usage = Usage(input=1_000_000, cached=600_000, cache_write=100_000, output=100_000)
    found = prices.cost("claude-sonnet-4-6", "anthropic", usage)
    assert found is not None
    assert found.usd == pytest.approx(0.3 * 3 + 0.6 * 0.3 + 0.1 * 3.75 + 0.1 * 15)
    assert found.version == prices.book().version


ALL = Price(
    input=2,
    output=8,
    cached=0.5,
    cache_write=2.5,
    cache_write_1h=4,
    audio_input=32,
    image_input=3,
    reasoning=10,
    audio_output=64,
    image_output=40,
    image=0.04,
    request=0.01,
    batch=0.5,
)


def test_disjoint_parts_of_input_and_output_add_up() -> None:
    usage = Usage(
        input=1000,
        cached=100,
        cache_write=200,
        cache_write_1h=50,
        audio_input=30,
        image_input=20,
        output=500,
        reasoning=300,
        audio_output=40,
        image_output=10,
        images=2,
    )
    # 600 fresh, 150 plain
    given = 600 * 2 + 100 * 0.5 + 200 * 2.5 + 50 * 4 + 30 * 32 + 20 * 3
    made = 150 * 8 + 300 * 10 + 40 * 64 + 10 * 40
    assert prices.amount(ALL, usage) == pytest.approx((given + made) / 1e6 + 2 * 0.04 + 0.01)
    batched = dataclasses.replace(usage, batch=True)
    assert prices.amount(ALL, batched) == pytest.approx((given + made) / 2e6 + 2 * 0.04 + 0.01)


def test_finer_classes_fall_back_to_the_coarser_ones() -> None:
    plain = Price(input=2, output=8, cache_write=2.5)
    usage = Usage(
        input=100, cache_write_1h=10, audio_input=20, output=50, reasoning=30, audio_output=5, batch=True
    )
    assert prices.amount(plain, usage) == pytest.approx((90 * 2 + 10 * 2.5 + 50 * 8) / 1e6)


def test_counts_without_the_finer_classes_are_enough() -> None:
    @dataclasses.dataclass
    class Coarse:
        input: int = 100
        output: int = 10
        cached: int = 40
        cache_write: int = 0

    assert prices.amount(ALL, Coarse()) == pytest.approx((60 * 2 + 40 * 0.5 + 10 * 8) / 1e6 + 0.01)


@pytest.mark.parametrize(
    ("given", "usd"),
    [
        (200_000, 0.2 * 1.25 + 0.001 * 10),
        (200_001, 0.200001 * 2.5 + 0.001 * 15),
        (900_000, 0.9 * 2.5 + 0.001 * 15),
    ],
)
def test_a_long_prompt_costs_the_prices_of_its_tier_throughout(given: int, usd: float) -> None:
    found = prices.cost("gemini-2.5-pro", "google", Usage(input=given, output=1000))
    assert found is not None
    assert found.usd == pytest.approx(usd)


def test_cached_input_counts_for_the_tier_and_has_its_price() -> None:
    found = prices.cost(
        "claude-sonnet-4-5", None, Usage(input=300_000, cached=250_000, cache_write_1h=20_000)
    )
    assert found is not None
    assert found.usd == pytest.approx(0.03 * 6 + 0.25 * 0.6 + 0.02 * 12)


def test_the_last_tier_that_is_passed_holds_and_what_it_leaves_out_stays() -> None:
    tiers = (Tier(above=10, input=2), Tier(above=20, input=3))
    price = Price(input=1, output=5, tiers=tiers)
    for given, each in ((10, 1), (11, 2), (20, 2), (21, 3)):
        assert prices.amount(price, Usage(input=given, output=1)) == pytest.approx((given * each + 5) / 1e6)


def test_a_batch_costs_half_where_the_provider_says_so() -> None:
    whole, half = (
        prices.cost("gpt-4o-mini", None, Usage(input=10_000, output=1000, batch=batch))
        for batch in (False, True)
    )
    assert whole is not None
    assert half is not None
    assert whole.usd == pytest.approx(0.01 * 0.15 + 0.001 * 0.6)
    assert half.usd == pytest.approx(whole.usd / 2)


def test_speech_costs_more_than_text() -> None:
    found = prices.cost("gpt-audio", None, Usage(input=1100, audio_input=1000, output=250, audio_output=200))
    assert found is not None
    assert found.usd == pytest.approx((100 * 2.5 + 1000 * 32 + 50 * 10 + 200 * 64) / 1e6)


@pytest.mark.parametrize(
    "price",
    [
        Price(input=-1),
        Price(input=1, audio_input=2e6),
        Price(input=float("nan")),
        Price(input=1, batch=1.5),
        Price(input=1, tiers=(Tier(above=5), Tier(above=5))),
        Price(input=1, tiers=(Tier(above=0),)),
        Price(input=1, tiers=(Tier(above=5, cached=-1),)),
    ],
)
def test_what_is_no_price_is_refused(price: Price) -> None:
    with pytest.raises(Invalid):
        prices.check_price(price)


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


def test_a_name_without_its_date_is_meant_for_all_its_dates() -> None:
    own = prices.ordered(
        [
            OwnPrice(id="base", model="GPT-4o", provider="", price=Price(input=1)),
            OwnPrice(id="dated", model="gpt-4o-2024-08-06", provider="", price=Price(input=2)),
            OwnPrice(id="all", model="*", provider="", price=Price(input=3)),
        ]
    )
    for name, wanted in (
        ("gpt-4o-2024-11-20", "base"),
        ("openai/gpt-4o-2024-08-06", "dated"),
        ("gpt-4o-mini", "all"),
    ):
        found = prices.price_of(name, "openai", own)
        assert found is not None
        assert found[1] == f"own:{wanted}"


def test_every_version_of_a_price_stays_readable(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        first = service.set_price(uow, actor, model="m", price=Price(input=1, reasoning=4))
    with home.begin() as uow:
        second = service.set_price(uow, actor, model="m", price=Price(input=2))
        service.set_price(uow, actor.within("other"), model="m", price=Price(input=9))
    with home.read() as uow:
        newest, oldest = service.price_history(uow, actor, model="m")
        assert (newest.id, newest.until) == (second.id, None)
        assert (oldest.id, oldest.price) == (first.id, Price(input=1, reasoning=4))
        assert oldest.until == newest.since
        shown = service.show_price(uow, actor, model="m")
        assert (shown.version, shown.price.input) == (f"own:{second.id}", 2)
        assert service.price_history(uow, actor, model="m", limit=1) == [newest]


def test_an_import_is_all_or_nothing_and_may_replace(home: Home, actor: Actor) -> None:
    good = b'{"prices":[{"model":"a","price":{"input":1}},{"model":"b","provider":"p","price":{"input":2}}]}'
    with home.begin() as uow:
        service.set_price(uow, actor, model="old", price=Price(input=5))
        assert len(service.import_prices(uow, actor, document=good)) == 2
        assert {own.model for own in service.list_prices(uow, actor)} == {"a", "b", "old"}
        service.import_prices(uow, actor, document=good, replace=True)
        assert {own.model for own in service.list_prices(uow, actor)} == {"a", "b"}
    for bad in (
        b"{",
        b'{"prices":[{"model":"c","price":{"input":1}},{"model":"d","price":{"input":-1}}]}',
        b'{"prices":[{"model":"c","price":{"input":1}},{"model":"c","price":{"input":2}}]}',
        b'{"prices":[{"model":"c","price":{"inputs":1}}]}',
    ):
        with pytest.raises(Invalid), home.begin() as uow:
            service.import_prices(uow, actor, document=bad)
    with home.read() as uow:
        assert {own.model for own in service.list_prices(uow, actor)} == {"a", "b"}


def test_the_book_itself_can_be_imported(home: Home, actor: Actor) -> None:
    document = files("penstock.traces").joinpath("prices.json").read_bytes()
    with home.begin() as uow:
        made = service.import_prices(uow, actor, document=document)
        assert len(made) > 200
        shown = service.show_price(uow, actor, model="gpt-oss-20b", provider="groq")
    assert shown.own is not None
    assert (shown.price.input, shown.own.provider) == (0.075, "groq")


def test_only_administrators_set_prices(home: Home, actor: Actor) -> None:
    viewer = dataclasses.replace(actor, role=Role.MEMBER)
    with home.begin() as uow, pytest.raises(Denied):
        service.set_price(uow, viewer, model="m", price=Price(input=1))


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
