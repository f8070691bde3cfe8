"""Data points of an ExportMetricsServiceRequest, as protobuf or JSON (opentelemetry-proto 1.x, metrics.proto)."""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec
from google.protobuf import json_format  # type: ignore[import-untyped]  # protobuf ships no types
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from penstock.core.errors import Invalid
from penstock.traces import otlp_values as values
from penstock.traces import wire
from penstock.traces.otlp import Encoding

MetricKind = Literal["histogram", "counter", "gauge"]
PREFIXES = ("gen_ai.", "llm.", "mcp.", "a2a.")
"""Metrics that are kept: others are counted as rejected."""
_FINEST_SCALE = 2
"""Exponential histograms are kept with 4 buckets per power of two at most (19 % wide)."""
_MAX_BUCKETS = 1000
_CUMULATIVE, _NO_VALUE = 2, 1


class OtlpPoint(msgspec.Struct, frozen=True, kw_only=True):
    """One data point; `buckets` maps upper bounds (the last is infinite) to counts."""

    name: str
    unit: str
    kind: MetricKind
    cumulative: bool
    start_ns: int
    at_ns: int
    count: int
    sum: float
    low: float | None
    high: float | None
    buckets: dict[float, int]
    attributes: dict[str, Any]
    resource: Mapping[str, Any]


Decoded = Iterator[OtlpPoint | Invalid]


def decode(data: bytes, encoding: Encoding) -> Decoded:
    """Yield the points of a request; in the place of each that cannot be kept the reason.

    Raises Invalid when the message as a whole cannot be read, TooLarge when it holds too much.
    """
    return _from_protobuf(data) if encoding == "protobuf" else _from_json(data)


def _from_protobuf(data: bytes) -> Decoded:
    for group in wire.groups(data, wire.METRIC):
        try:
            resource = values.attributes(Resource.FromString(group.resource).attributes)
            InstrumentationScope.FromString(group.scope)
        except DecodeError as error:
            raise Invalid(
                "The body is not an ExportMetricsServiceRequest.", hint="Send OTLP protobuf."
            ) from error
        for item in group.items:
            try:
                metric = Metric.FromString(item)
            except DecodeError:
                yield Invalid("A metric is not valid protobuf.", hint="Text must be UTF-8.")
                continue
            yield from _points(metric, resource)


def _from_json(data: bytes) -> Decoded:
    request = values.json_request(data)
    try:
        return iter(list(_json_points(request)))
    except (*values.BROKEN_JSON, json_format.ParseError) as error:
        raise Invalid(
            f"The body is not an ExportMetricsServiceRequest: {error}.", hint="Send OTLP JSON."
        ) from error


def _json_points(request: Mapping[str, Any]) -> Decoded:
    for resource, _, metrics in values.json_groups(request, "resourceMetrics", "scopeMetrics", "metrics"):
        for given in metrics:
            # Metrics hold no ids, so that protobuf's own JSON is OTLP's; exemplars do, and are not kept.
            yield from _points(
                json_format.ParseDict(_plain(given), Metric(), ignore_unknown_fields=True), resource
            )


def _plain(given: Any) -> Any:
    if isinstance(given, dict):
        return {key: _plain(held) for key, held in given.items() if key != "exemplars"}
    return [_plain(held) for held in given] if isinstance(given, list) else given


def _points(metric: Any, resource: Mapping[str, Any]) -> Decoded:
    form = metric.WhichOneof("data")
    if form is None:
        yield Invalid(f"The metric {metric.name!r} has no data.")
        return
    held = getattr(metric, form)
    for point in held.data_points:
        if not metric.name.startswith(PREFIXES):
            yield Invalid(f"The metric {metric.name!r} is not one of generative AI ({', '.join(PREFIXES)}).")
        elif not point.flags & _NO_VALUE:
            try:
                yield _point(metric, form, held, point, resource)
            except Invalid as error:
                yield error


