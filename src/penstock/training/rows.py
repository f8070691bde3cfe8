"""Training rows: checked and brought to one shape before anything is loaded.

Every row becomes conversational: `messages` (list of role and content) with `completion` (sft, distil), `chosen` and
`rejected` (dpo, reward), `completion` and `good` (kto), or `references` and the whole `row` (grpo, rloo); the
tokenizer's own chat template then writes the text. Running text (pretrain) becomes `text`.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from penstock.core.errors import Invalid
from penstock.training.recipe import Columns

ROLES = ("system", "user", "assistant", "tool")
SHOWN = 5
"""Rows named, and mistakes told, in an error; the rest are counted."""
COLUMNS_NAMED = 12
MOST_KEPT = 10_000
"""Problems kept of a file that is read row by row; the rest are counted."""

Row = dict[str, Any]

GOOD = ("up", "good", "yes", "true", "1")
BAD = ("down", "bad", "no", "false", "0", "-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why one row cannot be trained on."""

    row: int
    """The row's place, counted from 1."""
    message: str


def _given(row: Mapping[str, Any], column: str) -> Any:
    if column not in row:
        names = ", ".join(sorted(map(str, row))[:COLUMNS_NAMED])
        raise ValueError(f"there is no column {column!r}; there is {names or 'none at all'}")
    return row[column]


def _text(row: Mapping[str, Any], column: str) -> str:
    value = _given(row, column)
    if not isinstance(value, str):
        raise ValueError(f"column {column!r} must be text (it is {type(value).__name__})")
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
        "messages": _messages(_given(row, columns.prompt), columns.prompt),
        "completion": _answer(row, columns.completion),
    }


def dpo_row(row: Mapping[str, Any], columns: Columns) -> Row:
    """Return `{messages, chosen, rejected}`; raises ValueError that says what is wrong."""
    pair = {
        "messages": _messages(_given(row, columns.prompt), columns.prompt),
        "chosen": _answer(row, columns.chosen),
        "rejected": _answer(row, columns.rejected),
    }
    if pair["chosen"] == pair["rejected"]:
        raise ValueError("chosen and rejected are the same")
    return pair


def kto_row(row: Mapping[str, Any], columns: Columns) -> Row:
    """Return `{messages, completion, good}`; raises ValueError that says what is wrong."""
    made = {
        "messages": _messages(_given(row, columns.prompt), columns.prompt),
        "completion": _answer(row, columns.completion),
    }
    return {**made, "good": _verdict(row, columns.label)}


def _verdict(row: Mapping[str, Any], column: str) -> bool:
    if column not in row:
        raise ValueError(f"column {column!r} must say whether the answer is good (it is missing)")
    value = row[column]
    word = (
        str(int(value) if isinstance(value, bool | float) and value == int(value) else value).strip().lower()
    )
    if word not in GOOD + BAD:
        raise ValueError(f"column {column!r} is neither good nor bad: {word[:40]!r}")
    return word in GOOD


def prompt_row(row: Mapping[str, Any], columns: Columns) -> Row:
    """Return `{messages, references, row}`: what to answer, the right answers if any, and all that scorers may read.

    Raises ValueError that says what is wrong.
    """
    if "messages" in row and columns.prompt not in row:
        turns = _messages(row["messages"], "messages")
        answered = turns[-1]["role"] == "assistant"
        if answered and len(turns) == 1:
            raise ValueError("'messages' holds an answer to nothing")
        references = [turns[-1]["content"]] if answered else []
        return {"messages": turns[:-1] if answered else turns, "references": references, "row": dict(row)}
    messages = _messages(_given(row, columns.prompt), columns.prompt)
    if messages[-1]["role"] == "assistant":
        raise ValueError(f"column {columns.prompt!r} ends with an answer")
    references = [] if row.get(columns.completion) is None else [_answer(row, columns.completion)]
    return {"messages": messages, "references": references, "row": dict(row)}


