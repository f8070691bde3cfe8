import random
from collections import Counter
from datetime import timedelta

import msgspec
import pytest

from penstock.core import clock
from penstock.core.errors import Denied, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor, Role, Scope
from penstock.traces import background, keeper, service
from penstock.traces.model import Evaluation, SeriesFilters, SpanEvent, SpanRecord, TraceFilters
from tests.traces.build import HOUR_NS, agent_trace, call

OTHER = Scope("default", "other")


def listed(home: Home, actor: Actor, **filters: object) -> list[str]:
    with home.read() as uow:
        page = service.list_traces(uow, actor, filters=TraceFilters(**filters), limit=1000)
    return [item.trace_id for item in page.items]


def usage_of(home: Home, actor: Actor, group_by: str, **span: object) -> dict[str, tuple[int, ...]]:
    with home.read() as uow:
        rows = service.usage(uow, actor, group_by=service.group_named(group_by), **span)
    return {
        row.group: (row.calls, row.errors, row.input_tokens, row.output_tokens, round(row.cost_usd * 1e9))
        for row in rows
    }


def expected_usage(spans: list[SpanRecord], group_by: str) -> dict[str, tuple[int, ...]]:
    found: dict[str, list[int]] = {}
    for span in spans:
        if group_by != "kind" and span.kind not in ("llm", "embedding"):
            continue
        group = {
            "model": span.model or "",
            "kind": span.kind,
            "provider": span.provider or "",
            "user": span.user,
            "key": span.key_id or "",
            "route": span.route or "",
            "service": span.metadata.get("service.name", ""),
            "agent": span.agent or "",
            "day": clock.iso(clock.from_ns(span.start_ns))[:10],
        }[group_by]
        if group is None:
            continue
        sums = found.setdefault(group, [0] * 5)
        cost = round((span.cost_usd or 0) * 1e9)
        for place, number in enumerate(
            (1, span.status == "error", span.input_tokens, span.output_tokens, cost)
        ):
            sums[place] += number
    return {group: tuple(sums) for group, sums in found.items()}


def test_a_span_comes_back_as_it_went_in(home: Home, actor: Actor) -> None:
    span = call(
        parent_id="00000000000000aa",
        requested_model="chat",
        cached_tokens=10,
        cache_write_tokens=3,
        reasoning_tokens=4,
        tokens_estimated=True,
        ttft_ns=7,
        user="ada",
        session="s1",
        key_id="key_1",
        route="chat",
        environment="prod",
        prompt="triage@3",
        tags=("a", "b"),
        metadata={"tier": "gold"},
        attributes={"n": 1, "list": [1, "x"], "deep": {"k": None}},
        events=(SpanEvent(name="first", at_ns=5, attributes={"x": 1}),),
        status="error",
        error="boom",
    )
    service.ingest(home, actor.scope, [span])
    with home.read() as uow:
        assert service.get_span_body(uow, actor, trace_id=span.trace_id, span_id=span.span_id) == span
        trace = service.get_trace(uow, actor, trace_id=span.trace_id)
    assert (trace.summary.status, trace.summary.spans, trace.summary.cost_usd) == ("error", 1, 0.000027)
    assert trace.spans[0].output_preview == "on its way"
    assert trace.spans[0].parent_id == "00000000000000aa"


def test_the_summary_is_the_root_s_and_sums_model_calls_only(home: Home, actor: Actor) -> None:
    spans = agent_trace(random.Random(1), clock.now_ns(), user="ada")
    service.ingest(home, actor.scope, spans[:2])
    service.ingest(home, actor.scope, spans[2:])
    with home.read() as uow:
        summary = service.get_trace(uow, actor, trace_id=spans[0].trace_id).summary
    calls = [span for span in spans if span.kind == "llm"]
    assert summary.name == "agent"
    assert (summary.spans, summary.calls) == (4, 2)
    assert summary.input_tokens == sum(span.input_tokens for span in calls)
    assert summary.cost_usd == pytest.approx(sum(span.cost_usd or 0 for span in calls))
    assert summary.start_ns == min(span.start_ns for span in spans)
    assert summary.end_ns == max(span.end_ns for span in spans)
    assert summary.errors == sum(span.status == "error" for span in spans)


GROUPS = ("model", "kind", "provider", "user", "key", "route", "service", "agent", "day")


def check_usage(home: Home, actor: Actor, spans: list[SpanRecord], **within: object) -> None:
    for group_by in GROUPS:
        assert usage_of(home, actor, group_by, **within) == expected_usage(spans, group_by), group_by


