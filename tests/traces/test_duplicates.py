"""One call, told twice: it is billed once, whoever told it and in whatever order the reports arrived."""

import itertools
import random
from collections.abc import Sequence
from typing import Any

import pytest

from penstock.core import ids
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.traces import background, service
from penstock.traces.duplicates import Named, Report, nested, same_response
from penstock.traces.model import SpanRecord, TraceFilters
from penstock.traces.store.reports import MOST_ALIKE
from tests.traces.build import HOUR_NS, call

START = 1_790_000_000_000_000_000
SCOPE = Scope()


def report(**given: Any) -> Report:
    fields: dict[str, Any] = {
        "row": 1,
        "trace": 1,
        "parent_id": None,
        "kind": "llm",
        "start_ns": START,
        "end_ns": START + 10**9,
        "tokens": 10,
        "estimated": False,
        "known": False,
        "response_id": None,
        "duplicate_of": None,
        **given,
    }
    return Report(span_id=bytes([fields["row"]] * 8), **fields)


def at(row: int) -> bytes:
    return bytes([row] * 8)


def decided(*reports: Report) -> dict[int, int]:
    """Return row → row that counts for it, and check that the order of the reports makes no difference."""
    found = {row: stand.row for row, stand in nested(reports).items()}
    for other in itertools.islice(itertools.permutations(reports), 24):
        assert {row: stand.row for row, stand in nested(other).items()} == found
    return found


def test_of_calls_within_calls_the_innermost_count() -> None:
    outer, middle = report(row=1), report(row=2, parent_id=at(1), kind="http", tokens=0)
    gateway = report(row=3, parent_id=at(2))
    assert decided(outer, middle, gateway) == {1: 3}
    deeper = report(row=4, parent_id=at(3))
    assert decided(outer, middle, gateway, deeper) == {1: 4, 3: 4}


def test_a_wrapper_of_several_calls_is_none_itself() -> None:
    outer = report(row=1, tokens=30)
    failed, again = report(row=2, parent_id=at(1), tokens=0), report(row=3, parent_id=at(1), tokens=30)
    assert decided(outer, failed, again) == {1: 3}


def test_the_outer_call_counts_when_only_it_was_told_the_usage() -> None:
    outer, inner = report(row=1), report(row=2, parent_id=at(1), tokens=0)
    assert decided(outer, inner) == {2: 1}
    guessed = report(row=2, parent_id=at(1), estimated=True)
    assert decided(outer, guessed) == {2: 1}
    assert decided(report(row=1, estimated=True), guessed) == {1: 2}
    assert decided(outer, guessed, report(row=3, parent_id=at(2), tokens=0)) == {2: 1, 3: 1}


def test_tools_agents_and_other_kinds_of_calls_keep_calls_apart() -> None:
    for kind in ("tool", "agent", "retriever", "guard"):
        between = report(row=2, parent_id=at(1), kind=kind, tokens=0)
        assert decided(report(row=1), between, report(row=3, parent_id=at(2))) == {}
    assert decided(report(row=1), report(row=2, parent_id=at(1), kind="embedding")) == {}
    assert decided(report(row=1), report(row=2)) == {}


def test_rings_and_very_deep_parents_end() -> None:
    assert nested([report(row=1, parent_id=at(2)), report(row=2, parent_id=at(1))]) == {}
    ring = [report(row=row, parent_id=at(row % 3 + 1), kind="chain") for row in (1, 2, 3)]
    assert nested([*ring, report(row=4, parent_id=at(1)), report(row=5)]) == {}
    deep = [
        report(row=1)._replace(row=n, span_id=n.to_bytes(8, "big"), parent_id=(n - 1).to_bytes(8, "big"))
        for n in range(1, 20_000)
    ]
    assert set(nested(deep)) == set(range(1, 19_999))


def named(emitter: str, **given: Any) -> Named:
    return Named(report(**{"response_id": "msg_1", **given}), emitter)


def test_one_response_told_by_two_instrumentations_counts_once() -> None:
    sdk, other = named("sdk", row=1, trace=1, start_ns=START + 5), named("openinference", row=2, trace=2)
    assert {row: stand.row for row, stand in same_response([sdk, other]).items()} == {2: 1}
    inside = named("openinference", row=2, trace=2, parent_id=at(9))
    assert set(same_response([sdk, inside])) == {1}
    assert set(same_response([inside, sdk])) == {1}


def test_one_instrumentation_or_another_time_means_another_call() -> None:
    assert same_response([named("sdk", row=1), named("sdk", row=2)]) == {}
    later = named("other", row=2, start_ns=START + HOUR_NS, end_ns=START + 2 * HOUR_NS)
    assert same_response([named("sdk", row=1), later]) == {}
    four = [named("sdk", row=1), named("sdk", row=2), named("other", row=3), named("other", row=4)]
    assert len(same_response(four)) == 2


def told(emitter: str, **given: Any) -> SpanRecord:
    return call(**{"attributes": {"scope": {"name": emitter}}, "start_ns": START, **given})


def story() -> list[SpanRecord]:
    """Return an agent's trace with a call told three times, a stream told in two traces, and a call of its own."""
    trace, root, outer = ids.new_trace_id(), ids.new_span_id(), ids.new_span_id()
    common: dict[str, Any] = {"trace_id": trace, "response_id": "msg_1", "user": "ada"}
    return [
        call(
            trace_id=trace,
            span_id=root,
            kind="agent",
            name="agent",
            start_ns=START - 5,
            input_tokens=0,
            output_tokens=0,
            cost_usd=None,
        ),
        told("langchain", span_id=outer, parent_id=root, **common),
        told("openinference", parent_id=outer, **(common | {"cost_usd": 0.000031})),
        told("openinference", trace_id=trace, parent_id=root, response_id="msg_2", user="ada"),
        told("com.anthropic.sdk.python", response_id="msg_2", input_tokens=101, start_ns=START + 1000),
        told("com.anthropic.sdk.python", response_id="msg_3", input_tokens=7, cost_usd=0.5),
    ]


