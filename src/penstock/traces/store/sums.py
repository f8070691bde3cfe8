"""Sums over any time range, exact: roll-ups of whole days and hours, single rows for what they do not cover.

Everything is read by one statement, so that the mark, the roll-ups and the rows above the mark belong together
on PostgreSQL too.
"""

from typing import Any

from sqlalchemy import Connection, text

from penstock.core import clock
from penstock.core.scope import Scope
from penstock.traces import histogram
from penstock.traces.histogram import Counts
from penstock.traces.model import GroupBy, SeriesFilters, SeriesPoint, UsageRow
from penstock.traces.store.prepare import CALL_KINDS, ERROR, KIND_CODES
from penstock.traces.store.read import scope_id
from penstock.traces.store.rollup import DAY, DIMENSIONS, HOUR, SUMS

_NS = 1_000_000_000
_CALLS = ", ".join(str(code) for code in sorted(CALL_KINDS))
_ROLLED = "(SELECT value FROM traces_marks WHERE name = 'rolled')"
_GROUPS = {
    "model": "coalesce(model, '')",
    "kind": "kind",
    "provider": "coalesce(provider, '')",
    "user": "coalesce(\"user\", '')",
    "key": "coalesce(key_id, '')",
    "route": "coalesce(route, '')",
    "day": f"start_ns / {_NS} - start_ns / {_NS} % {DAY}",
}
"""How a single row is grouped."""
_ROLLED_GROUPS = {"kind": "kind", "day": f"bucket - bucket % {DAY}"}
"""How a row of the roll-ups is grouped; by its value unless listed here."""
_ROW_SUMS = (
    f"1 AS calls, CASE WHEN status = {ERROR} THEN 1 ELSE 0 END AS errors, input_tokens, output_tokens, cached_tokens, "
    "cache_write_tokens, reasoning_tokens, coalesce(cost_nano, 0) AS cost_nano, "
    "CASE WHEN cost_nano IS NULL THEN 1 ELSE 0 END AS unpriced, (end_ns - start_ns) / 1000 AS latency_us"
)
_FOREVER = 1 << 62


