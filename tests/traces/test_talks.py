import random
from collections import defaultdict
from typing import Any

import msgspec
import pytest

from penstock.core import clock
from penstock.core.errors import Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.traces import background, service, talks
from penstock.traces.model import SpanRecord, TraceFilters
from penstock.traces.store.talks import SESSION, USER
from tests.traces.build import agent_trace, call

BASE = 1_790_000_000_000_000_000


def _totals(spans: list[SpanRecord], field: str) -> dict[str, dict[str, Any]]:
    """What users or sessions must add up to, counted from the spans themselves."""
    begun: dict[str, int] = {}
    for span in spans:
        begun[span.trace_id] = min(begun.get(span.trace_id, span.start_ns), span.start_ns)
    found: dict[str, dict[str, Any]] = defaultdict(
        lambda: {"traces": set(), "calls": 0, "errors": 0, "input_tokens": 0, "output_tokens": 0, "cost": 0}
    )
    for span in spans:
        name = getattr(span, field)
        if name:
            total = found[name]
            total["traces"].add(span.trace_id)
            total["errors"] += span.status == "error"
            if span.kind in ("llm", "embedding"):
                total["calls"] += 1
                total["input_tokens"] += span.input_tokens
                total["output_tokens"] += span.output_tokens
                total["cost"] += round((span.cost_usd or 0) * 1e9)
    for total in found.values():
        moments = sorted(begun[trace] // 1_000_000 for trace in total["traces"])
        total |= {"first": moments[0], "last": moments[-1], "traces": len(total["traces"])}
    return dict(found)


def _stored(home: Home, actor: Actor, kind: int) -> dict[str, dict[str, Any]]:
    listing = talks.list_users if kind == USER else talks.list_sessions
    found, after = {}, None
    while True:
        with home.read() as uow:
            page = listing(uow, actor, after=after, limit=3)
        for one in page.items:
            assert one.name not in found
            found[one.name] = {
                "traces": one.traces,
                "calls": one.calls,
                "errors": one.errors,
                "input_tokens": one.input_tokens,
                "output_tokens": one.output_tokens,
                "cost": round(one.cost_usd * 1e9),
                "first": clock.to_ns(one.first_at) // 1_000_000,
                "last": clock.to_ns(one.last_at) // 1_000_000,
            }
        after = page.next
        if after is None:
            return found


def _both_agree(home: Home, actor: Actor, spans: list[SpanRecord]) -> bool:
    background.catch_up(home)
    assert _stored(home, actor, USER) == _totals(spans, "user")
    assert _stored(home, actor, SESSION) == _totals(spans, "session")
    return True


def _some(rng: random.Random, count: int) -> list[list[SpanRecord]]:
    traces = []
    for number in range(count):
        user, session = (
            rng.choice(["ada", "bob", "cyd", "dee", None]),
            rng.choice(["s1", "s2", "s3", "s4", None]),
        )
        start = BASE + number * 60 * 10**9 + rng.randrange(10**9)
        traces.append(agent_trace(rng, start, user=user, session=session))
    return traces


def test_totals_hold_whatever_is_sent_again_changed_split_or_deleted(home: Home, actor: Actor) -> None:
    rng = random.Random(4)
    traces = _some(rng, 40)
    # The root, which began first, arrives first: `at_ms` of a trace is that of the part that arrived first.
    early = [span for spans in traces for span in spans if span.kind == "agent"]
    late = [span for spans in traces for span in spans if span.kind != "agent"]
    service.ingest(home, actor.scope, early)
    background.catch_up(home)
    service.ingest(home, actor.scope, late[:60])
    service.ingest(home, actor.scope, early[:5])
    assert _both_agree(home, actor, early + late[:60])
    service.ingest(home, actor.scope, late)
    assert _both_agree(home, actor, early + late)

    moved = {span.span_id: msgspec.structs.replace(span, user="eve", session="s9") for span in traces[3]}
    dearer = {late[0].span_id: msgspec.structs.replace(late[0], cost_usd=1.0, status="error")}
    service.ingest(home, actor.scope, [*moved.values(), *dearer.values()])
    now = [(moved | dearer).get(span.span_id, span) for span in early + late]
    assert _both_agree(home, actor, now)

    gone = {traces[0][0].trace_id, traces[-1][0].trace_id, traces[3][0].trace_id}
    for trace_id in gone:
        service.delete_trace(home, actor, trace_id=trace_id)
    assert _both_agree(home, actor, [span for span in now if span.trace_id not in gone])


def test_spans_deleted_before_they_were_gathered_leave_nothing(home: Home, actor: Actor) -> None:
    one, two = call(user="ada", session="s"), call(user="ada", session="s", start_ns=BASE)
    service.ingest(home, actor.scope, [one])
    service.delete_trace(home, actor, trace_id=one.trace_id)
    service.ingest(home, actor.scope, [two])
    assert _both_agree(home, actor, [two])


def test_erasing_a_user_removes_the_name_everywhere(home: Home, actor: Actor) -> None:
    mine = [call(user="ada", session="shared", start_ns=BASE + n) for n in range(3)]
    other = call(user="bob", session="shared", start_ns=BASE + 10**9)
    service.ingest(home, actor.scope, [*mine, other])
    background.catch_up(home)
    assert service.erase(home, actor, user="ada") == 3
    background.catch_up(home)
    with home.read() as uow:
        assert [one.name for one in talks.list_users(uow, actor).items] == ["bob"]
        (session,) = talks.list_sessions(uow, actor).items
    assert (session.name, session.user, session.traces) == ("shared", "bob", 1)


def test_users_by_cost_by_prefix_and_by_time(home: Home, actor: Actor) -> None:
    service.ingest(
        home,
        actor.scope,
        [
            call(user="ada", cost_usd=0.5, start_ns=BASE, session="a"),
            call(user="ada", cost_usd=0.5, start_ns=BASE, session="b"),
            call(user="adam", cost_usd=3.0, start_ns=BASE + 10**12),
            call(user="bob", cost_usd=2.0, start_ns=BASE + 10**13),
        ],
    )
    background.catch_up(home)
    with home.read() as uow:
        by_cost = talks.list_users(uow, actor, order="cost").items
        assert [one.name for one in by_cost] == ["adam", "bob", "ada"]
        assert [one.sessions for one in by_cost] == [0, 0, 2]
        assert {one.name for one in talks.list_users(uow, actor, prefix="ad").items} == {"ada", "adam"}
        late = talks.list_users(uow, actor, since=clock.from_ns(BASE + 10**12)).items
        assert [one.name for one in late] == ["bob", "adam"]
        early = talks.list_users(uow, actor, until=clock.from_ns(BASE + 10**9)).items
        assert [one.name for one in early] == ["ada"]
        assert talks.get_user(uow, actor, user="adam").cost_usd == 3.0
        with pytest.raises(NotFound):
            talks.get_user(uow, actor, user="nobody")
        with pytest.raises(Invalid):
            talks.list_users(uow, actor, limit=0)
        found, following = talks.find_people(
            uow, actor, kind=SESSION, filters=TraceFilters(user="ada"), limit=10
        )
    assert ({one.name for one in found}, following) == ({"a", "b"}, None)


def test_a_session_is_a_chat(home: Home, actor: Actor) -> None:
    asked = b'{"model":"m","messages":[{"role":"system","content":"be kind"},{"role":"user","content":"where is it?"}]}'
    answered = b'{"choices":[{"message":{"role":"assistant","content":"on its way"}}]}'
    direct = call(session="chat", start_ns=BASE, input=asked, output=answered)
    root = call(
        session="chat",
        kind="agent",
        model=None,
        start_ns=BASE + 10**9,
        input=None,
        output=None,
        cost_usd=None,
    )
    inner = [
        call(trace_id=root.trace_id, parent_id=root.span_id, start_ns=BASE + 2 * 10**9 + n, **said)
        for n, said in enumerate(
            (
                {"input": b'"first question"', "output": b'"let me look"'},
                {"input": b'"tool said 7"', "output": b'[{"role":"assistant","content":"it is 7"}]'},
            )
        )
    ]
    failed = call(
        session="chat",
        start_ns=BASE + 9 * 10**9,
        status="error",
        error="overloaded",
        output=None,
        input=b'"hm"',
    )
    long = call(
        session="chat",
        start_ns=BASE + 10 * 10**9,
        input=b'"' + b"x" * 30_000 + b'"',
        output=b'"yes"',
    )
    service.ingest(home, actor.scope, [direct, root, *inner, failed, long])
    background.catch_up(home)
    with home.read() as uow:
        person, page = talks.get_session(uow, actor, session="chat", limit=3)
        _, rest = talks.get_session(uow, actor, session="chat", after=page.next, limit=3)
        with pytest.raises(NotFound):
            talks.get_session(uow, actor, session="none")
    assert person is not None
    assert (person.traces, person.preview) == (4, "where is it?")
    said = [(turn.input, turn.output, turn.status) for turn in page.turns]
    assert said == [
        ("where is it?", "on its way", "ok"),
        ("first question", "it is 7", "ok"),
        ("hm", "overloaded", "error"),
    ]
    (last,) = rest.turns
    assert last.input.endswith("x… (10000 more characters)")
    assert (last.output, rest.next) == ("yes", None)


def test_what_was_rolled_up_before_there_were_people_is_gathered(home: Home, actor: Actor) -> None:
    rng = random.Random(7)
    spans = [span for trace in _some(rng, 20) for span in trace]
    cached = [call(user="ada", price_version="cache", cost_usd=0.0, start_ns=BASE) for _ in range(3)]
    service.ingest(home, actor.scope, [*spans, *cached])
    background.catch_up(home)
    with home.read() as uow:
        wanted = {by: service.usage(uow, actor, group_by=by) for by in ("model", "status", "requested_model")}
    assert sum(row.cache_hits for row in wanted["model"]) == 3
    _as_before(home)
    service.ingest(home, actor.scope, more := [call(user="ada", session="s1", start_ns=BASE)])
    service.delete_trace(home, actor, trace_id=more[0].trace_id)
    service.delete_trace(home, actor, trace_id=spans[0].trace_id)
    service.ingest(home, actor.scope, spans[:4])
    assert _both_agree(home, actor, [*spans, *cached])
    with home.read() as uow:
        assert {by: service.usage(uow, actor, group_by=by) for by in wanted} == wanted


def _as_before(home: Home) -> None:
    """Bring the roll-ups to what an older version left."""
    with home.begin() as uow:
        for statement in (
            "DELETE FROM traces_people",
            "DELETE FROM traces_sums WHERE dimension BETWEEN 7 AND 9",
            "UPDATE traces_sums SET cache_hits = 0",
            "UPDATE traces_marks SET value = 0 WHERE name = 'gathered'",
        ):
            uow.conn.exec_driver_sql(statement)


def test_a_call_told_twice_counts_once_and_both_traces_count(home: Home, actor: Actor) -> None:
    given = {"user": "ada", "session": "s", "response_id": "msg_1"}
    told = [
        call(attributes={"scope": {"name": name}}, start_ns=BASE + n, **given)
        for n, name in enumerate(("openinference", "com.anthropic.sdk.python"))
    ]
    for span in told:
        service.ingest(home, actor.scope, [span])
        background.catch_up(home)
    for verb in (talks.list_users, talks.list_sessions):
        with home.read() as uow:
            (one,) = verb(uow, actor).items
        assert (one.traces, one.calls, one.input_tokens) == (2, 1, 100)
    with home.read() as uow:
        (row,) = service.usage(uow, actor, group_by="status")
    assert row.calls == 1
    service.delete_trace(home, actor, trace_id=told[0].trace_id)
    background.catch_up(home)
    for verb in (talks.list_users, talks.list_sessions):
        with home.read() as uow:
            (one,) = verb(uow, actor).items
        assert (one.traces, one.calls, one.input_tokens) == (1, 1, 100)


def test_another_project_sees_none_of_it(home: Home, actor: Actor) -> None:
    service.ingest(home, actor.scope, [call(user="ada", session="s")])
    background.catch_up(home)
    other = actor.within("other")
    with home.read() as uow:
        assert talks.list_users(uow, other).items == talks.list_sessions(uow, other).items == ()
        with pytest.raises(NotFound):
            talks.get_session(uow, other, session="s")
