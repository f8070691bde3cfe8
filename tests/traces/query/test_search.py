"""Queries against stored spans, on both engines: what they find, show, count, and when they stop."""

import itertools
import random
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.core import clock
from penstock.core.errors import Cancelled, Denied, Invalid, NotFound, Unprocessable
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.core.stopping import Stop
from penstock.traces import background, service, view_service
from penstock.traces.model import SpanRecord, TraceFilters, TracePage, TraceScore
from penstock.traces.settings import TracesSettings
from penstock.traces.store import labels, search, terms
from tests.traces.build import call

SECOND = 10**9


def asked(home: Home, actor: Actor, query: str, **given: Any) -> TracePage:
    with home.read() as uow:
        return service.list_traces(uow, actor, filters=TraceFilters(query=query), **given)


def found(home: Home, actor: Actor, query: str) -> list[str]:
    ids: list[str] = []
    after = None
    while True:
        page = asked(home, actor, query, limit=7, after=after)
        ids += [item.trace_id for item in page.items]
        after = page.next
        if after is None:
            return ids


def traces(now: int, count: int = 40) -> list[list[SpanRecord]]:
    """Return traces of two spans with a bit of everything, newest first."""
    rng = random.Random(11)
    made = []
    for number in range(count):
        start = now - number * 60 * SECOND
        root = call(
            name=rng.choice(["support agent", "batch"]),
            kind="agent",
            agent=("planner", "critic", "tool smith")[number % 3],
            model=None,
            provider=None,
            start_ns=start,
            end_ns=start + rng.randrange(1, 6) * SECOND,
            input_tokens=0,
            output_tokens=0,
            cost_usd=None,
            user=rng.choice(["ada", "bob", "bo*b", "50%"]),
            session=f"s{number % 5}",
            tags=tuple(rng.sample(["prod", "test", "guard:deny", "guard:deny:pii"], 2)),
            metadata={"customer": rng.choice(["acme", "acme two", "zeta"])} if number % 3 else {},
            environment=rng.choice(["prod", None]),
            input=b'"where is my parcel"',
            output=msgspec.json.encode(
                rng.choice(["Your refund policy is here", "policy of refund", "on its way"])
            ),
        )
        child = call(
            trace_id=root.trace_id,
            parent_id=root.span_id,
            start_ns=start + SECOND // 2,
            end_ns=start + SECOND,
            model=rng.choice(["gpt-4o-mini", "gpt-4.1", "claude-x"]),
            requested_model="chat",
            provider="openai",
            ttft_ns=rng.randrange(1, 900) * 10**6,
            input_tokens=rng.randrange(3000),
            output_tokens=rng.randrange(100),
            cached_tokens=rng.choice([0, 10]),
            cost_usd=rng.randrange(1, 50) / 1000,
            status=rng.choice(["ok", "ok", "error"]),
            error=rng.choice([None, "request timed out", "KeyError"]),
            key_id=f"key_{number % 2}",
            route="r1" if number % 2 else "r2",
            prompt=f"triage@{number % 3}",
            input=msgspec.json.encode(
                [{"role": "user", "content": rng.choice(["refund please", "hello there"])}]
            ),
            parameters={"seed": number % 9} if number % 3 else {},
            attributes={
                "http.status_code": rng.choice([200, 500]),
                "gateway.cache": rng.choice(["hit", "miss"]),
            },
        )
        made.append([root, child, *_tools(root, number)])
    return made


def _tools(root: SpanRecord, number: int) -> list[SpanRecord]:
    if number % 4:
        return []
    return [
        call(
            trace_id=root.trace_id,
            parent_id=root.span_id,
            kind="tool",
            name="tool",
            tool="get_weather" if number % 8 else "get_time",
            model=None,
            provider=None,
            start_ns=root.start_ns + SECOND // 4,
            end_ns=root.start_ns + SECOND // 3,
            input=None,
            output=None,
        )
    ]


Holds = Callable[[list[SpanRecord]], bool]


def some(test: Callable[[SpanRecord], Any]) -> Holds:
    return lambda trace: any(test(span) for span in trace)


def said(span: SpanRecord, *fields: str) -> str:
    parts = {
        "name": span.name,
        "error": span.error or "",
        "input": (span.input or b"").decode(),
        "output": (span.output or b"").decode(),
    }
    return "\n".join(parts[field] for field in fields or parts).lower()


