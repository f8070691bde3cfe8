"""Giving feedback, and what becomes of it, on both databases."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from penstock.core import clock, ids, lineage
from penstock.core.errors import Denied, Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.datasets import service as datasets
from penstock.feedback import answers, selecting, service
from penstock.feedback.model import Feedback, Kind
from penstock.feedback.queues import contents
from penstock.traces import service as traces
from penstock.traces.model import SpanRecord
from penstock.traces.store import read


def record_call(home: Home, actor: Actor, question: str, answer: str, **changes: Any) -> str:
    """Store the trace of one chat call and return its id."""
    trace_id, now = ids.new_trace_id(), clock.now_ns()
    values: dict[str, Any] = {
        "span_id": ids.new_span_id(),
        "name": "chat",
        "kind": "llm",
        "status": "ok",
        "start_ns": now,
        "end_ns": now + 1_000_000,
        "route": "ticket-triage",
        "user": "ada",
        "input": msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": question}]}),
        "output": msgspec.json.encode(
            {"choices": [{"message": {"role": "assistant", "content": answer}, "finish_reason": "stop"}]}
        ),
    }
    traces.ingest(home, actor.scope, [SpanRecord(trace_id=trace_id, **{**values, **changes})])
    return trace_id


def give(home: Home, actor: Actor, trace_id: str, name: str, value: Any, **options: Any) -> Feedback:
    with home.begin() as uow:
        return service.give(uow, actor, trace_id=trace_id, name=name, value=value, **options)


def test_every_kind_is_kept(home: Home, actor: Actor) -> None:
    trace = record_call(home, actor, "hi", "ho")
    assert give(home, actor, trace, "thumb", "up").number == 1.0
    assert give(home, actor, trace, "thumb", False).number == 0.0
    assert give(home, actor, trace, "rating", 4).number == 4.0
    assert give(home, actor, trace, "helpfulness", 0.5).kind is Kind.SCORE
    assert give(home, actor, trace, "comment", "too terse").text == "too terse"
    assert give(home, actor, trace, "correction", "hey").text == "hey"
    pair = give(home, actor, trace, "preference", {"chosen": "a", "rejected": "b"}, comment="a is kinder")
    assert (pair.chosen, pair.rejected, pair.comment) == ("a", "b", "a is kinder")
    assert (pair.route, pair.subject) == ("ticket-triage", "ada"), "taken from the trace"
    with home.read() as uow:
        found = service.list_feedback(uow, actor)
        assert [item.name for item in found][:2] == ["preference", "correction"]
        assert len(found) == 7
        assert len(service.list_feedback(uow, actor, name="thumb", trace_id=trace)) == 2
        assert [i.id for i in service.list_feedback(uow, actor, before=found[0].id, limit=1)] == [found[1].id]
        edges = lineage.neighbours(uow.conn, actor.scope, "feedback", pair.id)
    assert [(e.parent_kind, e.parent_ref) for e in edges] == [("trace", trace)]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("thumb", "sideways", "up or down"),
        ("thumb", [1], "up or down"),
        ("rating", "five", "finite number"),
        ("rating", float("nan"), "finite number"),
        ("helpful", True, "finite number"),
        ("correction", "  ", "not empty"),
        ("correction", {"text": "x"}, "not empty"),
        ("preference", {"chosen": "a"}, "exactly"),
        ("preference", {"chosen": "a", "rejected": "a"}, "the same"),
        ("Bad Name", 1, "not a name"),
    ],
)
def test_wrong_values_are_refused(sqlite_home: Home, name: str, value: Any, message: str) -> None:
    owner = Actor(id="k", name="k", role=Role.OWNER)
    with pytest.raises(Invalid, match=message):
        give(sqlite_home, owner, ids.new_trace_id(), name, value)


def test_wrong_ids_are_refused(sqlite_home: Home) -> None:
    owner = Actor(id="k", name="k", role=Role.OWNER)
    with pytest.raises(Invalid, match="trace id"):
        give(sqlite_home, owner, "abc", "thumb", True)
    with pytest.raises(Invalid, match="span id"):
        give(sqlite_home, owner, ids.new_trace_id(), "thumb", True, span_id="zz")
    with pytest.raises(Invalid, match="needs the trace id"):
        give(sqlite_home, owner, "", "thumb", True, request_id="req_opaque")


def test_a_request_id_that_carries_the_trace_will_do(home: Home, actor: Actor) -> None:
    trace, span = ids.new_trace_id(), ids.new_span_id()
    item = give(home, actor, "", "thumb", True, request_id=f"req_{trace}{span}")
    assert (item.trace_id, item.span_id) == (trace, span)


def test_an_idempotency_key_counts_once(home: Home, actor: Actor) -> None:
    trace = record_call(home, actor, "hi", "ho")
    first = give(home, actor, trace, "thumb", True, key="click-1")
    assert give(home, actor, trace, "thumb", False, key="click-1") == first
    with home.read() as uow:
        assert service.list_feedback(uow, actor) == [first]


def test_feedback_may_come_before_its_trace(home: Home, actor: Actor) -> None:
    trace = ids.new_trace_id()
    item = give(home, actor, trace, "correction", "better")
    assert (item.route, item.subject) == ("", "")
    with home.read() as uow:
        assert service.to_sft_rows(uow, actor).skipped == {selecting.NOT_RECORDED: 1}


def test_corrections_become_pairs_and_answers(home: Home, actor: Actor) -> None:
    wrong = record_call(home, actor, "Where is my parcel?", "category: billing")
    same = record_call(home, actor, "Refund!", "category: refund")
    other = record_call(home, actor, "Hallo", "hello", route="translate")
    give(home, actor, wrong, "correction", "category: nonsense")
    last = give(home, actor, wrong, "correction", "category: shipping")
    give(home, actor, same, "correction", "category: refund")
    give(home, actor, other, "correction", "hi")
    with home.read() as uow:
        pairs = service.to_preference_rows(uow, actor, route="ticket-triage")
        answers = service.to_sft_rows(uow, actor, route="ticket-triage")
        judged = service.corrections(uow, actor, route="ticket-triage")
    prompt = [{"role": "user", "content": "Where is my parcel?"}]
    assert pairs.rows == (
        {"id": last.id, "prompt": prompt, "chosen": "category: shipping", "rejected": "category: billing"},
    )
    assert pairs.skipped == {selecting.SUPERSEDED: 1, selecting.SAME: 1}
    assert [row["completion"] for row in answers.rows] == ["category: shipping", "category: refund"]
    assert [one.feedback.text for one in judged] == ["category: shipping", "category: refund"]
    with home.read() as uow:
        later = clock.now() + timedelta(hours=1)
        assert service.corrections(uow, actor, since=later) == []
        assert len(service.corrections(uow, actor, until=later)) == 3


def test_preferences_become_pairs(home: Home, actor: Actor) -> None:
    trace = record_call(home, actor, "q", "a")
    give(home, actor, trace, "preference", {"chosen": "good", "rejected": "bad"})
    with home.read() as uow:
        (row,) = service.to_preference_rows(uow, actor).rows
    assert (row["chosen"], row["rejected"]) == ("good", "bad")


def test_accepted_answers_are_those_nobody_took_back(home: Home, actor: Actor) -> None:
    kept, withdrawn, corrected, disliked = (record_call(home, actor, f"q{i}", f"a{i}") for i in range(4))
    for trace in (kept, withdrawn, corrected):
        give(home, actor, trace, "thumb", "up")
    give(home, actor, withdrawn, "thumb", "down")
    give(home, actor, corrected, "correction", "b2")
    give(home, actor, disliked, "thumb", "down")
    with home.read() as uow:
        found = service.accepted(uow, actor)
    assert [row["completion"] for row in found.rows] == ["a0"]
    assert found.skipped == {selecting.SUPERSEDED: 1, selecting.CORRECTED: 1}


def test_a_dataset_knows_the_traces_and_judgements_it_came_from(home: Home, actor: Actor) -> None:
    calls = [record_call(home, actor, f"q{i}", "wrong") for i in range(5)]
    items = [give(home, actor, trace, "correction", f"right {i}") for i, trace in enumerate(calls)]
    version = service.build_dataset(home, actor, name="pairs", kind="preference", route="ticket-triage")
    assert (version.dataset, version.number, version.rows) == ("pairs", 1, 5)
    stored = list(datasets.rows(home, actor, "pairs@1"))
    assert {row["chosen"] for row in stored} == {f"right {i}" for i in range(5)}
    assert stored[0]["prompt"][0]["role"] == "user"
    with home.read() as uow:
        edges = lineage.neighbours(uow.conn, actor.scope, "dataset_version", "pairs@1", depth=1)
    assert {e.parent_ref for e in edges if e.parent_kind == "trace"} == set(calls)
    assert {e.parent_ref for e in edges if e.parent_kind == "feedback"} == {item.id for item in items}
    assert service.build_dataset(home, actor, name="answers", kind="sft").rows == 5
    with pytest.raises(Invalid, match="no feedback to make accepted rows"):
        service.build_dataset(home, actor, name="liked", kind="accepted")
    with pytest.raises(Invalid, match="not a kind"):
        service.build_dataset(home, actor, name="liked", kind="votes")


def test_the_last_model_call_of_a_trace_is_judged(home: Home, actor: Actor) -> None:
    trace = record_call(home, actor, "first", "one")
    now = clock.now_ns()
    final = SpanRecord(
        trace_id=trace,
        span_id=ids.new_span_id(),
        name="chat",
        kind="llm",
        status="ok",
        start_ns=now,
        end_ns=now + 5_000_000_000,
        input=b'"second"',
        output=b'{"role":"assistant","content":"two"}',
    )
    tool = msgspec.structs.replace(final, span_id=ids.new_span_id(), kind="tool", end_ns=now + 9_000_000_000)
    traces.ingest(home, actor.scope, [final, tool])
    give(home, actor, trace, "correction", "drei")
    with home.read() as uow:
        (row,) = service.to_preference_rows(uow, actor).rows
    assert (row["prompt"], row["rejected"]) == ([{"role": "user", "content": "second"}], "two")


def test_no_other_span_is_read_for_a_judgement(
    home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = record_call(home, actor, "first", "one")

    def never(row: object) -> object:
        raise AssertionError(f"Read {row!r}.")

    monkeypatch.setattr(read, "span_row", never)
    give(home, actor, trace, "thumb", "up")
    with home.read() as uow:
        answer = answers.find_answer(uow, actor, trace, None)
        assert answer is not None
        assert answer.text == "one"
        call = contents.call_of(uow, actor, trace)
        assert call is not None
        assert call.span_id == answer.span_id


def test_a_person_can_be_exported_and_forgotten(home: Home, actor: Actor) -> None:
    mine = give(home, actor, record_call(home, actor, "q", "a", user="bob"), "thumb", "up")
    named = give(home, actor, ids.new_trace_id(), "comment", "from bob", subject="bob")
    other = give(home, actor, record_call(home, actor, "q", "a", user="eve"), "thumb", "up")
    with home.begin() as uow:
        assert service.export(uow, actor, "bob") == [mine, named]
        assert service.erase(uow, actor, "bob") == 2
        assert service.export(uow, actor, "bob") == []
        assert service.list_feedback(uow, actor) == [other]


def test_projects_and_roles_are_kept_apart(home: Home, actor: Actor) -> None:
    give(home, actor, ids.new_trace_id(), "thumb", True)
    viewer = Actor(id="v", name="v", role=Role.VIEWER)
    with home.begin() as uow:
        assert service.list_feedback(uow, actor.within("elsewhere")) == []
        assert len(service.list_feedback(uow, viewer)) == 1
        with pytest.raises(Denied):
            service.give(uow, viewer, trace_id=ids.new_trace_id(), name="thumb", value=True)
        with pytest.raises(Denied):
            service.erase(uow, viewer, "ada")


def test_a_judgement_is_taken_back(home: Home, actor: Actor) -> None:
    given = give(home, actor, ids.new_trace_id(), "rating", 4)
    kept = give(home, actor, given.trace_id, "rating", 5)
    with home.begin() as uow:
        service.withdraw(uow, actor, id=given.id)
        service.withdraw(uow, actor, id=given.id)
        assert [one.id for one in service.list_feedback(uow, actor, trace_id=given.trace_id)] == [kept.id]