def test_numbers_a_sender_judged_by_are_scores_and_follow_their_span(home: Home, actor: Actor) -> None:
    def judged(*scores: float | None) -> tuple[Evaluation, ...]:
        return tuple(Evaluation(name="Relevance", score=score, label="said") for score in scores)

    span = call(evaluations=judged(0.25, None, float("inf"), 0.75))
    service.ingest(home, actor.scope, [span])
    service.ingest(home, OTHER, [call(evaluations=judged(0.5))])
    with home.read() as uow:
        told = service.scores_of(uow, actor, trace_id=span.trace_id)
    assert [(one.origin, one.name, one.value) for one in told] == [
        ("otel", "Relevance", 0.25),
        ("otel", "Relevance", 0.75),
    ]
    assert listed(home, actor, query="score.Relevance<0.3") == [span.trace_id]
    assert listed(home, actor, query="score.Relevance<0.2") == []
    service.ingest(home, actor.scope, [msgspec.structs.replace(span, evaluations=judged(0.1))])
    with home.read() as uow:
        (only,) = service.scores_of(uow, actor, trace_id=span.trace_id)
    assert only.value == 0.1
    service.ingest(home, actor.scope, [msgspec.structs.replace(span, evaluations=())])
    assert listed(home, actor, query="score.Relevance<1") == []


