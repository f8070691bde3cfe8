"""Spans that hold words, newest first, as the full-text index names them."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import text

from penstock.traces.store.looking import looked
from penstock.traces.store.terms import Asking, Body, Text


class Hit(NamedTuple):
    """A span that the index names; `told` is whether the span itself says the same."""

    span: int
    trace: int
    told: bool


def _number(asking: Asking) -> str:
    return "x.rowid" if asking.sqlite else "x.id"


def below(asking: Asking, words: Text, span: int, limit: int) -> Sequence[Hit]:
    """Return the newest `limit` spans below row `span` that hold `words`."""
    number = _number(asking)
    named = (
        f"(SELECT {number} AS id FROM traces_text x WHERE {words.match(asking)} AND {number} < {int(span)} "
        f"ORDER BY {number} DESC LIMIT {int(limit)}) y JOIN traces_spans s ON s.id = y.id"
    )
    if words.body is None:
        query = text(f"SELECT y.id AS span, s.trace FROM {named} ORDER BY y.id DESC")
        return [Hit(row.span, row.trace, True) for row in asking.conn.execute(query, asking.values)]
    return _told(asking, words.body, named)


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
