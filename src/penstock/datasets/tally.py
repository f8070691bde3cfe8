"""What a step has at hand while it runs, and the account it keeps of what it did."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from penstock.core.deferred import deferred
from penstock.core.errors import Invalid
from penstock.datasets.model import LeftOut, Row, StepReport
from penstock.datasets.ports import Model
from penstock.datasets.steps import Step

if TYPE_CHECKING:
    from penstock.datasets import embedding
else:
    # It brings numpy, which most processes that merely check a recipe never need.
    embedding = deferred("penstock.datasets.embedding")

Numbered: TypeAlias = Iterator[tuple[int, Row]]
"""Rows, each with the line it came from."""

EXAMPLES = 5
EXCERPT = 160


class Function(NamedTuple):
    """A function of the user's own, and the SHA-256 (hex) of its source."""

    call: Callable[[Row], Any]
    sha256: str


def _static() -> "embedding.Embedder":
    return embedding.WordVectors()


def _no_key() -> bytes:
    raise Invalid("Hashes and surrogates need a home.", hint="Use mode mask here.")


def _no_versions(ref: str) -> Iterator[Row]:
    raise Invalid(f"{ref} cannot be read here.", hint="Run the recipe in a home that has it.")


def _no_model() -> Model:
    raise Invalid("No model can be asked here.", hint="Run the recipe where the gateway is.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What steps may use besides their rows."""

    key: Callable[[], bytes] = _no_key
    """Gives the home's secret for hashes and surrogates."""
    reference: Callable[[str], Iterator[Row]] = _no_versions
    """Gives the rows of a dataset version."""
    functions: Mapping[str, Function] = field(default_factory=dict)
    """The user's own; always empty on the server."""
    embedder: "Callable[[], embedding.Embedder]" = _static
    model: Callable[[], Model] = _no_model
    """Opens the model that labels and writes; the step closes it."""
    replies: Callable[[str], Path] | None = None
    """Gives the file that keeps a step's replies, by the step's hash."""


@dataclass
class Tally:
    """What a step did so far."""

    step: Step
    mask: Callable[[str], str]
    left_out: Callable[[LeftOut], None]
    file: Path
    """Where the step may keep rows; it removes what it makes."""
    means: Means = field(default_factory=Means)
    rows_in: int = 0
    rows_out: int = 0
    changed: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    engine: str = ""
    """The library and its version, or the source hash, that did the work, when it is not this package."""

    def drop(self, number: int, reason: str, shown: str = "", **more: Any) -> None:
        """Leave a row out."""
        self.counts[reason] += 1
        self.left_out(LeftOut(line=number, step=self.step.name, reason=reason, **more))
        self.example(line=number, reason=reason, text=shown, **more)

    def change(self, number: int, before: Row, after: Row) -> None:
        """Note that a row's values changed."""
        self.changed += 1
        if len(self.examples) < EXAMPLES:
            names = dict.fromkeys([*before, *after])
            name = next(name for name in names if before.get(name) != after.get(name))
            self.example(line=number, column=name, before=before.get(name), after=after.get(name))

    def example(self, **values: Any) -> None:
        """Keep an example unless there are enough; personal data in it is masked."""
        if len(self.examples) < EXAMPLES:
            self.examples.append(
                {name: self._excerpt(value) for name, value in values.items() if value is not None}
            )

    def _excerpt(self, value: Any) -> Any:
        if isinstance(value, int | float):
            return value
        shown = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        return self.mask(shown)[:EXCERPT]

    def report(self) -> StepReport:
        """Return the final report."""
        return StepReport(
            step=self.step.name,
            rows_in=self.rows_in,
            rows_out=self.rows_out,
            changed=self.changed,
            counts=dict(self.counts.most_common()),
            examples=tuple(self.examples),
            version=self.step.VERSION,
            engine=self.engine,
            figures=self.figures,
        )


def changing(rows: Numbered, tally: Tally, change: Callable[[Row], Row]) -> Numbered:
    """Yield every row as `change` makes it, and note which ones became others."""
    for number, row in rows:
        changed = change(row)
        if changed != row:
            tally.change(number, row, changed)
        yield number, changed
