"""Redacting after the fact: what is gone is gone from rows, previews, bodies, facets, sums, index and files."""

import random
from pathlib import Path

import pytest

from penstock.core import clock
from penstock.core.errors import Cancelled, Denied, Invalid, Unprocessable
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.core.stopping import Stop
from penstock.traces import background, keeper, service
from penstock.traces.masking import SpanMasker
from penstock.traces.model import SpanRecord, TraceFilters
from tests.traces.build import agent_trace, call

MAIL = {"detectors": {"pii": {"kinds": ["email"]}}}


def listed(home: Home, actor: Actor, **filters: object) -> list[str]:
    with home.read() as uow:
        page = service.list_traces(uow, actor, filters=TraceFilters(**filters), limit=1000)  # type: ignore[arg-type]
    return [trace.trace_id for trace in page.items]


def usage(home: Home, actor: Actor, by: str) -> dict[str, tuple[int, float]]:
    with home.read() as uow:
        rows = service.usage(uow, actor, group_by=service.group_named(by))
    return {row.group: (row.calls, round(row.cost_usd, 9)) for row in rows}


def test_a_dry_run_ends_at_its_deadline(home: Home, actor: Actor) -> None:
    service.ingest(home, actor.scope, [call(output=b'"ada@example.com"')])
    with pytest.raises(Unprocessable, match="longer than 0 seconds"):
        service.redact_traces(home, actor, masking=MAIL, filters=TraceFilters(), dry_run=True, seconds=0.0)


