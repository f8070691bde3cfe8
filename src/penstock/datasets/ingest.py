"""From a source to rows that can be registered: read, curate, divide, name by content, profile.

Rows pass through files in a work folder between the stages, so memory stays small; what grows with the
number of rows is their keys, splits and duplicate tables (a few hundred bytes per row).
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec

from penstock.core.errors import Invalid
from penstock.datasets import curate, profile, readers, sources, split_plan, splits
from penstock.datasets.dedup import digest
from penstock.datasets.model import BadRow, Column, LeftOut, Row, Source, StepReport, StoredRow
from penstock.datasets.recipe import Recipe
from penstock.datasets.request import Progress, Request
from penstock.datasets.schema import DelimitedTypes, SchemaBuilder
from penstock.datasets.spool import Spool, canonical

READ = "read"
"""Step name of malformed records among the rows left out."""
_REPORT_EVERY = 1000
_SHOWN_BAD = 5


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
    _rows: Spool
    _keys: list[str]
    _splits: list[str]
    content: str = ""
    """SHA-256 over the columns and the rows in order, each with its key and split."""
    split_counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Name the content."""
        header = [sorted((column.name, str(column.type)) for column in self.columns), self.request.key]
        name = hashlib.sha256(msgspec.json.encode(header))
        for row in self.stored():
            name.update(f"\n{row.key}\0{row.split}\0".encode() + canonical(row.row))
        self.content = name.hexdigest()
        names = self.request.plan.fractions if self.request.plan else ()
        self.split_counts = dict.fromkeys(names, 0)
        for split in self._splits:
            self.split_counts[split] = self.split_counts.get(split, 0) + 1

    @property
    def count(self) -> int:
        """Return the number of rows."""
        return self._rows.count

    def stored(self) -> Iterator[StoredRow]:
        """Yield the rows as they are to be written."""
        for position, (_, row) in enumerate(_watched(self._rows, self.request.progress, "writing")):
            split = self._splits[position] if self._splits else ""
            yield StoredRow(self._keys[position], split, row, position=position, size=len(canonical(row)))

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

    Raises Invalid (malformed records, a recipe or split plan that does not fit, no rows left), NotFound.
    """
    log = _LeftOutLog(folder / "left-out.jsonl")
    with log.open(), Spool(folder, "raw") as raw, Spool(folder, "rows") as rows:
        source, types, names = _read(request, raw, log)
        if request.recipe is not None:
            names = request.recipe.check(names)
        before = _profile_before(request, raw, types)
        columns, reports = _curate(request, _Cast(request, raw, types), rows, log, folder)
        _check_columns(request, columns)
        keys = _keys(rows, request.key)
        request.progress({"stage": "splitting", "rows": rows.count})
        keyed = ((key, row) for key, (_, row) in zip(keys, rows, strict=True))
        assigned = splits.assign(request.plan, keyed) if request.plan else []
        log.close()
        yield Prepared(
            request=request,
            source=source,
            columns=columns,
            reports=reports,
            bad=log.bad,
            removed=log.removed,
            left_out=log.path,
            before=before,
            _rows=rows,
            _keys=keys,
            _splits=assigned,
        )


class _LeftOutLog:
    """Writes down every row that is left out."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bad = self.removed = 0
        self._file: IO[bytes] | None = None

    @contextmanager
    def open(self) -> Iterator[None]:
        with self.path.open("wb") as self._file:
            yield
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, row: LeftOut) -> None:
        """Write a row."""
        if row.step == READ:
            self.bad += 1
        else:
            self.removed += 1
        if self._file is not None:
            self._file.write(msgspec.json.encode(row) + b"\n")


def _watched(rows: Iterable[Any], progress: Progress, stage: str) -> Iterator[Any]:
    for count, item in enumerate(rows, start=1):
        if count % _REPORT_EVERY == 0:
            progress({"stage": stage, "rows": count})
        yield item


def _read(request: Request, raw: Spool, log: _LeftOutLog) -> tuple[Source, DelimitedTypes | None, list[str]]:
    """Read the source into `raw`; returns what it was, its number columns if it is CSV, and its columns."""
    opened = None
    if isinstance(request.source, Path):
        opened = sources.inspect(
            request.source, format=request.format, encoding=request.encoding, name=request.name
        )
        items = readers.read_file(opened, request.limits)
    else:
        items = readers.read_rows(request.source)
    types = DelimitedTypes() if opened is not None and opened.format in ("csv", "tsv") else None
    schema = SchemaBuilder()
    shown: list[BadRow] = []
    for item in _watched(items, request.progress, "reading"):
        if isinstance(item, BadRow):
            log.add(LeftOut(line=item.line, step=READ, reason=item.reason, excerpt=item.excerpt))
            shown += [item] if len(shown) < _SHOWN_BAD else []
            continue
        raw.append(*item)
        schema.observe(item[1])
        if types is not None:
            types.observe(item[1])
    _check_bad(request, shown, log.bad, raw.count)
    return _source(request, opened, raw.count), types, schema.names


