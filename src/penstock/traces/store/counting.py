"""How many traces a query finds over time, and which fields and values there are."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from penstock.core import clock
from penstock.core.scope import Scope
from penstock.traces.model import FacetCount, HistogramBar
from penstock.traces.query.nodes import Node, Pattern
from penstock.traces.store import read
from penstock.traces.store.deadline import Deadline
from penstock.traces.store.labels import pattern_sql
from penstock.traces.store.search import Search
from penstock.traces.store.terms import RARE, Asking, Constant

COUNTED = 1000
_NAMES, _CHUNK = 200, 1000


def window(search: Search) -> tuple[int, int]:
    """Return [since, until) in milliseconds that the query's traces lie in: its own times, else those stored."""
    asking = search.asking
    # Asked for together, SQLite would read all of them.
    ends = [
        f"(SELECT {end}(at_ms) FROM traces_traces WHERE scope_id = :scope) AS {end}_ms"
        for end in ("min", "max")
    ]
    query = text(f"SELECT {', '.join(ends)}")
    first, last = asking.conn.execute(query, {"scope": asking.scope_id}).one()
    since = asking.since if asking.since is not None else first or 0
    until = asking.until if asking.until is not None else (last or 0) + 1
    return since, max(until, since + 1)


def histogram(
    conn: Connection, scope: Scope, node: Node | None, *, now: datetime, deadline: Deadline, buckets: int
) -> list[HistogramBar]:
    """Return how many of the traces that `node` asks for began in each of `buckets` equal stretches."""
    search = Search(conn, scope, node, now=now, deadline=deadline)
    since, until = window(search)
    search.asking.since, search.asking.until = since, until
    step = max(1, -(-(until - since) // buckets))
    traces, errors = [0] * buckets, [0] * buckets
    for at, count, failed in _counts(search, since, step):
        traces[at] += count
        errors[at] += failed
    return [
        HistogramBar(
            at=clock.from_ns((since + place * step) * 1_000_000), traces=traces[place], errors=errors[place]
        )
        for place in range(buckets)
    ]


def _counts(search: Search, since: int, step: int) -> Iterable[tuple[int, int, int]]:
    """Yield (bucket, traces, errors)."""
    asking, term = search.asking, search.term
    if isinstance(term, Constant):
        return _plain(asking, since, step) if term.met else ()
    rare = term.pairs(asking, RARE)
    if rare is None and not any(True for _ in term.bodies()):
        return [(at, count, failed) for at, count, failed in search.grouped(since, step)]
    numbers = sorted({number for _, number in rare}) if rare is not None else search.possible()
    return _tried(search, numbers, since, step)


def _tried(search: Search, numbers: Sequence[int], since: int, step: int) -> Iterable[tuple[int, int, int]]:
    for start in range(0, len(numbers), _CHUNK):
        for at_ms, errors in search.times(numbers[start : start + _CHUNK]):
            yield (at_ms - since) // step, 1, int(errors > 0)


def _plain(asking: Asking, since: int, step: int) -> Iterable[tuple[int, int, int]]:
    """Count all traces: index ranges, no row read, nothing sorted."""
    assert asking.until is not None  # histogram sets it
    last = (asking.until - since - 1) // step
    failed = (
        "traces_facets x WHERE x.facet = (SELECT id FROM traces_facet_names WHERE scope_id = :scope "
        "AND key = 'status' AND value = 'error')"
    )
    for source, places in (("traces_traces x WHERE x.scope_id = :scope", (1, 0)), (failed, (0, 1))):
        query = text(
            "WITH RECURSIVE b(n) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT n + 1 FROM b WHERE n < :last) "
            f"SELECT n, (SELECT count(*) FROM {source} AND x.at_ms >= :since + n * :step "
            "AND x.at_ms < :since + (n + 1) * :step AND x.at_ms < :until) AS found FROM b"
        )
        values = {"last": last, "since": since, "step": step, "until": asking.until}
        for at, count in asking.conn.execute(query, asking.values | values):
            if count:
                yield at, count * places[0], count * places[1]


def values(
    conn: Connection, scope: Scope, key: str, *, prefix: str, limit: int, start: str = ""
) -> list[FacetCount]:
    """Return values of a facet that begin with `start` and `prefix`, without `start`, the most frequent first."""
    asking = Asking(conn, scope)
    condition = pattern_sql(asking, "n.value", Pattern((start + prefix, "")))
    query = (
        f"SELECT n.value, (SELECT count(*) FROM (SELECT 1 FROM traces_facets g WHERE g.facet = n.id "
        f"LIMIT {COUNTED}) AS found) AS traces FROM (SELECT n.id, n.value FROM traces_facet_names n "
        f"WHERE n.scope_id = :scope AND n.key = {asking.bind(key)} AND {condition} LIMIT {_NAMES}) AS n"
    )
    rows = conn.execute(text(query), asking.values).all()
    found = [
        FacetCount(value=row.value.removeprefix(start), traces=row.traces)
        for row in rows
        if row.traces or key == "attributes"
    ]
    return sorted(found, key=lambda item: (-item.traces, item.value))[:limit]


def keys(conn: Connection, scope: Scope, *, start: str) -> list[str]:
    """Return the names of the side table's keys that begin with `start`, in order, at most 200."""
    return _distinct(conn, "traces_facet_names", "key", scope, start)


def score_names(conn: Connection, scope: Scope) -> list[str]:
    """Return the names of scores, in order, at most 200."""
    return _distinct(conn, "traces_scores", "name", scope, "")


def _distinct(conn: Connection, table: str, column: str, scope: Scope, start: str) -> list[str]:
    """Jump from one name to the next in the index, however many rows each has."""
    query = text(
        f"WITH RECURSIVE one(name) AS (SELECT min({column}) FROM {table} WHERE scope_id = :scope "
        f"UNION ALL SELECT (SELECT min({column}) FROM {table} WHERE scope_id = :scope AND {column} > one.name) "
        f"FROM one WHERE one.name IS NOT NULL) SELECT name FROM one WHERE name IS NOT NULL LIMIT {5 * _NAMES}"
    )
    rows = conn.execute(query, {"scope": read.scope_id(conn, scope)})
    return [row[0] for row in rows if row[0].startswith(start)][:_NAMES]
