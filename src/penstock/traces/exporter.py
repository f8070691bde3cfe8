"""Exporting spans: which ones, page by page, and in which format; nothing is held whole."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from penstock.core import clock
from penstock.core.deferred import deferred
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.stopping import Stop
from penstock.core.uow import UnitOfWork
from penstock.traces import otlp_out, query
from penstock.traces.lines import as_columns, as_line
from penstock.traces.model import SpanRecord, TraceFilters, TracePage, TraceSummary
from penstock.traces.store import export as exporting
from penstock.traces.store import search
from penstock.traces.store.deadline import Deadline, within

if TYPE_CHECKING:
    from penstock.traces import parquet
else:
    parquet = deferred("penstock.traces.parquet")

ExportFormat = Literal["jsonl", "parquet", "otlp", "otlp-protobuf"]
FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)
MEDIA_TYPES: dict[ExportFormat, tuple[str, str]] = {
    "jsonl": ("application/x-ndjson", "jsonl"),
    "parquet": ("application/vnd.apache.parquet", "parquet"),
    "otlp": ("application/x-ndjson", "otlp.jsonl"),
    "otlp-protobuf": ("application/x-protobuf", "otlp.pb"),
}
"""Format → media type and file ending."""
_PAGE, _SPANS, _REQUEST = 200, 200, 200
_LISTING_SECONDS = 300.0
"""Longest time to find the next page: what goes through everything has more time than a list that people wait for."""


def format_named(name: str) -> ExportFormat:
    """Return `name` as a format; raises Invalid."""
    for known in FORMATS:
        if name == known:
            return known
    raise Invalid(f"There is no export as {name!r}.", hint=f"Use {', '.join(FORMATS)}.")


def listed(
    uow: UnitOfWork,
    actor: Actor,
    filters: TraceFilters,
    after: tuple[int, int] | None,
    limit: int,
    deadline: Deadline | None = None,
) -> TracePage:
    """Return the next of the matching traces, for work that goes through all of them and may have a `deadline`."""
    node = query.of_filters(filters)
    deadline = deadline or Deadline(_LISTING_SECONDS, Stop())
    with within(uow.conn, deadline):
        return search.list_traces(
            uow.conn, actor.scope, node, now=clock.now(), deadline=deadline, after=after, limit=limit
        )


def spans(
    home: Home, actor: Actor, *, filters: TraceFilters | None = None, limit: int | None = None
) -> Iterator[SpanRecord]:
    """Yield the spans of the matching traces in full, newest trace first, at most `limit` traces.

    Short transactions read 200 traces' names, or 200 spans: a long export blocks nobody, and takes no more memory than
    a short one.
    """
    after: tuple[int, int] | None = None
    left = limit
    while left is None or left > 0:
        size = _PAGE if left is None else min(_PAGE, left)
        with home.read() as uow:
            uow.may(actor, "traces.read")
            page = listed(uow, actor, filters or TraceFilters(), after, size)
        for trace in page.items:
            yield from _of_trace(home, actor, trace)
        after = page.next
        left = None if left is None else left - len(page.items)
        if after is None:
            return


def _of_trace(home: Home, actor: Actor, trace: TraceSummary) -> Iterator[SpanRecord]:
    key = bytes.fromhex(trace.trace_id)
    if trace.spans <= _SPANS:
        with home.read() as uow:
            found = exporting.records(uow.conn, actor.scope, key)
        yield from found
        return
    yield from of_trace(home, actor, trace.trace_id)


def of_trace(home: Home, actor: Actor, trace_id: str) -> Iterator[SpanRecord]:
    """Yield the spans of one trace in full, 200 in one short transaction; none when it is not there."""
    key = bytes.fromhex(trace_id)
    with home.read() as uow:
        uow.may(actor, "traces.read", trace_id)
        ids = exporting.span_ids(uow.conn, actor.scope, key)
    for start in range(0, len(ids), _SPANS):
        with home.read() as uow:
            found = exporting.records(uow.conn, actor.scope, key, ids[start : start + _SPANS])
        yield from found


def pieces(found: Iterable[SpanRecord], format: ExportFormat) -> Iterator[bytes]:
    """Yield the bytes of a file in a format that can be written as it goes: any but Parquet."""
    if format == "jsonl":
        for span in found:
            yield as_line(span)
        return
    encode = otlp_out.as_json_line if format == "otlp" else otlp_out.as_protobuf
    for batch in batches(found, _REQUEST):
        yield encode(batch)


def batches(found: Iterable[SpanRecord], size: int) -> Iterator[list[SpanRecord]]:
    """Yield lists of at most `size` spans."""
    source = iter(found)
    while batch := list(islice(source, size)):
        yield batch


def write(found: Iterable[SpanRecord], format: ExportFormat, to: Path) -> int:
    """Write a file, which appears only when it is complete; returns how many spans. Raises Invalid."""
    counted = _Counted(found)
    part = to.with_name(f".{to.name}.part")
    lines = to.with_name(f".{to.name}.lines")
    try:
        if format == "parquet":
            with lines.open("wb") as file:
                for span in counted:
                    file.write(as_columns(span))
            parquet.convert(lines, part)
        else:
            with part.open("wb") as file:
                for piece in pieces(counted, format):
                    file.write(piece)
        part.replace(to)
    except OSError as error:
        raise Invalid(f"{to} cannot be written: {error.strerror}.") from error
    finally:
        part.unlink(missing_ok=True)
        lines.unlink(missing_ok=True)
    return counted.count


class _Counted:
    """Spans that are counted as they pass."""

    def __init__(self, found: Iterable[SpanRecord]) -> None:
        self._found = found
        self.count = 0

    def __iter__(self) -> Iterator[SpanRecord]:
        for span in self._found:
            self.count += 1
            yield span
