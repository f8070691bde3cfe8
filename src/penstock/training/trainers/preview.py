"""Rows as a trainer would see them, without training: only the tokenizer is loaded."""

from pathlib import Path
from typing import Any

import msgspec

from penstock.core.errors import Invalid
from penstock.training.sections import ONLINE
from penstock.training.trainers import rendering, tokens


def run(spec: dict[str, Any], _report: Any) -> dict[str, Any]:
    """Render `spec["train_file"]`; returns `examples` (of the first `spec["shown"]` good rows) and `problems`.

    Problems are `{row, message}` of rows that are too long or that the chat template refuses, counted from 1 in the
    file. Raises Invalid without a chat template.
    """
    method = spec["method"]
    tokenizer = tokens.tokenizer(spec, chat=method != "pretrain")
    examples: list[dict[str, Any]] = []
    problems: list[dict[str, Any]] = []
    with Path(spec["train_file"]).open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            row = msgspec.json.decode(line)
            try:
                views = rendering.views(tokenizer, row, spec)
                _check(views, spec, method)
            except Invalid as error:
                problems.append({"row": number, "message": error.message})
                continue
            if len(examples) < spec["shown"]:
                examples += [
                    {"row": number, **rendering.shown(tokenizer, name, seen)} for name, seen in views
                ]
    return {"examples": examples, "problems": problems}


def _check(views: list[tuple[str, rendering.Encoded]], spec: dict[str, Any], method: str) -> None:
    if method == "pretrain":
        return
    on_policy = method in ONLINE or (method == "distil" and spec["teacher"]["on_policy"])
    room = spec["sampling"]["max_tokens"] if on_policy else 0
    longest = max(len(ids) for _, (ids, _) in views) + room
    if longest > spec["max_length"]:
        answer = f", {room} of them for the answer" if room else ""
        raise Invalid(f"it has {longest} tokens{answer}, more than max_length = {spec['max_length']}")
