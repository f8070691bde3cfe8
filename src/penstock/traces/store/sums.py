"""Sums over any time range, exact: roll-ups of whole days and hours, single spans for what they do not cover.

Everything is read by one statement, so that the mark, the roll-ups and the spans above the mark belong together
on PostgreSQL too. What no roll-up answers (two dimensions at once) is added up from single spans, within a deadline.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, text

from penstock.core import clock
from penstock.core.scope import Scope
from penstock.core.stopping import Stop
from penstock.traces import histogram
from penstock.traces.histogram import Counts
from penstock.traces.model import SeriesFilters, SeriesPoint, UsageRow
from penstock.traces.store.cuts import NS, ROLLED_SUMS, ROW_SUMS, Cut, Range, keyed
from penstock.traces.store.deadline import limited
from penstock.traces.store.folding import DAY, DIMENSIONS, HOUR, SUMS
from penstock.traces.store.prepare import KIND_CODES
from penstock.traces.store.read import scope_id

_KIND_NAMES = {code: name for name, code in KIND_CODES.items()}
_WITH_TIMES = 200
"""Groups of a usage report for which latencies are told: the costliest."""


def _scopes(conn: Connection, scopes: Sequence[Scope]) -> dict[int, str]:
    return {number: scope.project for scope in scopes if (number := scope_id(conn, scope)) >= 0}


def _merged(counts: Counts, packed: bytes | None, lone: int | None) -> None:
    if packed is not None:
        histogram.merge(counts, histogram.decode(bytes(packed)))
    elif lone is not None:
        histogram.merge(counts, {histogram.bucket(lone): 1})


class _Total:
    """Sums and times of one group or point."""

    __slots__ = ("latency", "sums", "ttft")

    def __init__(self) -> None:
        self.sums = dict.fromkeys(SUMS, 0)
        self.latency: Counts = {}
        self.ttft: Counts = {}

    def add(self, row: Any, *, times: bool) -> None:
        for name in SUMS:
            self.sums[name] += int(getattr(row, name))
        if times:
            self.times(row)

    def times(self, row: Any) -> None:
        _merged(self.latency, row.latency, row.elapsed_ns)
        _merged(self.ttft, row.ttft, row.ttft_ns)

    def less(self, other: "_Total", *, times: bool) -> None:
        for name in SUMS:
            self.sums[name] -= other.sums[name]
        if not times:
            self.latency, self.ttft = {}, {}
        histogram.merge(self.latency, other.latency, -1)
        histogram.merge(self.ttft, other.ttft, -1)

    def fields(self) -> dict[str, Any]:
        """Return what usage rows and points of a series have in common."""
        calls = self.sums["calls"]
        found: dict[str, Any] = {name: self.sums[name] for name in SUMS[:7]}
        found |= {"unpriced": self.sums["unpriced"], "cache_hits": self.sums["cache_hits"]}
        found["cost_usd"] = self.sums["cost_nano"] / 1e9
        found["mean_latency_ms"] = round(self.sums["latency_us"] / calls / 1000, 3) if calls else None
        quantiles = histogram.quantiles(self.latency, (0.5, 0.95, 0.99))
        found |= dict(zip(("p50_ms", "p95_ms", "p99_ms"), map(_ms, quantiles), strict=True))
        quantiles = histogram.quantiles(self.ttft, (0.5, 0.95))
        return found | dict(zip(("ttft_p50_ms", "ttft_p95_ms"), map(_ms, quantiles), strict=True))


def _ms(value_ns: float | None) -> float | None:
    return None if value_ns is None else round(value_ns / 1e6, 3)


def usage(
    conn: Connection,
    scopes: Sequence[Scope],
    group_by: str,
    filters: SeriesFilters,
    *,
    since_ns: int | None,
    until_ns: int | None,
    seconds: float,
    top: int | None = None,
    stop: Stop | None = None,
) -> list[UsageRow]:
    """Return the sums per group for spans that started in [since, until), the costliest first (days in order).

    With `top` only the costliest groups, then all other calls together (their group is None).
    """
    projects = _scopes(conn, scopes)
    cut = Cut(tuple(projects), group_by, filters)
    span = Range(since_ns, until_ns)
    with limited(conn, seconds, stop):
        totals = _usage_totals(conn, cut, span, top)
        _usage_times(conn, cut, span, {key: totals[key] for key in list(totals)[:_WITH_TIMES]})
        rest = None if top is None else _usage_rest(conn, cut, span, totals)
    order = sorted(totals) if group_by == "day" else totals
    found = [UsageRow(group=_label(group_by, key, projects), **totals[key].fields()) for key in order]
    return found + ([UsageRow(group=None, **rest.fields())] if rest and rest.sums["calls"] else [])


def _usage_rest(conn: Connection, cut: Cut, span: Range, totals: dict[Any, _Total]) -> _Total:
    """Return all calls that are in none of the groups of `totals`."""
    rest = _whole(conn, Cut(cut.scopes, "", cut.filters), span)
    times = cut.dimension != DIMENSIONS["user"]
    known: Iterable[_Total] = totals.values()
    if keyed(cut.group):
        known = (
            [_whole(conn, Cut(cut.scopes, cut.group, cut.filters, among=list(totals)), span)]
            if totals
            else []
        )
    for total in known:
        rest.less(total, times=times)
    return rest


def _whole(conn: Connection, cut: Cut, span: Range) -> _Total:
    """Return everything that `cut`, which tells nothing apart, is about."""
    totals = _usage_totals(conn, cut, span)
    _usage_times(conn, cut, span, totals)
    return totals.get("", _Total())


def _usage_totals(conn: Connection, cut: Cut, span: Range, top: int | None = None) -> dict[Any, _Total]:
    """Return the groups, the costliest first, `top` of them at most."""
    parts = span.sources(
        cut, f"{cut.rolled_group} AS grp, {ROLLED_SUMS}", f"{cut.single_group} AS grp, {ROW_SUMS}"
    )
    sums = ", ".join(f"sum({name}) AS {name}" for name in SUMS)
    query = text(
        f"SELECT * FROM (SELECT grp, {sums} FROM ({' UNION ALL '.join(parts)}) AS parts GROUP BY grp) AS summed "
        f"WHERE calls > 0 ORDER BY cost_nano DESC, calls DESC, grp {'' if top is None else f'LIMIT {int(top)}'}"
    )
    totals: dict[Any, _Total] = {}
    for row in conn.execute(query, span.values | cut.values):
        total = totals[row.grp] = _Total()
        total.sums = {name: int(getattr(row, name)) for name in SUMS}
    return totals


_NO_TIMES = "NULL AS latency, NULL AS ttft"
_LONE_TIMES = "s.end_ns - s.start_ns AS elapsed_ns, s.ttft_ns"
_ROLLED_TIMES = "r.latency, r.ttft, CAST(NULL AS BIGINT) AS elapsed_ns, CAST(NULL AS BIGINT) AS ttft_ns"


def _usage_times(conn: Connection, cut: Cut, span: Range, totals: dict[Any, _Total]) -> None:
    """Add the latencies of `totals`; users have none in the roll-ups, and so none at all."""
    if not totals or cut.dimension == DIMENSIONS["user"]:
        return
    parts = span.sources(
        cut,
        f"{cut.rolled_group} AS grp, {_ROLLED_TIMES}",
        f"{cut.single_group} AS grp, {_NO_TIMES}, {_LONE_TIMES}",
    )
    query = text(f"SELECT * FROM ({' UNION ALL '.join(parts)}) AS parts WHERE grp IN :groups").bindparams(
        bindparam("groups", expanding=True)
    )
    for row in conn.execute(query, span.values | cut.values | {"groups": list(totals)}):
        totals[row.grp].times(row)


def _label(group_by: str, key: Any, projects: dict[int, str]) -> str:
    if group_by == "kind":
        return _KIND_NAMES[int(key)]
    if group_by == "project":
        return projects[int(key)]
    if group_by == "day":
        return clock.iso(clock.from_ns(int(key) * NS))[:10]
    return str(key)


def timeseries(
    conn: Connection,
    scopes: Sequence[Scope],
    filters: SeriesFilters,
    *,
    since_s: int,
    until_s: int,
    step: int,
    seconds: float,
    by: str | None = None,
    top: int = 10,
    stop: Stop | None = None,
) -> list[SeriesPoint]:
    """Return one point per `step` seconds from `since_s` to `until_s`, both multiples of `step`, gaps included.

    With `by` the points of the `top` costliest groups, then those of all others together (their group is None).
    Steps of whole hours come from the roll-ups, finer ones from single spans.
    """
    projects = _scopes(conn, scopes)
    steps = range(since_s, until_s, step)
    with limited(conn, seconds, stop):
        everything = _points(conn, Cut(tuple(projects), "", filters), steps)[""]
        if by is None:
            return _series(None, everything)
        cut = Cut(tuple(projects), by, filters)
        span = Range(since_s * NS, until_s * NS)
        series = _points(conn, cut, steps, _usage_totals(conn, cut, span, top))
        told = list(series.values())
        if keyed(by) and series:
            told = [_points(conn, Cut(cut.scopes, by, filters, among=list(series)), steps)[""]]
    for points in told:
        for at, total in points.items():
            everything[at].less(total, times=cut.dimension != DIMENSIONS["user"])
    found = [point for key, points in series.items() for point in _series(_label(by, key, projects), points)]
    # By kind every kind counts, all together only those of model calls.
    others = by != "kind" and any(total.sums["calls"] for total in everything.values())
    return found + (_series(None, everything) if others else [])


def _series(group: str | None, points: dict[int, _Total]) -> list[SeriesPoint]:
    return [
        SeriesPoint(time=clock.from_ns(at * NS), group=group, **total.fields())
        for at, total in sorted(points.items())
    ]


def _points(
    conn: Connection, cut: Cut, steps: range, groups: Iterable[Any] = ("",)
) -> dict[Any, dict[int, _Total]]:
    """Return group → start of a step → total, for each of `groups` and every step."""
    found: dict[Any, dict[int, _Total]] = {key: {at: _Total() for at in steps} for key in groups}
    if not found:
        return found
    values = cut.values | {"low": steps.start, "high": steps.stop, "groups": list(found)}
    values |= {"since": steps.start * NS, "until": steps.stop * NS}
    query = text(
        f"SELECT * FROM ({_points_statement(cut, steps.step)}) AS parts WHERE grp IN :groups"
    ).bindparams(bindparam("groups", expanding=True))
    with_times = cut.dimension != DIMENSIONS["user"]
    for row in conn.execute(query, values):
        found[row.grp][row.at - (row.at - steps.start) % steps.step].add(row, times=with_times)
    return found


def _points_statement(cut: Cut, step: int) -> str:
    single = f"s.start_ns / {NS} AS at, {cut.single_group} AS grp, {ROW_SUMS}, {_NO_TIMES}, {_LONE_TIMES}"
    if step % HOUR or cut.dimension is None:
        return cut.from_time(single, "since", "until")
    rolled = f"r.bucket AS at, {cut.rolled_group} AS grp, {ROLLED_SUMS}, {_ROLLED_TIMES}"
    parts = (
        cut.from_rollup(rolled, HOUR if step % DAY else DAY, "low", "high"),
        cut.above_mark(single, "since", "until"),
    )
    return " UNION ALL ".join(parts)
