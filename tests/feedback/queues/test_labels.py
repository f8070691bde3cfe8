"""What a queue's labels allow, and how answers are compared."""

from typing import Any

import msgspec
import pytest

from penstock.core.errors import Invalid
from penstock.feedback.queues import labels
from penstock.feedback.queues.model import QueueSpec

QUALITY = {"name": "quality", "type": "categorical", "options": ["good", "bad"]}
STARS = {"name": "stars", "type": "number", "range": [1, 5], "required": False}
TRUE = {"name": "true", "type": "boolean", "required": False}
FIX = {"name": "correction", "type": "correction", "required": False}
SIDE = {"name": "better", "type": "preference"}


def spec(*given: Any, **more: Any) -> QueueSpec:
    return msgspec.convert({"name": "q", "labels": list(given) or [QUALITY], **more}, QueueSpec)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (spec(name="a b"), "not a name"),
        (spec(name="items"), "not a name"),
        (spec(overlap=0), "overlap"),
        (spec(reserve_minutes=0), "reserve_minutes"),
        (spec(QUALITY, QUALITY), "a name of its own"),
        (spec({"name": "x", "type": "categorical", "options": ["one"]}), "different options"),
        (spec({"name": "x", "type": "number", "options": ["a", "b"]}), "Only categorical"),
        (spec({"name": "x", "type": "number", "range": [2, 1]}), "range"),
        (spec({"name": "x", "type": "text", "range": [1, 2]}), "range"),
        (spec({"name": "thumb", "type": "text"}), "type boolean"),
        (spec({**QUALITY, "key": "1"}, {**TRUE, "key": "1"}), "key of its own"),
        (spec(SIDE), "queue of pairs"),
        (spec(kind="pair"), "queue of pairs"),
        (spec(SIDE, FIX, kind="pair"), "correction"),
        (spec(source={"query": "", "dataset": "x"}), "one of"),
        (spec(source={"dataset": "x"}), "come from"),
        (spec(kind="row", source={"query": ""}), "come from"),
        (spec(source={"trace_ids": ["a"], "follow": True}), "follow"),
        (spec(source={"query": "", "share": 0}), "share"),
        (spec(gold=[{"values": {"quality": "good"}}]), "names a trace"),
        (spec(gold=[{"values": {"quality": "odd"}, "trace_id": "x"}]), "not an option"),
        (spec(QUALITY, FIX, gold=[{"values": {"correction": "x"}, "trace_id": "x"}]), "not texts"),
        (spec(SIDE, kind="pair", gold=[{"values": {"better": "a"}, "content": {"a": "1"}}]), "`a` and `b`"),
    ],
)
def test_a_queue_that_does_not_fit_is_refused(made: QueueSpec, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        labels.check_spec(made)


def test_answers_are_checked_by_type() -> None:
    asked = spec(QUALITY, STARS, TRUE, FIX).labels
    given = {"correction": "x", "true": False, "stars": 4, "quality": "good"}
    assert labels.check_values(asked, given) == {
        "quality": "good",
        "stars": 4.0,
        "true": False,
        "correction": "x",
    }
    assert labels.check_values(asked, {"quality": "good", "stars": None}) == {"quality": "good"}
    wrong: list[dict[str, Any]] = [{"stars": 6}, {"stars": True}, {"true": 1}, {"correction": " "}]
    for values in wrong:
        with pytest.raises(Invalid):
            labels.check_values(asked, {"quality": "good", **values})


def test_disagreement_is_the_share_of_pairs_that_differ() -> None:
    asked = spec(QUALITY, STARS, FIX).labels
    assert labels.disagreement(asked, [{"quality": "good"}]) == 0
    assert labels.disagreement(asked, [{"quality": "good"}, {"quality": "bad"}]) == 1
    three = [{"quality": "good"}, {"quality": "bad"}, {"quality": "good"}]
    assert labels.disagreement(asked, three) == pytest.approx(2 / 3)
    numbers = [{"stars": 1.0, "correction": "x"}, {"stars": 3.0, "correction": "y"}]
    assert labels.disagreement(asked, numbers) == 0.5, "half of the range; texts do not count"


def test_consensus_needs_a_majority() -> None:
    asked = spec(QUALITY, STARS, FIX).labels
    three = [
        {"quality": "good", "stars": 1.0, "correction": "x"},
        {"quality": "bad", "stars": 2.0},
        {"quality": "good", "stars": 3.0, "correction": "y"},
    ]
    assert labels.consensus(asked, three) == {"quality": "good", "stars": 2.0, "correction": "y"}
    assert labels.consensus(asked, three[:2]) == {"stars": 1.5, "correction": "x"}


def test_gold_counts_the_labels_that_are_right() -> None:
    assert labels.gold_right({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}) == 0.5
