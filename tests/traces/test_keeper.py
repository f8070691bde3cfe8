"""Retention and sampling: what goes, what stays, and that sums do not notice."""

from datetime import timedelta

import msgspec
import pytest

from penstock.core import clock
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.traces import background, keeper, policy, service, tail, trees
from penstock.traces.model import SpanEvent, SpanRecord, TraceFilters, TraceScore
from penstock.traces.store import keeping
from tests.traces.build import HOUR_NS, call

DAY_NS = 24 * HOUR_NS


def put(home: Home, actor: Actor, **document: object) -> None:
    with home.begin() as uow:
        service.put_policies(uow, actor, dict(document))


def listed(home: Home, actor: Actor, **filters: object) -> list[str]:
    with home.read() as uow:
        page = service.list_traces(uow, actor, filters=TraceFilters(**filters), limit=1000)  # type: ignore[arg-type]
    return [trace.trace_id for trace in page.items]


def spent(home: Home, actor: Actor) -> tuple[int, int]:
    with home.read() as uow:
        rows = service.usage(uow, actor, group_by="model")
    return sum(row.calls for row in rows), sum(row.input_tokens for row in rows)


def gone(home: Home, actor: Actor) -> dict[str, tuple[int, int]]:
    """Return (traces, spans) by reason, of all days: a test may begin before midnight and look on after it."""
    found: dict[str, tuple[int, int]] = {}
    with home.read() as uow:
        for row in service.let_go(uow, actor):
            before = found.get(row.reason, (0, 0))
            found[row.reason] = (before[0] + row.traces, before[1] + row.spans)
    return found


def give(uow: UnitOfWork, actor: Actor, trace_id: str, name: str, value: float | None) -> None:
    score = TraceScore(trace_id=trace_id, ref=f"fb:{name}", origin="feedback", name=name, value=value)
    service.put_scores(uow, actor.scope, scores=[score])


def left_over(home: Home) -> dict[str, int]:
    tables = ("traces_spans", "traces_bodies", "traces_facets", "traces_scores")
    with home.read() as uow:
        return {
            table: uow.conn.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() for table in tables
        } | {
            name: uow.conn.exec_driver_sql(
                f"SELECT count(*) FROM traces_waiting WHERE trace {sign} 0"
            ).scalar_one()
            for name, sign in (("traces_waiting", ">"), ("remembered", "<"))
        }


def later(home: Home, seconds: float = 120) -> None:
    """Let the sampling window pass."""
    background.catch_up(home)
    with clock.frozen(clock.now()):
        keeper.sweep(home)
    with clock.frozen(clock.now() + timedelta(seconds=seconds)):
        keeper.sweep(home)


def traces(count: int, **given: object) -> list[SpanRecord]:
    return [
        call(trace_id=f"{n + 1:08x}{'0' * 10}{n * 256 // count:02x}{'5' * 12}", **given) for n in range(count)
    ]