CASES: dict[str, Holds] = {
    "model:gpt-*": some(lambda s: (s.model or "").startswith("gpt-")),
    "model:chat": lambda t: True,
    "requested_model:chat model:claude-x": some(lambda s: s.model == "claude-x"),
    "requested_model:claude-x": lambda t: False,
    "kind:agent name:batch": some(lambda s: s.name == "batch"),
    "name:*agent": some(lambda s: s.name == "support agent"),
    "agent:planner": some(lambda s: s.agent == "planner"),
    "agent:* -agent:tool*": some(lambda s: s.agent in ("planner", "critic")),
    "tool:get_weather OR agent:critic": some(lambda s: s.tool == "get_weather" or s.agent == "critic"),
    "tool:get_* -tool:*time": some(lambda s: s.tool == "get_weather"),
    "status:error": some(lambda s: s.status == "error"),
    "-status:error": lambda t: all(s.status != "error" for s in t),
    "status:ok": lambda t: all(s.status != "error" for s in t),
    "user:(ada OR bob)": some(lambda s: s.user in ("ada", "bob")),
    'user:"bo*b"': some(lambda s: s.user == "bo*b"),
    'user:"50%"*': some(lambda s: s.user == "50%"),
    "user:bo*": some(lambda s: (s.user or "").startswith("bo")),
    "session:s1 -user:ada": lambda t: t[0].session == "s1" and t[0].user != "ada",
    "tag:prod tag:test": lambda t: {"prod", "test"} <= set(t[0].tags),
    "guard:deny": some(lambda s: "guard:deny" in s.tags),
    "guard:deny:pii": some(lambda s: "guard:deny:pii" in s.tags),
    "guard:*": some(lambda s: any(tag.startswith("guard:") for tag in s.tags)),
    'metadata.customer:"acme two"': some(lambda s: s.metadata.get("customer") == "acme two"),
    "metadata.customer:acme*": some(lambda s: s.metadata.get("customer", "").startswith("acme")),
    "-metadata.customer:*": lambda t: not t[0].metadata,
    "prompt:triage": lambda t: True,
    "prompt:triage@2": some(lambda s: s.prompt == "triage@2"),
    "key:key_1 route:r1 provider:openai": some(lambda s: s.route == "r1"),
    "environment:prod": some(lambda s: s.environment == "prod"),
    "cache:hit": some(lambda s: s.attributes.get("gateway.cache") == "hit"),
    "attributes.http.status_code:500": some(lambda s: s.attributes.get("http.status_code") == 500),
    "http.status_code:5*": some(lambda s: s.attributes.get("http.status_code") == 500),
    "attributes.http.status_code:*": lambda t: True,
    "gen_ai.request.seed:7": some(lambda s: s.parameters.get("seed") == 7),
    "gen_ai.request.seed:*": some(lambda s: "seed" in s.parameters),
    "attributes.nothing:*": lambda t: False,
    "latency>3s": lambda t: t[0].duration_ns > 3 * SECOND,
    "latency>=3s": lambda t: t[0].duration_ns >= 3 * SECOND,
    "latency:1s..2s": lambda t: SECOND <= t[0].duration_ns <= 2 * SECOND,
    "ttft<300ms": some(lambda s: s.ttft_ns is not None and s.ttft_ns < 300 * 10**6),
    "cost>=0.02": lambda t: (t[1].cost_usd or 0) >= 0.02,
    "tokens>1k": lambda t: t[1].input_tokens + t[1].output_tokens > 1000,
    "input_tokens<1500 output_tokens>10": lambda t: t[1].input_tokens < 1500 and t[1].output_tokens > 10,
    "cached>0": lambda t: t[1].cached_tokens > 0,
    "spans:2 calls:1": lambda t: len(t) == 2,
    "errors>=1": some(lambda s: s.status == "error"),
    "refund": some(lambda s: "refund" in said(s)),
    "refu*": some(lambda s: "refund" in said(s)),
    '"refund policy"': some(lambda s: "refund policy" in said(s)),
    "refund -policy": lambda t: (
        some(lambda s: "refund" in said(s))(t) and not some(lambda s: "policy" in said(s))(t)
    ),
    "input:refund": some(lambda s: "refund" in said(s, "input")),
    "-output:refund": lambda t: not some(lambda s: "refund" in said(s, "output"))(t),
    'error:"timed out"': some(lambda s: "timed out" in (s.error or "")),
    "error:*": some(lambda s: s.error is not None),
    "way OR status:error": lambda t: (
        some(lambda s: "way" in said(s))(t) or some(lambda s: s.status == "error")(t)
    ),
    "please there": lambda t: False,
    "please way": some(lambda s: "please" in said(s) and "way" in said(s)),
    "(user:ada refund) OR (user:bob -refund)": lambda t: (
        (t[0].user == "ada" and some(lambda s: "refund" in said(s))(t))
        or (t[0].user == "bob" and not some(lambda s: "refund" in said(s))(t))
    ),
    '-("refund policy" OR latency>2s)': lambda t: (
        not some(lambda s: "refund policy" in said(s))(t) and t[0].duration_ns <= 2 * SECOND
    ),
}


