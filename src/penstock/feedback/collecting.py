"""Datasets of recorded calls: chosen traces, or everything that a query finds."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from penstock.core.errors import Invalid, NotFound
from penstock.core.home import Home
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.datasets import service as datasets
from penstock.datasets.model import DatasetVersion
from penstock.feedback.transcript import messages_of, text_of
from penstock.traces import service as traces
from penstock.traces.model import SpanRecord, TraceFilters

GONE = "there is no such trace"
NO_CALL = "no model call that succeeded"
NOT_TEXT = "the call is not recorded as text"
_PAGE = 200


class Each(StrEnum):
    """What becomes a row."""

    LAST = "last"
    """The last model call of each trace."""
    ALL = "all"
    """Every model call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """A dataset version made of traces, and what was left out."""

    version: DatasetVersion
    traces: int
    """How many traces gave rows."""
    rows: int
    skipped: Mapping[str, int]
    """Reason → how many traces or calls were left out for it."""


def collect(
    home: Home,
    actor: Actor,
    *,
    name: str,
    trace_ids: Iterable[str] | None = None,
    filters: TraceFilters | None = None,
    each: Each = Each.LAST,
    limit: int | None = None,
    description: str = "",
) -> Collected:
    """Add rows `{id, prompt, completion, trace_id, span_id, model}` to the dataset `name`, making it if need be.

    Of the traces with `trace_ids`, or of those that `filters` match, newest first, at most `limit`. The new version is
    linked to every trace that gave a row. Raises Invalid when no trace gives one, with what was left out and why.
    """
    if (trace_ids is None) == (filters is None):
        raise Invalid("Give trace ids or a query, not both.")
    with home.read() as uow:
        uow.may(actor, "datasets.write", name)
        uow.may(actor, "traces.read")
        known = _has_versions(uow, actor, name)
    found = trace_ids if trace_ids is not None else _matching(home, actor, filters or TraceFilters(), limit)
    gathered = _Gathering(home, actor, each)
    with tempfile.TemporaryDirectory(prefix="penstock-traces-") as folder:
        path = Path(folder) / "traces.jsonl"
        with path.open("wb") as file:
            for row in gathered.rows(dict.fromkeys(found)):
                file.write(msgspec.json.encode(row) + b"\n")
        if not gathered.traces:
            left = "; ".join(f"{count} left out: {why}" for why, count in sorted(gathered.skipped.items()))
            raise Invalid(f"These traces give no rows. {left}".strip(), hint="Are bodies recorded?")
        write = datasets.append if known else datasets.ingest
        version = write(
            home,
            actor,
            name=name,
            source=path,
            format="jsonl",
            parents=[Link("trace", trace_id, "source") for trace_id in gathered.traces],
            description=description or f"calls of {len(gathered.traces)} traces",
        )
    return Collected(
        version=version,
        traces=len(gathered.traces),
        rows=gathered.count,
        skipped=dict(sorted(gathered.skipped.items())),
    )


def _has_versions(uow: UnitOfWork, actor: Actor, name: str) -> bool:
    try:
        datasets.resolve(uow, actor, name)
    except NotFound:
        return False
    return True


def _matching(home: Home, actor: Actor, filters: TraceFilters, limit: int | None) -> Iterator[str]:
    after: tuple[int, int] | None = None
    left = limit
    while left is None or left > 0:
        with home.read() as uow:
            size = _PAGE if left is None else min(_PAGE, left)
            page = traces.list_traces(uow, actor, filters=filters, after=after, limit=size)
        yield from (trace.trace_id for trace in page.items)
        left = None if left is None else left - len(page.items)
        after = page.next
        if after is None:
            return


class _Gathering:
    """Reads the calls of one trace after the other, each in a short transaction."""

    def __init__(self, home: Home, actor: Actor, each: Each) -> None:
        self._home = home
        self._actor = actor
        self._each = each
        self.traces: list[str] = []
        self.count = 0
        self.skipped: Counter[str] = Counter()

    def rows(self, trace_ids: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Yield the rows of the traces."""
        for trace_id in trace_ids:
            with self._home.read() as uow:
                made = [row for call in self._calls(uow, trace_id) if (row := self._row(call)) is not None]
            if made:
                self.traces.append(made[0]["trace_id"])
                self.count += len(made)
                yield from made

    def _calls(self, uow: UnitOfWork, trace_id: str) -> Iterator[SpanRecord]:
        try:
            if self._each is Each.LAST:
                last = traces.last_call(uow, self._actor, trace_id=trace_id)
                calls = [] if last is None else [last]
            else:
                calls = traces.good_calls(uow, self._actor, trace_id=trace_id)
        except NotFound:
            self.skipped[GONE] += 1
            return
        if not calls:
            self.skipped[NO_CALL] += 1
        for span_id in calls:
            yield traces.get_span_body(uow, self._actor, trace_id=trace_id, span_id=span_id)

    def _row(self, call: SpanRecord) -> dict[str, Any] | None:
        messages, text = messages_of(call.input), text_of(call.output)
        if not messages or text is None:
            self.skipped[NOT_TEXT] += 1
            return None
        return {
            "id": f"{call.trace_id}/{call.span_id}",
            "prompt": list(messages),
            "completion": text,
            "trace_id": call.trace_id,
            "span_id": call.span_id,
            "model": call.model or call.requested_model or "",
        }
