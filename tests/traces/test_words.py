"""Words as the index is told them: the quick ways find what the pattern finds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.traces import words


def told(text: str) -> set[str]:
    return set(words.indexed(text, 7).split())


def expected(text: str) -> set[str]:
    return {words.marked(word, 7) for word in words.split(text)}


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "Where is my parcel?",
        "snake_case, kebab-case; e.g. x=1",
        "it’s naïve – ‘done’ in Straße İstanbul ﬁt 中文 ②",
        "no\xa0break\u2003space\x1cfile\x00nul",
        "A" * 70 + " " + "é" * 70 + " " + "a" * 64,
    ],
)
def test_words_of_a_text(text: str) -> None:
    assert told(text) == expected(text)


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_words_of_any_text(text: str) -> None:
    assert told(text) == expected(text)


@given(st.text(st.characters(max_codepoint=127), max_size=200))
def test_words_of_any_ascii(text: str) -> None:
    assert told(text) == expected(text)


def test_attributes_stand_beside_the_words_and_alone() -> None:
    pair = ("order.id", "5")
    attributes = {words.of_attribute(*pair, 7), words.of_attribute_key("order.id", 7)}
    assert set(words.indexed("parcel", 7, [pair, pair]).split()) == {"q7qparcel"} | attributes
    assert set(words.indexed("", 7, [pair]).split()) == attributes