def test_a_projects_own_age_wins_over_the_setting(
    home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock.now_ns()
    spans = [call(start_ns=now - days * DAY_NS) for days in (1, 5, 20, 50)]
    service.ingest(home, actor.scope, spans)
    monkeypatch.setenv("PENSTOCK_TRACES__RETENTION_DAYS", "30")
    with Home.open(home.path) as reopened:
        background.catch_up(reopened)
        assert keeper.sweep(reopened) == 1
        put(home, actor, retention={"days": 3})
        assert keeper.sweep(reopened) == 2
        put(home, actor, retention={"days": 0})
        assert keeper.sweep(reopened) == 0
    assert listed(home, actor) == [spans[0].trace_id]
    assert spent(home, actor) == (4, 400)
    assert gone(home, actor) == {"age": (3, 3)}


def test_of_more_traces_than_allowed_the_oldest_go(home: Home, actor: Actor) -> None:
    now = clock.now_ns()
    spans = [call(start_ns=now - n * 10**9) for n in range(30)]
    service.ingest(home, actor.scope, spans)
    put(home, actor, retention={"traces": 12})
    background.catch_up(home)
    assert keeper.sweep(home) == 18
    assert keeper.sweep(home) == 0
    assert listed(home, actor) == [span.trace_id for span in spans[:12]]
    assert spent(home, actor) == (30, 3000)
    assert gone(home, actor) == {"count": (18, 18)}
    assert left_over(home)["traces_spans"] == left_over(home)["traces_bodies"] == 12


def test_what_is_not_in_the_roll_ups_yet_waits(home: Home, actor: Actor) -> None:
    service.ingest(home, actor.scope, [call(start_ns=clock.now_ns() - 9 * DAY_NS)])
    put(home, actor, retention={"days": 1})
    assert keeper.sweep(home) == 0
    background.catch_up(home)
    assert keeper.sweep(home) == 1


def test_head_sampling_keeps_a_share_by_trace_id_and_counts_the_rest(home: Home, actor: Actor) -> None:
    spans = traces(200, route="busy") + traces(1, route="rare")
    spans[-1] = call(route="rare", trace_id="ff" * 7 + "00" * 9)
    put(home, actor, sampling=[{"name": "busy route", "rate": 0.25, "where": {"route": "busy"}}])
    service.ingest(home, actor.scope, spans)
    later(home)
    kept = {span.trace_id for span in spans if policy.chosen(bytes.fromhex(span.trace_id), 0.25)}
    assert 40 <= len(kept) <= 60
    assert set(listed(home, actor)) == kept | {spans[-1].trace_id}
    assert spent(home, actor) == (201, 20_100)
    assert gone(home, actor) == {"sampling: busy route": (200 - len(kept), 200 - len(kept))}
    assert set(listed(home, actor, q="parcel")) == set(listed(home, actor))


def test_nothing_is_decided_before_the_window_has_passed(home: Home, actor: Actor) -> None:
    put(home, actor, sampling=[{"name": "all", "rate": 0}])
    service.ingest(home, actor.scope, traces(3))
    later(home, seconds=30)
    assert len(listed(home, actor)) == 3
    later(home)
    assert listed(home, actor) == []


def test_traces_from_before_sampling_stay(home: Home, actor: Actor) -> None:
    old = traces(3)
    service.ingest(home, actor.scope, old)
    background.catch_up(home)
    keeper.sweep(home)
    put(home, actor, sampling=[{"name": "all", "rate": 0}])
    service.ingest(home, actor.scope, [call()])
    later(home)
    assert set(listed(home, actor)) == {span.trace_id for span in old}


def test_tail_sampling_keeps_errors_slow_costly_and_judged_traces(home: Home, actor: Actor) -> None:
    start = clock.now_ns()
    result = SpanEvent(
        name="gen_ai.evaluation.result",
        at_ns=start,
        attributes={"gen_ai.evaluation.name": "helpful", "gen_ai.evaluation.score.value": 0.2},
    )
    spans = {
        "plain": call(),
        "error": call(status="error"),
        "slow": call(start_ns=start, end_ns=start + 9 * 10**9),
        "dear": call(cost_usd=2.5),
        "scored low by itself": call(events=(result,)),
        "scored low": call(),
        "scored high": call(),
    }
    keep = {
        "errors": True,
        "slower_than_ms": 5000,
        "costlier_than_usd": 1,
        "scores_below": {"helpful": 0.5},
    }
    put(home, actor, sampling=[{"name": "tail", "rate": 0, "keep": keep}])
    service.ingest(home, actor.scope, spans.values())
    with home.begin() as uow:
        for name, value in (("scored low", 0.1), ("scored high", 0.9)):
            give(uow, actor, spans[name].trace_id, "helpful", value)
    later(home)
    found = set(listed(home, actor))
    assert [name for name, span in spans.items() if span.trace_id not in found] == ["plain", "scored high"]
    assert spent(home, actor) == (7, 700)
    assert left_over(home)["traces_scores"] == 1


def test_any_feedback_may_keep_a_trace(home: Home, actor: Actor) -> None:
    spans = [call(), call()]
    put(home, actor, sampling=[{"name": "tail", "rate": 0, "keep": {"judged": True}}])
    service.ingest(home, actor.scope, spans)
    with home.begin() as uow:
        give(uow, actor, spans[0].trace_id, "comment", None)
        give(uow, actor, "ab" * 16, "comment", None)
    later(home)
    assert listed(home, actor) == [spans[0].trace_id]


def test_conditions_are_met_by_any_span_and_the_first_rule_decides(home: Home, actor: Actor) -> None:
    spans = [
        call(metadata={"service.name": "shop"}, environment="prod"),
        call(metadata={"service.name": "shop"}, environment="dev"),
        call(metadata={"service.name": "blog"}, environment="prod"),
    ]
    rules = [
        {"name": "shop", "rate": 1, "where": {"service": "shop", "environment": "prod"}},
        {"name": "rest of shop", "rate": 0, "where": {"service": "shop"}},
    ]
    put(home, actor, sampling=rules)
    service.ingest(home, actor.scope, spans)
    later(home)
    assert set(listed(home, actor)) == {spans[0].trace_id, spans[2].trace_id}
    assert gone(home, actor) == {"sampling: rest of shop": (1, 1)}


def test_a_trace_whose_root_has_not_come_is_waited_for(home: Home, actor: Actor) -> None:
    child = call(parent_id="ab" * 8)
    put(home, actor, sampling=[{"name": "tail", "rate": 0, "keep": {"errors": True}}])
    service.ingest(home, actor.scope, [child])
    later(home)
    assert listed(home, actor) == [child.trace_id]
    assert left_over(home)["traces_waiting"] == 1
    root = call(trace_id=child.trace_id, span_id="ab" * 8, status="error")
    service.ingest(home, actor.scope, [root])
    later(home, seconds=600)
    assert listed(home, actor) == [child.trace_id]
    assert left_over(home)["traces_waiting"] == 0


def test_a_root_that_never_comes_is_not_waited_for_longer_than_an_hour(home: Home, actor: Actor) -> None:
    put(home, actor, sampling=[{"name": "all", "rate": 0}])
    service.ingest(home, actor.scope, [call(parent_id="ab" * 8)])
    later(home)
    later(home, seconds=4000)
    assert listed(home, actor) == []
    assert left_over(home)["traces_waiting"] == 0


def test_a_trace_that_goes_on_for_hours_is_waited_for(home: Home, actor: Actor) -> None:
    """What comes within an hour of the span before keeps its trace, so that a slow one is kept whole."""
    start, trace_id = clock.now_ns(), "7" * 32
    put(home, actor, sampling=[{"name": "tail", "rate": 0, "keep": {"slower_than_ms": 1000 * 7200}}])
    for step in range(4):
        at = start + step * HOUR_NS // 2
        child = call(trace_id=trace_id, parent_id="ab" * 8, start_ns=at - 10**9, end_ns=at)
        with clock.frozen(clock.from_ns(at)):
            service.ingest(home, actor.scope, [child])
            later(home)
    late = start + 9 * HOUR_NS // 4
    with clock.frozen(clock.from_ns(late)):
        later(home)
        assert listed(home, actor) == [trace_id]
        service.ingest(
            home, actor.scope, [call(trace_id=trace_id, span_id="ab" * 8, start_ns=start, end_ns=late)]
        )
        later(home)
    with home.read() as uow:
        assert len(service.get_trace(uow, actor, trace_id=trace_id).spans) == 5
        assert not trees.is_partial(uow, actor, trace_id=trace_id)


def test_a_root_is_waited_for_a_day_at_most(home: Home, actor: Actor) -> None:
    put(home, actor, sampling=[{"name": "all", "rate": 0}])
    ahead = clock.now_ns() + 30 * DAY_NS
    service.ingest(home, actor.scope, [call(parent_id="ab" * 8, end_ns=ahead)])
    later(home)
    later(home, seconds=20 * 3600)
    assert len(listed(home, actor)) == 1
    later(home, seconds=25 * 3600)
    assert listed(home, actor) == []


@pytest.mark.parametrize("first", ["root", "child"])
def test_what_comes_after_its_trace_was_let_go_of_goes_as_well(home: Home, actor: Actor, first: str) -> None:
    """A child without its root is not waited for then: no hour of half a trace."""
    spans = {"root": call(span_id="ab" * 8)}
    spans["child"] = call(trace_id=spans["root"].trace_id, parent_id="ab" * 8)
    put(home, actor, sampling=[{"name": "tail", "rate": 0, "keep": {"errors": True}}])
    service.ingest(home, actor.scope, [spans.pop(first)])
    later(home)
    later(home, seconds=4000)
    assert listed(home, actor) == []
    assert left_over(home)["remembered"] == 1
    service.ingest(home, actor.scope, spans.values())
    later(home)
    assert listed(home, actor) == []
    assert gone(home, actor) == {"sampling: tail": (2, 2)}
    assert spent(home, actor) == (2, 200)
    assert left_over(home)["traces_waiting"] == 0


@pytest.mark.parametrize("late", ["root", "child"])
def test_what_stays_of_a_trace_that_was_let_go_of_is_marked(home: Home, actor: Actor, late: str) -> None:
    above = {"root": None, "child": "ab" * 8}
    spans = {name: call(trace_id="7" * 32, parent_id=parent) for name, parent in above.items()}
    put(home, actor, sampling=[{"name": "tail", "rate": 0, "keep": {"errors": True}}])
    rest = msgspec.structs.replace(spans.pop(late), status="error")
    service.ingest(home, actor.scope, spans.values())
    later(home)
    later(home, seconds=4000)
    service.ingest(home, actor.scope, [rest, call(trace_id="8" * 32, status="error")])
    later(home)
    assert set(listed(home, actor)) == {"7" * 32, "8" * 32}
    assert listed(home, actor, query="score.partial>0") == ["7" * 32]
    with home.read() as uow:
        assert trees.is_partial(uow, actor, trace_id="7" * 32)
        assert trees.get_outline(uow, actor, trace_id="7" * 32).partial
        assert not trees.get_outline(uow, actor, trace_id="8" * 32).partial
        page = service.list_traces(uow, actor)
        assert {item.trace_id: item.partial for item in page.items} == {"7" * 32: True, "8" * 32: False}
        assert service.get_trace(uow, actor, trace_id="7" * 32).summary.partial
        assert not service.get_trace(uow, actor, trace_id="8" * 32).summary.partial
    news = tail.Tail(home, actor, after=0).poll()
    assert {item.trace_id: item.partial for item in news.traces} == {"7" * 32: True, "8" * 32: False}


def test_which_traces_were_let_go_of_is_forgotten_after_a_day(home: Home, actor: Actor) -> None:
    put(home, actor, sampling=[{"name": "all", "rate": 0}])
    service.ingest(home, actor.scope, [call(), call()])
    later(home)
    assert left_over(home)["remembered"] == 2
    later(home, seconds=23 * 3600)
    assert left_over(home)["remembered"] == 2
    put(home, actor, sampling=[])
    service.ingest(home, actor.scope, [call()])
    later(home, seconds=25 * 3600)
    assert left_over(home)["remembered"] == 0


def test_other_projects_are_left_alone(home: Home, actor: Actor) -> None:
    scope = type(actor.scope)(actor.scope.tenant, "other")
    put(home, actor, sampling=[{"name": "all", "rate": 0}], retention={"days": 1, "traces": 1})
    old = clock.now_ns() - 9 * DAY_NS
    service.ingest(home, scope, [call(start_ns=old), call(start_ns=old)])
    service.ingest(home, actor.scope, [call(start_ns=old)])
    later(home)
    with home.read() as uow:
        count = uow.conn.exec_driver_sql("SELECT count(*) FROM traces_traces").scalar_one()
        assert keeping.counted(uow.conn, scope, limit=9) == []
    assert count == 2


def test_names_that_belong_to_no_trace_are_forgotten_and_can_come_again(home: Home, actor: Actor) -> None:
    writing = [
        call(start_ns=clock.now_ns() - 9 * DAY_NS, metadata={"mail": "ada@example.com"}) for _ in range(2)
    ]
    service.ingest(home, actor.scope, writing[:1])
    put(home, actor, retention={"days": 1})
    background.catch_up(home)
    keeper.sweep(home)
    with home.read() as uow:
        query = "SELECT count(*) FROM traces_facet_names WHERE value = 'ada@example.com'"
        assert uow.conn.exec_driver_sql(query).scalar_one() == 0
    put(home, actor)
    service.ingest(home, actor.scope, writing[1:])
    assert listed(home, actor, metadata={"mail": "ada@example.com"}) == [writing[1].trace_id]


@pytest.mark.parametrize(
    "document",
    [
        {"retention": {"days": -1}},
        {"retention": {"weeks": 1}},
        {"sampling": [{"name": "x", "rate": 2}]},
        {"sampling": [{"name": "", "rate": 0.5}]},
        {"sampling": [{"name": "x", "rate": 0.5, "where": {"colour": "red"}}]},
        {"sampling": [{"name": "x", "rate": 0.5}, {"name": "x", "rate": 0.1}]},
        {"masking": {"patterns": [{"name": "x", "pattern": "("}]}},
        {"masking": {"patterns": [{"name": "x", "pattern": "a*"}]}},
        {"masking": {"detectors": {"nothing": {}}}},
        {"masking": {"detectors": {"pii": {"kinds": ["shoe size"]}}}},
        {"masking": {"keys": [{"key": "*", "action": "drop"}]}},
        {"unknown": 1},
    ],
)
def test_policies_that_cannot_be_carried_out_are_refused(
    sqlite_home: Home, document: dict[str, object]
) -> None:
    with pytest.raises(policy.Invalid):
        policy.parse(document)


def test_higher_rates_hold_all_that_lower_ones_do() -> None:
    ids = [bytes.fromhex(span.trace_id) for span in traces(100)]
    for low, high in ((0.0, 0.1), (0.1, 0.5), (0.5, 1.0)):
        assert {i for i in ids if policy.chosen(i, low)} <= {i for i in ids if policy.chosen(i, high)}
    assert all(policy.chosen(i, 1) for i in ids)
    assert not any(policy.chosen(i, 0) for i in ids)
