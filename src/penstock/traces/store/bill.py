"""Settling which of several reports of one call counts (see `duplicates`), before spans are rolled up.

One process at a time works its way up to the mark `settled`; roll-ups stay below it. A span that was rolled up before
its double arrived is taken out again, and a trace's summary corrected, in the transaction that says so.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, text

from penstock.core.db import is_sqlite
from penstock.traces import body, duplicates
from penstock.traces.duplicates import Named, Report
from penstock.traces.model import KINDS
from penstock.traces.store import rollup
from penstock.traces.store.prepare import CALL_KINDS
from penstock.traces.store.reports import CALLS, REPORT, each, named_alike, report

SETTLED = "settled"
_AROUND = CALL_KINDS | {code for code, name in enumerate(KINDS) if name in duplicates.THROUGH}
_GATEWAY = "penstock.gateway"


def settle(conn: Connection, *, up_to: int, limit: int) -> int:
    """Settle at most `limit` spans of every scope in the caller's transaction; returns how many rows may be left."""
    done = rollup.mark(conn, SETTLED, lock="FOR UPDATE")
    if done >= up_to:
        return 0
    query = text(
        f"SELECT {REPORT} FROM traces_spans WHERE id > :done AND id <= :up_to ORDER BY id LIMIT :limit"
    )
    rows = conn.execute(query, {"done": done, "up_to": up_to, "limit": limit}).all()
    reached = int(rows[-1].id) if len(rows) == limit else up_to
    known, unsure = _worth_a_look(conn, rows)
    known |= _traces(conn, unsure, reached)
    if known:
        _settle_traces(conn, known, reached)
    rollup.move(conn, SETTLED, reached)
    return up_to - reached


def _worth_a_look(conn: Connection, rows: Sequence[Any]) -> tuple[dict[int, list[Report]], set[int]]:
    """Return the new traces with all that matters of them, and others in which something may have changed."""
    members: dict[int, list[Any]] = {}
    for row in rows:
        members.setdefault(row.trace, []).append(row)
    known: dict[int, list[Report]] = {}
    unsure: set[int] = set()
    for head in each(conn, "SELECT id, spans, calls FROM traces_traces WHERE id IN :ids", sorted(members)):
        called = any(row.kind in CALL_KINDS for row in members[head.id])
        if head.spans > len(members[head.id]):
            if called or head.calls > 1:
                unsure.add(head.id)
        elif called and (found := _fresh(members[head.id])):
            known[head.id] = found
    unsure.update(_pointed_at(conn, rows, sorted(members)))
    return {trace: spans for trace, spans in known.items() if trace not in unsure}, unsure


def _fresh(rows: Sequence[Any]) -> list[Report]:
    """Return what matters of a trace that is new as a whole: mostly nothing, for most calls are in no other call."""
    kinds = {row.span_id: row.kind for row in rows}
    if any(row.kind in CALL_KINDS and kinds.get(row.parent_id) in _AROUND for row in rows):
        return [report(row) for row in rows if row.kind in _AROUND]
    return [report(row) for row in rows if row.response_id is not None and row.kind in CALL_KINDS]


def _pointed_at(conn: Connection, rows: Sequence[Any], traces: Sequence[int]) -> Iterable[int]:
    """Yield the traces of duplicates of spans whose place one of `rows` took: they may not be its duplicates now."""
    query = "SELECT 1 FROM traces_spans WHERE duplicate_of IS NOT NULL LIMIT 1"
    if conn.execute(text(query)).first() is None:
        return
    names = _trace_ids(conn, traces)
    pointed = [f"{names[row.trace]}/{bytes(row.span_id).hex()}" for row in rows if row.trace in names]
    for row in each(conn, "SELECT trace FROM traces_spans WHERE duplicate_of IN :ids", pointed):
        yield row.trace


def _trace_ids(conn: Connection, traces: Sequence[int]) -> dict[int, str]:
    rows = each(conn, "SELECT id, trace_id FROM traces_traces WHERE id IN :ids", traces)
    return {row.id: bytes(row.trace_id).hex() for row in rows}


def _traces(conn: Connection, numbers: Iterable[int], reached: int) -> dict[int, list[Report]]:
    """Return the spans of traces that matter here, by trace."""
    kinds = ", ".join(str(code) for code in sorted(_AROUND))
    query = f"SELECT {REPORT} FROM traces_spans WHERE trace IN :ids AND id <= :reached AND kind IN ({kinds})"
    found: dict[int, list[Report]] = {}
    for row in each(conn, query, sorted(numbers), reached=reached):
        found.setdefault(row.trace, []).append(report(row))
    return found


def _settle_traces(conn: Connection, traces: Mapping[int, list[Report]], reached: int) -> None:
    inside: dict[int, Report] = {}
    for spans in traces.values():
        inside |= duplicates.nested(spans)
    calls = {span.row: span for spans in traces.values() for span in spans if span.call}
    wanted = dict.fromkeys(calls) | inside
    groups = named_alike(conn, calls.values(), reached)
    for members in groups:
        calls |= {member.row: member for member in members}
    others = {member.trace for members in groups for member in members} - traces.keys()
    for spans in _traces(conn, others, reached).values():
        inside |= duplicates.nested(spans)
    standing = [_standing(members, inside) for members in groups]
    for members, counting in zip(groups, standing, strict=True):
        wanted |= dict.fromkeys(one.row for one in counting)
        wanted |= {one.row: inside[one.row] for one in members if one.row in inside}
        calls |= {one.row: one for one in counting}
    for counting in standing:
        if len(counting) > 1:
            wanted |= duplicates.same_response(_emitters(conn, counting))
    _change(conn, calls, wanted)


