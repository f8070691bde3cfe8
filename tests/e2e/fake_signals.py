"""The scripted server's log records and metrics."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

Iso = Callable[[float], str]
Json = dict[str, Any]

SAID: tuple[tuple[int, str | None, Any], ...] = (
    (9, None, "order 4711 was accepted"),
    (13, None, "the provider was slow; waiting 2 s before another attempt"),
    (17, None, "the provider mock answered 500"),
    (0, "gen_ai.user.message", {"content": "Where is my parcel?"}),
    (9, "gen_ai.evaluation.result", None),
    (5, None, "x" * 400),
)
METRICS: tuple[Json, ...] = (
    {
        "name": "gen_ai.client.operation.duration",
        "unit": "s",
        "kind": "histogram",
        "series": 6,
        "labels": ["model", "operation"],
    },
    {
        "name": "gen_ai.client.token.usage",
        "unit": "{token}",
        "kind": "counter",
        "series": 12,
        "labels": ["model", "token_type"],
    },
    {"name": "mcp.sessions.open", "unit": "{session}", "kind": "gauge", "series": 1, "labels": []},
)


def _line(number: int, iso: Iso) -> Json:
    severity, event, body = SAID[number % len(SAID)]
    traced = number % 3 != 1
    return {
        "id": number + 1,
        "at": iso(number * 7.0),
        "at_ns": 1,
        "trace_id": "0" * 31 + "5" if traced else None,
        "span_id": "d" * 16 if traced and event else None,
        "severity": severity,
        "event": event,
        "service": ("shop", "desk", None)[number % 3],
        "body": body,
        "attributes": {"gen_ai.evaluation.name": "relevance"} if body is None else {},
        "resource": {"service.name": "shop"},
        "scope": {"name": "app"},
    }


def _points(metric: Json, by: str) -> list[Json]:
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    groups = {"": [""], "model": ["gpt-mock", "ticket-triage@2", ""]}.get(by, ["one", "two"])
    found = []
    for hour in range(24):
        for place, group in enumerate(groups):
            if hour % 9 == 4:
                continue
            size = 1.2 + math.sin(hour / 3) + place
            quantiles = (size, size * 2, size * 3) if metric["kind"] == "histogram" else (None, None, None)
            found.append(
                {
                    "time": (now - timedelta(hours=23 - hour)).isoformat().replace("+00:00", "Z"),
                    "group": group,
                    "count": int(size * 40),
                    "sum": size * 100,
                    "low": size / 2,
                    "high": size * 4,
                    **dict(zip(("p50", "p95", "p99"), quantiles, strict=True)),
                }
            )
    return found


def get(parts: list[str], q: dict[str, str], iso: Iso, *, empty: bool) -> Any:
    """Return an answer, or None for what is not known here."""
    match parts:
        case ["logs"]:
            return _logs(q, iso, empty=empty)
        case ["metrics", "otlp"]:
            return {"items": [] if empty else list(METRICS), "next": None}
        case ["metrics", "otlp", name]:
            metric = next((one for one in METRICS if one["name"] == name), None)
            return metric and {"items": _points(metric, q.get("by", "")), "next": None}
    return None


def _logs(q: dict[str, str], iso: Iso, *, empty: bool) -> Json:
    start, limit = int(q.get("cursor", 0)), int(q.get("limit", 100))
    found = [] if empty else [_line(number, iso) for number in range(150)]
    found = [
        line
        for line in found
        if line["severity"] >= int(q.get("min_severity", 0))
        and q.get("service") in (None, line["service"])
        and q.get("event") in (None, line["event"])
        and q.get("trace_id") in (None, line["trace_id"])
        and q.get("q", "") in str(line["body"])
    ]
    more = start + limit < len(found)
    return {"items": found[start : start + limit], "next": str(start + limit) if more else None}