@pytest.fixture
def stored(home: Home, actor: Actor) -> list[list[SpanRecord]]:
    made = traces(clock.now_ns())
    service.ingest(home, actor.scope, [span for trace in made for span in trace])
    service.ingest(home, actor.within("other").scope, [call(user="ada", output=b'"refund policy"')])
    background.catch_up(home)
    return made


@pytest.mark.parametrize("rare", [4000, 3])
def test_queries_find_exactly_what_meets_them(
    home: Home, actor: Actor, stored: list[list[SpanRecord]], rare: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "RARE", rare)
    monkeypatch.setattr(terms, "RARE", rare)
    monkeypatch.setattr(search, "RARE_WORDS", rare)
    monkeypatch.setattr(search, "_CHUNK", 8)
    for query, holds in CASES.items():
        wanted = [trace[0].trace_id for trace in stored if holds(trace)]
        assert sorted(found(home, actor, query)) == sorted(wanted), query
        if rare == 4000:
            assert found(home, actor, query) == wanted, query


def test_many_names_of_agents_and_tools_are_found_in_the_spans(
    home: Home, actor: Actor, stored: list[list[SpanRecord]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "_FEW_NAMES", 1)
    monkeypatch.setattr(search, "RARE", 3)
    monkeypatch.setattr(terms, "RARE", 3)
    for query in ("agent:* -agent:tool*", "tool:get_*", "-agent:*r model:gpt-*"):
        holds = (
            CASES.get(query)
            or {
                "tool:get_*": some(lambda s: s.tool),
                "-agent:*r model:gpt-*": lambda t: t[0].agent != "planner" and CASES["model:gpt-*"](t),
            }[query]
        )
        wanted = [trace[0].trace_id for trace in stored if holds(trace)]
        assert wanted
        assert sorted(found(home, actor, query)) == sorted(wanted), query


def test_times_narrow(home: Home, actor: Actor, stored: list[list[SpanRecord]]) -> None:
    ids = [trace[0].trace_id for trace in stored]
    with clock.frozen(clock.from_ns(stored[0][0].start_ns)):
        assert found(home, actor, "since:301s") == ids[:6]
        assert found(home, actor, "until:301s since:630s") == found(home, actor, "at:630s..301s") == ids[6:11]
        of_ada = [t[0].trace_id for t in stored[6:] if t[0].user == "ada"]
        assert found(home, actor, "user:ada -since:301s") == of_ada
    assert found(home, actor, f"id:{ids[3]}") == found(home, actor, f"id:{ids[3][:20]}*") == [ids[3]]
    assert found(home, actor, "since:2001-01-01 until:2001-01-02") == []
    # As the page of traces writes a query with its window for an annotation queue.
    end = clock.iso(clock.from_ns(stored[6][0].start_ns))
    older = f"(user:ada OR user:bob) since:2001-01-31T12:00:00.000Z until:{end}"
    assert found(home, actor, older) == [t[0].trace_id for t in stored[7:] if t[0].user in ("ada", "bob")]


def test_old_filters_and_a_query_are_all_asked(
    home: Home, actor: Actor, stored: list[list[SpanRecord]]
) -> None:
    with home.read() as uow:
        page = service.list_traces(uow, actor, filters=TraceFilters(user="ada", query="latency>2s OR refund"))
    wanted = [
        t[0].trace_id
        for t in stored
        if t[0].user == "ada" and (t[0].duration_ns > 2 * SECOND or some(lambda s: "refund" in said(s))(t))
    ]
    assert [item.trace_id for item in page.items] == wanted


_nasty = st.text(max_size=30) | st.sampled_from(
    [
        "'; DROP TABLE traces_traces; --",
        '" OR 1=1 --',
        ":v1",
        "%",
        "_",
        "[a-z]",
        "*",
        "?",
        "\\",
        "x' AND 'a'='a",
        "NEAR(a b)",
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    value=_nasty,
    field=st.sampled_from(
        ["user:", "metadata.k:", "tag:", "", "input:", "error:", "attributes.k:", "feedback:"]
    ),
)
def test_no_text_gets_out_of_its_value(home: Home, actor: Actor, value: str, field: str) -> None:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    for query in (f'{field}"{escaped}"', f'{field}"{escaped}"*' if field.endswith(":") else value):
        try:
            assert asked(home, actor, query).items == ()
        except Invalid as error:
            assert "column" in error.details


def test_snippets_show_where_the_words_stand(home: Home, actor: Actor) -> None:
    long = "lorem ipsum " * 40 + "The Refund came, a refund at last. " + "dolor " * 40
    span = call(output=msgspec.json.encode(long))
    service.ingest(home, actor.scope, [span, call(output=b'"nothing"')])
    background.catch_up(home)
    (item,) = asked(home, actor, "refund last").items
    snippet = item.snippet
    assert snippet is not None
    assert (snippet.field, snippet.span_id) == ("output", span.span_id)
    assert [snippet.text[a:b].lower() for a, b in snippet.marks] == ["refund", "refund", "last"]
    assert len(snippet.text) <= 160
    assert asked(home, actor, "output:*").items[0].snippet is None
    (item,) = asked(home, actor, 'error:x OR "at last"').items
    assert item.snippet is not None
    assert [item.snippet.text[a:b] for a, b in item.snippet.marks] == ["at last"]


def test_snippets_of_huge_traces_come_from_the_index(home: Home, actor: Actor) -> None:
    first = call(output=b'"nothing"')
    spans = [call(trace_id=first.trace_id, parent_id=first.span_id, output=b'"nothing"') for _ in range(80)]
    spans[60] = msgspec.structs.replace(spans[60], output=b'"a needle here"')
    service.ingest(home, actor.scope, [first, *spans])
    background.catch_up(home)
    (item,) = asked(home, actor, "needle").items
    assert item.snippet is not None
    assert item.snippet.span_id == spans[60].span_id


def test_scores_come_from_above_and_may_come_first(home: Home, actor: Actor) -> None:
    span, other = call(), call()
    with home.begin() as uow:
        service.put_scores(
            uow,
            actor.scope,
            scores=[
                TraceScore(trace_id=span.trace_id, ref="a", origin="evals", name="exact", value=0.25),
                TraceScore(trace_id=span.trace_id, ref="b", origin="feedback", name="thumb", value=0.0),
                TraceScore(trace_id=span.trace_id, ref="c", origin="feedback", name="rating", value=4.0),
                TraceScore(trace_id="not traced", ref="d", origin="evals", name="exact", value=0.1),
            ],
        )
    service.ingest(home, actor.scope, [span, other])
    for query in (
        "score.exact<0.5",
        "feedback:down",
        "feedback:*",
        "rating>=4",
        "score.exact:0.25",
        "feedback:rating",
    ):
        assert found(home, actor, query) == [span.trace_id], query
    for query in ("score.exact>0.5", "feedback:up", "rating>4", "score.other>0", "feedback:exact"):
        assert found(home, actor, query) == [], query
    assert found(home, actor, "-feedback:*") == [other.trace_id]
    assert found(home, actor.within("other"), "feedback:*") == []
    with home.begin() as uow:
        again = TraceScore(trace_id=span.trace_id, ref="a", origin="evals", name="exact", value=0.75)
        service.put_scores(uow, actor.scope, scores=[again])
        service.remove_score(uow, actor.scope, trace_id=span.trace_id, ref="b")
        assert [score.name for score in service.scores_of(uow, actor, trace_id=span.trace_id)] == [
            "exact",
            "rating",
        ]
    assert found(home, actor, "score.exact>0.5") == [span.trace_id]
    assert found(home, actor, "feedback:down") == []
    service.delete_trace(home, actor, trace_id=span.trace_id)
    with home.read() as uow:
        assert service.scores_of(uow, actor, trace_id=span.trace_id) == []


@pytest.mark.parametrize("rare", [4000, 3])
@pytest.mark.parametrize(
    "query",
    ["", "user:ada", "status:error", "latency>2s", "refund", '"refund policy"', "model:gpt-* -user:ada"],
)
def test_bars_add_up(
    home: Home,
    actor: Actor,
    stored: list[list[SpanRecord]],
    query: str,
    rare: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("penstock.traces.store.counting.RARE", rare)
    ids = set(found(home, actor, query))
    late = f"({query}) since:601s" if query else "since:601s"
    with home.read() as uow, clock.frozen(clock.from_ns(stored[0][0].start_ns)):
        bars = service.histogram(uow, actor, filters=TraceFilters(query=query), buckets=10)
        hour = service.histogram(uow, actor, filters=TraceFilters(query=late))
    failed = [t for t in stored if t[0].trace_id in ids and any(s.status == "error" for s in t)]
    assert (len(bars), sum(bar.traces for bar in bars), sum(bar.errors for bar in bars)) == (
        10,
        len(ids),
        len(failed),
    )
    assert all(one.at < two.at for one, two in itertools.pairwise(bars))
    assert sum(bar.traces for bar in hour) == len([t for t in stored[:11] if t[0].trace_id in ids])


def test_facets_complete_fields_and_values(home: Home, actor: Actor, stored: list[list[SpanRecord]]) -> None:
    def values(**given: Any) -> dict[str, int]:
        with home.read() as uow:
            return {item.value: item.traces for item in service.facets(uow, actor, **given)}

    models = values(key="model", prefix="gpt")
    assert models == {model: sum(t[1].model == model for t in stored) for model in models}
    assert set(models) == {"gpt-4o-mini", "gpt-4.1"}
    assert set(values(prefix="meta")) == {"metadata.customer"}
    assert {"model", "latency", "attributes.", "metadata.customer"} <= set(values(limit=100))
    assert set(values(prefix="attributes.http")) == {"attributes.http.status_code"}
    assert set(values(key="metadata.customer", prefix="acme")) == {"acme", "acme two"}
    assert set(values(key="guard")) == {"deny", "deny:pii"}
    assert set(values(key="status")) == {"ok", "error"}
    assert values(key="cost") == values(key="metadata.nothing") == {}
    with pytest.raises(Invalid, match="no field"):
        values(key="modle")


def test_a_query_ends_at_its_deadline(
    home: Home, actor: Actor, stored: list[list[SpanRecord]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(home.settings._built, "traces", TracesSettings(query_seconds=0.2))
    monkeypatch.setattr(search.Search, "page", _endless)
    with home.read() as uow, pytest.raises(Unprocessable, match=r"longer than 0\.2 seconds"):
        service.list_traces(uow, actor)
    monkeypatch.undo()
    assert len(asked(home, actor, "").items) == 40


def _endless(self: Any, after: Any, limit: int) -> Any:
    """A statement that counts for hours on either engine."""
    del after, limit
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000000)"
    return self._conn.exec_driver_sql(f"{numbers} SELECT count(*) FROM n").all()


def test_a_query_ends_when_its_caller_leaves(
    home: Home, actor: Actor, stored: list[list[SpanRecord]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search.Search, "page", _endless)
    stop = Stop()
    leaving = threading.Timer(0.3, stop.ask)
    leaving.start()
    try:
        with home.read() as uow, pytest.raises(Cancelled):
            service.list_traces(uow, actor, stop=stop)
    finally:
        leaving.cancel()
        leaving.join()
    monkeypatch.undo()
    assert len(asked(home, actor, "").items) == len(stored)


def test_views_are_ones_own_or_shared(home: Home, actor: Actor) -> None:
    member = Actor(id="usr_2", name="member", role=Role.MEMBER, scope=actor.scope)
    viewer = Actor(id="usr_3", name="viewer", role=Role.VIEWER, scope=actor.scope)
    with home.begin() as uow:
        view_service.put_view(uow, member, name="slow", query="latency>2s", columns=["name"], shared=False)
        view_service.put_view(uow, member, name="bad", query="status:error", shared=True)
        assert [view.name for view in view_service.list_views(uow, member)] == ["bad", "slow"]
        assert [view.name for view in view_service.list_views(uow, viewer)] == ["bad"]
        assert view_service.list_views(uow, member.within("other")) == []
        with pytest.raises(NotFound):
            view_service.get_view(uow, viewer, name="slow")
        with pytest.raises(Denied):
            view_service.put_view(uow, viewer, name="x", query="", shared=True)
        with pytest.raises(Denied):
            view_service.delete_view(uow, viewer, name="bad")
        mine = view_service.put_view(uow, viewer, name="bad", query="cost>1")
        assert view_service.get_view(uow, viewer, name="bad") == mine
        view_service.delete_view(uow, viewer, name="bad")
        assert view_service.get_view(uow, viewer, name="bad").query == "status:error"
        view_service.delete_view(uow, actor, name="bad")
        with pytest.raises(NotFound):
            view_service.get_view(uow, member, name="bad")
        with pytest.raises(Invalid, match="column 1"):
            view_service.put_view(uow, member, name="x", query="nope:1")
        for name in ("", "a/b", "x" * 101, "a\n"):
            with pytest.raises(Invalid):
                view_service.put_view(uow, member, name=name, query="")
