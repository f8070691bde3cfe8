"""What training on pairs of answers shares: rows as the library takes them, lengths, examples."""

from typing import Any

from datasets import Dataset
from penstock.training.trainers import rendering, runtime


def turn(text: str) -> list[dict[str, str]]:
    """Return an answer as a conversation of one turn."""
    return [{"role": "assistant", "content": text}]


def dataset(rows: list[dict[str, Any]]) -> Any:
    """Return rows `{messages, chosen, rejected}` as `prompt`, `chosen` and `rejected` conversations."""
    return Dataset.from_list(
        [
            {"prompt": row["messages"], "chosen": turn(row["chosen"]), "rejected": turn(row["rejected"])}
            for row in rows
        ]
    )


def lengths(rows: list[dict[str, Any]], tokenizer: Any, limit: int) -> float:
    """Return the mean number of tokens of a pair; raises Invalid for pairs with an answer that is too long."""
    counted = [[len(ids) for _, (ids, _) in rendering.both(tokenizer, row)] for row in rows]
    runtime.refuse_long([max(pair) for pair in counted], limit)
    return sum(map(sum, counted)) / len(counted)


def examples(rows: list[dict[str, Any]], tokenizer: Any) -> list[dict[str, str]]:
    """Return the rendered prompt (`context`) and answers (`trained`, `rejected`) of the first rows."""
    shown = []
    for row in rows[: runtime.PREVIEWS]:
        chosen, rejected = (encoded for _, encoded in rendering.both(tokenizer, row))
        start = chosen[1].index(True)
        shown.append(
            {
                "context": tokenizer.decode(chosen[0][:start]),
                "trained": tokenizer.decode(chosen[0][start:]),
                "rejected": tokenizer.decode(rejected[0][rejected[1].index(True) :]),
            }
        )
    return shown
