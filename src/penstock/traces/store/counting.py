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
from penstock.traces.store.terms import RARE, Asking, Constant, Facets

COUNTED = 1000
_NAMES, _CHUNK, _SIZED = 200, 1000, 100_000


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
    if isinstance(term, Facets) and len(term.ids) == 1:
        return _of_facet(asking, term, since, step)
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
    for at, count in _ranges(asking, "traces_traces x WHERE x.scope_id = :scope", since, step):
        yield at, count, 0
    failed = _failed(asking)
    if failed is not None:
        for at, count in _ranges(asking, f"traces_facets x WHERE x.facet = {failed}", since, step):
            yield at, 0, count


def _of_facet(asking: Asking, facet: Facets, since: int, step: int) -> Iterable[tuple[int, int, int]]:
    """Count the traces of an entry of the side table, in that table alone."""
    number, failed = int(facet.ids[0]), _failed(asking)
    same = number == failed
    for at, count in _ranges(asking, f"traces_facets x WHERE x.facet = {number}", since, step):
        yield at, count, count if same else 0
    if failed is None or same:
        return
    # Each entry of the smaller one is looked up in the other.
    first, second = sorted((number, failed), key=lambda one: Facets((one,)).size(asking, _SIZED))
    query = (
        f"SELECT (x.at_ms - {int(since)}) / {int(step)} AS at, count(*) FROM traces_facets x "
        f"WHERE x.facet = {first}{asking.window('x.at_ms')} AND EXISTS "
        f"(SELECT 1 FROM traces_facets g WHERE g.facet = {second} AND g.at_ms = x.at_ms AND g.trace = x.trace) "
        "GROUP BY 1"
    )
    for at, count in asking.conn.execute(text(query), asking.values):
        yield int(at), 0, int(count)


def _failed(asking: Asking) -> int | None:
    """Return the entry of the side table that traces with errors have."""
    query = "SELECT id FROM traces_facet_names WHERE scope_id = :scope AND key = 'status' AND value = 'error'"
    found = asking.conn.execute(text(query), asking.values).scalar()
    return None if found is None else int(found)


def _ranges(asking: Asking, source: str, since: int, step: int) -> Iterable[tuple[int, int]]:
    """Yield (stretch, how many) of an index range in the order of time, where there are some."""
    assert asking.until is not None  # histogram sets it
    last = (asking.until - since - 1) // step
    query = text(
        "WITH RECURSIVE b(n) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT n + 1 FROM b WHERE n < :last) "
        f"SELECT n, (SELECT count(*) FROM {source} AND x.at_ms >= :since + n * :step "
        "AND x.at_ms < :since + (n + 1) * :step AND x.at_ms < :until) AS found FROM b"
    )
    values = {"last": last, "since": since, "step": step, "until": asking.until}
    for at, count in asking.conn.execute(query, asking.values | values):
        if count:
            yield at, count


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
