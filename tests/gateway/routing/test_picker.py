"""The order of targets."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from penstock.gateway.routing.picker import Least, Ordered, Sticky, Weighted


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


def test_peeking_takes_no_turn() -> None:
    picker = Weighted([("a", 1.0), ("b", 1.0)])
    firsts = []
    for _ in range(4):
        picker.peek()
        firsts.append(picker.order()[0])
    assert firsts == ["a", "b", "a", "b"]


def test_the_smallest_per_weight_is_first_and_equals_take_turns() -> None:
    busy = {"a": 0.0, "b": 0.0, "c": 9.0}
    picker = Least([("a", 1.0), ("b", 1.0), ("c", 1.0), ("never", 0.0)], lambda item: busy[item])
    assert Counter(picker.order()[0] for _ in range(9)).keys() == {"a", "b"}
    assert "never" not in picker.order()
    busy |= {"a": 4.0, "b": 4.0}
    heavy = Least([("a", 1.0), ("b", 4.0)], lambda item: busy[item])
    assert {heavy.order()[0] for _ in range(4)} == {"b"}


USERS = [f"user:{number}" for number in range(3000)]


def _homes(weights: dict[str, float]) -> dict[str, str]:
    picker = Sticky(list(weights.items()), list(weights))
    return {user: picker.order(user)[0] for user in USERS}


def test_a_user_stays_and_shares_follow_the_weights() -> None:
    homes = _homes({"a": 1.0, "b": 3.0})
    assert homes == _homes({"b": 3.0, "a": 1.0}), "the order of targets does not matter"
    assert abs(list(homes.values()).count("b") / len(USERS) - 0.75) < 0.03


@given(st.lists(st.floats(0.5, 10), min_size=2, max_size=5), st.integers(0, 4), st.floats(1.05, 4))
def test_a_heavier_target_only_wins_users(weights: list[float], index: int, factor: float) -> None:
    """Only users of others move, only to the heavier one, and not more than its share grows (plus sampling noise)."""
    index %= len(weights)
    before = {str(number): weight for number, weight in enumerate(weights)}
    after = before | {str(index): before[str(index)] * factor}
    moved = [
        (old, new)
        for old, new in zip(_homes(before).values(), _homes(after).values(), strict=True)
        if old != new
    ]
    assert all(new == str(index) for _, new in moved)
    grows = after[str(index)] / sum(after.values()) - before[str(index)] / sum(before.values())
    assert len(moved) / len(USERS) <= grows + 0.05


def test_a_target_that_goes_moves_only_its_own_users() -> None:
    before, after = _homes({"a": 1.0, "b": 1.0, "c": 1.0}), _homes({"a": 1.0, "b": 1.0})
    assert all(before[user] == "c" for user in USERS if before[user] != after[user])


def test_without_a_token_it_spreads() -> None:
    picker = Sticky([("a", 1.0), ("b", 1.0)], ["a", "b"])
    assert [picker.order()[0] for _ in range(4)] == ["a", "b", "a", "b"]
    assert len(picker.peek()) == len(picker.peek("user:1")) == 2
