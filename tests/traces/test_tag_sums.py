"""Sums by tag: a call counts for every tag of its trace, whichever span carries it, and only once for each."""

from datetime import timedelta
from typing import Any

import pytest

from penstock.core import clock, ids
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.traces import background, service
from penstock.traces.model import SeriesFilters
from tests.traces.build import HOUR_NS, call

START = 1_750_000_000 * 10**9 // HOUR_NS * HOUR_NS
ENDS: dict[str, Any] = {
    "since": clock.from_ns(START),
    "until": clock.from_ns(START + 4 * HOUR_NS),
}


@pytest.fixture(params=["rolled up", "as they came"])
def tagged(request: pytest.FixtureRequest, home: Home, actor: Actor) -> Home:
    """Three traces: both tags (on a tool and on a call), one tag twice, no tag; and a like-named tag elsewhere."""
    both, one, bare = (ids.new_trace_id() for _ in range(3))
    hour = START + HOUR_NS
    spans = [
        call(trace_id=both, kind="tool", model=None, start_ns=START, tags=("prod",)),
        call(trace_id=both, start_ns=START + 5, input_tokens=7, tags=("beta",)),
        call(trace_id=one, start_ns=hour, input_tokens=11, tags=("prod",)),
        call(trace_id=one, start_ns=hour + 9, input_tokens=13, model="other", tags=("prod",)),
        call(trace_id=bare, start_ns=hour, input_tokens=17),
    ]
    service.ingest(home, actor.scope, spans)
    service.ingest(
        home, Scope(actor.scope.tenant, "elsewhere"), [call(start_ns=START, input_tokens=19, tags=("prod",))]
    )
    if request.param == "rolled up":
        while background.tick(home):
            pass
    return home


def test_usage_by_tag(tagged: Home, actor: Actor) -> None:
    with tagged.read() as uow:
        rows = service.usage(uow, actor, group_by="tag", **ENDS)
        narrowed = service.usage(uow, actor, group_by="tag", **ENDS, filters=SeriesFilters(model="other"))
        late = service.usage(
            uow, actor, group_by="tag", since=clock.from_ns(START + HOUR_NS), until=ENDS["until"]
        )
    assert {row.group: (row.calls, row.input_tokens) for row in rows} == {"prod": (3, 31), "beta": (1, 7)}
    assert {row.group: (row.calls, row.input_tokens) for row in narrowed} == {"prod": (1, 13)}
    assert {row.group: row.calls for row in late} == {"prod": 2}
    assert all(row.p50_ms is not None for row in rows)


def test_a_span_counts_where_it_began_though_a_later_one_of_its_trace_arrived_first(
    home: Home, actor: Actor
) -> None:
    trace_id = ids.new_trace_id()
    late = START + 5 * HOUR_NS
    service.ingest(home, actor.scope, [call(trace_id=trace_id, start_ns=late, tags=("prod",))])
    service.ingest(home, actor.scope, [call(trace_id=trace_id, start_ns=START + HOUR_NS, input_tokens=7)])
    with home.read() as uow:
        rows = service.usage(uow, actor, group_by="tag", **ENDS)
        points = service.timeseries(uow, actor, **ENDS, bucket=timedelta(hours=1), by="tag")
    assert [(row.group, row.calls, row.input_tokens) for row in rows] == [("prod", 1, 7)]
    assert [(point.group, point.time) for point in points if point.calls] == [
        ("prod", clock.from_ns(START + HOUR_NS))
    ]


def test_usage_of_one_tag(tagged: Home, actor: Actor) -> None:
    with tagged.read() as uow:
        models = service.usage(uow, actor, group_by="model", **ENDS, filters=SeriesFilters(tag="prod"))
        nothing = service.usage(uow, actor, group_by="model", **ENDS, filters=SeriesFilters(tag="PROD"))
    assert {row.group: row.input_tokens for row in models} == {"gpt-4o-mini": 18, "other": 13}
    assert nothing == []


def test_a_series_by_tag_has_others_without_any(tagged: Home, actor: Actor) -> None:
    with tagged.read() as uow:
        for bucket in (timedelta(hours=1), timedelta(minutes=30)):
            points = service.timeseries(uow, actor, **ENDS, bucket=bucket, by="tag")
            sums = {(point.group, point.time): point.calls for point in points if point.calls}
            later = clock.from_ns(START + HOUR_NS)
            assert sums == {
                ("prod", ENDS["since"]): 1,
                ("prod", later): 2,
                ("beta", ENDS["since"]): 1,
                (None, later): 1,
            }
            one = service.timeseries(uow, actor, **ENDS, bucket=bucket, by="tag", top=1)
            sums = {(point.group, point.time): point.calls for point in one if point.calls}
            assert sums == {("prod", ENDS["since"]): 1, ("prod", later): 2, (None, later): 1}
        narrowed = service.timeseries(
            uow, actor, **ENDS, bucket=timedelta(hours=1), filters=SeriesFilters(tag="beta")
        )
    assert [point.calls for point in narrowed] == [1, 0, 0, 0]
