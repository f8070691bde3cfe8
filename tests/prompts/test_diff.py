"""Comparing versions by word."""

from hypothesis import given
from hypothesis import strategies as st

from penstock.prompts.diff import compare, words
from penstock.prompts.model import Body, Kind


@given(st.text(max_size=120), st.text(max_size=120))
def test_pieces_rebuild_both_texts(before: str, after: str) -> None:
    pieces = words(before, after)
    assert "".join(p.text for p in pieces if p.op != "insert") == before
    assert "".join(p.text for p in pieces if p.op != "delete") == after


def test_only_parts_that_differ_are_told() -> None:
    old = Body(kind=Kind.TEXT, text="Answer briefly.", settings={"temperature": 0})
    new = Body(kind=Kind.TEXT, text="Answer very briefly.", settings={"temperature": 0})
    (change,) = compare(old, new)
    assert change.field == "content"
    assert [p.text for p in change.pieces if p.op == "insert"] == [" very"]