def _standing(members: Sequence[Report], inside: Mapping[int, Report]) -> list[Report]:
    """Return the calls that count for the members of a group as far as nesting goes."""
    found = [inside.get(member.row, member) for member in members]
    return list({one.row: one for one in found}.values())


def _emitters(conn: Connection, reports: Sequence[Report]) -> list[Named]:
    """Return the reports with the names of the instrumentations that sent them."""
    found: dict[int, str] = {}
    for row in each(
        conn, "SELECT id, data FROM traces_bodies WHERE id IN :ids", [one.row for one in reports]
    ):
        attributes = body.unpack(bytes(row.data)).attributes
        scope = attributes.get("scope")
        name = scope.get("name") if isinstance(scope, dict) else None
        found[row.id] = str(name or (_GATEWAY if "gateway.request_id" in attributes else ""))
    return [Named(one, found.get(one.row, "")) for one in reports]


def _change(conn: Connection, calls: Mapping[int, Report], wanted: Mapping[int, Report | None]) -> None:
    """Write what differs: markers, roll-ups, summaries."""
    names = _references(conn, {one for one in wanted.values() if one is not None})
    changes: dict[int, str | None] = {}
    for row, stand in wanted.items():
        said = None if stand is None else names.get(stand.row)
        if calls[row].duplicate_of != said:
            changes[row] = said
    if changes:
        mark(conn, changes)


def _references(conn: Connection, reports: set[Report]) -> dict[int, str]:
    traces = _trace_ids(conn, sorted({one.trace for one in reports}))
    return {one.row: f"{traces[one.trace]}/{one.span_id.hex()}" for one in reports if one.trace in traces}


def mark(conn: Connection, changes: Mapping[int, str | None]) -> None:
    """Say of spans (row → `trace id/span id` or None) of which other they are duplicates, and correct all sums.

    Row numbers have their scopes themselves: it works in every scope.
    """
    rows = sorted(changes)
    statement = "UPDATE traces_spans SET duplicate_of = :said WHERE id = :id"
    amend(conn, rows, statement, [{"id": row, "said": changes[row]} for row in rows])


def amend(conn: Connection, rows: Sequence[int], statement: str, values: Sequence[dict[str, Any]]) -> None:
    """Run `statement` with each of `values` on the spans `rows`, of every scope, and let all sums follow."""
    if not rows:
        return
    _hold(conn, rows)
    rollup.retract_all(conn, rows)
    _summaries(conn, rows, -1)
    conn.execute(text(statement), list(values))
    _summaries(conn, rows, 1)
    rollup.restore_all(conn, rows)


def _hold(conn: Connection, rows: Sequence[int]) -> None:
    """Lock the traces of spans, in the order in which writers lock them."""
    if is_sqlite(conn):
        return
    query = (
        "SELECT t.id FROM traces_traces t JOIN traces_scopes c ON c.id = t.scope_id WHERE t.id IN "
        "(SELECT trace FROM traces_spans WHERE id IN :ids) ORDER BY c.tenant, c.project, t.trace_id FOR UPDATE OF t"
    )
    statement = text(query).bindparams(bindparam("ids", expanding=True))
    conn.execute(statement, {"ids": list(rows)}).all()


def _summaries(conn: Connection, rows: Sequence[int], sign: int) -> None:
    """Add what counting spans say to the summaries of their traces, or take it back."""
    query = (
        "SELECT trace, count(*) AS calls, sum(input_tokens) AS read, sum(output_tokens) AS wrote, "
        "sum(cached_tokens) AS cached, sum(coalesce(cost_nano, 0)) AS cost FROM traces_spans "
        f"WHERE id IN :ids AND duplicate_of IS NULL AND kind IN ({CALLS}) GROUP BY trace"
    )
    changes = [
        {
            "id": row.trace,
            "calls": sign * row.calls,
            "read": sign * int(row.read),
            "wrote": sign * int(row.wrote),
            "cached": sign * int(row.cached),
            "cost": sign * int(row.cost),
        }
        for row in list(each(conn, query, rows))
    ]
    if changes:
        statement = (
            "UPDATE traces_traces SET calls = calls + :calls, input_tokens = input_tokens + :read, output_tokens = "
            "output_tokens + :wrote, cached_tokens = cached_tokens + :cached, cost_nano = cost_nano + :cost "
            "WHERE id = :id"
        )
        conn.execute(text(statement), changes)


def release(conn: Connection, references: Sequence[str]) -> None:
    """Let spans of every scope count again whose counterpart, named in `references`, has been deleted from all sums."""
    rows = [
        row.id for row in each(conn, "SELECT id FROM traces_spans WHERE duplicate_of IN :ids", references)
    ]
    if rows:
        mark(conn, dict.fromkeys(rows))
