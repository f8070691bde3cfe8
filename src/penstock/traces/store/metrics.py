"""OpenTelemetry's metrics: added up by hour, each point once, with a bound on what is told apart."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, text

from penstock.core import clock
from penstock.core.db import is_sqlite
from penstock.core.errors import Invalid
from penstock.core.scope import Scope
from penstock.traces import documents, times
from penstock.traces.metric_model import Buckets, MetricName, MetricPoint, quantile
from penstock.traces.otlp_metrics import OtlpPoint
from penstock.traces.store import read
from penstock.traces.store.prepare import label

_LABELS = {
    "gen_ai.operation.name": "operation",
    "gen_ai.provider.name": "provider",
    "gen_ai.system": "provider",
    "gen_ai.request.model": "requested_model",
    "gen_ai.response.model": "model",
    "gen_ai.token.type": "token_type",
    "gen_ai.agent.name": "agent",
    "gen_ai.tool.name": "tool",
    "mcp.method.name": "method",
    "error.type": "error",
    "server.address": "server",
}
_RESOURCE_LABELS = {"service.name": "service", "deployment.environment.name": "environment"}
LABELS = tuple(sorted({*_LABELS.values(), *_RESOURCE_LABELS.values()}))
"""What points are told apart by; points that differ in other attributes are added up."""
_STREAMS_PER_SERIES, _REMEMBERED = 10, 32
_LARGEST = (1 << 62) - 1
_LOCK = 0x7E57_0003
_HOUR_NS = 3600 * 10**9


@dataclass(slots=True)
class PreparedPoint:
    """A data point ready to be written; `refused` says afterwards that there was no room for its series."""

    scope: Scope
    point: OtlpPoint
    labels: str
    series: bytes
    stream: bytes
    refused: bool = False


def _digest(*parts: Any) -> bytes:
    return hashlib.blake2b(documents.encode(parts), digest_size=16).digest()


def prepare_point(scope: Scope, point: OtlpPoint) -> PreparedPoint:
    """Return `point` ready to be written; raises Invalid for a time that cannot be and for counts out of range."""
    if not times.plausible(point.at_ns, clock.now_ns()):
        raise Invalid(f"A data point of {point.name!r} has no possible time.")
    if not 0 <= point.count <= _LARGEST:
        raise Invalid(f"A data point of {point.name!r} counts more than there can be.")
    found: dict[str, str] = {}
    for keys, held in ((_LABELS, point.attributes), (_RESOURCE_LABELS, point.resource)):
        for key, name in keys.items():
            if name not in found and held.get(key) not in (None, ""):
                found[name] = label(documents.as_text(held[key])) or ""
    labels = msgspec.json.encode(dict(sorted(found.items()))).decode()
    series = _digest(point.name, point.unit, point.kind, labels)
    own = [
        point.name,
        point.unit,
        point.kind,
        sorted(point.attributes.items()),
        sorted(point.resource.items()),
    ]
    # Processes whose resources are alike differ in when they began to count.
    stream = _digest(*own, point.start_ns if point.cumulative else -1)
    return PreparedPoint(scope, point, labels, series, stream)


@dataclass(slots=True)
class _Held:
    """A stream as it stands."""

    at_ns: int
    count: int
    sum: float
    data: Any


def write_points(
    conn: Connection, scope_number: Callable[[Scope], int], points: Sequence[PreparedPoint], *, room: int
) -> None:
    """Add `points` to their hours; those sent before change nothing.

    A project has room for `room` series and ten times as many streams: a point that needs another is marked as refused.
    """
    if not is_sqlite(conn):
        conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    for prepared in points:
        number = scope_number(prepared.scope)
        prepared.refused = not _write(conn, number, prepared, room)


def _write(conn: Connection, number: int, prepared: PreparedPoint, room: int) -> bool:
    series = _series(conn, number, prepared, room)
    if series is None:
        return False
    point = prepared.point
    query = text(
        "SELECT at_ns, count, sum, buckets FROM traces_metric_streams WHERE scope_id = :scope AND digest = :digest"
    )
    row = conn.execute(query, {"scope": number, "digest": prepared.stream}).first()
    if row is None and _full(conn, "traces_metric_streams", number, room * _STREAMS_PER_SERIES):
        return False
    held = None if row is None else _Held(row[0], row[1], row[2], msgspec.msgpack.decode(bytes(row[3])))
    if point.cumulative:
        added = _since(point, held)
        state: Any = list(point.buckets.items())
    else:
        sent = [] if held is None else held.data
        if [point.start_ns, point.at_ns] in sent:
            return True
        added = (point.count, point.sum, point.buckets)
        state = [*sent, [point.start_ns, point.at_ns]][-_REMEMBERED:]
    if added is None:
        return True
    _remember(conn, number, prepared, series, state)
    if added[0] or added[1]:
        _add(conn, series, point, added)
    return True


def _since(point: OtlpPoint, held: _Held | None) -> tuple[int, float, Buckets] | None:
    """Return what a cumulative point adds to what is known; None when it is no news."""
    if held is None:
        return point.count, point.sum, point.buckets
    if point.at_ns <= held.at_ns:
        return None
    before = {float(upper): int(count) for upper, count in held.data}
    buckets = {upper: count - before.get(upper, 0) for upper, count in point.buckets.items()}
    fell = point.kind == "counter" and point.sum < held.sum
    if point.count < held.count or fell or any(count < 0 for count in buckets.values()):
        return point.count, point.sum, point.buckets  # it began anew without saying so
    counted = point.count - held.count if point.kind == "histogram" else int(point.sum != held.sum)
    return counted, point.sum - held.sum, {upper: count for upper, count in buckets.items() if count}


def _series(conn: Connection, number: int, prepared: PreparedPoint, room: int) -> int | None:
    values = {"scope": number, "digest": prepared.series}
    query = text("SELECT id FROM traces_metric_series WHERE scope_id = :scope AND digest = :digest")
    found = conn.execute(query, values).scalar()
    if found is not None:
        return int(found)
    if _full(conn, "traces_metric_series", number, room):
        return None
    point = prepared.point
    columns = {"name": point.name, "unit": point.unit, "kind": point.kind}
    insert = text(
        "INSERT INTO traces_metric_series (scope_id, name, unit, kind, labels, digest) "
        "VALUES (:scope, :name, :unit, :kind, :labels, :digest)"
    )
    cut = {key: label(value) or "" for key, value in columns.items()}
    conn.execute(insert, values | cut | {"labels": prepared.labels})
    return int(conn.execute(query, values).scalar_one())


def _full(conn: Connection, table: str, number: int, room: int) -> bool:
    query = text(f"SELECT count(*) FROM {table} WHERE scope_id = :scope")
    return int(conn.execute(query, {"scope": number}).scalar_one()) >= room


def _remember(conn: Connection, number: int, prepared: PreparedPoint, series: int, state: Any) -> None:
    point = prepared.point
    query = text(
        "INSERT INTO traces_metric_streams (scope_id, digest, series, start_ns, at_ns, count, sum, buckets) "
        "VALUES (:scope, :digest, :series, :start, :at, :count, :sum, :state) ON CONFLICT (scope_id, digest) "
        "DO UPDATE SET at_ns = excluded.at_ns, count = excluded.count, sum = excluded.sum, buckets = excluded.buckets"
    )
    values = {
        "scope": number,
        "digest": prepared.stream,
        "series": series,
        "start": min(point.start_ns, _LARGEST),
        "at": point.at_ns,
        "count": point.count,
        "sum": point.sum,
        "state": msgspec.msgpack.encode(state),
    }
    conn.execute(query, values)


def _add(conn: Connection, series: int, point: OtlpPoint, added: tuple[int, float, Buckets]) -> None:
    values: dict[str, Any] = {"series": series, "hour": point.at_ns // _HOUR_NS * 3600}
    query = text(
        "SELECT count, sum, low, high, buckets FROM traces_metric_points WHERE series = :series AND hour = :hour"
    )
    old = conn.execute(query, values).first()
    count, total, buckets = added
    lows, highs = [point.low], [point.high]
    merged = dict(buckets)
    if old is not None:
        count, total = count + old[0], total + old[1]
        lows.append(old.low)
        highs.append(old.high)
        for upper, seen in msgspec.msgpack.decode(bytes(old.buckets)):
            merged[upper] = merged.get(upper, 0) + seen
    values |= {
        "count": count,
        "sum": total,
        "low": min((one for one in lows if one is not None), default=None),
        "high": max((one for one in highs if one is not None), default=None),
        "buckets": msgspec.msgpack.encode(sorted(merged.items())),
    }
    upsert = text(
        "INSERT INTO traces_metric_points (series, hour, count, sum, low, high, buckets) "
        "VALUES (:series, :hour, :count, :sum, :low, :high, :buckets) ON CONFLICT (series, hour) DO UPDATE SET "
        "count = excluded.count, sum = excluded.sum, low = excluded.low, high = excluded.high, "
        "buckets = excluded.buckets"
    )
    conn.execute(upsert, values)


def names(conn: Connection, scope: Scope) -> list[MetricName]:
    """Return the metrics that were reported, by name."""
    query = text(
        "SELECT name, unit, kind, labels FROM traces_metric_series WHERE scope_id = :scope ORDER BY name"
    )
    found: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    for row in conn.execute(query, {"scope": read.scope_id(conn, scope)}):
        found.setdefault((row.name, row.unit, row.kind), []).append(msgspec.json.decode(row.labels))
    return [
        MetricName(
            name=name,
            unit=unit,
            kind=kind,
            series=len(series),
            labels=tuple(sorted({key for one in series for key in one})),
        )
        for (name, unit, kind), series in found.items()
    ]


def points(
    conn: Connection, scope: Scope, name: str, *, by: str, since: datetime, until: datetime
) -> list[MetricPoint]:
    """Return a metric hour by hour, one point per value of the label `by` ("" is all together)."""
    query = text(
        "SELECT s.labels, p.hour, p.count AS points, p.sum AS total, p.low, p.high, p.buckets "
        "FROM traces_metric_series s JOIN traces_metric_points p ON p.series = s.id "
        "WHERE s.scope_id = :scope AND s.name = :name AND p.hour >= :since AND p.hour < :until ORDER BY p.hour"
    )
    values = {"scope": read.scope_id(conn, scope), "name": name}
    values |= {"since": int(since.timestamp()) // 3600 * 3600, "until": int(until.timestamp())}
    groups: dict[tuple[int, str], list[Any]] = {}
    for row in conn.execute(query, values):
        group = msgspec.json.decode(row.labels).get(by, "") if by else ""
        groups.setdefault((row.hour, group), []).append(row)
    return [_summed(hour, group, rows) for (hour, group), rows in sorted(groups.items())]


def _summed(hour: int, group: str, rows: Sequence[Any]) -> MetricPoint:
    buckets: Buckets = {}
    for row in rows:
        for upper, count in msgspec.msgpack.decode(bytes(row.buckets)):
            buckets[upper] = buckets.get(upper, 0) + count
    low = min((row.low for row in rows if row.low is not None), default=None)
    high = max((row.high for row in rows if row.high is not None), default=None)
    p50, p95, p99 = (quantile(buckets, share, low, high) for share in (0.5, 0.95, 0.99))
    return MetricPoint(
        time=clock.from_ns(hour * 10**9),
        group=group,
        count=sum(row.points for row in rows),
        sum=sum(row.total for row in rows),
        low=low,
        high=high,
        p50=p50,
        p95=p95,
        p99=p99,
    )


def expire(conn: Connection, *, before_ns: int, streams_before_ns: int) -> int:
    """Delete hours and silent streams of every scope, and series that are left with neither; returns how many rows."""
    removed = 0
    for statement, values in (
        ("DELETE FROM traces_metric_points WHERE hour < :before", {"before": before_ns // 10**9}),
        ("DELETE FROM traces_metric_streams WHERE at_ns < :before", {"before": streams_before_ns}),
        (
            "DELETE FROM traces_metric_series WHERE NOT EXISTS (SELECT 1 FROM traces_metric_points p "
            "WHERE p.series = traces_metric_series.id) AND NOT EXISTS (SELECT 1 FROM traces_metric_streams t "
            "WHERE t.series = traces_metric_series.id)",
            {},
        ),
    ):
        removed += int(conn.execute(text(statement), values).rowcount)
    return removed
