"""Spans that hold words, newest first, as the full-text index names them."""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import text

from penstock.traces.store.looking import looked
from penstock.traces.store.sql import CUT, planned
from penstock.traces.store.terms import Asking, Body, Text

_FIRST, _LEAST, _MOST = 500, 60, 16_000
"""Entries of the index that are read at once: what some 2,000 of them cost, finding a place costs."""

_SOUGHT = 2000
"""Numbers that one statement names."""


class Hit(NamedTuple):
    """A span that the index names; `told` is whether the span itself says the same."""

    span: int
    trace: int
    told: bool


_STRETCH, _WIDEN = 8, 16
"""Rows that PostgreSQL's first stretch has for each wanted hit, and by how much the next may be wider."""


def _number(asking: Asking) -> str:
    return "x.rowid" if asking.sqlite else "x.id"


def below(asking: Asking, words: Text, span: int, limit: int) -> Sequence[Hit]:
    """Return the newest `limit` spans below row `span` that hold `words`."""
    if asking.sqlite:
        named = (
            f"(SELECT x.rowid AS id FROM traces_text x WHERE {words.match(asking)} AND x.rowid < {int(span)} "
            f"ORDER BY x.rowid DESC LIMIT {int(limit)}) y"
        )
    else:
        listed = _listed(_newest(asking, words, span, limit))
        if not listed:
            return ()
        named = f"unnest(ARRAY[{listed}]) AS y(id)"
    named += " JOIN traces_spans s ON s.id = y.id"
    if words.body is None:
        query = text(f"SELECT y.id AS span, s.trace FROM {named} ORDER BY y.id DESC")
        return [Hit(row.span, row.trace, True) for row in asking.conn.execute(query, asking.values)]
    return _told(asking, words.body, named)


def _newest(asking: Asking, words: Text, span: int, limit: int) -> Sequence[int]:
    """Return the numbers of the newest `limit` spans below row `span` that PostgreSQL's index names.

    That index knows no order: asked for the newest, it reads a row for each span that ever held the words. Here it is
    asked for one stretch of rows after the other, each as wide as what the last one held lets expect.
    """
    first, last = asking.conn.execute(text("SELECT min(id), max(id) FROM traces_text")).one()
    if first is None:
        return ()
    found: list[int] = []
    upper, width, match = min(span, last + 1), _STRETCH * limit, words.match(asking)
    with planned(asking.conn, CUT):
        while upper > first and len(found) < limit:
            lower = upper - width
            query = text(
                f"SELECT x.id FROM traces_text x WHERE {match} AND x.id >= {lower} AND x.id < {upper} "
                f"ORDER BY x.id DESC LIMIT {limit - len(found)}"
            )
            held = asking.conn.execute(query, asking.values).scalars().all()
            found += held
            upper = lower
            wider = 2 * width * (limit - len(found)) // len(held) if held else _WIDEN * width
            width = max(2 * width, min(_WIDEN * width, wider))
    return found


def _told(asking: Asking, body: Body, named: str) -> Sequence[Hit]:
    query = text(
        f"SELECT y.id AS span, s.trace, s.name, s.error, b.data FROM {named} "
        "JOIN traces_bodies b ON b.id = y.id ORDER BY y.id DESC"
    )
    rows = asking.conn.execute(query, asking.values)
    return [Hit(span, trace, body.check(looked(*said))) for span, trace, *said in rows]


def since(asking: Asking, words: Text, trace: int, span: int) -> bool:
    """Whether a span of the trace, from row `span` on, holds the words: a page before listed the trace for it."""
    number, body = _number(asking), words.body
    columns, bodies = (
        ("1", "") if body is None else ("s.name, s.error, b.data", "JOIN traces_bodies b ON b.id = s.id ")
    )
    query = text(
        f"SELECT {columns} FROM traces_spans s {bodies}CROSS JOIN traces_text x WHERE s.trace = {int(trace)} "
        f"AND s.id >= {int(span)} AND {number} = s.id AND {words.match(asking)}"
    )
    rows = asking.conn.execute(query, asking.values)
    return any(body is None or body.check(looked(*row)) for row in rows)


def among(asking: Asking, words: Text, numbers: Collection[int]) -> set[int]:
    """Return those of the spans with these row numbers that hold `words`, as the index says.

    No row of a span is read. SQLite's index is read in order, and left out where a stretch of it holds none of them:
    finding each of them by itself costs a hundred times what reading one entry does.
    """
    if words.hits is not None:
        return set(words.hits.intersection(numbers))
    if not numbers:
        return set()
    if asking.sqlite:
        return set(_stretches(asking, words, sorted(set(numbers))))
    query = text(
        f"SELECT x.id FROM traces_text x WHERE x.id IN ({_listed(numbers)}) AND {words.match(asking)}"
    )
    with planned(asking.conn, CUT):
        return set(asking.conn.execute(query, asking.values).scalars())


def _stretches(asking: Asking, words: Text, ordered: Sequence[int]) -> Iterator[int]:
    """Yield those that the index names, reading a stretch of it at a time around the next of the numbers."""
    at, size = 0, _FIRST
    while at < len(ordered):
        some = ordered[at : at + _SOUGHT]
        query = text(
            f"SELECT min(n), max(n), count(*), group_concat(CASE WHEN n IN ({_listed(some)}) THEN n END) "
            f"FROM (SELECT x.rowid AS n FROM traces_text x WHERE {words.match(asking)} "
            f"AND x.rowid BETWEEN {int(some[0])} AND {int(some[-1])} ORDER BY x.rowid LIMIT {size})"
        )
        first, last, count, found = asking.conn.execute(query, asking.values).one()
        yield from map(int, found.split(",") if found else ())
        if count < size:
            at += len(some)
            continue
        at = bisect_right(ordered, last)
        if at < len(ordered):
            between = (ordered[at] - last) * size / (last - first + 1)  # entries, as they lay so far
            size = min(_MOST, 2 * size) if between < size else max(_LEAST, size // 4)


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(str(int(one)) for one in numbers)
