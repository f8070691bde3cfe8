"""A look before a run: every row checked, and some as the model would see them."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.core import ids
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.training import bases, inputs, service
from penstock.training import rows as shapes
from penstock.training.recipe import Recipe
from penstock.training.rows import Problem, Row

SHOWN_ROWS = 3
"""Rows rendered as examples."""
NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}
"""A tokenizer needs none, and they are shared out to runs."""
SHOWN_PROBLEMS = 100
"""Problems told; the rest are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A stretch of a rendered row that is learnt, or not, as a whole."""

    text: str
    trained: bool
    """Whether the loss is on its tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A row as the model sees it, special tokens shown."""

    row: int
    """The row's place in the dataset (and split), counted from 1."""
    name: str
    """Which part of the row: answer, chosen, rejected, good, bad, prompt or text."""
    text: str
    segments: list[Segment]
    tokens: int
    trained_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a run of a recipe would learn from."""

    rows: int
    """Rows of the dataset (and split), good and bad."""
    problem_count: int
    problems: list[Problem]
    """The first of them, by row."""
    mistakes: list[str]
    """All of them, a line for each different one with the rows that make it, the commonest first."""
    examples: list[Example]


def _never() -> bool:
    return False


def preview(home: Home, actor: Actor, recipe: Recipe, *, cancelled: Callable[[], bool] = _never) -> Preview:
    """Check every row of a recipe's dataset, and render the first good ones with chat template and loss mask.

    Rows with too many tokens are problems as well. Nothing is trained or stored; the tokenizer runs in a child
    process, which is stopped when `cancelled()` turns true. Raises NotFound for an unknown base or dataset, Invalid for
    a recipe that cannot work or whose base was never imported, Cancelled.
    """
    with home.read() as uow:
        uow.may(actor, "training.read", recipe.name)
        pinned = inputs.pinned(uow, actor, bases.known(uow, actor, recipe))
    good, problems, numbers = inputs.look(home, actor, pinned)
    total = len(numbers) + len({problem.row for problem in problems} - set(numbers))
    rendered: Mapping[str, Any] = {"examples": [], "problems": []}
    if good:
        rendered = _render(home, actor, pinned, good, cancelled)
    known = {problem.row for problem in problems}
    for found in rendered["problems"]:
        row = numbers[found["row"] - 1]
        if row not in known:
            problems.append(Problem(row=row, message=found["message"]))
    problems.sort(key=lambda one: one.row)
    return Preview(
        rows=total,
        problem_count=len(problems),
        problems=problems[:SHOWN_PROBLEMS],
        mistakes=shapes.together(problems)[:SHOWN_PROBLEMS],
        examples=[_example(found, numbers) for found in rendered["examples"]],
    )


def _render(
    home: Home, actor: Actor, recipe: Recipe, good: list[Row], cancelled: Callable[[], bool]
) -> dict[str, Any]:
    folder = home.folder("training", ids.new_id("prv"))
    try:
        spec = {
            **recipe.to_dict(),
            **inputs.folders(home, actor, recipe.base),
            "train_file": inputs.write(good, folder / "train.jsonl"),
            "workdir": str(folder),
            "shown": SHOWN_ROWS,
            # However many processes will train, one renders.
            "running": {},
        }
        return service.run_trainer(inputs.PREVIEW, spec, cancelled=cancelled, visible=NO_GPU)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _example(found: Mapping[str, Any], numbers: list[int]) -> Example:
    segments = [Segment(text=part["text"], trained=part["trained"]) for part in found["segments"]]
    return Example(
        row=numbers[found["row"] - 1],
        name=found["name"],
        text=found["text"],
        segments=segments,
        tokens=found["tokens"],
        trained_tokens=found["trained_tokens"],
    )
