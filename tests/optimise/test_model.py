"""The choice: pure rules."""

from typing import Any

import pytest

from penstock.core.errors import Invalid
from penstock.optimise.model import (
    Choice,
    Figures,
    OptimiseState,
    Quality,
    Trial,
    Variant,
    choose,
    is_worse,
    pareto,
)


def quality(**changes: Any) -> Quality:
    values = {"metric": "exact", "value": 0.8, "low": 0.7, "high": 0.9, "n": 100, "eval_run": "evr_1"}
    return Quality(**{**values, "higher_is_better": True, **changes})


def variant(position: int, speed: float, value: float, **changes: Any) -> Variant:
    figures = Figures(
        size_bytes=100 - position,
        load_s=1,
        start_s=2,
        memory_bytes=10,
        tokens_per_s=speed,
        first_token_s=0.1,
        prompts=3,
        tokens=9,
    )
    judged = quality(value=value, worse=changes.pop("worse", False))
    return Variant(
        position=position,
        method="gguf",
        options={},
        state=OptimiseState.SUCCEEDED,
        version=f"m@{position}",
        figures=changes.get("figures", figures),
        quality=changes.get("quality", judged),
    )


@pytest.mark.parametrize(
    ("difference", "choice", "worse"),
    [
        ({"delta": -0.1, "delta_low": -0.2, "delta_high": -0.01, "p_value": 0.01}, Choice(), True),
        ({"delta": -0.1, "delta_low": -0.3, "delta_high": 0.1, "p_value": 0.2}, Choice(), False),
        ({"delta": 0.1, "delta_low": 0.02, "delta_high": 0.2, "p_value": 0.01}, Choice(), False),
        ({"delta": -0.1, "delta_low": -0.3, "delta_high": 0.1, "p_value": 0.2}, Choice(margin=0.2), True),
        ({"delta": 0.0, "delta_low": -0.1, "delta_high": 0.1, "p_value": 1.0}, Choice(margin=0.2), False),
        ({"delta": 0.0, "delta_low": None, "delta_high": None, "p_value": 1.0}, Choice(margin=0.2), True),
        ({"delta": -0.1, "delta_low": -0.2, "delta_high": 0.0, "p_value": 0.08}, Choice(alpha=0.1), True),
        ({}, Choice(), True),
    ],
)
def test_worse(difference: dict[str, Any], choice: Choice, worse: bool) -> None:
    assert is_worse(quality(**difference), choice) is worse


def test_worse_the_other_way_round() -> None:
    lower = {"higher_is_better": False}
    up = {"delta": 0.1, "delta_low": 0.01, "delta_high": 0.2, "p_value": 0.01}
    assert is_worse(quality(**up, **lower), Choice()) is True
    down = {"delta": -0.1, "delta_low": -0.2, "delta_high": -0.01, "p_value": 0.01}
    assert is_worse(quality(**down, **lower), Choice()) is False
    wide = {"delta": 0.0, "delta_low": -0.1, "delta_high": 0.3, "p_value": 0.9}
    assert is_worse(quality(**wide, **lower), Choice(margin=0.2)) is True


def test_the_cheapest_of_those_that_are_fit() -> None:
    parent = variant(0, 50, 0.8)
    tried = (variant(1, 200, 0.8), variant(2, 300, 0.79), variant(3, 400, 0.5, worse=True))
    assert choose(parent, tried, Choice())[0] == "m@2"
    assert choose(parent, tried, Choice(by="size_bytes"))[0] == "m@2"
    assert choose(parent, (variant(1, 20, 0.8),), Choice())[0] == "m@0", "the parent may be the cheapest"
    assert choose(parent, (variant(1, 50, 0.8),), Choice())[0] == "m@1", "the smaller one wins a draw"
    assert choose(parent, (variant(1, 90, 0.8, quality=None),), Choice())[0] is None
    assert choose(variant(0, 50, 0.8, quality=None), tried, Choice()) == (
        None,
        "Nothing was chosen: without a suite, quality was not judged.",
    )


def test_the_edge_of_the_trade_off() -> None:
    parent = variant(0, 50, 0.8)
    tried = (variant(1, 200, 0.8), variant(2, 300, 0.7), variant(3, 250, 0.6), variant(4, 10, 0.9))
    assert pareto(parent, tried, "tokens_per_s") == (1, 2, 4)
    assert pareto(variant(0, 1, 1, quality=None), (), "size_bytes") == ()


@pytest.mark.parametrize(
    ("noun", "values", "why"),
    [
        (Choice, {"by": "tokens"}, "no cost to choose by"),
        (Choice, {"alpha": 1.0}, "alpha"),
        (Choice, {"margin": -1.0}, "margin"),
        (Trial, {"tokens": 1}, "tokens must be between 2"),
        (Trial, {"threads": 0}, "threads must be between 1"),
    ],
)
def test_what_cannot_be_is_refused(noun: Any, values: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        noun(**values)
