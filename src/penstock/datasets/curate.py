"""Running a recipe: each step takes numbered rows and yields the ones that remain, and tells what it did."""

import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from penstock.core.errors import Invalid
from penstock.core.pii import Detector
from penstock.datasets import language, quality
from penstock.datasets import recipe as steps
from penstock.datasets.dedup import NearIndex, digest
from penstock.datasets.model import LeftOut, Row, StepReport
from penstock.datasets.recipe import Recipe, Step
from penstock.datasets.spool import Spool, canonical
from penstock.datasets.text import map_row, text_of

Numbered: TypeAlias = Iterator[tuple[int, Row]]

EXAMPLES = 5
EXCERPT = 160
_RUN = re.compile(r"\s+")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufeff\u200b]")


@dataclass
class Tally:
    """What a step did so far."""

    step: Step
    mask: Callable[[str], str]
    left_out: Callable[[LeftOut], None]
    rows_in: int = 0
    rows_out: int = 0
    changed: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)

    def drop(self, number: int, reason: str, shown: str = "", **more: Any) -> None:
        """Leave a row out."""
        self.counts[reason] += 1
        self.left_out(LeftOut(line=number, step=self.step.name, reason=reason, **more))
        self.example(line=number, reason=reason, text=shown, **more)

    def change(self, number: int, before: Row, after: Row) -> None:
        """Note that a row's values changed."""
        self.changed += 1
        if len(self.examples) < EXAMPLES:
            name = next(name for name in before if before[name] != after.get(name))
            self.example(line=number, column=name, before=before[name], after=after.get(name))

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
        )


def start(
    recipe: Recipe, rows: Numbered, *, folder: Path, left_out: Callable[[LeftOut], None]
) -> tuple[Numbered, list[Tally]]:
    """Chain the recipe's steps behind `rows`; the tallies are complete once the result was read to its end.

    Steps stream, except near-duplicate removal, which keeps its rows in a file in `folder`.
    """
    detector = Detector()
    tallies = []
    for place, step in enumerate(recipe.steps):
        tally = Tally(step, lambda text: detector.redact(text)[0], left_out)
        tallies.append(tally)
        rows = _counted(
            _RUNNERS[type(step)](step, _entering(rows, tally), tally, folder / f"step-{place}"), tally
        )
    return rows, tallies


def _entering(rows: Numbered, tally: Tally) -> Numbered:
    for item in rows:
        tally.rows_in += 1
        yield item


def _counted(rows: Numbered, tally: Tally) -> Numbered:
    for item in rows:
        tally.rows_out += 1
        yield item


def _changing(rows: Numbered, tally: Tally, change: Callable[[Row], Row]) -> Numbered:
    for number, row in rows:
        changed = change(row)
        if changed != row:
            tally.change(number, row, changed)
        yield number, changed


def _normalise(step: steps.Normalise, rows: Numbered, tally: Tally, _file: Path) -> Numbered:
    def clean(text: str) -> str:
        if not text.isascii():
            text = unicodedata.normalize(step.form, text)
        text = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
        if step.whitespace == "collapse":
            text = _RUN.sub(" ", text)
        return text if step.whitespace == "keep" else text.strip()

    return _changing(rows, tally, lambda row: map_row(row, step.columns, clean))


def _language(step: steps.KeepLanguages, rows: Numbered, tally: Tally, _file: Path) -> Numbered:
    kept = {*step.keep, language.UNDETERMINED} if step.keep_undetermined else set(step.keep)
    for number, row in rows:
        text = text_of(row, step.columns)
        code = language.detect(text).code
        if code in kept:
            yield number, row
        else:
            tally.drop(number, code, text)


def _quality(step: steps.Quality, rows: Numbered, tally: Tally, _file: Path) -> Numbered:
    bounds = quality.Bounds(
        min_characters=step.min_characters,
        max_characters=step.max_characters,
        min_words=step.min_words,
        max_symbol_share=step.max_symbol_share,
        max_repeated_share=step.max_repeated_share,
    )
    for number, row in rows:
        text = text_of(row, step.columns)
        reason = quality.complaint(text, bounds)
        if reason is None:
            yield number, row
        else:
            tally.drop(number, reason, text)


def _exact(step: steps.ExactDuplicates, rows: Numbered, tally: Tally, _file: Path) -> Numbered:
    seen: dict[bytes, int] = {}
    for number, row in rows:
        compared = {name: row.get(name) for name in step.columns} if step.columns else row
        if step.ignore_case:
            compared = map_row(compared, (), str.casefold)
        first = seen.setdefault(digest(canonical(compared)), number)
        if first == number:
            yield number, row
        else:
            tally.drop(number, "duplicate", text_of(row, step.columns), kept_line=first)


def _near(step: steps.NearDuplicates, rows: Numbered, tally: Tally, file: Path) -> Numbered:
    index, numbers = NearIndex(threshold=step.threshold), array("q")
    with Spool(file.parent, file.name) as spool:
        for number, row in rows:
            index.add(text_of(row, step.columns))
            numbers.append(number)
            spool.append(number, row)
        removed = {found.removed: found for found in index.duplicates()}
        for position, (number, row) in enumerate(spool):
            found = removed.get(position)
            if found is None:
                yield number, row
                continue
            kept = numbers[found.kept]
            text = text_of(row, step.columns)
            tally.drop(number, "near_duplicate", text, kept_line=kept, similarity=found.similarity)


def _redact(step: steps.Redact, rows: Numbered, tally: Tally, _file: Path) -> Numbered:
    detector = Detector(step.kinds or None)

    def mask(text: str) -> str:
        masked, counts = detector.redact(text)
        tally.counts.update(counts)
        return masked

    return _changing(rows, tally, lambda row: map_row(row, step.columns, mask))


def _select(step: steps.Select, rows: Numbered, _tally: Tally, _file: Path) -> Numbered:
    for number, row in rows:
        yield number, {name: row[name] for name in step.columns if name in row}


def _drop(step: steps.Drop, rows: Numbered, _tally: Tally, _file: Path) -> Numbered:
    for number, row in rows:
        yield number, {name: value for name, value in row.items() if name not in step.columns}


def _rename(step: steps.Rename, rows: Numbered, _tally: Tally, _file: Path) -> Numbered:
    for number, row in rows:
        yield number, {step.names.get(name, name): value for name, value in row.items()}


def _map_labels(step: steps.MapLabels, rows: Numbered, tally: Tally, _file: Path) -> Numbered:
    for number, row in rows:
        label = row.get(step.column)
        new = step.labels.get(label) if isinstance(label, str) else None
        if new is not None:
            tally.counts[f"{label} → {new}"] += label != new
            changed = {**row, step.column: new}
            if changed != row:
                tally.change(number, row, changed)
            yield number, changed
        elif step.unknown == "keep":
            yield number, row
        elif step.unknown == "drop":
            tally.drop(number, "unknown_label", str(label))
        else:
            raise Invalid(
                f"Line {number}: map_labels has no entry for {label!r} in the column {step.column!r}.",
                hint="Add it, or set unknown to keep or drop.",
            )


_RUNNERS: dict[type, Callable[[Any, Numbered, Tally, Path], Numbered]] = {
    steps.Normalise: _normalise,
    steps.KeepLanguages: _language,
    steps.Quality: _quality,
    steps.ExactDuplicates: _exact,
    steps.NearDuplicates: _near,
    steps.Redact: _redact,
    steps.Select: _select,
    steps.Drop: _drop,
    steps.Rename: _rename,
    steps.MapLabels: _map_labels,
}
