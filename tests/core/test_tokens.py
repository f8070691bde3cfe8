"""The rule of thumb for tokens."""

import pytest

from penstock.core.tokens import by_thumb


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("a" * 400, 100), ("fives", 2), ("漢字" * 10, 20), ("привет", 3), ("four 漢", 3), ("", 0)],
)
def test_the_rule_of_thumb_follows_the_alphabet(text: str, tokens: int) -> None:
    assert by_thumb(text) == tokens