def _check_bad(request: Request, shown: list[BadRow], bad: int, good: int) -> None:
    if bad and (request.on_bad_rows == "fail" or not good):
        first = "; ".join(f"line {row.line}: {row.reason}" for row in shown)
        more = f"; and {bad - len(shown)} more" if bad > len(shown) else ""
        raise Invalid(
            f"{request.name}: {bad} of {bad + good} records are malformed ({first}{more}). Nothing was registered.",
            hint="Repair them" + (", or keep the rest with on_bad_rows=quarantine." if good else "."),
            details={"bad_rows": bad, "rows": good, "first": msgspec.to_builtins(shown)},
        )
    if not good:
        raise Invalid(f"{request.name} holds no rows.", hint="Give at least one.")


def _source(request: Request, opened: sources.Opened | None, rows: int) -> Source:
    if opened is None:
        return Source(name=request.name, format="rows", rows=rows)
    checksum, size = sources.sha256(opened.path)
    return Source(
        name=request.name,
        format=opened.format,
        sha256=checksum,
        size=size,
        encoding=opened.encoding,
        rows=rows,
    )


class _Cast:
    """The raw rows with the numbers of a CSV file as numbers; may be read more than once."""

    def __init__(self, request: Request, raw: Spool, types: DelimitedTypes | None) -> None:
        self._raw = raw
        self._types = types
        self._base = request.base.columns if request.base else None

    def __iter__(self) -> Iterator[tuple[int, Row]]:
        for number, row in self._raw:
            yield number, row if self._types is None else self._types.cast(row, self._base)


def _profile_before(request: Request, raw: Spool, types: DelimitedTypes | None) -> dict[str, Any] | None:
    if request.recipe is None or not request.recipe.steps:
        return None
    request.progress({"stage": "profiling", "rows": raw.count})
    rows, schema = _Cast(request, raw, types), SchemaBuilder()
    for _, row in rows:
        schema.observe(row)
    return profile.profile(rows, schema.columns(), sample=request.profile_rows)


def _curate(
    request: Request, source: Iterable[tuple[int, Row]], rows: Spool, log: _LeftOutLog, folder: Path
) -> tuple[tuple[Column, ...], tuple[StepReport, ...]]:
    """Run the recipe over the source's rows into `rows`, behind the rows that are appended to."""
    for row in request.base.rows() if request.base else ():
        rows.append(0, row)
    kept = rows.count
    schema = SchemaBuilder()
    found, tallies = curate.start(request.recipe or Recipe(), iter(source), folder=folder, left_out=log.add)
    for number, row in _watched(found, request.progress, "curating"):
        schema.observe(row)
        rows.append(number, row)
    reports = tuple(tally.report() for tally in tallies)
    if rows.count == kept:
        told = ", ".join(f"{report.step} left {report.rows_out} of {report.rows_in}" for report in reports)
        raise Invalid(
            f"No row of {request.name} is left after the recipe ({told}).", hint="Loosen its steps."
        )
    return schema.extend(request.base.columns) if request.base else schema.columns(), reports


def _check_columns(request: Request, columns: tuple[Column, ...]) -> None:
    names = [column.name for column in columns]
    if request.key is not None and request.key not in names:
        raise Invalid(f"The key column {request.key!r} is not there.", hint=f"Columns: {', '.join(names)}.")
    if request.plan is not None:
        split_plan.check(request.plan, names)


def _keys(rows: Iterable[tuple[int, Row]], column: str | None) -> list[str]:
    """Return each row's key: the key column's value, else a digest of the content (`:2` for its second copy)."""
    keys: list[str] = []
    seen: dict[str, int] = {}
    for number, row in rows:
        if column is None:
            key = digest(canonical(row)).hex()
            seen[key] = seen.get(key, 0) + 1
            keys.append(key if seen[key] == 1 else f"{key}:{seen[key]}")
            continue
        value = row.get(column)
        if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
            raise Invalid(
                f"Line {number}: the key column {column!r} holds {value!r}.",
                hint="Every row needs a text or whole number there.",
            )
        key = str(value)
        if key in seen:
            raise Invalid(
                f"The key {key!r} is on line {seen[key]} and again on line {number}.",
                hint="Remove one of them, or choose another key column.",
            )
        seen[key] = number
        keys.append(key)
    return keys
