"""From dataset rows to samples."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from penstock.core.errors import Invalid
from penstock.evals.model import Sample
from penstock.evals.suite import Columns

INPUT_NAMES = ("prompt", "question", "instruction", "input", "text")
EXPECTED_NAMES = ("expected", "completion", "answer", "response", "output", "label", "chosen")


def _canonical(value: Any) -> bytes:
    return msgspec.json.encode(value, order="deterministic")


def _text(value: Any) -> str:
    """Return an expected answer as text: messages give their last content, objects canonical JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and isinstance(value[-1], Mapping) and "content" in value[-1]:
        return _text(value[-1]["content"])
    return _canonical(value).decode()


def _references(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    return (_text(value),)


def _find(row: Mapping[str, Any], column: str, names: Iterable[str]) -> str | None:
    if column:
        if column not in row:
            raise Invalid(
                f"The row has no column {column!r}.", hint=f"It has {', '.join(sorted(row)) or 'no columns'}."
            )
        return column
    return next((name for name in names if row.get(name) is not None), None)


def _messages(value: Any) -> list[Mapping[str, Any]]:
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    good = isinstance(value, list) and value and all(isinstance(m, Mapping) and "role" in m for m in value)
    if not good:
        raise Invalid(
            "An input must be a text or a list of chat messages.", hint="Set columns.input in the suite."
        )
    return list(value)


def _split_row(row: Mapping[str, Any], columns: Columns) -> tuple[list[Mapping[str, Any]], tuple[str, ...]]:
    """Return the messages to send and the references of a row."""
    if not columns.input and isinstance(row.get("messages"), list):
        messages = _messages(row["messages"])
        if columns.expected or messages[-1].get("role") != "assistant":
            expected = _find(row, columns.expected, EXPECTED_NAMES)
            return messages, _references(row[expected]) if expected else ()
        return messages[:-1], _references(messages[-1].get("content"))
    source = _find(row, columns.input, INPUT_NAMES)
    if source is None:
        raise Invalid(
            f"No input was found among the columns {', '.join(sorted(row))}.",
            hint="Set columns.input in the suite.",
        )
    expected = _find(row, columns.expected, (name for name in EXPECTED_NAMES if name != source))
    messages = _messages(row[source])
    if source == "instruction" and isinstance(row.get("input"), str) and row["input"].strip():
        messages = _messages(f"{row['instruction']}\n\n{row['input']}")
    return messages, _references(row[expected]) if expected else ()


def make_samples(
    rows: Iterable[tuple[str, Mapping[str, Any]]], *, columns: Columns | None = None, system: str = ""
) -> list[Sample]:
    """Return one sample per (split, row), in order.

    A row is known by its `columns.id` (or `id`), else by a hash of its messages; a second row with the same
    name gets `#2`. Raises Invalid, naming the row, when a row has no usable input.
    """
    columns = columns or Columns()
    samples: list[Sample] = []
    seen: dict[str, int] = {}
    for ordinal, (split, row) in enumerate(rows):
        try:
            messages, references = _split_row(row, columns)
            own_id = row[columns.id] if columns.id else row.get("id")
        except KeyError as error:
            raise Invalid(f"Row {ordinal + 1} has no column {error}.") from error
        except Invalid as error:
            raise Invalid(f"Row {ordinal + 1}: {error.message}", hint=error.hint) from error
        if system:
            messages = [{"role": "system", "content": system}, *messages]
        name = (
            str(own_id) if own_id not in (None, "") else hashlib.sha256(_canonical(messages)).hexdigest()[:32]
        )
        seen[name] = seen.get(name, 0) + 1
        samples.append(
            Sample(
                id=name[:180] if seen[name] == 1 else f"{name[:180]}#{seen[name]}",
                ordinal=ordinal,
                messages=tuple(messages),
                references=references,
                split=split,
                content_hash=hashlib.sha256(_canonical([messages, references])).hexdigest(),
                row=row,
            )
        )
    return samples