def _point(metric: Any, form: str, held: Any, point: Any, resource: Mapping[str, Any]) -> OtlpPoint:
    reading = _READERS.get(form, _number)(point)
    rising = form != "gauge" and getattr(held, "is_monotonic", True)
    cumulative = form == "summary" or (form != "gauge" and held.aggregation_temporality == _CUMULATIVE)
    kind: MetricKind = "histogram" if form in _READERS else "counter"
    if form == "gauge" or (kind == "counter" and cumulative and not rising):
        kind, cumulative = "gauge", False
    found = OtlpPoint(
        name=metric.name,
        unit=metric.unit,
        kind=kind,
        cumulative=cumulative,
        start_ns=point.start_time_unix_nano,
        at_ns=point.time_unix_nano,
        attributes=values.attributes(point.attributes),
        resource=resource,
        **reading,
    )
    if kind == "counter" and rising and found.sum < 0:
        raise Invalid(f"The counter {metric.name!r} is negative.")
    return found


def _number(point: Any) -> dict[str, Any]:
    value = float(point.as_int if point.WhichOneof("value") == "as_int" else point.as_double)
    if not math.isfinite(value):
        raise Invalid("A data point is not a finite number.")
    return {"count": 1, "sum": value, "low": value, "high": value, "buckets": {}}


def _extremes(point: Any) -> dict[str, Any]:
    found = {
        "count": point.count,
        "sum": float(point.sum),
        "low": float(point.min) if point.HasField("min") else None,
        "high": float(point.max) if point.HasField("max") else None,
    }
    if not all(math.isfinite(number) for number in found.values() if number is not None):
        raise Invalid("A histogram holds what is not a finite number.")
    return found


def _explicit(point: Any) -> dict[str, Any]:
    bounds, counts = list(point.explicit_bounds), list(point.bucket_counts)
    if counts and len(counts) != len(bounds) + 1:
        raise Invalid("A histogram has not one bucket more than bounds.")
    if len(counts) > _MAX_BUCKETS:
        raise Invalid(f"A histogram has more than {_MAX_BUCKETS} buckets.")
    if not all(math.isfinite(bound) for bound in bounds) or any(
        not low < high for low, high in itertools.pairwise(bounds)
    ):
        raise Invalid("The bounds of a histogram do not rise.")
    if counts and sum(counts) != point.count:
        raise Invalid("The buckets of a histogram do not add up to its count.")
    uppers = [*bounds, math.inf]
    return _extremes(point) | {"buckets": {upper: n for upper, n in zip(uppers, counts, strict=False) if n}}


def _exponential(point: Any) -> dict[str, Any]:
    scale = min(point.scale, _FINEST_SCALE)
    if not scale >= -10 or max(len(point.positive.bucket_counts), len(point.negative.bucket_counts)) > 4096:
        raise Invalid("An exponential histogram is out of range.")
    buckets: dict[float, int] = {0.0: point.zero_count} if point.zero_count else {}
    for sign, side in ((1, point.positive), (-1, point.negative)):
        for place, count in enumerate(side.bucket_counts):
            if count:
                # Bucket i holds (base^i, base^(i+1)]; shifting i halves the resolution once per bit.
                index = (side.offset + place) >> max(0, point.scale - scale)
                exponent = (index + (sign > 0)) * 2.0**-scale
                upper = sign * 2.0 ** max(-1000.0, min(1000.0, exponent))
                buckets[upper] = buckets.get(upper, 0) + count
    if sum(buckets.values()) != point.count:
        raise Invalid("The buckets of a histogram do not add up to its count.")
    return _extremes(point) | {"buckets": buckets}


def _summary(point: Any) -> dict[str, Any]:
    if not math.isfinite(point.sum):
        raise Invalid("A summary holds what is not a finite number.")
    return {"count": point.count, "sum": float(point.sum), "low": None, "high": None, "buckets": {}}


_READERS = {"histogram": _explicit, "exponential_histogram": _exponential, "summary": _summary}
