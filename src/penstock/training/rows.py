"""Training rows: checked and brought to one shape before anything is loaded.

Every row becomes conversational: `messages` (list of role and content) and `completion` for sft, `messages`,
`chosen` and `rejected` for dpo; the tokenizer's own chat template then writes the text.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from penstock.core.errors import Invalid
from penstock.training.recipe import Columns

ROLES = ("system", "user", "assistant", "tool")
SHOWN = 10
"""Bad rows named in an error; the rest are counted."""

Row = dict[str, Any]


def _text(row: Mapping[str, Any], column: str) -> str:
    value = row.get(column)
    if not isinstance(value, str):
        kind = "missing" if column not in row else type(value).__name__
        raise ValueError(f"column {column!r} must be text (it is {kind})")
    if not value.strip():
        raise ValueError(f"column {column!r} is empty")
    return value


def _messages(value: Any, column: str) -> list[dict[str, str]]:
    if isinstance(value, str):
        if not value.strip():
            raise ValueError(f"column {column!r} is empty")
        return [{"role": "user", "content": value}]
    if not isinstance(value, list) or not value:
        raise ValueError(f"column {column!r} must be text or a list of messages")
    found = []
    for message in value:
        if not isinstance(message, Mapping) or message.get("role") not in ROLES:
            raise ValueError(f"column {column!r} holds a message whose role is not one of {', '.join(ROLES)}")
        if not isinstance(message.get("content"), str):
            raise ValueError(f"column {column!r} holds a message without text")
        found.append({"role": str(message["role"]), "content": str(message["content"])})
    return found


def _answer(row: Mapping[str, Any], column: str) -> str:
    value = row.get(column)
    if isinstance(value, list):
        turns = _messages(value, column)
        if len(turns) != 1 or turns[0]["role"] != "assistant":
            raise ValueError(f"column {column!r} must be one assistant message")
        return turns[0]["content"]
    return _text(row, column)


def sft_row(row: Mapping[str, Any], columns: Columns) -> Row:
    """Return `{messages, completion}`; raises ValueError that says what is wrong."""
    if "messages" in row and columns.prompt not in row:
        turns = _messages(row["messages"], "messages")
        if turns[-1]["role"] != "assistant" or len(turns) < 2:
            raise ValueError("'messages' must end with an assistant message that answers something")
        return {"messages": turns[:-1], "completion": turns[-1]["content"]}
    return {
        "messages": _messages(row.get(columns.prompt), columns.prompt),
        "completion": _answer(row, columns.completion),
    }


def dpo_row(row: Mapping[str, Any], columns: Columns) -> Row:
    """Return `{messages, chosen, rejected}`; raises ValueError that says what is wrong."""
    pair = {
        "messages": _messages(row.get(columns.prompt), columns.prompt),
        "chosen": _answer(row, columns.chosen),
        "rejected": _answer(row, columns.rejected),
    }
    if pair["chosen"] == pair["rejected"]:
        raise ValueError("chosen and rejected are the same")
    return pair


def check(rows: Iterable[Mapping[str, Any]], *, method: str, columns: Columns) -> list[Row]:
    """Return all rows in one shape; raises Invalid that names the bad rows, counted from 1, and why."""
    convert = dpo_row if method == "dpo" else sft_row
    good: list[Row] = []
    bad: list[str] = []
    wrong = 0
    for number, row in enumerate(rows, start=1):
        try:
            good.append(convert(row, columns))
        except ValueError as error:
            wrong += 1
            if len(bad) < SHOWN:
                bad.append(f"row {number}: {error}")
    if wrong:
        more = f" (and {wrong - len(bad)} more)" if wrong > len(bad) else ""
        raise Invalid(
            f"{wrong} of {wrong + len(good)} rows cannot be trained on: {'; '.join(bad)}{more}.",
            hint="Name the right columns in the recipe, or fix the rows; nothing was run.",
        )
    if not good:
        raise Invalid("The dataset has no rows to train on.", hint="Check the split's name.")
    return good


def sample(rows: Sequence[Row], limit: int, seed: int) -> list[Row]:
    """Return at most `limit` rows chosen by `seed`, in their order; 0 means all."""
    if not limit or limit >= len(rows):
        return list(rows)
    chosen = sorted(random.Random(seed).sample(range(len(rows)), limit))
    return [rows[i] for i in chosen]


def _fields(answer: str) -> dict[str, str] | None:
    """Return the `key: value` lines of an answer, or None when it is not made of them."""
    found: dict[str, str] = {}
    for line in answer.splitlines():
        key, colon, value = line.partition(": ")
        if not colon or not key or key in found:
            return None
        found[key] = value
    return found or None


def replay_pairs(accepted: Sequence[Row], *, copies: int = 1, seed: int = 0) -> list[Row]:
    """Return preference pairs in which each accepted answer is chosen over an invented wrong one.

    When answers are `key: value` lines the wrong one differs in one value, taken from the values that the same
    key has elsewhere; otherwise it is the answer of another row. Answers that leave nothing to differ in are skipped.
    """
    rng = random.Random(seed)
    parsed = [_fields(row["completion"]) for row in accepted]
    values: dict[str, list[str]] = {}
    for answer in parsed:
        for key, value in (answer or {}).items():
            if value not in values.setdefault(key, []):
                values[key].append(value)
    others = sorted({row["completion"] for row in accepted})
    pairs: list[Row] = []
    for row, answer in zip(accepted, parsed, strict=True):
        for wrong in _wrong(rng, row["completion"], answer, values=values, others=others, count=copies):
            pairs.append({"messages": row["messages"], "chosen": row["completion"], "rejected": wrong})
    return pairs


def _wrong(
    rng: random.Random,
    text: str,
    answer: dict[str, str] | None,
    *,
    values: Mapping[str, list[str]],
    others: Sequence[str],
    count: int,
) -> list[str]:
    if answer is None:
        choices = [other for other in others if other != text]
        return rng.sample(choices, min(count, len(choices)))
    keys = [key for key in answer if len(values[key]) > 1]
    rng.shuffle(keys)
    found = []
    for key in (keys * count)[:count]:
        value = rng.choice([other for other in values[key] if other != answer[key]])
        found.append("\n".join(f"{k}: {value if k == key else v}" for k, v in answer.items()))
    return found
