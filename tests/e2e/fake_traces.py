"""The scripted server's traces: some of the query language, facets, views, sessions, users, diff, tail."""

import asyncio
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

TERM = re.compile(r'(-?)(?:([A-Za-z_][\w.]*)(:|>=|<=|>|<))?("(?:\\.|[^"\\])*"|\([^)]*\)|[^\s()]+)')
LABELS = ("kind", "status", "model", "provider", "user", "session", "route", "environment")
DIMENSIONS = {
    "model": ["ticket-triage@2", "gpt-mock"],
    "provider": ["local", "mock"],
    "user": ["user-1", "user-2"],
}
Trace = dict[str, Any]


class Wrong(Exception):
    """A query that cannot be read, and where."""

    def __init__(self, column: int, message: str) -> None:
        super().__init__(message)
        self.column = column


def _plain(text: str) -> str:
    return re.sub(r'"((?:\\.|[^"\\])*)"', lambda m: re.sub(r"\\(.)", r"\1", m[1]), text)


def _holds(trace: Trace, field: str, operator: str, value: str) -> bool:
    if field in LABELS:
        return bool(re.fullmatch(re.escape(value).replace(r"\*", ".*"), str(trace[field])))
    if field == "tag":
        return value in trace["tags"]
    if field == "id":
        return trace["trace_id"] in value
    if field == "key":
        return trace["key_id"] == value
    if field == "latency":
        took = (trace["end_ns"] - trace["start_ns"]) / 1e6
        wanted = float(re.sub(r"[a-z]+$", "", value)) * (1 if value.endswith("ms") else 1000)
        return took >= wanted if operator in (">", ">=") else took <= wanted
    return value.lower() in json.dumps(trace).lower()


def condition(query: str) -> Callable[[Trace], bool]:
    """Return what the query asks of a trace; raises Wrong."""
    if query.count('"') % 2:
        raise Wrong(query.rindex('"') + 1, "this quote is never closed")
    asked = []
    for found in TERM.finditer(query):
        sign, field, operator, value = found.groups()
        known = (*LABELS, "tag", "id", "key", "latency", "text", "input", "output")
        if field and field.split(".")[0] not in (*known, "metadata", "cost"):
            raise Wrong(found.start() + 1, f"there is no field {field!r}")
        asked.append((sign == "-", field or "text", operator or ":", _plain(value)))
    return lambda trace: all(_holds(trace, f, o, v) is not no for no, f, o, v in asked)


def snippet(trace: Trace, query: str) -> dict[str, Any] | None:
    """Return the input around the first word searched for, and where the word is."""
    for _, field, _, value in (m.groups() for m in TERM.finditer(query)):
        text = trace["input_preview"]
        at = text.lower().find(_plain(value).lower())
        if field in (None, "text", "input") and at >= 0:
            begin = max(0, at - 20)
            lead = "…" if begin else ""
            start = len(lead) + at - begin
            marks = [[start, start + len(_plain(value))]]
            return {
                "span_id": "a" * 16,
                "field": "input",
                "text": lead + text[begin : at + 160],
                "marks": marks,
            }
    return None


def _iso(ns: float) -> str:
    return datetime.fromtimestamp(ns / 1e9, UTC).isoformat().replace("+00:00", "Z")


def histogram(traces: list[Trace], buckets: int) -> dict[str, Any]:
    """Return traces and errors per bucket."""
    if not traces:
        return {"items": []}
    first, last = min(t["start_ns"] for t in traces), max(t["start_ns"] for t in traces) + 1
    step = (last - first) / buckets
    items = [{"at": _iso(first + step * n), "traces": 0, "errors": 0} for n in range(buckets)]
    for trace in traces:
        bin_ = items[int((trace["start_ns"] - first) / step)]
        bin_["traces"] += 1
        bin_["errors"] += trace["status"] == "error"
    return {"items": items}


def facets(traces: list[Trace], key: str | None, prefix: str) -> dict[str, Any]:
    """Return the values of a key, or the keys."""
    if key is None:
        found = [("metadata.tier", len(traces)), ("metadata.customer", 12)]
    elif key == "tag":
        found = sorted({(tag, 1) for t in traces for tag in t["tags"]})
    elif key in LABELS:
        values = [str(t[key]) for t in traces]
        found = sorted(((v, values.count(v)) for v in set(values)), key=lambda item: -item[1])
    else:
        found = [("gold", 40), ("silver", 9)]
    return {"items": [{"value": v, "traces": n} for v, n in found if v.startswith(prefix)][:20]}


def _sums(traces: list[Trace]) -> dict[str, Any]:
    starts = [t["start_ns"] for t in traces]
    return {
        "traces": len(traces),
        "calls": len(traces),
        "errors": sum(t["status"] == "error" for t in traces),
        "first_at": _iso(min(starts)),
        "last_at": _iso(max(starts)),
        **{name: sum(t[name] for t in traces) for name in ("input_tokens", "output_tokens", "cached_tokens")},
        "cost_usd": sum(t["cost_usd"] for t in traces),
    }


