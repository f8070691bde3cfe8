"""From rows to samples."""

from typing import Any

import pytest

from penstock.core.errors import Invalid
from penstock.evals.samples import make_samples
from penstock.evals.suite import Columns

USER = {"role": "user", "content": "q"}


@pytest.mark.parametrize(
    ("row", "messages", "references"),
    [
        ({"prompt": "q", "completion": "a"}, (USER,), ("a",)),
        ({"question": "q", "answer": "a"}, (USER,), ("a",)),
        ({"instruction": "q", "input": "", "output": "a"}, (USER,), ("a",)),
        ({"messages": [USER, {"role": "assistant", "content": "a"}]}, (USER,), ("a",)),
        ({"messages": [USER], "expected": "a"}, (USER,), ("a",)),
        ({"prompt": [USER], "chosen": [{"role": "assistant", "content": "a"}]}, (USER,), ("a",)),
        ({"prompt": "q", "expected": ["a", "b"]}, (USER,), ("a", "b")),
        ({"prompt": "q", "expected": {"b": 1, "a": 2}}, (USER,), ('{"a":2,"b":1}',)),
        ({"prompt": "q", "messages": None, "completion": None}, (USER,), ()),
    ],
)
def test_usual_columns_are_found(row: dict[str, Any], messages: Any, references: Any) -> None:
    (sample,) = make_samples([("test", row)])
    assert (sample.messages, sample.references, sample.split) == (messages, references, "test")


def test_instruction_with_input() -> None:
    (sample,) = make_samples([("", {"instruction": "Sort", "input": "b a", "output": "a b"})])
    assert sample.messages[0]["content"] == "Sort\n\nb a"


def test_named_columns_and_a_system_message() -> None:
    columns = Columns(input="mail", expected="labels", id="number")
    (sample,) = make_samples(
        [("", {"mail": "q", "labels": "a", "number": 7})], columns=columns, system="be brief"
    )
    assert [m["role"] for m in sample.messages] == ["system", "user"]
    assert (sample.id, sample.expected) == ("7", "a")


def test_ids_are_stable_and_distinct() -> None:
    rows = [("", {"prompt": text}) for text in ("a", "b", "a")]
    first, second = make_samples(rows), make_samples(rows[::-1])
    assert first[2].id == f"{first[0].id}#2"
    assert {s.id for s in first} == {s.id for s in second}
    changed = make_samples([("", {"id": "x", "prompt": "a", "completion": "1"})])[0]
    other = make_samples([("", {"id": "x", "prompt": "a", "completion": "2"})])[0]
    assert changed.id == other.id
    assert changed.content_hash != other.content_hash


@pytest.mark.parametrize(
    ("row", "columns", "message"),
    [
        ({"foo": 1}, Columns(), "Row 1: No input was found among the columns foo"),
        ({"prompt": 5}, Columns(), "Row 1: An input must be"),
        ({"prompt": "x"}, Columns(input="mail"), "Row 1: The row has no column 'mail'"),
        ({"prompt": "x"}, Columns(id="number"), "Row 1 has no column 'number'"),
    ],
)
def test_rows_that_cannot_be_used_are_named(row: dict[str, Any], columns: Columns, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        make_samples([("", row)], columns=columns)
