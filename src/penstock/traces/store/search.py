"""Finding the traces that a query asks for, newest first.

Where an index lists few traces for some part of the query, those are tried; else lists walk through time (or along
the widest part's index, along the indexes of alternatives together, or, with words, along the shorter of that index and
the spans that hold the words) and stop when the page is full.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from penstock.core.scope import Scope
from penstock.traces.model import TracePage, TraceSummary
from penstock.traces.query.nodes import Node
from penstock.traces.store import covers, hitting, looking, read
from penstock.traces.store.deadline import Deadline
from penstock.traces.store.lowering import lower
from penstock.traces.store.sql import IN_ORDER, planned
from penstock.traces.store.terms import (
    RARE,
    RARE_WORDS,
    All,
    Asking,
    Body,
    Column,
    Constant,
    Facets,
    Pair,
    Term,
    Text,
)

_CHUNK, _LARGEST_CHUNK = 128, 2000
_LOOKED_INTO = 512
"""Spans that are looked into at once."""
_COUNTED = 50_000
_SPANS = 50_000
"""Of which the words are looked up together."""
_ENTRIES = 20_000
"""Of the side table: where it has more, words lead to the traces."""
_BY_HITS = -1
"""A cursor (−1, n) goes on below span n: those pages follow the words, in the order of arrival."""


@contextmanager
def _ranging(asking: Asking) -> Iterator[None]:
    """Write conditions for a statement that reads a range `f` of the side table.

    Look-ups in that table then go from `f`: PostgreSQL merges the ranges in the order of lists. Going from `t` it took
    them for unrelated, and joined all of one with every row of the other (10 s of 300,000 spans).
    """
    before = asking.at, asking.number
    asking.at, asking.number = "f.at_ms", "f.trace"
    try:
        yield
    finally:
        asking.at, asking.number = before


class Search:
    """One query being answered."""

    def __init__(
        self,
        conn: Connection,
        scope: Scope,
        node: Node | None,
        *,
        now: datetime,
        deadline: Deadline,
        fresh: bool = False,
    ) -> None:
        """`fresh` asks of traces that may not be in the full-text index yet: words are looked for in the bodies."""
        self.asking = Asking(conn, scope, fresh=fresh)
        self.term = lower(self.asking, node, now)
        self._conn = conn
        self._deadline = deadline
        for words in () if self.asking.sqlite else self._texts():
            words.most = RARE_WORDS

    def page(self, after: Pair | None, limit: int) -> TracePage:
        """Return up to `limit` traces that follow the cursor `after`."""
        if after is not None and after[0] == _BY_HITS:
            return self._by_hits(self._texts()[0], after[1], limit) if self._texts() else TracePage(items=())
        if after is not None:
            until = after[0] + 1
            self.asking.until = until if self.asking.until is None else min(until, self.asking.until)
        rare = self.term.pairs(self.asking, RARE)
        if rare is not None:
            if isinstance(self.term, Text):
                self.term.given = True  # the list is what the index said
            return self._listed(sorted(set(rare), reverse=True), after, limit)
        texts = self._texts()
        covered = self._smaller(texts[0]) if texts else None
        if covered is None and texts and after is None:
            return self._by_hits(texts[0], 1 << 62, limit)
        covered = covered or covers.of(self.asking, self._flat(self._parts()))
        if covered is not None:
            return self._listed(covers.newest_first(self.asking, covered, after), after, limit)
        if any(True for _ in self.term.bodies()):
            return self._tried(after, limit)
        rows = self._walk(after, limit + 1)
        following = (rows[limit - 1].at_ms, rows[limit - 1].id) if len(rows) > limit else None
        return TracePage(items=tuple(read.summary(row) for row in rows[:limit]), next=following)

    def _parts(self) -> tuple[Term, ...]:
        return self.term.items if isinstance(self.term, All) else (self.term,)

    def _texts(self) -> list[Text]:
        return [part for part in self._flat(self._parts()) if isinstance(part, Text)]

    def _flat(self, parts: Sequence[Term]) -> Iterator[Term]:
        for part in parts:
            if isinstance(part, All):
                yield from self._flat(part.items)
            else:
                yield part

    def _smaller(self, words: Text) -> covers.Cover | None:
        """Return the entry of the side table that the query asks for, where the index names more spans than it has.

        PostgreSQL is not asked how many: it counts them by reading their words.
        """
        facet = self._facet()
        size = _ENTRIES if facet is None else facet.size(self.asking, _ENTRIES)
        if facet is None or size >= _ENTRIES or (self.asking.sqlite and words.fewer(self.asking, size)):
            return None
        return covers.Cover(facet.ids, size)

    def _facet(self) -> Facets | None:
        """Return the part whose index range is the shortest, among those that are one range in the order of lists."""
        found = [
            part for part in self._flat(self._parts()) if isinstance(part, Facets) and len(part.ids) == 1
        ]
        if len(found) > 1:
            found.sort(key=lambda part: part.size(self.asking, _COUNTED))
        return found[0] if found else None

    def _walk(self, after: Pair | None, limit: int) -> Sequence[Any]:
        """Return rows in order, everything but the bodies met."""
        asking, facet = self.asking, self._facet()
        source, where = f"traces_traces t {read.ROOT}", ["t.scope_id = :scope"]
        if facet is not None:
            # CROSS JOIN keeps SQLite from starting at the other table: the range is in list order already.
            source = f"traces_facets f CROSS JOIN traces_traces t {read.ROOT}"
            where += [f"f.facet = {int(facet.ids[0])}", "t.id = f.trace"]
        with nullcontext() if facet is None else _ranging(asking):
            at, number = asking.at, asking.number
            where += [
                part.sql(asking, relaxed=True) for part in self._flat(self._parts()) if part is not facet
            ]
        if after is not None:
            where.append(f"({at}, {number}) < ({asking.bind(after[0])}, {asking.bind(after[1])})")
        condition = " AND ".join(where) + asking.window(at)
        query = (
            f"SELECT {read.SUMMARY} FROM {source} WHERE {condition} "
            f"ORDER BY {at} DESC, {number} DESC LIMIT {int(limit)}"
        )
        with planned(self._conn, IN_ORDER):
            return self._conn.execute(text(query), asking.values).all()

    def _tried(self, after: Pair | None, limit: int) -> TracePage:
        """Walk in chunks and look into the bodies of each."""
        items: list[TraceSummary] = []
        size = min(_CHUNK, max(32, limit + limit // 4))  # often most of them meet it
        while True:
            rows = self._walk(after, size)
            met = self.meeting([row.id for row in rows])
            for row in rows:
                if row.id not in met:
                    continue
                if len(items) == limit:
                    return TracePage(items=tuple(items), next=after)
                items.append(met[row.id])
                after = (row.at_ms, row.id)
            if len(rows) < size:
                return TracePage(items=tuple(items))
            if len(items) < limit:
                after = (rows[-1].at_ms, rows[-1].id)
            if items and self._deadline.near():
                return TracePage(items=tuple(items), next=after)
            size = self._deadline.more(size, _LARGEST_CHUNK)

    def _listed(self, pairs: Iterable[Pair], after: Pair | None, limit: int) -> TracePage:
        """Try the pairs, which are in the order of lists, until the page is full."""
        left = iter(pair for pair in pairs if after is None or pair < after)
        items: list[TraceSummary] = []
        last: Pair | None = None
        size = limit + 1 if not self._texts() else 2 * limit + 1  # the index alone says which to leave out
        while chunk := list(itertools.islice(left, size)):
            met = self.meeting([number for _, number in chunk])
            for pair in chunk:
                if pair[1] not in met:
                    continue
                if len(items) == limit:
                    return TracePage(items=tuple(items), next=last)
                items.append(met[pair[1]])
                last = pair
            if items and self._deadline.near():
                return TracePage(items=tuple(items), next=chunk[-1])
            size = self._deadline.more(size, _LARGEST_CHUNK)
        return TracePage(items=tuple(items))

    def _by_hits(self, words: Text, below: int, limit: int) -> TracePage:
        """Walk the spans that hold the words, newest first; a trace stands where its newest one does."""
        start, first = below, below == 1 << 62
        seen: set[int] = set()
        items: list[TraceSummary] = []
        size = max(32, limit + limit // 2)  # each of them is a row somewhere else
        largest = 2 * _LARGEST_CHUNK if words.body is None else _LOOKED_INTO
        while True:
            hits = hitting.below(self.asking, words, below, size)
            self._deadline.check()
            met = self._met_by_hits(words, [hit.trace for hit in hits if hit.told and hit.trace not in seen])
            for hit in hits:
                if not hit.told or hit.trace in seen or hit.trace not in met:
                    below = hit.span
                    continue
                if len(items) == limit:
                    return TracePage(items=tuple(items), next=(_BY_HITS, below))
                below = hit.span
                seen.add(hit.trace)
                if first or not hitting.since(self.asking, words, hit.trace, start):
                    items.append(met[hit.trace])
            if len(hits) < size:
                return TracePage(items=tuple(items))
            if items and self._deadline.near():
                return TracePage(items=tuple(items), next=(_BY_HITS, below))
            size = self._deadline.more(size, largest)

    def _met_by_hits(self, words: Text, traces: Sequence[int]) -> dict[int, TraceSummary]:
        """Return those that meet the query, of traces with a span that meets `words`."""
        told: list[Text | Body] = [words] if words.body is None else [words, words.body]
        for one in told:
            one.given = True
        met = self.meeting(traces)
        for one in told:
            one.given = False
        return met

    def meeting(self, rows: Sequence[int]) -> dict[int, TraceSummary]:
        """Return those of the traces (row numbers) that meet the query, everything counted."""
        with self._saying(rows) as said:
            if not said:
                return {}
            self._try_bodies(said)
            return {row.id: read.summary(row) for row in self._among(said, read.SUMMARY, relaxed=None)}

    @contextmanager
    def _saying(self, rows: Sequence[int]) -> Iterator[Sequence[int]]:
        """Yield those of the traces with a span that holds the words of the query, which are not asked about again.

        Only the index is read for that: most of what one user or tag has need not say the words, and lies anywhere.
        """
        asked = [words for words in self._texts() if not words.given]
        for words in asked if rows else ():
            trace_of = dict(looking.numbers_of(self._conn, rows, most=_SPANS))
            if len(trace_of) == _SPANS:
                continue  # huge traces: the first span that says it is looked for in each
            words.near = frozenset(hitting.among(self.asking, words, trace_of))
            self._deadline.check()
            saying = {trace_of[span] for span in words.near}
            rows = [row for row in rows if row in saying]
            words.given = True
        try:
            yield rows
        finally:
            for words in asked:
                words.given, words.near = False, None

    def _try_bodies(self, rows: Sequence[int]) -> None:
        """Note which of the traces meet the body terms."""
        bodies = list(self.term.bodies())
        if not bodies or not rows:
            return
        possible = [row.id for row in self._among(rows, "t.id", relaxed=True)]
        trace_of = dict(looking.numbers_of(self._conn, possible))
        self.asking.found = {id(body): self._told(body, trace_of) for body in bodies}

    def _told(self, body: Body, trace_of: dict[int, int]) -> set[int]:
        """Return which traces have a span that meets `body`, of spans (row number → trace)."""
        named = None if body.index is None else body.index.near or body.index.hits
        asked = [number for number in trace_of if named is None or number in named]
        found: set[int] = set()
        for number, span in looking.at(self._conn, asked):
            self._deadline.check()
            if trace_of[number] not in found and body.check(span):
                found.add(trace_of[number])
        return found

    def grouped(self, since: int, step: int) -> Sequence[tuple[int, int, int]]:
        """Return (stretch, traces, those with errors) of what is found without looking into bodies."""
        for one in self._texts():
            one.common = False  # all of them are needed: one look into the index, however many it lists
        part, facet, at = self._narrowest(), None, "t.at_ms"
        source, where = "traces_traces t", ["t.scope_id = :scope"]
        if isinstance(part, Facets):
            facet, at, source = part, "f.at_ms", "traces_facets f CROSS JOIN traces_traces t"
            where += [f"f.facet = {int(part.ids[0])}", "t.id = f.trace"]
        elif part is not None and self.asking.sqlite:
            at = "+t.at_ms"  # keeps SQLite's planner with the index of that part
        with nullcontext() if facet is None else _ranging(self.asking):
            where += [
                one.condition
                if one is part and isinstance(one, Column)
                else one.sql(self.asking, relaxed=True)
                for one in self._flat(self._parts())
                if one is not facet
            ]
        query = (
            f"SELECT ({at} - {int(since)}) / {int(step)} AS at, count(*), "
            "sum(CASE WHEN t.errors > 0 THEN 1 ELSE 0 END) "
            f"FROM {source} WHERE {' AND '.join(where)}{self.asking.window(at)} GROUP BY 1"
        )
        rows = self._conn.execute(text(query), self.asking.values)
        return [(int(row[0]), int(row[1]), int(row[2])) for row in rows]

    def _narrowest(self) -> Facets | Column | None:
        """Return a part that an index leads to, if what it lists is few beside everything."""
        facet = self._facet()
        if facet is not None and facet.size(self.asking, _COUNTED) < _COUNTED:
            return facet
        listed = [part for part in self._flat(self._parts()) if isinstance(part, Column) and part.listed]
        return next((part for part in listed if part.fewer(self.asking, _COUNTED)), None)

    def possible(self) -> list[int]:
        """Return the row numbers of all traces that meet everything but, perhaps, the bodies."""
        rows = self._conn.execute(text(self._every("t.id")), self.asking.values)
        return [row[0] for row in rows]

    def times(self, rows: Sequence[int]) -> list[tuple[int, int]]:
        """Return (at_ms, errors) of those of the traces that meet the query, everything counted."""
        self._try_bodies(rows)
        return [(row[0], row[1]) for row in self._among(rows, "t.at_ms, t.errors", relaxed=None)]

    def _every(self, columns: str) -> str:
        condition = self.term.sql(self.asking, relaxed=True)
        return (
            f"SELECT {columns} FROM traces_traces t WHERE t.scope_id = :scope AND {condition}"
            f"{self.asking.window('t.at_ms')}"
        )

    def _among(self, rows: Sequence[int], columns: str, relaxed: bool | None) -> Sequence[Any]:
        numbers = ", ".join(str(int(row)) for row in dict.fromkeys(rows))
        root = read.ROOT if columns == read.SUMMARY else ""
        # The plus keeps SQLite's planner from reading the whole scope instead of these few rows.
        scope = "+t.scope_id" if self.asking.sqlite else "t.scope_id"
        query = (
            f"SELECT {columns} FROM traces_traces t {root} WHERE {scope} = :scope "
            f"AND t.id IN ({numbers}) AND {self.term.sql(self.asking, relaxed)}{self.asking.window('t.at_ms')}"
        )
        return self._conn.execute(text(query), self.asking.values).all()


def list_traces(
    conn: Connection,
    scope: Scope,
    node: Node | None,
    *,
    now: datetime,
    deadline: Deadline,
    after: Pair | None,
    limit: int,
) -> TracePage:
    """Return up to `limit` traces that `node` asks for, newest first, after the cursor `after`."""
    search = Search(conn, scope, node, now=now, deadline=deadline)
    if isinstance(search.term, Constant) and not search.term.met:
        return TracePage(items=())
    return search.page(after, limit)
