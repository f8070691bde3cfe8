"""A recipe: the recorded, ordered list of steps that turned a source into a version.

The YAML or JSON form is a list of steps, each an object whose `step` names it::

    steps:
      - {step: normalise}
      - {step: language, columns: [text], keep: [en]}
      - {step: near_duplicates, columns: [text], threshold: 0.8}
      - {step: redact}
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import msgspec
import yaml

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean
from penstock.datasets.step import BaseStep
from penstock.datasets.steps import Decontaminate, Step

STEPS: dict[str, type[BaseStep]] = {str(step.__struct_config__.tag): step for step in get_args(Step)}
"""Name in the YAML form → step."""


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Steps, in the order in which they run."""

    steps: tuple[Step, ...] = ()

    @property
    def digest(self) -> str:
        """Return the SHA-256 (hex) that names the recipe."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()

    def check(self, columns: list[str]) -> list[str]:
        """Return the columns after the last step; raises Invalid for a step that reads a missing column.

        Behind a step whose columns only running it tells, nothing is known, and so nothing is refused.
        """
        known: list[str] | None = columns
        for place, step in enumerate(self.steps, start=1):
            for name in step.reads():
                if known is not None and name not in known:
                    raise Invalid(
                        f"Step {place} ({step.name}) reads the column {name!r}, which is not there.",
                        hint=did_you_mean(name, known),
                    )
            known = None if known is None else step.after(known)
        return columns if known is None else known

    def references(self) -> tuple[str, ...]:
        """Return the dataset versions that its steps look at."""
        steps = [step for step in self.steps if isinstance(step, Decontaminate)]
        return tuple(dict.fromkeys(ref for step in steps for ref in step.against))

    def pinned(self, pin: Callable[[str], str]) -> "Recipe":
        """Return the recipe with every dataset version named by its number, as `pin` tells it."""
        return Recipe(
            tuple(
                msgspec.structs.replace(step, against=tuple(map(pin, step.against)))
                if isinstance(step, Decontaminate)
                else step
                for step in self.steps
            )
        )

    def plain(self) -> dict[str, Any]:
        """Return the recipe as JSON values; `parse` reads them back."""
        found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(self))
        return found


def parse(data: Any) -> Recipe:
    """Return the recipe of JSON values: `{"steps": [...]}` or the list itself; raises Invalid."""
    if isinstance(data, list | tuple):
        data = {"steps": data}
    steps = data.get("steps") if isinstance(data, dict) else None
    if not isinstance(steps, list | tuple):
        raise Invalid("A recipe is a list of steps.", hint="Write `steps:` with one `- {step: …}` per line.")
    for place, step in enumerate(steps, start=1):
        name = step.get("step") if isinstance(step, dict) else None
        if name not in STEPS:
            raise Invalid(f"Step {place} of the recipe is {name!r}.", hint=did_you_mean(str(name), STEPS))
    try:
        recipe = msgspec.convert(data, Recipe)
    except msgspec.ValidationError as error:
        raise Invalid(
            f"The recipe is not valid: {error}.", hint="See docs/cleaning.md for the steps."
        ) from error
    for step in recipe.steps:
        step.check()
    return recipe


def load(path: Path) -> Recipe:
    """Return the recipe of a YAML or JSON file; raises Invalid."""
    try:
        return parse(yaml.safe_load(path.read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Invalid(f"The recipe {path} cannot be read: {error}.") from error
