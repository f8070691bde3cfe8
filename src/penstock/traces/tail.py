"""The live tail: traces as they arrive, for one listener."""

from collections import deque
from dataclasses import dataclass

from penstock.core import clock
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.traces import query
from penstock.traces.model import TraceFilters, TraceSummary
from penstock.traces.settings import TracesSettings
from penstock.traces.store import arrivals, scores
from penstock.traces.store.deadline import limited

MOST = 200
"""Traces told at a time; a listener who cannot keep up is told how many were left out."""
_SPANS = 20_000
_OVERLAP_SECONDS = 5.0
"""On PostgreSQL a row's number may be lower than one that was committed before: so far back is looked again."""


@dataclass(frozen=True, slots=True)
class News:
    """Traces that have new spans, in the order of their arrival, and how many more there were."""

    traces: tuple[TraceSummary, ...]
    skipped: int
    position: int
    """Where to go on after a broken connection."""


class Tail:
    """Remembers what its listener has been told; nothing else of what was told is kept."""

    def __init__(
        self, home: Home, actor: Actor, *, filters: TraceFilters | None = None, after: int | None = None
    ) -> None:
        """Begin now, or behind the row `after` (the `position` of earlier news); raises Denied, Invalid for a query."""
        self._home = home
        self._actor = actor
        self._node = query.of_filters(filters or TraceFilters())
        with home.read() as uow:
            uow.may(actor, "traces.read")
            newest = arrivals.newest(uow.conn)
        self._floor = newest if after is None else min(after, newest)
        self._told: set[int] = set()
        self._marks = deque([(clock.monotonic(), self._floor)])

    def poll(self) -> News:
        """Return what has arrived since the last call."""
        with self._home.read() as uow:
            uow.may(self._actor, "traces.read")
            rows = arrivals.arrived(uow.conn, self._actor.scope, after=self._floor, limit=_SPANS)
            fresh = [row for row in rows if row[0] not in self._told]
            traces = list(dict.fromkeys(trace for _, trace in fresh))
            found = self._meeting(uow, traces[:MOST])
            told = [found[trace] for trace in reversed(traces[:MOST]) if trace in found]
            marked = scores.marked(uow.conn, self._actor.scope, told)
        self._settle(rows)
        return News(marked, max(0, len(traces) - MOST), self._floor)

    def _meeting(self, uow: UnitOfWork, traces: list[int]) -> dict[int, TraceSummary]:
        if not traces:
            return {}
        seconds = uow.home.settings.section(TracesSettings).query_seconds
        with limited(uow.conn, seconds) as deadline:
            scope, now = self._actor.scope, clock.now()
            return arrivals.meeting(uow.conn, scope, self._node, traces, now=now, deadline=deadline)

    def _settle(self, rows: list[tuple[int, int]]) -> None:
        if rows and self._home.db.sqlite:
            self._floor = rows[0][0]
            return
        now = clock.monotonic()
        if rows and rows[0][0] > self._marks[-1][1]:
            self._marks.append((now, rows[0][0]))
        while len(self._marks) > 1 and self._marks[1][0] < now - _OVERLAP_SECONDS:
            self._marks.popleft()
        if self._marks[0][0] < now - _OVERLAP_SECONDS:
            self._floor = max(self._floor, self._marks[0][1])
        self._told = {number for number, _ in rows if number > self._floor}
