"""Reading a source into a work file, with a note every so often of how far that is.

A process that is killed leaves the work file and the note behind. The next ingest of the same source
goes on from there: what is in the work file is not read, checked or fetched again.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from penstock.core.errors import Invalid
from penstock.datasets import readers, sources
from penstock.datasets.left_out import READ, LeftOutLog
from penstock.datasets.model import BadRow, ColumnType, LeftOut, Source
from penstock.datasets.request import Feed, Progress, Request
from penstock.datasets.schema import DelimitedTypes, SchemaBuilder
from penstock.datasets.sources import Opened
from penstock.datasets.spool import Spool

NOTE_EVERY = 20_000
"""Records between two notes."""
_REPORT_EVERY = 1000
_SHOWN_BAD = 5


class Note(msgspec.Struct, kw_only=True):
    """How far reading was when it was last written down."""

    fingerprint: str
    items: int = 0
    """Records taken from the source, malformed ones too."""
    rows: int = 0
    spooled: int = 0
    """Bytes of the work file that hold them."""
    logged: int = 0
    bad: int = 0
    shown: list[BadRow] = []
    seen: dict[str, list[ColumnType]] = {}
    integers: dict[str, bool] = {}
    numbers: dict[str, bool] = {}
    whole: bool = False
    """Whether this was the end of the source."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What was read: the source, the number columns if it is CSV, and its columns."""

    source: Source
    types: DelimitedTypes | None
    names: list[str]


def resumable(request: Request) -> bool:
    """Whether an ingest of this request can go on where a killed one was."""
    return isinstance(request.source, Path) or (
        isinstance(request.source, Feed) and bool(request.source.fingerprint)
    )


def read(request: Request, folder: Path, raw: Spool, log: LeftOutLog) -> Taken:
    """Read the source into `raw`, from where a killed process stopped if it read the same source."""
    opened = None
    if isinstance(request.source, Path):
        opened = sources.inspect(
            request.source, format=request.format, encoding=request.encoding, name=request.name
        )
    reading = _Reading(request, opened, folder / "reading.json", raw, log)
    reading.run()
    return Taken(_source(request, opened, raw.count), reading.types, reading.schema.names)


class _Reading:
    def __init__(
        self, request: Request, opened: Opened | None, path: Path, raw: Spool, log: LeftOutLog
    ) -> None:
        self.request, self.opened, self.path = request, opened, path
        self.raw, self.log = raw, log
        delimited = opened is not None and opened.format in ("csv", "tsv")
        self.schema = SchemaBuilder()
        self.types = DelimitedTypes() if delimited else None
        self.note = Note(fingerprint=_fingerprint(request, opened))
        self._take_up()

    def _take_up(self) -> None:
        """Go on from the note that is there if it is about the same source; else start from nothing."""
        note = _load(self.path)
        if (
            note is not None
            and note.fingerprint == self.note.fingerprint
            and (self.raw.size >= note.spooled and self.log.size >= note.logged)
        ):
            self.note = note
            self.schema.restore(note.seen)
            if self.types is not None:
                self.types.restore(note.integers, note.numbers)
        self.raw.begin(size=self.note.spooled, count=self.note.rows)
        self.log.begin(size=self.note.logged, bad=self.note.bad)

    def run(self) -> None:
        if self.note.items:
            self.request.progress({"stage": "resuming", "rows": self.raw.count})
        if not self.note.whole:
            for item in self._items():
                self._take(item)
            self.note.whole = True
            self._write()
        _check_bad(self.request, self.note.shown, self.log.bad, self.raw.count)

    def _items(self) -> Iterator[readers.Item]:
        request, skip = self.request, self.note.items
        if self.opened is not None:
            return readers.read_file(self.opened, request.limits, skip=skip)
        if isinstance(request.source, Feed):
            return readers.read_rows(request.source.rows(skip), limits=request.limits, first=skip + 1)
        assert not isinstance(request.source, Path)
        return readers.read_rows(request.source)

    def _take(self, item: readers.Item) -> None:
        note = self.note
        note.items += 1
        if isinstance(item, BadRow):
            self.log.add(LeftOut(line=item.line, step=READ, reason=item.reason, excerpt=item.excerpt))
            note.shown += [item] if len(note.shown) < _SHOWN_BAD else []
        else:
            self.raw.append(*item)
            self.schema.observe(item[1])
            if self.types is not None:
                self.types.observe(item[1])
        if note.items % _REPORT_EVERY == 0:
            self._report()
        if note.items % NOTE_EVERY == 0:
            self._write()

    def _report(self) -> None:
        report: dict[str, Any] = {"stage": "reading", "rows": self.raw.count, "malformed": self.log.bad}
        if self.opened is not None and self.opened.format not in sources.TABLES:
            report["share"] = round(self.opened.meter.share, 4)
        self.request.progress(report)

    def _write(self) -> None:
        """Note how far reading is; the files are written first, so the note never promises too much."""
        note = self.note
        if not note.fingerprint:
            return
        note.spooled, note.logged = self.raw.flush(), self.log.flush()
        note.rows, note.bad = self.raw.count, self.log.bad
        note.seen = self.schema.state()
        if self.types is not None:
            note.integers, note.numbers = self.types.state()
        temporary = self.path.with_suffix(".part")
        temporary.write_bytes(msgspec.json.encode(note))
        temporary.replace(self.path)


def _load(path: Path) -> Note | None:
    """Return the note, or None when there is none that can be read; notes are never about a source without a name."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Note)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _fingerprint(request: Request, opened: Opened | None) -> str:
    """Return what names the source and how it is read; empty when that cannot be said."""
    if opened is not None:
        status = opened.path.stat()
        identity: list[Any] = [str(opened.path.absolute()), status.st_size, status.st_mtime_ns, status.st_ino]
        identity += [opened.format, opened.encoding, opened.compression]
    elif isinstance(request.source, Feed) and request.source.fingerprint:
        identity = [request.source.format, request.source.fingerprint]
    else:
        return ""
    identity.append(request.limits.line)
    return hashlib.sha256(msgspec.json.encode(identity)).hexdigest()


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


def _source(request: Request, opened: Opened | None, rows: int) -> Source:
    if isinstance(request.source, Feed):
        feed = request.source
        return Source(name=feed.name, format=feed.format, rows=rows, detail=dict(feed.detail))
    if opened is None:
        return Source(name=request.name, format="rows", rows=rows)
    request.progress({"stage": "hashing", "rows": rows})
    checksum, size = sources.sha256(opened.path)
    return Source(
        name=request.name,
        format=opened.format,
        sha256=checksum,
        size=size,
        encoding=opened.encoding,
        rows=rows,
    )


def watched(rows: Any, progress: Progress, stage: str, *, total: int = 0) -> Iterator[Any]:
    """Yield `rows`, telling `progress` every so often how many of `total` went by."""
    for count, item in enumerate(rows, start=1):
        if count % _REPORT_EVERY == 0:
            progress({"stage": stage, "rows": count, **({"total": total} if total else {})})
        yield item