def test_usage_is_exact_whatever_was_rolled_resent_replaced_or_late(home: Home, actor: Actor) -> None:
    rng = random.Random(7)
    base = clock.now_ns() // HOUR_NS * HOUR_NS
    spans: list[SpanRecord] = []
    for number in range(60):
        start = base - rng.randrange(60 * HOUR_NS)
        given = {
            "user": rng.choice(["ada", "bob", None]),
            "route": f"r{number % 2}",
            "key_id": f"k{number % 3}",
        }
        spans += agent_trace(rng, start, **given)
    service.ingest(home, actor.scope, spans[:100])
    background.catch_up(home)
    service.ingest(home, actor.scope, spans[60:180])
    service.ingest(home, actor.scope, spans[:100])
    check_usage(home, actor, spans[:180])
    background.catch_up(home)
    changed = [
        msgspec.structs.replace(span, output_tokens=span.output_tokens + 5, status="error", model="new")
        if index % 3 == 0
        else span
        for index, span in enumerate(spans)
    ]
    service.ingest(home, actor.scope, changed)
    check_usage(home, actor, changed)
    background.catch_up(home)
    check_usage(home, actor, changed)
    ranges = ((47 * HOUR_NS + 12345, 90 * 60 * 10**9 + 777), (HOUR_NS // 2, HOUR_NS // 4), (3 * HOUR_NS, 0))
    for before, after in ranges:
        since, until = (base - before) // 1000 * 1000, (base - after) // 1000 * 1000
        inside = [span for span in changed if since <= span.start_ns < until]
        check_usage(home, actor, inside, since=clock.from_ns(since), until=clock.from_ns(until))


def test_replacing_a_span_renews_its_trace_its_facets_and_its_words(home: Home, actor: Actor) -> None:
    span = call(user="ada", output=b'"zebra crossing"')
    service.ingest(home, actor.scope, [span])
    background.catch_up(home)
    assert listed(home, actor, q="zebra") == [span.trace_id]
    service.ingest(home, actor.scope, [msgspec.structs.replace(span, user="bob", output=b'"giraffe"')])
    background.catch_up(home)
    assert listed(home, actor, q="zebra") == []
    assert listed(home, actor, q="giraffe") == [span.trace_id]
    assert listed(home, actor, user="bob") == [span.trace_id]
    assert listed(home, actor, user="ada") == []
    with home.read() as uow:
        assert service.get_trace(uow, actor, trace_id=span.trace_id).summary.spans == 1


def test_filters_find_exactly_the_traces_that_meet_them(home: Home, actor: Actor) -> None:
    now = clock.now_ns()
    rng = random.Random(3)
    spans = [
        call(
            start_ns=now - number * 10**9,
            end_ns=now - number * 10**9 + rng.randrange(1, 4000) * 10**6,
            model=rng.choice(["m1", "m2"]),
            requested_model=rng.choice(["chat", None]),
            provider=rng.choice(["p1", "p2"]),
            status=rng.choice(["ok", "error"]),
            user=rng.choice(["ada", "bob"]),
            session=rng.choice(["s1", "s2"]),
            key_id=rng.choice(["k1", "k2"]),
            route=rng.choice(["r1", "r2"]),
            environment=rng.choice(["prod", "dev"]),
            prompt=rng.choice(["p@1", "p@2"]),
            tags=tuple(rng.sample(["x", "y", "z"], 2)),
            metadata={"tier": rng.choice(["gold", "tin"])},
            kind=rng.choice(["llm", "embedding"]),
        )
        for number in range(120)
    ]
    service.ingest(home, actor.scope, spans)
    cases = {
        "model": ("m1", lambda s: s.model == "m1"),
        "provider": ("p1", lambda s: s.provider == "p1"),
        "status": ("ok", lambda s: s.status == "ok"),
        "user": ("ada", lambda s: s.user == "ada"),
        "session": ("s2", lambda s: s.session == "s2"),
        "key": ("k1", lambda s: s.key_id == "k1"),
        "route": ("r2", lambda s: s.route == "r2"),
        "environment": ("dev", lambda s: s.environment == "dev"),
        "prompt": ("p@2", lambda s: s.prompt == "p@2"),
        "tags": (("x", "y"), lambda s: {"x", "y"} <= set(s.tags)),
        "metadata": ({"tier": "tin"}, lambda s: s.metadata["tier"] == "tin"),
        "kind": ("embedding", lambda s: s.kind == "embedding"),
        "min_latency_ms": (1500.0, lambda s: s.duration_ns >= 1500 * 10**6),
        "since": (clock.from_ns(now - 80 * 10**9), lambda s: s.start_ns >= now - 80 * 10**9),
        "until": (clock.from_ns(now - 10 * 10**9 + 10**6), lambda s: s.start_ns <= now - 10 * 10**9),
    }
    assert listed(home, actor, model="chat") == [s.trace_id for s in spans if s.requested_model == "chat"]
    for name, (value, holds) in cases.items():
        wanted = [s.trace_id for s in spans if holds(s)]
        assert wanted
        assert listed(home, actor, **{name: value}) == wanted, name
    for names in (
        ("user", "model", "status"),
        ("tags", "route", "min_latency_ms", "since"),
        ("key", "until"),
    ):
        wanted = [s.trace_id for s in spans if all(cases[name][1](s) for name in names)]
        assert listed(home, actor, **{name: cases[name][0] for name in names}) == wanted
    assert listed(home, actor, status="error") == [s.trace_id for s in spans if s.status == "error"]
    assert listed(home, actor, model="never seen") == []


@pytest.mark.parametrize(
    "filters",
    [{}, {"user": "ada"}, {"user": "ada", "model": "gpt-4o-mini"}, {"q": "parcel"}, {"min_latency_ms": 1}],
)
def test_pages_join_without_gap_or_repetition(home: Home, actor: Actor, filters: dict[str, object]) -> None:
    rng = random.Random(5)
    now = clock.now_ns()
    spans = [s for n in range(25) for s in agent_trace(rng, now - n * 1000, user="ada")]
    rng.shuffle(spans)
    service.ingest(home, actor.scope, spans)
    background.catch_up(home)
    seen: list[str] = []
    after = None
    while True:
        with home.read() as uow:
            page = service.list_traces(uow, actor, filters=TraceFilters(**filters), after=after, limit=7)
        seen += [item.trace_id for item in page.items]
        after = page.next
        if after is None:
            break
    possible = {s.trace_id for s in spans if "model" not in filters or s.model == filters["model"]}
    assert sorted(seen) == sorted(possible)


def test_search_needs_all_words_in_one_span_and_stays_in_its_project(home: Home, actor: Actor) -> None:
    one = call(input='[{"role":"user","content":"Grüße aus Köln"}]'.encode(), output=b'"Hello back"')
    two = call(input=b'"hello"', output=b'"world"', user="ada")
    service.ingest(home, actor.scope, [one, two])
    service.ingest(home, OTHER, [call(output=b'"hello secret"')])
    background.catch_up(home)
    assert listed(home, actor, q="hello") == [two.trace_id, one.trace_id]
    assert listed(home, actor, q="HELLO world") == [two.trace_id]
    assert listed(home, actor, q="hello", user="ada") == [two.trace_id]
    assert listed(home, actor, q="köln") == [one.trace_id]
    assert listed(home, actor, q="back world") == []
    assert listed(home, actor, q='secret" OR "x') == []
    assert listed(home, actor, q="***") == []
    assert listed(home, actor, q="user") == []


def test_projects_do_not_see_each_other(home: Home, actor: Actor) -> None:
    stranger = actor.within("other")
    mine = call(user="ada", tags=("t",))
    theirs = msgspec.structs.replace(mine, name="theirs", input_tokens=7, cost_usd=1.0)
    service.ingest(home, actor.scope, [mine])
    service.ingest(home, OTHER, [theirs])
    background.catch_up(home)
    for one, span in ((actor, mine), (stranger, theirs)):
        with home.read() as uow:
            trace = service.get_trace(uow, one, trace_id=mine.trace_id)
            body = service.get_span_body(uow, one, trace_id=mine.trace_id, span_id=mine.span_id)
            page = service.list_traces(uow, one, filters=TraceFilters(user="ada", tags=("t",)))
        assert body == span
        assert [item.name for item in page.items] == [span.name] == [trace.summary.name]
        assert usage_of(home, one, "model") == expected_usage([span], "model")
        assert usage_of(home, one, "user") == expected_usage([span], "user")
    with home.read() as uow, pytest.raises(NotFound):
        service.get_trace(uow, actor.within("third"), trace_id=mine.trace_id)
    assert listed(home, actor.within("third")) == []


def test_series_agree_with_the_spans_before_and_after_rolling(home: Home, actor: Actor) -> None:
    base = clock.now_ns() // HOUR_NS * HOUR_NS
    rng = random.Random(9)
    spans = [
        call(
            start_ns=(start := base - rng.randrange(5 * HOUR_NS)),
            end_ns=start + rng.randrange(1, 5000) * 10**6,
            ttft_ns=rng.randrange(1, 500) * 10**6,
        )
        for _ in range(400)
    ]
    service.ingest(home, actor.scope, spans[:200])
    background.catch_up(home)
    service.ingest(home, actor.scope, spans[200:])
    ends = {"since": clock.from_ns(base - 5 * HOUR_NS), "until": clock.from_ns(base)}
    for _ in range(2):
        with home.read() as uow:
            points = service.timeseries(uow, actor, **ends, bucket=timedelta(hours=1))
            fine = service.timeseries(uow, actor, **ends, bucket=timedelta(minutes=5))
            day = service.timeseries(uow, actor, **ends, bucket=timedelta(days=1))
        assert [p.calls for p in points] == [
            sum(s.start_ns // HOUR_NS == clock.to_ns(p.time) // HOUR_NS for s in spans) for p in points
        ]
        assert sum(p.calls for p in fine) == sum(p.calls for p in day) == 400
        for point in points:
            took = sorted(
                s.duration_ns for s in spans if s.start_ns // HOUR_NS == clock.to_ns(point.time) // HOUR_NS
            )
            for name, fraction in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)):
                exact = took[int(fraction * (len(took) - 1))] / 1e6
                assert getattr(point, name) == pytest.approx(exact, rel=0.021)
        background.catch_up(home)
    with home.read() as uow:
        by_model = {
            model: service.timeseries(uow, actor, **ends, filters=SeriesFilters(model=model))
            for model in ("gpt-4o-mini", "none")
        }
        assert sum(point.calls for point in by_model["gpt-4o-mini"]) == 400
        assert sum(point.calls for point in by_model["none"]) == 0
        with pytest.raises(Invalid):
            service.timeseries(uow, actor, **ends, bucket=timedelta(seconds=7))
        both = SeriesFilters(model="gpt-4o-mini", provider="openai")
        assert sum(p.calls for p in service.timeseries(uow, actor, **ends, filters=both)) == 400


def test_deleting_takes_a_trace_out_of_everything(home: Home, actor: Actor) -> None:
    keep, gone = call(user="ada"), call(user="ada", output=b'"unicorn"', metadata={"a": "b"})
    service.ingest(home, actor.scope, [keep, gone])
    background.catch_up(home)
    service.delete_trace(home, actor, trace_id=gone.trace_id)
    assert listed(home, actor) == listed(home, actor, user="ada") == [keep.trace_id]
    assert listed(home, actor, q="unicorn") == listed(home, actor, metadata={"a": "b"}) == []
    assert usage_of(home, actor, "user") == expected_usage([keep], "user")
    fresh = call()
    service.ingest(home, actor.scope, [fresh])
    assert usage_of(home, actor, "kind") == expected_usage([keep, fresh], "kind")


def test_erasing_a_person_leaves_the_project_s_sums_without_the_name(home: Home, actor: Actor) -> None:
    spans = [call(user="ada", output=b'"walrus"') for _ in range(3)] + [call(user="bob")]
    service.ingest(home, actor.scope, spans)
    assert [s.span_id for s in service.export(home, actor, user="ada")] == [s.span_id for s in spans[2::-1]]
    assert service.erase(home, actor, user="ada") == 3
    assert listed(home, actor) == [spans[3].trace_id]
    assert listed(home, actor, user="ada") == []
    assert usage_of(home, actor, "user") == expected_usage(spans[3:], "user")
    assert usage_of(home, actor, "model") == expected_usage(spans, "model")
    background.catch_up(home)
    assert listed(home, actor, q="walrus") == []
    with home.read() as uow:
        names = uow.conn.exec_driver_sql("SELECT count(*) FROM traces_facet_names WHERE value = 'ada'")
        assert names.scalar() == 0


def test_old_traces_expire_and_their_sums_stay(
    home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [call(start_ns=clock.now_ns() - 40 * 24 * HOUR_NS, tags=("t",)) for _ in range(3)]
    new = call(tags=("t",))
    service.ingest(home, actor.scope, [*old, new])
    monkeypatch.setenv("PENSTOCK_TRACES__RETENTION_DAYS", "30")
    with Home.open(home.path) as reopened:
        background.catch_up(reopened)
        assert keeper.sweep(reopened) == 3
    assert listed(home, actor) == listed(home, actor, tags=("t",)) == [new.trace_id]
    assert usage_of(home, actor, "model") == expected_usage([*old, new], "model")
    with home.read() as uow:
        for table in ("traces_spans", "traces_bodies", "traces_traces"):
            assert uow.conn.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 1


def test_export_goes_through_all_pages(home: Home, actor: Actor) -> None:
    now = clock.now_ns()
    spans = [call(start_ns=now - n * 10**6) for n in range(450)]
    service.ingest(home, actor.scope, spans)
    found = list(service.export_spans(home, actor))
    assert found == spans
    assert list(service.export_spans(home, actor, limit=201)) == spans[:201]


def test_values_a_database_cannot_hold_are_brought_into_range(home: Home, actor: Actor) -> None:
    span = call(
        name="nul\x00 and \ud800 surrogate" + "x" * 1000,
        input_tokens=-5,
        output_tokens=1 << 80,
        cost_usd=float("nan"),
        start_ns=1 << 70,
        end_ns=5,
        user="u\x00" * 500,
        ttft_ns=-1,
        tags=("\ud800", ""),
        input=b"\xff\xfe not json",
    )
    service.ingest(home, actor.scope, [span])
    background.catch_up(home)
    with home.read() as uow:
        row = service.get_trace(uow, actor, trace_id=span.trace_id).spans[0]
    assert (row.input_tokens, row.cost_usd, row.ttft_ns) == (0, None, 0)
    assert row.start_ns == row.end_ns == (1 << 63) - 1
    assert len(row.name) == 300


@pytest.mark.parametrize(
    "broken", [{"trace_id": "xyz"}, {"span_id": "00"}, {"trace_id": "0" * 32}, {"parent_id": "g"}]
)
def test_malformed_ids_are_refused_and_nothing_is_stored(
    home: Home, actor: Actor, broken: dict[str, str]
) -> None:
    with pytest.raises(Invalid):
        service.ingest(home, actor.scope, [call(), call(**broken)])
    assert listed(home, actor) == []


def test_only_those_who_may_read_do(home: Home, actor: Actor) -> None:
    machine = Actor(id="k", name="sender", role=Role.GATEWAY)
    with home.read() as uow, pytest.raises(Denied):
        service.list_traces(uow, machine)
    with home.read() as uow, pytest.raises(Denied):
        service.usage(uow, machine)


def test_known_tells_which_traces_have_arrived(home: Home, actor: Actor) -> None:
    span = call()
    service.ingest(home, actor.scope, [span])
    with home.read() as uow:
        assert service.known(uow, actor, trace_ids=[span.trace_id, "0" * 31 + "1"]) == {span.trace_id}


def test_previews_are_two_hundred_characters(home: Home, actor: Actor) -> None:
    span = call(output=msgspec.json.encode("ä" * 900))
    service.ingest(home, actor.scope, [span])
    with home.read() as uow:
        row = service.get_trace(uow, actor, trace_id=span.trace_id).spans[0]
    assert row.output_preview == "ä" * 200
    assert Counter(row.input_preview or "")["{"] == 1
