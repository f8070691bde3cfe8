"""Reading spans as reports of calls (see `duplicates`), alone and by the name of the response they tell of."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, text

from penstock.traces.duplicates import Report
from penstock.traces.model import KINDS
from penstock.traces.store.prepare import CALL_KINDS

CALLS = ", ".join(str(code) for code in sorted(CALL_KINDS))
REPORT = (
    "id, trace, span_id, parent_id, kind, start_ns, end_ns, input_tokens + output_tokens AS tokens, tokens_estimated, "
    'coalesce("user", session) AS known, response_id, duplicate_of'
)
MOST_ALIKE = 32
"""A name that more calls of about the same time share (some servers call every response alike) names none of them."""
_LONGEST_NS = 3600 * 10**9
"""Reports of one call begin at most this far apart; it bounds the search."""
_CHUNK = 500


def each(conn: Connection, query: str, values: Sequence[Any], **more: Any) -> Iterable[Any]:
    """Yield the rows of a query whose `:ids` are given in portions; its numbers have their scopes: every scope."""
    statement = text(query).bindparams(bindparam("ids", expanding=True))
    for start in range(0, len(values), _CHUNK):
        yield from conn.execute(statement, more | {"ids": list(values[start : start + _CHUNK])})


def report(row: Any) -> Report:
    """Return a row of `REPORT`."""
    return Report(
        row.id,
        row.trace,
        bytes(row.span_id),
        None if row.parent_id is None else bytes(row.parent_id),
        KINDS[row.kind],
        row.start_ns,
        row.end_ns,
        row.tokens,
        bool(row.tokens_estimated),
        row.known is not None,
        row.response_id,
        row.duplicate_of,
    )


def named_alike(conn: Connection, calls: Iterable[Report], reached: int) -> list[list[Report]]:
    """Return the calls up to row `reached` that share their response's name with one of `calls`, group by group.

    Row numbers have their scopes themselves: it works in every scope.
    """
    named = sorted((call for call in calls if call.response_id), key=lambda call: call.start_ns)
    found: dict[tuple[int, str], dict[int, Report]] = {}
    for start in range(0, len(named), _CHUNK):
        chunk = named[start : start + _CHUNK]
        between = {
            "reached": reached,
            "earliest": chunk[0].start_ns - _LONGEST_NS,
            "latest": chunk[-1].start_ns + _LONGEST_NS,
        }
        for scope, names in _shared(conn, [call.row for call in chunk], between).items():
            query = (
                f"SELECT {REPORT} FROM traces_spans WHERE scope_id = :scope AND response_id IN :ids AND {_AMONG} "
                "ORDER BY id"
            )
            for row in each(conn, query, names, scope=scope, **between):
                found.setdefault((scope, row.response_id), {})[row.id] = report(row)
    return [list(found[key].values()) for key in sorted(found)]


_AMONG = (
    f"response_id IS NOT NULL AND kind IN ({CALLS}) AND id <= :reached "
    "AND start_ns BETWEEN :earliest AND :latest"
)


def _shared(conn: Connection, rows: Sequence[int], between: dict[str, int]) -> dict[int, list[str]]:
    """Return, by scope, the names of the spans `rows` that some, but not too many, calls share."""
    query = (
        "SELECT scope_id, response_id, (SELECT count(*) FROM (SELECT 1 FROM traces_spans o WHERE "
        f"o.scope_id = d.scope_id AND o.response_id = d.response_id AND {_AMONG} LIMIT {MOST_ALIKE + 1}) AS found) "
        "AS alike FROM (SELECT DISTINCT scope_id, response_id FROM traces_spans "
        "WHERE id IN :ids AND response_id IS NOT NULL) AS d"
    )
    found: dict[int, list[str]] = {}
    for row in each(conn, query, rows, **between):
        if 1 < row.alike <= MOST_ALIKE:
            found.setdefault(row.scope_id, []).append(row.response_id)
    return found