def test_a_dry_run_ends_when_its_caller_leaves(
    home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.ingest(home, actor.scope, [call(output=b'"ada@example.com"') for _ in range(9)])
    stop, tried, apply = Stop(), [], SpanMasker.apply

    def leaving(self: SpanMasker, span: SpanRecord) -> SpanRecord:
        tried.append(span)
        if len(tried) == 3:
            stop.ask()
        return apply(self, span)

    monkeypatch.setattr(SpanMasker, "apply", leaving)
    with pytest.raises(Cancelled):
        service.redact_traces(
            home, actor, masking=MAIL, filters=TraceFilters(), dry_run=True, seconds=600.0, stop=stop
        )
    assert len(tried) == 3


def test_everything_that_is_read_later_is_redacted(home: Home, actor: Actor) -> None:
    span = call(
        output=b'"write to ada@example.com please"',
        user="ada@example.com",
        metadata={"mail": "ada@example.com", "shop": "7"},
        tags=("t",),
    )
    other = call(output=b'"nothing to see"')
    service.ingest(home, actor.scope, [span, other])
    background.catch_up(home)
    before = usage(home, actor, "model")
    done = service.redact_traces(home, actor, masking=MAIL, filters=TraceFilters())
    assert done == (2, 1, 1)
    with home.read() as uow:
        found = service.get_span_body(uow, actor, trace_id=span.trace_id, span_id=span.span_id)
        summary = service.get_trace(uow, actor, trace_id=span.trace_id).summary
    assert found.output == b'"write to [EMAIL] please"' and found.user == "[EMAIL]"
    assert found.metadata == {"mail": "[EMAIL]", "shop": "7"}
    assert (summary.output_preview, summary.user, summary.spans) == ("write to [EMAIL] please", "[EMAIL]", 1)
    background.catch_up(home)
    assert listed(home, actor, q="example") == listed(home, actor, user="ada@example.com") == []
    for filters in (
        {"q": "write please"},
        {"user": "[EMAIL]"},
        {"metadata": {"shop": "7"}},
        {"tags": ("t",)},
    ):
        assert listed(home, actor, **filters) == [span.trace_id]
    assert usage(home, actor, "model") == before
    assert "ada@example.com" not in usage(home, actor, "user")
    assert service.redact_traces(home, actor, masking=MAIL, filters=TraceFilters()) == (2, 0, 0)


def test_a_dry_run_changes_nothing_and_says_what_would(home: Home, actor: Actor) -> None:
    spans = [call(output=b'"ada@example.com"'), call(), call(output=b'"bob@example.com"')]
    service.ingest(home, actor.scope, spans)
    done = service.redact_traces(home, actor, masking=MAIL, filters=TraceFilters(), dry_run=True)
    assert done == (3, 2, 2)
    with home.read() as uow:
        found = service.get_span_body(uow, actor, trace_id=spans[0].trace_id, span_id=spans[0].span_id)
        audit = uow.conn.exec_driver_sql(
            "SELECT count(*) FROM core_audit WHERE action IN ('traces.redact', 'traces.redacted')"
        )
        assert audit.scalar_one() == 0
    assert found == spans[0]


def test_only_the_traces_that_are_meant(home: Home, actor: Actor) -> None:
    spans = [call(route=route, output=b'"ada@example.com"') for route in ("a", "a", "b", "b")]
    service.ingest(home, actor.scope, spans)
    background.catch_up(home)
    ids = [spans[2].trace_id, "ab" * 16]
    assert service.redact_traces(home, actor, masking=MAIL, trace_ids=ids).spans == 1
    assert service.redact_traces(home, actor, masking=MAIL, filters=TraceFilters(route="a")).spans == 2
    background.catch_up(home)
    assert listed(home, actor, q="example") == [spans[3].trace_id]


def test_more_than_a_page_and_by_the_words_that_go(home: Home, actor: Actor) -> None:
    spans = [call(output=b'"secret walrus"') for _ in range(230)]
    service.ingest(home, actor.scope, spans)
    background.catch_up(home)
    rules = {"patterns": [{"name": "animal", "pattern": "(?i)walrus"}]}
    done = service.redact_traces(home, actor, masking=rules, filters=TraceFilters(q="walrus"))
    assert done == (230, 230, 230)
    background.catch_up(home)
    assert listed(home, actor, q="walrus") == []
    assert len(listed(home, actor, q="secret animal")) == 230
    assert usage(home, actor, "model")["gpt-4o-mini"][0] == 230


def test_trees_and_sums_stay_as_they_were(home: Home, actor: Actor) -> None:
    spans = agent_trace(random.Random(7), clock.now_ns(), session="chat with ada@example.com")
    service.ingest(home, actor.scope, spans)
    background.catch_up(home)
    before = usage(home, actor, "model"), usage(home, actor, "kind")
    done = service.redact_traces(home, actor, masking=MAIL, trace_ids=[spans[0].trace_id])
    assert done.spans == len(spans)
    assert (usage(home, actor, "model"), usage(home, actor, "kind")) == before
    with home.read() as uow:
        tree = service.get_trace(uow, actor, trace_id=spans[0].trace_id)
    assert {span.span_id: span.parent_id for span in tree.spans} == {s.span_id: s.parent_id for s in spans}
    assert tree.summary.name == "agent" and tree.summary.session == "chat with [EMAIL]"


@pytest.mark.parametrize("moment", ["before it is read", "before it is written"])
def test_what_is_erased_meanwhile_does_not_come_back(
    home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """The rows of a hidden trace are still there, and must not be written anew as a trace of its own."""
    span = call(user="ada", output=b'"write to ada@example.com please"')
    service.ingest(home, actor.scope, [span])
    applied = SpanMasker.apply

    def erase(_done: object = None) -> None:
        assert service.erase_traces(home, actor, user="ada", seconds=0).left == 1

    def late(masker: SpanMasker, record: SpanRecord) -> SpanRecord:
        monkeypatch.setattr(SpanMasker, "apply", applied)
        erase()
        return applied(masker, record)

    if moment == "before it is written":
        monkeypatch.setattr(SpanMasker, "apply", late)
    first = erase if moment == "before it is read" else None
    service.redact_traces(home, actor, masking=MAIL, trace_ids=[span.trace_id], progress=first)
    assert listed(home, actor) == []
    keeper.sweep(home)
    with home.read() as uow:
        assert uow.conn.exec_driver_sql("SELECT count(*) FROM traces_spans").scalar_one() == 0


def test_nothing_redacted_is_left_in_the_files(sqlite_home: Home) -> None:
    actor = Actor(id="prs_1", name="owner", role=Role.OWNER)
    spans = [call(output=f'"order {n} xyzzyfrob"'.encode(), metadata={"who": f"plugh{n}"}) for n in range(60)]
    service.ingest(sqlite_home, actor.scope, spans)
    background.catch_up(sqlite_home)
    rules = {"patterns": [{"name": "word", "pattern": "xyzzyfrob"}], "keys": [{"key": "who"}]}
    service.redact_traces(sqlite_home, actor, masking=rules, filters=TraceFilters())
    background.catch_up(sqlite_home)
    for _ in range(20):
        keeper.sweep(sqlite_home)
    assert keeper.scrubbed(sqlite_home)
    files = [path for path in Path(sqlite_home.path).rglob("*") if path.is_file()]
    for secret in (b"xyzzyfrob", b"plugh"):
        assert [path.name for path in files if secret in path.read_bytes()] == []


def test_wrong_requests_are_refused(home: Home, actor: Actor) -> None:
    for masking, filters, ids in (
        ({}, TraceFilters(), []),
        (MAIL, None, []),
        (MAIL, TraceFilters(), ["ab" * 16]),
    ):
        with pytest.raises(Invalid):
            service.redact_traces(home, actor, masking=masking, filters=filters, trace_ids=ids)
    hashing = {"keys": [{"key": "user", "action": "hash"}]}
    with pytest.raises(Invalid, match="no key"):
        service.redact_traces(home, actor, masking=hashing, filters=TraceFilters())
    with pytest.raises(Denied):
        member = Actor(id="p", name="p", role=Role.MEMBER)
        service.redact_traces(home, member, masking=MAIL, filters=TraceFilters())
