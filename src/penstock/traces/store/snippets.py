"""Where the words of a search stand in the traces it found."""

import re
from collections.abc import Iterator

import msgspec
from sqlalchemy import Connection, text

from penstock.core.scope import Scope
from penstock.traces import words
from penstock.traces.model import Snippet, SpanRecord, TracePage, TraceSummary
from penstock.traces.query.nodes import And, Node, Or, Words
from penstock.traces.store import read
from penstock.traces.store.lowering import texts_of
from penstock.traces.store.terms import Asking, Text

_BEFORE, _CHARS, _MARKS, _SPANS = 50, 160, 20, 200


def _asked(node: Node | None) -> Iterator[Words]:
    """Yield the words a query asks for (not those it excludes)."""
    if isinstance(node, Words) and node.text:
        yield node
    elif isinstance(node, And | Or):
        for item in node.items:
            yield from _asked(item)


def _expression(item: Words) -> str:
    """Return the regular expression of the words of `item`, whole words unless they may go on."""
    found = [re.escape(word) for word in words.split(item.text)]
    if item.phrase:
        return r"[\W_]+".join(found)
    ends = [r"(?![^\W_])"] * (len(found) - 1) + [r"[^\W_]*" if item.prefix else r"(?![^\W_])"]
    return "|".join(word + end for word, end in zip(found, ends, strict=True))


def added(conn: Connection, scope: Scope, page: TracePage, node: Node | None) -> TracePage:
    """Return `page` with a snippet for each trace, when `node` asks for words."""
    asked = list(_asked(node))
    said = [item for item in asked if words.split(item.text)]
    if not said or not page.items:
        return page
    expressions = [
        (item, re.compile(rf"(?<![^\W_])(?:{_expression(item)})(?![^\W_])", re.I)) for item in said
    ]
    asking = Asking(conn, scope)
    either = Text(
        tuple(
            tuple((words.marked(word, asking.scope_id), item.prefix and word is split[-1]) for word in split)
            for item in said
            if (split := words.split(item.text)[: words.QUERY_WORDS])
        )
    )
    items = [
        msgspec.structs.replace(trace, snippet=_snippet(conn, asking, trace, either, expressions))
        for trace in page.items
    ]
    return msgspec.structs.replace(page, items=tuple(items))


def _snippet(
    conn: Connection,
    asking: Asking,
    trace: TraceSummary,
    either: Text,
    expressions: list[tuple[Words, re.Pattern[str]]],
) -> Snippet | None:
    """Return the first place in the trace where something that was asked for stands."""
    row = conn.execute(
        text("SELECT id FROM traces_traces WHERE scope_id = :scope AND trace_id = :id"),
        {"scope": asking.scope_id, "id": bytes.fromhex(trace.trace_id)},
    ).scalar_one()
    number = "x.rowid" if asking.sqlite else "x.id"
    query = text(
        f"SELECT s.span_id FROM traces_text x CROSS JOIN traces_spans s WHERE {either.match(asking)} "
        f"AND {number} BETWEEN (SELECT min(id) FROM traces_spans WHERE trace = :row) "
        "AND (SELECT max(id) FROM traces_spans WHERE trace = :row) "
        f"AND s.id = {number} AND s.trace = :row LIMIT {_SPANS}"
    )
    for found in conn.execute(query, asking.values | {"row": row}).all():
        for span in read.records(conn, row, trace.trace_id, bytes(found.span_id)):
            if (snippet := _of_span(span, expressions)) is not None:
                return snippet
    return None


def _of_span(span: SpanRecord, expressions: list[tuple[Words, re.Pattern[str]]]) -> Snippet | None:
    for item, expression in expressions:
        for field, said in sorted(texts_of(span, item.where).items(), key=_order):
            if (first := expression.search(said)) is not None:
                return _around(span.span_id, field, said, first.start(), [e for _, e in expressions])
    return None


_FIELDS = ("output", "input", "error", "name")


def _order(field: tuple[str, str]) -> int:
    return _FIELDS.index(field[0])


def _around(span_id: str, field: str, said: str, at: int, expressions: list[re.Pattern[str]]) -> Snippet:
    start = max(0, at - _BEFORE)
    if start:
        # Begin at a word, if one begins soon.
        start = next((place + 1 for place in range(start, at) if said[place].isspace()), start)
    shown = said[start : start + _CHARS]
    marks = sorted({found.span() for one in expressions for found in one.finditer(shown)})[:_MARKS]
    return Snippet(span_id=span_id, field=field, text=shown, marks=tuple(marks))  # type: ignore[arg-type]
