"""Spans for the tests of traces."""

import random
from typing import Any

from penstock.core import clock, ids
from penstock.traces.model import SpanRecord

HOUR_NS = 3600 * 10**9


def call(**given: Any) -> SpanRecord:
    """Return a model call with plausible values; `given` overrides them."""
    start = given.pop("start_ns", None) or clock.now_ns()
    fields: dict[str, Any] = {
        "trace_id": ids.new_trace_id(),
        "span_id": ids.new_span_id(),
        "name": "chat gpt-4o-mini",
        "kind": "llm",
        "status": "ok",
        "start_ns": start,
        "end_ns": start + 250_000_000,
        "model": "gpt-4o-mini",
        "provider": "openai",
        "input_tokens": 100,
        "output_tokens": 20,
        "cost_usd": 0.000027,
        "price_version": "test",
        "input": b'[{"role":"user","content":"where is my parcel"}]',
        "output": b'"on its way"',
    }
    return SpanRecord(**(fields | given))


def agent_trace(rng: random.Random, start_ns: int, **given: Any) -> list[SpanRecord]:
    """Return an agent with two calls and a tool, the children first, as exporters send them."""
    trace_id, root = f"{rng.getrandbits(128) | 1:032x}", f"{rng.getrandbits(64) | 1:016x}"
    spans = []
    for number, kind in enumerate(("llm", "tool", "llm")):
        start = start_ns + (number + 1) * 1_000_000
        spans.append(
            call(
                trace_id=trace_id,
                span_id=f"{rng.getrandbits(64) | 1:016x}",
                parent_id=root,
                kind=kind,
                name=f"step {number}",
                start_ns=start,
                end_ns=start + rng.randrange(1, 3_000) * 1_000_000,
                model=rng.choice(["gpt-4o-mini", "claude-sonnet-4-5"]) if kind == "llm" else None,
                provider="openai" if kind == "llm" else None,
                input_tokens=rng.randrange(1000) if kind == "llm" else 0,
                output_tokens=rng.randrange(1000) if kind == "llm" else 0,
                cached_tokens=0,
                cost_usd=rng.randrange(10**6) / 1e9 if kind == "llm" else None,
                status=rng.choice(["ok", "ok", "ok", "error"]),
                **given,
            )
        )
    spans.append(
        call(
            trace_id=trace_id,
            span_id=root,
            kind="agent",
            name="agent",
            start_ns=start_ns,
            end_ns=start_ns + 5 * 10**9,
            model=None,
            provider=None,
            input_tokens=0,
            output_tokens=0,
            cost_usd=None,
            **given,
        )
    )
    return spans
