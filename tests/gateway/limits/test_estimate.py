"""Reservations: the dearest target, cut and default sizes, prices that are missing."""

import pytest

from penstock.core.errors import Unavailable
from penstock.core.scope import Scope
from penstock.gateway.limits.estimate import Estimator
from penstock.gateway.limits.settings import LimitsSettings
from penstock.traces.prices import Cost, Usage
from tests.gateway.limits.conftest import ListPrices


class Tiered:
    """$1 per million tokens, $3 above 200,000; cache writes cost half more; `unknown` has no price."""

    def __init__(self) -> None:
        self.asked = 0
        self.broken = False

    def cost(self, scope: Scope, model: str | None, provider: str | None, usage: Usage) -> Cost | None:
        self.asked += 1
        if self.broken:
            raise Unavailable("The database cannot be reached.")
        if model == "unknown":
            return None
        price = 3.0 if usage.input + usage.output > 200_000 else 1.0
        return Cost((usage.input + usage.output + usage.cache_write / 2) * price / 1e6, "test")


SETTINGS = LimitsSettings(bytes_per_token=4.0, most_input_tokens=1000, default_output_tokens=500)


def test_the_dearest_kind_of_token_is_reserved() -> None:
    ask = Estimator(Tiered(), SETTINGS).ask(Scope(), (("p", "m"),), body_bytes=396, max_output_tokens=50)
    assert (ask.input_tokens, ask.max_output_tokens) == (100, 50)
    assert ask.usd == pytest.approx((100 * 4.5 + 50 * 3) / 1e6)


def test_the_dearest_target_counts_and_prices_are_read_once() -> None:
    estimator = Estimator(ListPrices(), SETTINGS)
    cheap, dear = ("openai", "gpt-4o-mini"), ("openai", "gpt-4o")
    asks = [
        estimator.ask(Scope(), targets, body_bytes=400, max_output_tokens=10)
        for targets in ((cheap,), (dear,), (cheap, dear))
    ]
    assert asks[0].usd is not None and asks[1].usd is not None
    assert asks[0].usd < asks[1].usd == asks[2].usd
    pricer = Tiered()
    counted = Estimator(pricer, SETTINGS)
    for _ in range(3):
        counted.ask(Scope(), (cheap,), body_bytes=1, max_output_tokens=1)
    assert pricer.asked == 8


def test_large_bodies_are_cut_and_missing_maxima_have_a_default() -> None:
    ask = Estimator(Tiered(), SETTINGS).ask(Scope(), (("p", "m"),), body_bytes=10**7, max_output_tokens=None)
    assert (ask.input_tokens, ask.max_output_tokens) == (1000, 500)


def test_a_target_without_a_price_leaves_the_cost_open() -> None:
    estimator = Estimator(Tiered(), SETTINGS)
    assert (
        estimator.ask(Scope(), (("p", "m"), ("p", "unknown")), body_bytes=9, max_output_tokens=1).usd is None
    )
    local = Estimator(ListPrices(), SETTINGS).ask(
        Scope(), (("local", "mine"),), body_bytes=9, max_output_tokens=1
    )
    assert local.usd == 0.0


def test_the_list_stands_in_while_prices_cannot_be_read() -> None:
    pricer = Tiered()
    pricer.broken = True
    estimator = Estimator(pricer, SETTINGS)
    targets = (("openai", "gpt-4o"),)
    listed = Estimator(ListPrices(), SETTINGS).ask(Scope(), targets, body_bytes=9, max_output_tokens=1)
    assert estimator.ask(Scope(), targets, body_bytes=9, max_output_tokens=1) == listed
    pricer.broken = False
    estimator.refresh()
    assert estimator.ask(Scope(), targets, body_bytes=9, max_output_tokens=1) != listed
