"""Costs of stored calls: read them in order, and write others in their place with every sum corrected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from penstock.core.scope import Scope
from penstock.traces import body
from penstock.traces.store import bill
from penstock.traces.store.prepare import CALL_KINDS
from penstock.traces.store.read import scope_id
from penstock.traces.store.reports import each

_CALLS = ", ".join(str(code) for code in sorted(CALL_KINDS))
_FOREVER = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which calls to look at: those that started in [since, until), of one model or of all."""

    since_ns: int
    until_ns: int = _FOREVER
    model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Billed:
    """A stored call as far as its price goes; money in nano-dollars."""

    row: int
    model: str | None
    requested_model: str | None
    provider: str | None
    input: int
    output: int
    cached: int
    cache_write: int
    reasoning: int
    cost_nano: int | None
    version: str | None
    counts: bool
    """False when another span stands for the call: its cost is shown, and in no sum."""


def calls(conn: Connection, scope: Scope, window: Window, *, after: int, limit: int) -> list[Billed]:
    """Return up to `limit` calls with tokens in the order of their rows, those behind the row `after`."""
    model = "AND (model = :model OR requested_model = :model)" if window.model else ""
    query = text(
        "SELECT id, model, requested_model, provider, input_tokens, output_tokens, cached_tokens, cache_write_tokens, "
        "reasoning_tokens, cost_nano, price_version, duplicate_of FROM traces_spans WHERE id > :after AND "
        f"scope_id = :scope AND kind IN ({_CALLS}) AND start_ns >= :since AND start_ns < :until "
        f"AND input_tokens + output_tokens > 0 {model} ORDER BY id LIMIT :limit"
    )
    values: dict[str, Any] = {"after": after, "scope": scope_id(conn, scope), "limit": limit}
    values |= {"since": window.since_ns, "until": window.until_ns}
    if window.model:
        values["model"] = window.model
    return [
        Billed(
            row=row.id,
            model=row.model,
            requested_model=row.requested_model,
            provider=row.provider,
            input=row.input_tokens,
            output=row.output_tokens,
            cached=row.cached_tokens,
            cache_write=row.cache_write_tokens,
            reasoning=row.reasoning_tokens,
            cost_nano=row.cost_nano,
            version=row.price_version,
            counts=row.duplicate_of is None,
        )
        for row in conn.execute(query, values)
    ]


def finer_tokens(conn: Connection, rows: Sequence[Billed]) -> dict[int, dict[str, int]]:
    """Return the tokens of classes that only bodies keep, by row; calls without any are left out.

    Works in every scope: the rows were read under one.
    """
    query = "SELECT id, data FROM traces_bodies WHERE id IN :ids"
    found = ((row.id, body.unpack(bytes(row.data))) for row in each(conn, query, [one.row for one in rows]))
    return {row: held.finer_tokens for row, held in found if held.finer_tokens}


def put(conn: Connection, rows: Sequence[Billed], costs: Mapping[int, tuple[int, str]]) -> None:
    """Give calls (row → nano-dollars, price version) other costs; roll-ups and summaries follow.

    Works in every scope: the rows were read under one.
    """
    changed = [one.row for one in rows if one.row in costs]
    values = [{"id": row, "cost": costs[row][0], "version": costs[row][1]} for row in changed]
    statement = "UPDATE traces_spans SET cost_nano = :cost, price_version = :version WHERE id = :id"
    bill.amend(conn, changed, statement, values)
