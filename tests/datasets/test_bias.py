"""Group rates, mentions and before/after."""

from typing import Any

import pytest

from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import bias, cleaning, recipe, service
from penstock.datasets.bias import Question

TABLE = {("f", "yes"): 2, ("f", "no"): 8, ("m", "yes"): 6, ("m", "no"): 4}
ROWS: list[dict[str, Any]] = [
    {"g": group, "y": label, "t": "He is a nurse" if group == "m" else "the dog"}
    for (group, label), count in TABLE.items()
    for _ in range(count)
]
ASKED = Question(group="g", label="y", positive="yes")


def test_wilson_equals_the_published_value() -> None:
    # Newcombe 1998, Statistics in Medicine 17, table I: 81 of 263 and 15 of 148, method 3.
    low, high = bias.wilson(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    low, high = bias.wilson(15, 148)
    assert (round(low, 4), round(high, 4)) == (0.0624, 0.1605)


def test_rates_and_mentions() -> None:
    found = bias.report(ROWS, ASKED)
    rates = {one["group"]: (one["rows"], one["positive"], one["rate"]) for one in found["groups"]}
    assert rates == {"f": (10, 2, 0.2), "m": (10, 6, 0.6)}
    assert (found["gap"], found["ratio"], found["four_fifths"]) == (
        0.4,
        pytest.approx(1 / 3, abs=1e-6),
        False,
    )
    assert found["mentions"]["gender"]["words"] == {"first": 10, "second": 0}
    assert found["pairs"]["rows"] == 10
    assert found["pairs"]["examples"][0] == {"text": "He is a nurse", "swapped": "She is a nurse"}


def test_reweighing_and_swapping_move_the_figures(sqlite_home: Home, owner: Actor) -> None:
    service.ingest(sqlite_home, owner, name="loans", source=ROWS)
    steps = recipe.parse(
        [{"step": "reweigh", "group": "g", "label": "y"}, {"step": "swap", "columns": ["t"]}]
    )
    version = cleaning.clean(sqlite_home, owner, "loans", steps)
    before = bias.examine(sqlite_home, owner, "loans@1", ASKED)
    after = bias.examine(
        sqlite_home, owner, version.ref, Question(group="g", label="y", positive="yes", weight="weight")
    )
    moved = bias.compare(before, after)
    assert moved["ratio"] == [pytest.approx(1 / 3, abs=1e-6), pytest.approx(1, abs=1e-6)]
    assert moved["rate"]["f"] == [0.2, pytest.approx(0.4, abs=1e-6)]
    assert after["mentions"]["gender"]["words"] == {"first": 10, "second": 10}


def test_what_cannot_be_asked(sqlite_home: Home, owner: Actor) -> None:
    service.ingest(sqlite_home, owner, name="loans", source=ROWS)
    with pytest.raises(Invalid, match="has no column 'sex'"):
        bias.examine(sqlite_home, owner, "loans", Question(group="sex"))
    with pytest.raises(Invalid, match="which value"):
        bias.examine(sqlite_home, owner, "loans", Question(group="g", label="y"))
    with pytest.raises(Invalid, match="no number"):
        bias.examine(sqlite_home, owner, "loans", Question(group="g", weight="t"))