def people(traces: list[Trace], kind: str, prefix: str = "", user: str | None = None) -> list[dict[str, Any]]:
    """Return the sessions or the users with their totals."""
    groups: dict[str, list[Trace]] = {}
    for trace in traces:
        if trace[kind].startswith(prefix) and user in (None, "", trace["user"]):
            groups.setdefault(trace[kind], []).append(trace)
    return [
        {
            kind: name,
            **(
                {"user": own[0]["user"], "preview": own[-1]["input_preview"]}
                if kind == "session"
                else {"sessions": 3}
            ),
            **_sums(own),
        }
        for name, own in groups.items()
    ]


def session(traces: list[Trace], name: str) -> dict[str, Any] | None:
    """Return a session's turns, oldest first."""
    own = [t for t in reversed(traces) if t["session"] == name]
    turns = [
        {
            "trace_id": t["trace_id"],
            "at": _iso(t["start_ns"]),
            "user": t["user"],
            "input": t["input_preview"],
            "output": "" if t["status"] == "error" else t["output_preview"],
            "status": t["status"],
            "cost_usd": t["cost_usd"],
            "duration_ns": t["end_ns"] - t["start_ns"],
            "model": t["model"],
        }
        for t in own
    ]
    totals = people(own, "session")
    return {"session": name, "totals": totals[0], "turns": turns, "next": None} if own else None


def difference(
    left: Trace, right: Trace, summary: Callable[[Trace], Any], spans: Callable[[Trace], list[Any]]
) -> Any:
    """Return the two traces, span beside span."""
    a, b = spans(left), spans(right)
    pairs = []
    for n in range(max(len(a), len(b))):
        one, two = a[n] if n < len(a) else None, b[n] if n < len(b) else None
        fields = ("model", "status", "error", "input_tokens", "output_tokens", "cost_usd", "ttft_ns")
        changes = {f: [one[f], two[f]] for f in fields if one and two and one[f] != two[f]}
        texts = {"output": [["=", "category: "], ["-", "bug"], ["+", "billing"]]} if n % 3 == 0 else {}
        changes |= {"output": ["category: bug", "category: billing"]} if texts else {}
        pairs.append({"left": one, "right": two, "changes": changes, "texts": texts})
    two_sides = {"left": summary(left), "right": summary(right)}
    return {**two_sides, "spans": pairs, "total": len(pairs), "next": None}


def split(points: list[dict[str, Any]], by: str) -> list[dict[str, Any]]:
    """Return the series told apart: two groups and the rest."""
    out = []
    for point in points:
        for n, group in enumerate([*DIMENSIONS.get(by, ["one", "two"]), None]):
            part = {k: v / (n + 2) if isinstance(v, int | float) else v for k, v in point.items()}
            out.append({**part, "calls": point["calls"] // (n + 2), "group": group})
    return out


def outline(trace: Trace) -> dict[str, Any]:
    """Return a trace's spans as columns, in the order they are given."""
    spans = trace["spans"]
    places = {span["span_id"]: n for n, span in enumerate(spans)}
    lists: dict[str, list[Any]] = {}
    columns: dict[str, list[Any]] = {}
    for name, many in (("name", "names"), ("kind", "kinds"), ("status", "statuses"), ("model", "models")):
        lists[many] = list(dict.fromkeys(s[name] for s in spans if s[name] is not None))
        at = {value: n for n, value in enumerate(lists[many])}
        columns[name] = [at.get(s[name], -1) for s in spans]
    return {
        "trace_id": trace["trace_id"],
        "start_ns": trace["start_ns"],
        "spans": len(spans),
        "partial": False,
        **lists,
        **columns,
        "span_id": [s["span_id"] for s in spans],
        "parent": [places.get(s["parent_id"], -1) for s in spans],
        "depth": [0 for _ in spans],
        "start": [s["start_ns"] - trace["start_ns"] for s in spans],
        "duration": [s["end_ns"] - s["start_ns"] for s in spans],
        "tokens": [(s["input_tokens"] or 0) + (s["output_tokens"] or 0) for s in spans],
        "cost_usd": [s["cost_usd"] for s in spans],
    }


VIEW = {"name": "failing", "query": "status:error", "columns": ["time", "name", "user", "latency"]}


class Views:
    """Saved views."""

    def __init__(self) -> None:
        self.items: dict[str, Any] = {"failing": {**VIEW, "shared": True, "owner": "owner"}}

    def change(self, method: str, name: str, body: Any) -> tuple[int, Any]:
        """Save or remove one."""
        if method == "DELETE":
            self.items.pop(name, None)
            return 200, {}
        self.items[name] = {**body, "name": name, "owner": "owner"}
        return 200, self.items[name]


async def tail(send: Any, made: Callable[[int], Any]) -> None:
    """Send a trace three times a second until the reader leaves."""
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
    )
    for n in range(12):
        piece = f": keep-alive\n\nevent: trace\ndata: {json.dumps(made(n))}\n\n".encode()
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0.3)
    await send({"type": "http.response.body", "body": b""})
