"""From a source to rows that can be registered: read, curate, check, divide, name by content, profile.

Rows pass through files in a work folder between the stages, and so do the digests of their keys; what
stays in memory per row is the number of its split (2 bytes) and what single recipe steps need.
"""

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from penstock.core.errors import Invalid
from penstock.datasets import checking, curate, profile, reading, split_plan, splits
from penstock.datasets.checking import Checker
from penstock.datasets.dedup import digest
from penstock.datasets.expectations import Verdict
from penstock.datasets.keys import KeyFile, Repeats
from penstock.datasets.left_out import EXPECTATIONS, LeftOutLog
from penstock.datasets.model import Column, LeftOut, Row, Source, StepReport, StoredRow
from penstock.datasets.reading import watched
from penstock.datasets.recipe import Recipe
from penstock.datasets.request import Request
from penstock.datasets.schema import DelimitedTypes, SchemaBuilder
from penstock.datasets.spool import Spool, canonical


@dataclass
class Prepared:
    """Rows ready to be written, and everything known about them."""

    request: Request
    source: Source
    columns: tuple[Column, ...]
    reports: tuple[StepReport, ...]
    bad: int
    removed: int
    left_out: Path
    """JSON Lines file of the rows left out."""
    before: dict[str, Any] | None
    """Profile before the recipe; None without one."""
    verdict: Verdict | None
    """What became of the expectations; None when there are none."""
    _rows: Spool
    _repeats: Repeats
    _splits: Sequence[str] | None
    content: str = ""
    """SHA-256 over the columns and the rows in order, each with its key and split."""
    split_counts: dict[str, int] = field(default_factory=dict)

    def name(self) -> None:
        """Name the content, and count the rows of each split."""
        header = [sorted((column.name, str(column.type)) for column in self.columns), self.request.key]
        name = hashlib.sha256(msgspec.json.encode(header))
        self.split_counts = dict.fromkeys(self.request.plan.fractions if self.request.plan else (), 0)
        for row, form in self._stored("naming"):
            name.update(f"\n{row.key}\0{row.split}\0".encode() + form)
            if self._splits is not None:
                self.split_counts[row.split] = self.split_counts.get(row.split, 0) + 1
        self.content = name.hexdigest()

    @property
    def count(self) -> int:
        """Return the number of rows."""
        return self._rows.count

    def stored(self) -> Iterator[StoredRow]:
        """Yield the rows as they are to be written."""
        return (row for row, _ in self._stored("writing"))

    def _stored(self, stage: str) -> Iterator[tuple[StoredRow, bytes]]:
        names = iter(self._splits) if self._splits is not None else None
        repeats, column = iter(self._repeats), self.request.key
        again = next(repeats, None)
        for position, (_, row) in enumerate(
            watched(self._rows, self.request.progress, stage, total=self.count)
        ):
            form = canonical(row)
            key = digest(form).hex() if column is None else str(row[column])
            if again is not None and again[0] == position:
                key = f"{key}:{again[2]}"
                again = next(repeats, None)
            split = next(names) if names is not None else ""
            yield StoredRow(key, split, row, position=position, size=len(form)), form

    def profile(self) -> dict[str, Any]:
        """Return the profile of the rows; with a recipe, `before` compares it with what came in."""
        self.request.progress({"stage": "profiling", "rows": self.count})
        found = profile.profile(self._rows, self.columns, sample=self.request.profile_rows)
        if self.before is not None:
            found["before"] = profile.compare(self.before, found)
        return found


@contextmanager
def prepared(request: Request, folder: Path) -> Iterator[Prepared]:
    """Yield the request's rows, curated; files in `folder` are removed when the block ends.

    What a killed process left in `folder` is gone on with when it read the same source. Raises Invalid
    (malformed records, a recipe or split plan that does not fit, no rows left), NotFound.
    """
    if not reading.resumable(request):
        _empty(folder)
    log = LeftOutLog(folder / "left-out.jsonl")
    with log.open(), Spool(folder, "raw", keep=True) as raw, Spool(folder, "rows") as rows:
        taken = reading.read(request, folder, raw, log)
        if request.recipe is not None:
            request.recipe.check(taken.names)
        cast = _Cast(request, raw, taken.types)
        before = _profile_before(request, cast, raw.count)
        with checking.checker(request.expectations, folder) as checker:
            columns, reports = _curate(request, cast, rows, log, checker)
            verdict = checker.finish(columns) if checker is not None else None
        _check_columns(request, columns)
        repeats = _keys(rows, request.key, folder)
        log.close()
        found = Prepared(
            request=request,
            source=taken.source,
            columns=columns,
            reports=reports,
            bad=log.bad + log.unmet,
            removed=log.removed,
            left_out=log.path,
            before=before,
            verdict=verdict,
            _rows=rows,
            _repeats=repeats,
            _splits=None,
        )
        if request.split_of is not None:
            found._splits = [request.split_of(number) for number, _ in rows]
        elif request.plan is not None:
            request.progress({"stage": "splitting", "rows": rows.count})
            found._splits = splits.assign(
                request.plan, ((row.key, row.row) for row, _ in found._stored("splitting"))
            )
        found.name()
        yield found


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


