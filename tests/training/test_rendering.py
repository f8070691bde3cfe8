"""The loss mask: what of a rendered row is learnt."""

from typing import Any

import pytest

from penstock.core.errors import Invalid
from penstock.training.trainers import rendering

USER, BOT = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}


class Letters:
    """A tokenizer whose tokens are letters."""

    eos_token_id = ord("$")

    def __init__(self, opening: str = "a:") -> None:
        self._opening = opening

    def apply_chat_template(
        self, turns: list[dict[str, str]], *, add_generation_prompt: bool, **_: Any
    ) -> list[int]:
        if turns and turns[0]["role"] == "tool":
            raise ValueError("tool first")
        text = "".join(f"{turn['role'][0]}:{turn['content']};" for turn in turns)
        return [ord(letter) for letter in text + (self._opening if add_generation_prompt else "")]

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": [ord(letter) for letter in text]}

    def decode(self, tokens: list[int]) -> str:
        return "".join(map(chr, tokens))


def _learnt(encoded: rendering.Encoded) -> str:
    return "".join(chr(token) if learnt else "." for token, learnt in zip(*encoded, strict=True))


@pytest.mark.parametrize(
    ("loss_on", "learnt"),
    [
        ("completion", ".................no;"),
        ("answers", ".......yo;.......no;"),
        ("all", "u:hi;a:yo;u:hi;a:no;"),
    ],
)
def test_the_recipe_says_what_is_learnt(loss_on: str, learnt: str) -> None:
    row = {"messages": [USER, BOT, USER], "completion": "no"}
    assert _learnt(rendering.row(Letters(), row, loss_on)) == learnt


def test_a_template_that_opens_answers_differently_is_learnt_from_where_they_part() -> None:
    row = {"messages": [USER], "completion": "no"}
    assert _learnt(rendering.row(Letters(opening="a:<think>"), row, "completion")) == ".......no;"


def test_labels_are_masked_elsewhere() -> None:
    assert rendering.labels(([7, 8], [False, True])) == [rendering.MASKED, 8]


def test_a_refusing_template_is_told() -> None:
    row = {"messages": [{"role": "tool", "content": "x"}], "completion": "no"}
    with pytest.raises(Invalid, match=r"refuses a conversation of tool: tool first"):
        rendering.row(Letters(), row, "completion")


def test_every_method_has_its_view() -> None:
    spec = {"method": "sft", "loss_on": "completion", "max_length": 4, "teacher": {"on_policy": False}}
    answer = {"messages": [USER], "completion": "no"}
    pair = {"messages": [USER], "chosen": "yo", "rejected": "no"}

    def seen(row: dict[str, Any], **changes: Any) -> list[tuple[str, str]]:
        views = rendering.views(Letters(), row, {**spec, **changes})
        return [(name, _learnt(encoded)) for name, encoded in views]

    assert seen(answer) == [("answer", ".......no;")]
    assert seen(pair) == [("chosen", ".......yo;"), ("rejected", ".......no;")]
    assert seen({**answer, "good": False}) == [("bad", ".......no;")]
    assert seen({**answer, "good": True}) == [("good", ".......no;")]
    assert seen({"messages": [USER], "references": []}) == [("prompt", ".......")]
    assert seen(answer, method="distil", teacher={"on_policy": True}) == [("prompt", ".......")]
    assert seen({"text": "hello"}) == [("text", "hell")]
    assert seen({"text": "hi"}) == [("text", "hi$")]


def test_segments_join_to_the_text() -> None:
    shown = rendering.shown(Letters(), "answer", rendering.answered(Letters(), [USER], "no"))
    assert shown["segments"] == [{"text": "u:hi;a:", "trained": False}, {"text": "no;", "trained": True}]
    assert (shown["text"], shown["tokens"], shown["trained_tokens"]) == ("u:hi;a:no;", 10, 3)
    assert rendering.shown(Letters(), "text", ([], []))["segments"] == []
