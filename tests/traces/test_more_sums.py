"""Sums by service, agent, session and any metadata: exact, narrowed, and with everything else as one group."""

import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from penstock.core import clock, ids
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.traces import background, service
from penstock.traces.model import SeriesFilters, SpanRecord
from tests.traces.build import HOUR_NS, call

START = 1_750_000_000 * 10**9 // (24 * HOUR_NS) * 24 * HOUR_NS
ENDS: dict[str, Any] = {
    "since": clock.from_ns(START),
    "until": clock.from_ns(START + 48 * HOUR_NS),
}


def traffic(seed: int) -> list[list[SpanRecord]]:
    """Return traces of a root that names session and customer, and calls that carry services and agents."""
    rng = random.Random(seed)
    traces = []
    for number in range(120):
        trace_id, start = ids.new_trace_id(), START + rng.randrange(47) * HOUR_NS + number
        root = call(
            trace_id=trace_id,
            kind="agent",
            model=None,
            start_ns=start,
            session=rng.choice([None, "s1", "s2", "s3"]),
            metadata=rng.choice([{}, {"customer": "acme"}, {"customer": "beta"}, {"customer": "gamma"}]),
        )
        calls = [
            call(
                trace_id=trace_id,
                start_ns=start + step,
                input_tokens=rng.randrange(1, 1000),
                cost_usd=rng.randrange(10**6) / 1e9,
                agent=rng.choice([None, "planner", "writer"]),
                metadata=rng.choice([{}, {"service.name": "shop"}, {"service.name": "desk"}]),
                model=rng.choice(["small", "large"]),
            )
            for step in range(rng.randrange(1, 4))
        ]
        traces.append([root, *calls])
    return traces


def told(span: SpanRecord, root: SpanRecord, by: str) -> str | None:
    if by == "service":
        return span.metadata.get("service.name", "")
    if by == "agent":
        return span.agent or ""
    return root.session if by == "session" else root.metadata.get("customer")


@pytest.fixture(params=["rolled up", "as they came"])
def stored(request: pytest.FixtureRequest, home: Home, actor: Actor) -> tuple[Home, list[list[SpanRecord]]]:
    traces = traffic(5)
    service.ingest(home, actor.scope, [span for trace in traces for span in trace])
    service.ingest(
        home,
        Scope(actor.scope.tenant, "elsewhere"),
        [
            call(
                start_ns=START,
                session="s1",
                agent="planner",
                metadata={"customer": "acme", "service.name": "shop"},
            )
        ],
    )
    if request.param == "rolled up":
        background.catch_up(home)
    return home, traces


@pytest.mark.parametrize("by", ["service", "agent", "session", "metadata.customer", "metadata:customer"])
def test_usage_and_series_add_up(stored: tuple[Home, list[list[SpanRecord]]], actor: Actor, by: str) -> None:
    home, traces = stored
    tokens: Counter[str | None] = Counter()
    costs: Counter[str | None] = Counter()
    for root, *calls in traces:
        for span in calls:
            group = told(span, root, by)
            tokens[group] += span.input_tokens
            costs[group] += round((span.cost_usd or 0) * 1e9)
    with home.read() as uow:
        rows = service.usage(uow, actor, group_by=by, **ENDS)
        assert {row.group: row.input_tokens for row in rows} == dict(tokens)
        first, rest = service.usage(uow, actor, group_by=by, top=1, **ENDS)
        costliest = max((group for group in costs if group is not None), key=lambda group: costs[group])
        assert (first.group, rest.group) == (costliest, None)
        assert rest.input_tokens == tokens.total() - tokens[costliest]
        assert rest.p50_ms is not None
        points = service.timeseries(uow, actor, by=by, top=1, bucket=timedelta(hours=6), **ENDS)
    drawn: Counter[str | None] = Counter()
    for point in points:
        drawn[point.group] += point.input_tokens
    assert drawn == {costliest: tokens[costliest], None: tokens.total() - tokens[costliest]}


def test_conditions_narrow(stored: tuple[Home, list[list[SpanRecord]]], actor: Actor) -> None:
    home, traces = stored
    asked = SeriesFilters(agent="planner", session="s1", metadata={"customer": "acme"})
    wanted = [
        span
        for root, *calls in traces
        for span in calls
        if root.session == "s1" and root.metadata.get("customer") == "acme" and span.agent == "planner"
    ]
    assert wanted, "the traffic holds what is asked for"
    with home.read() as uow:
        for by in ("model", "session", "metadata.customer", "agent"):
            rows = service.usage(uow, actor, group_by=by, filters=asked, **ENDS)
            assert sum(row.calls for row in rows) == len(wanted), by
        by_service = service.usage(
            uow, actor, group_by="model", filters=SeriesFilters(service="shop"), **ENDS
        )
        points = service.timeseries(uow, actor, filters=asked, by="session", **ENDS)
    assert sum(row.calls for row in by_service) == sum(
        span.metadata.get("service.name") == "shop" for _, *calls in traces for span in calls
    )
    assert sum(point.calls for point in points) == len(wanted)


def test_a_replaced_or_erased_span_leaves_the_new_sums(home: Home, actor: Actor) -> None:
    kept = call(start_ns=START, agent="planner", metadata={"service.name": "shop"})
    gone = call(start_ns=START, agent="writer", metadata={"service.name": "desk"})
    service.ingest(home, actor.scope, [kept, gone])
    background.catch_up(home)
    again = call(
        trace_id=kept.trace_id,
        span_id=kept.span_id,
        start_ns=START,
        agent="editor",
        metadata={"service.name": "shop"},
    )
    service.ingest(home, actor.scope, [again])
    service.delete_trace(home, actor, trace_id=gone.trace_id)
    background.catch_up(home)
    with home.read() as uow:
        agents = service.usage(uow, actor, group_by="agent", **ENDS)
        services = service.usage(uow, actor, group_by="service", **ENDS)
    assert [(row.group, row.calls) for row in agents] == [("editor", 1)]
    assert [(row.group, row.calls) for row in services] == [("shop", 1)]


def test_what_cannot_be_asked(home: Home, actor: Actor) -> None:
    with home.read() as uow:
        for wrong in ("metadata.", "metadata", "colour"):
            with pytest.raises(Invalid, match="Cannot group by"):
                service.usage(uow, actor, group_by=wrong)
        for top, by in ((0, "model"), (1001, "model"), (5, "day"), (5, "kind")):
            with pytest.raises(Invalid, match="top must be"):
                service.usage(uow, actor, group_by=by, top=top)