class _Cast:
    """The raw rows with the numbers of a CSV file as numbers; may be read more than once."""

    def __init__(self, request: Request, raw: Spool, types: DelimitedTypes | None) -> None:
        self._raw = raw
        self._types = types
        self._base = request.base.columns if request.base else None

    def __iter__(self) -> Iterator[tuple[int, Row]]:
        for number, row in self._raw:
            yield number, row if self._types is None else self._types.cast(row, self._base)


def _profile_before(request: Request, rows: _Cast, count: int) -> dict[str, Any] | None:
    if request.recipe is None or not request.recipe.steps:
        return None
    request.progress({"stage": "profiling", "rows": count})
    schema = SchemaBuilder()
    for _, row in rows:
        schema.observe(row)
    return profile.profile(rows, schema.columns(), sample=request.profile_rows)


def _curate(
    request: Request, source: Iterable[tuple[int, Row]], rows: Spool, log: LeftOutLog, checker: Checker | None
) -> tuple[tuple[Column, ...], tuple[StepReport, ...]]:
    """Run the recipe over the source's rows into `rows`, behind the rows that are appended to."""
    for row in request.base.rows() if request.base else ():
        if checker is not None:
            checker.knows(rows.count, row)
        rows.append(0, row)
    kept = rows.count
    schema = SchemaBuilder()
    folder = log.path.parent
    found, tallies = curate.start(
        request.recipe or Recipe(), iter(source), folder=folder, left_out=log.add, means=request.means
    )
    for number, row in watched(found, request.progress, "curating"):
        unmet = "" if checker is None else checker.accepts(rows.count, number, row)
        if unmet:
            log.add(LeftOut(line=number, step=EXPECTATIONS, reason=unmet, excerpt=_excerpt(row)))
            continue
        schema.observe(row)
        rows.append(number, row)
    if checker is not None:
        _drop_repeats(rows, log, checker.repeated())
    reports = tuple(tally.report() for tally in tallies)
    if rows.count <= kept:
        _nothing_left(request, reports, log)
    return schema.extend(request.base.columns) if request.base else schema.columns(), reports


def _drop_repeats(rows: Spool, log: LeftOutLog, repeats: dict[str, Repeats]) -> None:
    """Take out the rows that repeat values that have to be unique."""
    if not repeats:
        return
    positions = checking.unwanted(repeats)
    wanted = iter(positions.tolist())
    label = "; ".join(repeats)
    following = next(wanted, None)
    for position, (number, row) in enumerate(rows):
        if position == following:
            log.add(LeftOut(line=number, step=EXPECTATIONS, reason=label, excerpt=_excerpt(row)))
            following = next(wanted, None)
    rows.drop(positions.tolist())


def _excerpt(row: Row) -> str:
    return canonical(row)[:200].decode(errors="replace")


def _nothing_left(request: Request, reports: Iterable[StepReport], log: LeftOutLog) -> None:
    told = [f"{report.step} left {report.rows_out} of {report.rows_in}" for report in reports]
    told += [f"{log.unmet} did not meet the expectations"] if log.unmet else []
    what = "after the recipe" if not log.unmet else "after recipe and expectations"
    raise Invalid(f"No row of {request.name} is left {what} ({', '.join(told)}).", hint="Loosen its steps.")


def _check_columns(request: Request, columns: tuple[Column, ...]) -> None:
    names = [column.name for column in columns]
    if request.key is not None and request.key not in names:
        raise Invalid(f"The key column {request.key!r} is not there.", hint=f"Columns: {', '.join(names)}.")
    if request.plan is not None:
        split_plan.check(request.plan, names)


def _keys(rows: Spool, column: str | None, folder: Path) -> Repeats:
    """Return which rows repeat an earlier row's content; raises Invalid when a key column does not identify rows."""
    with KeyFile(folder, "row") as keys:
        for position, (number, row) in enumerate(rows):
            if column is None:
                keys.add(position, canonical(row))
                continue
            value = row.get(column)
            if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
                raise Invalid(
                    f"Line {number}: the key column {column!r} holds {value!r}.",
                    hint="Every row needs a text or whole number there.",
                )
            keys.add(position, str(value).encode(errors="surrogatepass"))
        repeats = keys.repeats()
    if column is not None and len(repeats):
        _repeated_key(rows, column, repeats)
    return repeats


def _repeated_key(rows: Spool, column: str, repeats: Repeats) -> None:
    position, first, _ = next(iter(repeats))
    lines: list[int] = []
    for place, (number, row) in enumerate(rows):
        if place in (first, position):
            lines.append(number)
        if place == position:
            raise Invalid(
                f"The key {str(row[column])!r} is on line {lines[0]} and again on line {lines[1]}.",
                hint="Remove one of them, or choose another key column.",
            )
