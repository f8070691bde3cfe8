"""The order of targets."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from penstock.gateway.routing.picker import Ordered, Weighted


@given(st.lists(st.integers(0, 20), min_size=1, max_size=6).filter(any))
def test_shares_are_exact_over_a_round(weights: list[int]) -> None:
    picker = Weighted([(index, float(weight)) for index, weight in enumerate(weights)])
    firsts = Counter(picker.order()[0] for _ in range(sum(weights)))
    if len(weights) > 1:
        assert firsts == Counter({index: weight for index, weight in enumerate(weights) if weight})


def test_no_long_runs() -> None:
    picker = Weighted([("a", 5.0), ("b", 1.0), ("c", 1.0)])
    assert "".join(picker.order()[0] for _ in range(7)) == "aabacaa"


def test_spares_follow_and_order_is_kept() -> None:
    assert set(Weighted([("a", 1.0), ("b", 1.0), ("c", 0.0)]).order()) == {"a", "b"}
    ordered = Ordered(["a", "b"])
    assert [tuple(ordered.order()) for _ in range(3)] == [("a", "b")] * 3
