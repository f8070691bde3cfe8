"""Where the words of a search stand in the traces it found."""

from collections.abc import Iterator, Sequence

import msgspec
from sqlalchemy import Connection, text

from penstock.core.scope import Scope
from penstock.traces import words
from penstock.traces.model import Snippet, SpanRecord, TracePage, TraceSummary
from penstock.traces.query.nodes import And, Node, Or, Words
from penstock.traces.store import read
from penstock.traces.store.spoken import Spoken
from penstock.traces.store.terms import Asking, Text

_SPANS = 50
"""Traces with more spans are not read whole."""
_TRIED = 20
"""Spans that are looked into: the index may know a word in another form than the text has."""


def _asked(node: Node | None) -> Iterator[Words]:
    """Yield the words a query asks for (not those it excludes)."""
    if isinstance(node, Words) and words.split(node.text):
        yield node
    elif isinstance(node, And | Or):
        for item in node.items:
            yield from _asked(item)


def added(conn: Connection, scope: Scope, page: TracePage, node: Node | None) -> TracePage:
    """Return `page` with a snippet for each trace, when `node` asks for words."""
    spoken = [Spoken(item) for item in _asked(node)]
    if not spoken or not page.items:
        return page
    asking = Asking(conn, scope)
    rows = _rows(asking, page.items)
    small = {rows[trace.trace_id] for trace in page.items if trace.spans <= _SPANS}
    found: dict[int, Snippet] = {}
    for row, span in read.records_of(conn, sorted(small), done=found):
        if (snippet := _shown(span, spoken)) is not None:
            found[row] = snippet
    either = Text(tuple(_option(asking, one) for one in spoken))
    items = []
    for trace in page.items:
        row = rows[trace.trace_id]
        snippet = found.get(row) if row in small else _of_large(asking, row, either, spoken)
        items.append(msgspec.structs.replace(trace, snippet=snippet))
    return msgspec.structs.replace(page, items=tuple(items))


def _rows(asking: Asking, items: Sequence[TraceSummary]) -> dict[str, int]:
    """Return trace id → row number."""
    asked = Asking(asking.conn, asking.scope)
    names = ", ".join(asked.bind(bytes.fromhex(trace.trace_id)) for trace in items)
    query = f"SELECT id, trace_id FROM traces_traces WHERE scope_id = :scope AND trace_id IN ({names})"
    return {bytes(row.trace_id).hex(): row.id for row in asking.conn.execute(text(query), asked.values)}


def _shown(span: SpanRecord, spoken: Sequence[Spoken]) -> Snippet | None:
    return next((found for one in spoken if (found := one.snippet(span, spoken)) is not None), None)


def _option(asking: Asking, spoken: Spoken) -> tuple[tuple[str, bool], ...]:
    kept = spoken.words[: words.QUERY_WORDS]
    last = len(spoken.words) - 1
    return tuple(
        (words.marked(word, asking.scope_id), spoken.item.prefix and place == last)
        for place, word in enumerate(kept)
    )


def _of_large(asking: Asking, row: int, either: Text, spoken: Sequence[Spoken]) -> Snippet | None:
    """Return a snippet of a trace with so many spans that the index has to say which to look into."""
    conn = asking.conn
    number = "x.rowid" if asking.sqlite else "x.id"
    query = text(
        f"SELECT s.span_id FROM traces_text x CROSS JOIN traces_spans s WHERE {either.match(asking)} "
        f"AND {number} BETWEEN (SELECT min(id) FROM traces_spans WHERE trace = :row) "
        "AND (SELECT max(id) FROM traces_spans WHERE trace = :row) "
        f"AND s.id = {number} AND s.trace = :row LIMIT {_TRIED}"
    )
    for found in conn.execute(query, asking.values | {"row": row}).all():
        for span in read.records(conn, row, "", bytes(found.span_id)):
            if (snippet := _shown(span, spoken)) is not None:
                return snippet
    return None