class _Range:
    """A time range cut into whole days, whole hours and the edges that only single rows can answer."""

    def __init__(self, since_ns: int | None, until_ns: int | None) -> None:
        self.since, self.until = since_ns or 0, _FOREVER if until_ns is None else until_ns
        hours = (-(-self.since // (HOUR * _NS)) * HOUR, self.until // (HOUR * _NS) * HOUR)
        days = (-(-hours[0] // DAY) * DAY, hours[1] // DAY * DAY)
        self.values: dict[str, int] = {"since": self.since, "until": self.until}
        self.whole: list[tuple[int, str, str]] = []
        self.edges: list[tuple[str, str]] = []
        if hours[0] >= hours[1]:
            self._edge("e0", self.since, self.until)
            return
        self._edge("e0", self.since, hours[0] * _NS)
        self._edge("e1", hours[1] * _NS, self.until)
        if days[0] >= days[1]:
            self._whole(HOUR, "h0", hours[0], hours[1])
            return
        self._whole(HOUR, "h0", hours[0], days[0])
        self._whole(DAY, "d0", days[0], days[1])
        self._whole(HOUR, "h1", days[1], hours[1])

    def _edge(self, name: str, low: int, high: int) -> None:
        if low < high and high < _FOREVER + 1 and not (name == "e1" and self.until == _FOREVER):
            self.edges.append((f"{name}_low", f"{name}_high"))
            self.values |= {f"{name}_low": low, f"{name}_high": high}

    def _whole(self, grain: int, name: str, low: int, high: int) -> None:
        if low < high:
            self.whole.append((grain, f"{name}_low", f"{name}_high"))
            self.values |= {f"{name}_low": low, f"{name}_high": high}


def _row_sources(span: _Range, columns: str, condition: str) -> list[str]:
    """Return SELECTs of single rows: the edges below the mark, and everything above it."""
    found = [
        f"SELECT {columns} FROM traces_spans WHERE scope_id = :scope AND start_ns >= :{low} AND start_ns < :{high} "
        f"AND id <= {_ROLLED} AND duplicate_of IS NULL {condition}"
        for low, high in span.edges
    ]
    # The plus keeps the planner on the row number: above the mark there are few rows, at any time.
    found.append(
        f"SELECT {columns} FROM traces_spans WHERE id > {_ROLLED} AND +scope_id = :scope AND +start_ns >= :since "
        f"AND +start_ns < :until AND duplicate_of IS NULL {condition}"
    )
    return found


def usage(
    conn: Connection, scope: Scope, group_by: GroupBy, *, since_ns: int | None, until_ns: int | None
) -> list[UsageRow]:
    """Return the sums per group for spans that started in [since, until), the costliest first."""
    span = _Range(since_ns, until_ns)
    kinds = "" if group_by == "kind" else f"AND kind IN ({_CALLS})"
    rows_only = ' AND "user" IS NOT NULL' if group_by == "user" else ""
    dimension = DIMENSIONS.get(group_by, DIMENSIONS[""])
    parts = [
        f"SELECT {_ROLLED_GROUPS.get(group_by, 'value')} AS grp, {', '.join(SUMS)} FROM traces_sums WHERE "
        f"scope_id = :scope AND dimension = {dimension} AND grain = {grain} "
        f"AND bucket >= :{low} AND bucket < :{high} {kinds}"
        for grain, low, high in span.whole
    ]
    parts += _row_sources(span, f"{_GROUPS[group_by]} AS grp, {_ROW_SUMS}", kinds + rows_only)
    sums = ", ".join(f"sum({name}) AS {name}" for name in SUMS)
    query = text(f"SELECT grp, {sums} FROM ({' UNION ALL '.join(parts)}) AS parts GROUP BY grp")
    found = [
        _usage_row(group_by, row)
        for row in conn.execute(query, span.values | {"scope": scope_id(conn, scope)})
        if row.calls
    ]
    if group_by == "day":
        return sorted(found, key=lambda row: row.group)
    return sorted(found, key=lambda row: (-row.cost_usd, -row.calls, row.group))


def _usage_row(group_by: GroupBy, row: Any) -> UsageRow:
    group = str(row.grp)
    if group_by == "kind":
        group = _KIND_NAMES[int(row.grp)]
    elif group_by == "day":
        group = clock.iso(clock.from_ns(int(row.grp) * _NS))[:10]
    return UsageRow(
        group=group,
        calls=int(row.calls),
        errors=int(row.errors),
        input_tokens=int(row.input_tokens),
        output_tokens=int(row.output_tokens),
        cached_tokens=int(row.cached_tokens),
        cache_write_tokens=int(row.cache_write_tokens),
        reasoning_tokens=int(row.reasoning_tokens),
        cost_usd=int(row.cost_nano) / 1e9,
        unpriced=int(row.unpriced),
        mean_latency_ms=round(int(row.latency_us) / int(row.calls) / 1000, 3),
    )


_KIND_NAMES = {code: name for name, code in KIND_CODES.items()}


class _Point:
    __slots__ = ("cost", "latency", "sums", "ttft")

    def __init__(self) -> None:
        self.sums = [0, 0, 0, 0]
        self.cost = 0
        self.latency: Counts = {}
        self.ttft: Counts = {}

    def point(self, at: int) -> SeriesPoint:
        p50, p95, p99 = (_ms(v) for v in histogram.quantiles(self.latency, (0.5, 0.95, 0.99)))
        ttft50, ttft95 = (_ms(v) for v in histogram.quantiles(self.ttft, (0.5, 0.95)))
        return SeriesPoint(
            time=clock.from_ns(at * _NS),
            calls=self.sums[0],
            errors=self.sums[1],
            input_tokens=self.sums[2],
            output_tokens=self.sums[3],
            cost_usd=self.cost / 1e9,
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            ttft_p50_ms=ttft50,
            ttft_p95_ms=ttft95,
        )


def _ms(value_ns: float | None) -> float | None:
    return None if value_ns is None else round(value_ns / 1e6, 3)


def _series_conditions(filters: SeriesFilters) -> tuple[str, str, dict[str, Any]]:
    """Return the condition on roll-ups, the one on single rows, and their values."""
    kinds = f"AND kind IN ({_CALLS})"
    values: dict[str, Any] = {"dimension": DIMENSIONS[""]}
    if filters.kind is not None:
        kinds = "AND kind = :kind"
        values["kind"] = KIND_CODES[filters.kind]
    for name, column in (("model", "model"), ("provider", "provider"), ("route", "route"), ("key", "key_id")):
        wanted = getattr(filters, name)
        if wanted is not None:
            values |= {"dimension": DIMENSIONS[name], "value": wanted}
            return f"{kinds} AND value = :value", f"{kinds} AND {column} = :value", values
    return kinds, kinds, values


def timeseries(
    conn: Connection, scope: Scope, filters: SeriesFilters, *, since_s: int, until_s: int, step: int
) -> list[SeriesPoint]:
    """Return one point per `step` seconds from `since_s` to `until_s`, both multiples of `step`, gaps included.

    Steps of whole hours come from the roll-ups, finer ones from single rows.
    """
    rolled, single, values = _series_conditions(filters)
    values |= {"scope": scope_id(conn, scope), "low": since_s, "high": until_s}
    values |= {"since": since_s * _NS, "until": until_s * _NS}
    points = {at: _Point() for at in range(since_s, until_s, step)}
    for row in conn.execute(text(_series_statement(rolled, single, step)), values):
        point = points[row.at - row.at % step]
        for place, number in enumerate((row.calls, row.errors, row.input_tokens, row.output_tokens)):
            point.sums[place] += number
        point.cost += row.cost_nano
        for counts, histogram_bytes, lone in (
            (point.latency, row.latency, row.elapsed_ns),
            (point.ttft, row.ttft, row.ttft_ns),
        ):
            if histogram_bytes is not None:
                histogram.merge(counts, histogram.decode(bytes(histogram_bytes)))
            elif lone is not None:
                histogram.merge(counts, {histogram.bucket(lone): 1})
    return [points[at].point(at) for at in sorted(points)]


def _series_statement(rolled: str, single: str, step: int) -> str:
    rows = (
        f"SELECT start_ns / {_NS} AS at, {_ROW_SUMS}, NULL AS latency, NULL AS ttft, end_ns - start_ns AS elapsed_ns, "
        "ttft_ns FROM traces_spans WHERE duplicate_of IS NULL AND"
    )
    if step % HOUR:
        return f"{rows} scope_id = :scope AND start_ns >= :since AND start_ns < :until {single}"
    grain = HOUR if step % DAY else DAY
    return (
        f"SELECT bucket AS at, {', '.join(SUMS)}, latency, ttft, NULL AS elapsed_ns, NULL AS ttft_ns FROM traces_sums "
        f"WHERE scope_id = :scope AND dimension = :dimension AND grain = {grain} AND bucket >= :low AND bucket < :high "
        f"{rolled} UNION ALL {rows} id > {_ROLLED} AND +scope_id = :scope AND +start_ns >= :since "
        f"AND +start_ns < :until {single}"
    )