def text_row(row: Mapping[str, Any], columns: Columns) -> Row:
    """Return `{text}`; raises ValueError that says what is wrong."""
    return {"text": _text(row, columns.text)}


CONVERT: dict[str, Callable[[Mapping[str, Any], Columns], Row]] = {
    "dpo": dpo_row,
    "reward": dpo_row,
    "kto": kto_row,
    "grpo": prompt_row,
    "rloo": prompt_row,
    "pretrain": text_row,
}
"""Method → how its rows are read; any other method reads them like sft."""


def read(
    rows: Iterable[Mapping[str, Any]], *, method: str, columns: Columns
) -> tuple[list[Row], list[Problem]]:
    """Return the rows in one shape, and what is wrong with those that have none."""
    convert = CONVERT.get(method, sft_row)
    good: list[Row] = []
    problems: list[Problem] = []
    for number, row in enumerate(rows, start=1):
        try:
            good.append(convert(row, columns))
        except ValueError as error:
            problems.append(Problem(row=number, message=str(error)))
    return good, problems


def passing(rows: Iterable[Mapping[str, Any]], *, method: str, columns: Columns) -> Iterator[Row]:
    """Yield each row in one shape as it is read; once all were, raises Invalid like `check` if any was bad.

    Only what is wrong is kept meanwhile, so memory does not grow with the rows: take nothing for good before the end.
    """
    convert = CONVERT.get(method, sft_row)
    problems: list[Problem] = []
    total = bad = 0
    for total, row in enumerate(rows, start=1):
        try:
            shaped = convert(row, columns)
        except ValueError as error:
            bad += 1
            if len(problems) < MOST_KEPT:
                problems.append(Problem(row=total, message=str(error)))
        else:
            yield shaped
    refuse(problems, total, bad=bad)
    _some(total)


def _some(rows: int) -> None:
    if not rows:
        raise Invalid("The dataset has no rows to train on.", hint="Check the split's name.")


def check(rows: Iterable[Mapping[str, Any]], *, method: str, columns: Columns) -> list[Row]:
    """Return all rows in one shape; raises Invalid that names the bad rows, counted from 1, and why."""
    good, problems = read(rows, method=method, columns=columns)
    refuse(problems, len(problems) + len(good))
    _some(len(good))
    return good


def refuse(problems: Sequence[Problem], total: int, *, bad: int = 0) -> None:
    """Raise Invalid that names the bad rows of `total`, if there are any: `bad` of them, where not all were kept."""
    if not problems:
        return
    told = together(problems)
    more = f" (and {len(told) - SHOWN} other mistakes)" if len(told) > SHOWN else ""
    raise Invalid(
        f"{bad or len(problems)} of {total} rows cannot be trained on: {'; '.join(told[:SHOWN])}{more}.",
        hint="Name the right columns in the recipe, or fix the rows; nothing was run.",
    )


def together(problems: Sequence[Problem]) -> list[str]:
    """Return one line for each different mistake, naming the first rows that make it; the commonest first."""
    rows: dict[str, list[int]] = {}
    for problem in problems:
        rows.setdefault(problem.message, []).append(problem.row)
    lines = []
    for message, numbers in sorted(rows.items(), key=lambda item: (-len(item[1]), item[1][0])):
        more = f" and {len(numbers) - SHOWN:,} more" if len(numbers) > SHOWN else ""
        named = ", ".join(map(str, numbers[:SHOWN]))
        lines.append(f"row{'s' if len(numbers) > 1 else ''} {named}{more}: {message}")
    return lines


def check_verdicts(rows: Sequence[Row]) -> None:
    """Raise Invalid when all answers are judged the same, which teaches kto nothing."""
    if len({row["good"] for row in rows}) == 1:
        raise Invalid(
            "kto needs good and bad answers, and all of these are judged the same.",
            hint="Add rows judged the other way, or replay accepted answers (replay.dataset).",
        )


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


def replay_good(accepted: Sequence[Row]) -> list[Row]:
    """Return accepted answers as good ones (kto)."""
    return [{**row, "good": True} for row in accepted]


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