def figures(home: Home, actor: Actor) -> tuple[Any, ...]:
    """Return what every reader of sums says, which must be the same."""
    with home.read() as uow:
        listed = service.list_traces(uow, actor, filters=TraceFilters(), limit=1000).items
        by = {
            group: [
                (
                    row.group,
                    row.calls,
                    row.input_tokens,
                    row.output_tokens,
                    round(row.cost_usd, 9),
                    row.errors,
                )
                for row in service.usage(uow, actor, group_by=group)
            ]
            for group in ("model", "user", "day", "kind")
        }
    summed = (
        sum(trace.calls for trace in listed),
        sum(trace.input_tokens for trace in listed),
        sum(trace.output_tokens for trace in listed),
        round(sum(trace.cost_usd for trace in listed), 9),
    )
    assert [row[1:5] for row in by["model"]] == [summed]
    assert [row[1:5] for row in by["day"]] == [summed]
    return summed, by


EXPECTED = (3, 100 + 100 + 7, 60, round(0.000031 + 0.000027 + 0.5, 9))


@pytest.mark.parametrize("seed", range(4))
def test_the_bill_is_right_in_any_order_and_after_sending_again(home: Home, actor: Actor, seed: int) -> None:
    rng = random.Random(seed)
    spans = story()
    rng.shuffle(spans)
    for span in spans:
        service.ingest(home, SCOPE, [span])
        if rng.random() < 0.5:
            background.catch_up(home)
    background.catch_up(home)
    first = figures(home, actor)
    assert first[0] == EXPECTED
    again = list(spans)
    rng.shuffle(again)
    service.ingest(home, SCOPE, again[:3])
    background.catch_up(home)
    service.ingest(home, SCOPE, again)
    background.catch_up(home)
    assert figures(home, actor) == first


def marked(home: Home, actor: Actor, spans: Sequence[SpanRecord]) -> dict[str, str | None]:
    with home.read() as uow:
        return {
            span.span_id: service.get_span_body(
                uow, actor, trace_id=span.trace_id, span_id=span.span_id
            ).duplicate_of
            for span in spans
        }


def test_both_reports_stay_visible_and_say_which_one_counts(home: Home, actor: Actor) -> None:
    spans = story()
    service.ingest(home, SCOPE, spans)
    background.catch_up(home)
    agent, outer, inner, ours, theirs, own = spans
    assert marked(home, actor, spans) == {
        agent.span_id: None,
        outer.span_id: f"{inner.trace_id}/{inner.span_id}",
        inner.span_id: None,
        ours.span_id: None,
        theirs.span_id: f"{ours.trace_id}/{ours.span_id}",
        own.span_id: None,
    }
    with home.read() as uow:
        tree = service.get_trace(uow, actor, trace_id=agent.trace_id)
    assert [span.span_id for span in tree.spans if span.duplicate_of] == [outer.span_id]
    assert tree.summary.calls == 2


def test_a_changed_report_that_is_another_call_now_counts_again(home: Home, actor: Actor) -> None:
    one = told("sdk", response_id="msg_1", trace_id=ids.new_trace_id())
    two = told("other", response_id="msg_1", parent_id=ids.new_span_id())
    service.ingest(home, SCOPE, [one, two])
    background.catch_up(home)
    assert figures(home, actor)[0][0] == 1
    changed = told("other", response_id="msg_9", trace_id=two.trace_id, span_id=two.span_id)
    service.ingest(home, SCOPE, [changed])
    background.catch_up(home)
    assert figures(home, actor)[0][0] == 2
    assert set(marked(home, actor, [one, two]).values()) == {None}
    service.ingest(home, SCOPE, [two])
    background.catch_up(home)
    assert figures(home, actor)[0][0] == 1


def test_deleting_the_report_that_counts_lets_the_other_one_count(home: Home, actor: Actor) -> None:
    one = told("sdk", response_id="msg_1")
    two = told("other", response_id="msg_1", parent_id=ids.new_span_id())
    service.ingest(home, SCOPE, [one, two])
    background.catch_up(home)
    service.delete_trace(home, actor, trace_id=two.trace_id)
    assert figures(home, actor)[0] == (1, 100, 20, 0.000027)
    assert marked(home, actor, [one]) == {one.span_id: None}
    service.delete_trace(home, actor, trace_id=one.trace_id)
    with home.read() as uow:
        assert service.usage(uow, actor) == []


def test_projects_do_not_see_each_others_calls(home: Home, actor: Actor) -> None:
    service.ingest(home, SCOPE, [told("sdk", response_id="msg_1")])
    service.ingest(home, Scope(project="other"), [told("other", response_id="msg_1")])
    background.catch_up(home)
    assert figures(home, actor)[0][0] == 1
    with home.read() as uow:
        (trace,) = service.list_traces(uow, actor).items
    assert trace.calls == 1


def test_a_name_that_a_whole_crowd_of_calls_shares_names_none_of_them(home: Home, actor: Actor) -> None:
    crowd = [told(f"emitter {number % 2}", response_id="chatcmpl-1") for number in range(MOST_ALIKE + 1)]
    service.ingest(home, SCOPE, crowd)
    service.ingest(home, SCOPE, [told(emitter, response_id="chatcmpl-2") for emitter in ("sdk", "other")])
    background.catch_up(home)
    assert figures(home, actor)[0][0] == MOST_ALIKE + 1 + 1
    assert set(marked(home, actor, crowd).values()) == {None}
