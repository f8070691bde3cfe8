"""Rewards: scorers of evaluations on answers, and what cannot be one."""

import pytest

from penstock.core.errors import Invalid
from penstock.training import rewards
from penstock.training.sections import Reward

ROW = {"messages": [{"role": "user", "content": "x"}], "references": ["category: a\npriority: b"], "row": {}}


def test_a_scorer_says_what_an_answer_is_worth() -> None:
    exact, fields, one = rewards.scorers(
        [Reward(scorer="exact"), Reward(scorer="fields"), Reward(scorer="fields", metric="fields.priority")]
    )
    assert exact
    assert fields
    assert one
    half = "category: c\npriority: b"
    assert [judge.figure(ROW, 0, half) for judge in (exact, fields, one)] == [0.0, 0.5, 1.0]
    assert exact.figure(ROW, 0, ROW["references"][0]) == 1.0  # type: ignore[index]


def test_a_model_is_left_to_the_trainer() -> None:
    assert rewards.scorers([Reward(model="r@1")]) == [None]
    assert rewards.terms([{"model": "r@1", "weight": 2.0}]) == [Reward(model="r@1", weight=2.0)]


def test_what_cannot_reward_is_refused() -> None:
    with pytest.raises(Invalid, match="asks somebody"):
        rewards.check([Reward(scorer="judge", options={"criteria": "nice"})])
    with pytest.raises(Invalid, match="'exactly'"):
        rewards.check([Reward(scorer="exactly")])
    with pytest.raises(Invalid, match="wrong options"):
        rewards.check([Reward(scorer="exact", options={"x": 1})])


def test_rows_without_a_figure_are_named() -> None:
    bare = {**ROW, "references": []}
    (found,) = rewards.problems([Reward(scorer="exact")], [ROW, bare])
    assert (found.row, "gives no 'exact' (it gives nothing)" in found.message) == (2, True)
    (found,) = rewards.problems([Reward(scorer="fields", metric="fields.x")], [ROW])
    assert "it gives fields, fields.category, fields.priority" in found.message
