"""Importing traces that other programs (or this one) exported: streaming, idempotent, broken rows set aside."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.traces.find_service import put_scores
from penstock.traces.importing import langfuse, mlflow, own, phoenix, rows
from penstock.traces.importing.rows import Row
from penstock.traces.mapping import to_record
from penstock.traces.model import SpanRecord, TraceScore
from penstock.traces.policy_service import MaskTable
from penstock.traces.pricing import PriceTable
from penstock.traces.store.prepare import Prepared, prepare
from penstock.traces.store.write import ScopeIds
from penstock.traces.writer import write

ImportFormat = Literal["langfuse", "phoenix", "mlflow", "jsonl", "parquet"]
FORMATS: tuple[ImportFormat, ...] = get_args(ImportFormat)
_READERS = {"langfuse": langfuse.read, "phoenix": phoenix.read, "mlflow": mlflow.read}
_GROUP = 500
_REPORTED = 100
"""Rows between two words about progress."""
MAX_PROBLEMS = 1000
_BROKEN = (Invalid, TypeError, ValueError, KeyError, AttributeError, OverflowError, RecursionError)
"""What a row that is not what its format promises makes its reader raise."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A row that was set aside."""

    line: int
    """Counted from 1; in an array the line where the object begins, in Parquet the row."""
    reason: str
    excerpt: str = ""


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did."""

    rows: int
    spans: int
    traces: int
    """Distinct traces; counted up to a million."""
    scores: int
    """Scores that came apart from their traces."""
    quarantined: int
    problems: tuple[Problem, ...]
    """The first 1,000 of the rows that were set aside."""


class _Import:
    """One import while it runs."""

    def __init__(self, home: Home, actor: Actor, format: ImportFormat) -> None:
        self._home = home
        self._scope = actor.scope
        self._format = format
        self._pricing = partial(PriceTable(home).cost, actor.scope)
        self._masks = MaskTable(home)
        self._known = ScopeIds()
        self._batch: list[Prepared] = []
        self._traces: set[bytes] = set()
        self._scores: dict[tuple[str, str], TraceScore] = {}
        self.rows = self.spans = self.scores = 0

    def take(self, row: Row) -> Problem | None:
        """Take in one row, all of its spans or none; returns why not."""
        self.rows += 1
        if row.value is None:
            return Problem(line=row.line, reason=row.reason, excerpt=row.excerpt)
        try:
            if self._format == "langfuse" and langfuse.is_score(row.value):
                self._take_score(langfuse.score(row.value))
                return None
            ready = [
                prepare(self._scope, self._masks.masked(self._scope, record))
                for record in self._read(row.value)
            ]
        except _BROKEN as error:
            reason = str(error) if isinstance(error, Invalid) else f"{type(error).__name__}: {error}"
            return Problem(line=row.line, reason=reason[:500], excerpt=_shown(row.value))
        self.spans += len(ready)
        if len(self._traces) < 1_000_000:
            self._traces.update(span.trace_id for span in ready)
        for span in ready:
            self._batch.append(span)
            if len(self._batch) >= _GROUP:
                self.flush()
        return None

    def _take_score(self, score: TraceScore) -> None:
        self.scores += 1
        self._scores[score.trace_id, score.ref] = score
        if len(self._scores) >= _GROUP:
            self.flush()

    def _read(self, row: dict[str, Any]) -> Iterator[SpanRecord]:
        if self._format in ("jsonl", "parquet"):
            yield own.read(row)
            return
        for span in _READERS[self._format](row):
            yield to_record(span, self._pricing)

    def counts(self) -> dict[str, int]:
        """Return how far it has come."""
        return {"rows": self.rows, "spans": self.spans}

    def flush(self) -> None:
        """Write what waits."""
        if self._batch:
            write(self._home, self._known, self._batch)
            self._batch = []
        if self._scores:
            with self._home.begin() as uow:
                put_scores(uow, self._scope, scores=self._scores.values())
            self._scores = {}

    def traces(self) -> int:
        """Return how many traces there were."""
        return len(self._traces)


def _shown(row: dict[str, Any]) -> str:
    return msgspec.json.encode(row, enc_hook=str)[:200].decode("utf-8", "replace")


def import_traces(
    home: Home,
    actor: Actor,
    *,
    source: Path,
    format: str,
    quarantine: Callable[[Problem], None] | None = None,
    progress: Callable[[dict[str, int]], None] | None = None,
) -> Imported:
    """Import the file `source`; what was imported before is not imported twice (ids stay, or follow from theirs).

    A row that cannot be read is set aside: the first 1,000 are in the result, and `quarantine` is told of each.
    `progress` is told now and then how many rows were read, spans taken and rows set aside. Masking applies.
    Raises Invalid for an unknown format or a file that is none of JSON, JSON lines and Parquet.
    """
    if format not in FORMATS:
        raise Invalid(f"There is no import from {format!r}.", hint=f"Use {', '.join(FORMATS)}.")
    with home.begin() as uow:
        uow.may(actor, "traces.write", "import")
        uow.audit(actor, "traces.import", format)
    running = _Import(home, actor, format)
    problems: list[Problem] = []
    quarantined = 0
    try:
        for row in rows.read(source):
            problem = running.take(row)
            if progress is not None and running.rows % _REPORTED == 0:
                progress({**running.counts(), "quarantined": quarantined})
            if problem is None:
                continue
            quarantined += 1
            if quarantine is not None:
                quarantine(problem)
            if len(problems) < MAX_PROBLEMS:
                problems.append(problem)
        running.flush()
    except OSError as error:
        raise Invalid(f"{source.name} cannot be read: {error.strerror}.") from error
    return Imported(
        rows=running.rows,
        spans=running.spans,
        traces=running.traces(),
        scores=running.scores,
        quarantined=quarantined,
        problems=tuple(problems),
    )
