"""Rows as tokens: the chat template's text, and which of its tokens are learnt. Training and preview share it."""

from collections.abc import Callable
from typing import Any

from penstock.core.errors import Invalid

MASKED = -100
"""Label of tokens that carry no loss (torch's ignore_index)."""

Encoded = tuple[list[int], list[bool]]
"""Token ids, and for each whether it is learnt."""

Messages = list[dict[str, str]]


def ids(tokenizer: Any, messages: Messages, *, opened: bool = False) -> list[int]:
    """Return the template's tokens; `opened` adds the start of the assistant's turn. Raises Invalid when it refuses."""
    try:
        found: list[int] = tokenizer.apply_chat_template(
            messages, add_generation_prompt=opened, tokenize=True, return_dict=False
        )
    except Exception as error:
        roles = ", ".join(turn["role"] for turn in messages)
        raise Invalid(f"The chat template refuses a conversation of {roles}: {error}.") from error
    return found


def shared(first: list[int], second: list[int]) -> int:
    """Return how many tokens two lists have in common at their start."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count


def answered(tokenizer: Any, messages: Messages, answer: str) -> Encoded:
    """Return prompt and answer with the answer learnt, from where it and the prompt part."""
    prompt = ids(tokenizer, messages, opened=True)
    whole = ids(tokenizer, [*messages, {"role": "assistant", "content": answer}])
    start = shared(prompt, whole)
    return whole, [place >= start for place in range(len(whole))]


def _every_answer(tokenizer: Any, messages: Messages, answer: str) -> Encoded:
    turns = [*messages, {"role": "assistant", "content": answer}]
    whole = ids(tokenizer, turns)
    learnt = [False] * len(whole)
    for place, turn in enumerate(turns):
        if turn["role"] == "assistant":
            start = shared(ids(tokenizer, turns[:place], opened=True), whole)
            end = shared(ids(tokenizer, turns[: place + 1]), whole)
            learnt[start:end] = [True] * max(0, end - start)
    return whole, learnt


def _everything(tokenizer: Any, messages: Messages, answer: str) -> Encoded:
    whole, _ = answered(tokenizer, messages, answer)
    return whole, [True] * len(whole)


_LOSS_ON: dict[str, Callable[[Any, Messages, str], Encoded]] = {
    "completion": answered,
    "answers": _every_answer,
    "all": _everything,
}


def row(tokenizer: Any, made: dict[str, Any], loss_on: str) -> Encoded:
    """Return an sft row as tokens; raises Invalid when nothing of it would be learnt."""
    found, learnt = _LOSS_ON[loss_on](tokenizer, made["messages"], made["completion"])
    if not any(learnt):
        raise Invalid("The chat template leaves nothing of the answer to learn.")
    return found, learnt


def labels(encoded: Encoded) -> list[int]:
    """Return the labels of a row: its tokens where they are learnt, MASKED elsewhere."""
    return [token if learnt else MASKED for token, learnt in zip(*encoded, strict=True)]


def text(tokenizer: Any, made: dict[str, Any]) -> list[int]:
    """Return running text as the tokenizer begins and ends it, with the end-of-text token after it in any case."""
    found: list[int] = tokenizer(made["text"])["input_ids"]
    end = tokenizer.eos_token_id
    return found if found[-1:] == [end] else [*found, end]


def views(tokenizer: Any, made: dict[str, Any], spec: dict[str, Any]) -> list[tuple[str, Encoded]]:
    """Return what the model sees of a row by the recipe's method, each part with its name.

    Of running text it is the first piece; of a row whose answer the model itself gives, the prompt.
    """
    if "text" in made:
        tokens = text(tokenizer, made)[: spec["max_length"]]
        return [("text", (tokens, [True] * len(tokens)))]
    if "references" in made or (spec["method"] == "distil" and spec["teacher"]["on_policy"]):
        prompt = ids(tokenizer, made["messages"], opened=True)
        return [("prompt", (prompt, [False] * len(prompt)))]
    if "chosen" in made:
        return both(tokenizer, made)
    if "good" in made:
        side = "good" if made["good"] else "bad"
        return [(side, answered(tokenizer, made["messages"], made["completion"]))]
    return [("answer", row(tokenizer, made, spec["loss_on"]))]


def both(tokenizer: Any, made: dict[str, Any]) -> list[tuple[str, Encoded]]:
    """Return a pair's better and worse answer, each with the prompt before it."""
    return [(side, answered(tokenizer, made["messages"], made[side])) for side in ("chosen", "rejected")]


def shown(tokenizer: Any, name: str, encoded: Encoded) -> dict[str, Any]:
    """Return a rendered row for people: text, its segments with whether they are learnt, and counts of tokens."""
    tokens, learnt = encoded
    segments: list[dict[str, Any]] = []
    start = 0
    for place in range(1, len(tokens) + 1):
        if place == len(tokens) or learnt[place] != learnt[start]:
            segments.append({"text": tokenizer.decode(tokens[start:place]), "trained": learnt[start]})
            start = place
    return {
        "name": name,
        "text": "".join(segment["text"] for segment in segments),
        "segments": segments if tokens else [],
        "tokens": len(tokens),
        "trained_tokens": sum(learnt),
    }
