"""Where items come from, on both databases."""

import json
from typing import Any

import pytest
from tests.feedback.queues.support import (
    QUALITY,
    answer,
    calls,
    new_trace_id,
    overview,
    person,
    queue,
    rows,
    take,
    took,
)
from tests.feedback.test_service import record_call

from penstock.core import lineage
from penstock.core.errors import Conflict, Denied, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import service as datasets
from penstock.feedback.queues import filling, service
from penstock.feedback.queues.model import Suggestion

ANN, BOB = person("ann"), person("bob")
SIDE = {"name": "better", "type": "preference"}


def add(home: Home, actor: Actor, **source: Any) -> filling.Added:
    return service.add(home, actor, name="review", source=source)


def test_a_query_finds_traces_once(home: Home, actor: Actor) -> None:
    calls(home, actor, 3)
    calls(home, actor, 2, route="other")
    _, added = service.create(
        home,
        actor,
        spec={"name": "review", "labels": [QUALITY], "source": {"query": "route:ticket-triage"}},
    )
    assert (added.added, added.known) == (3, 0)
    more = add(home, actor, query="")
    assert (more.added, more.known) == (2, 3)
    assert overview(home, actor).progress.items == 5


def test_ids_that_are_not_stored_are_told(home: Home, actor: Actor) -> None:
    (trace,) = calls(home, actor, 1)
    queue(home, actor)
    added = add(home, actor, trace_ids=[trace, trace.upper(), new_trace_id()])
    assert (added.added, added.skipped) == (1, {filling.GONE: 1})


def test_a_share_is_always_the_same_and_about_as_large(home: Home, actor: Actor) -> None:
    keys = [f"trace {n}" for n in range(4000)]
    tenth = {key for key in keys if filling.sampled(key, 0.1)}
    assert 320 < len(tenth) < 480
    assert tenth < {key for key in keys if filling.sampled(key, 0.3)}
    assert all(filling.sampled(key, 1.0) for key in keys)
    traces = calls(home, actor, 20)
    queue(home, actor, source={"query": "", "share": 0.5})
    assert overview(home, actor).progress.items == sum(filling.sampled(one, 0.5) for one in traces)


def test_rows_bring_messages_reference_and_suggestion(home: Home, actor: Actor) -> None:
    suggestion = {"values": {"quality": "good"}, "confidence": {"quality": 0.9}, "model": "judge"}
    given = [{**row, "suggestion": json.dumps(suggestion)} for row in rows(2)]
    given.append({**rows(3)[2], "suggestion": json.dumps({"values": {"quality": "odd"}})})
    version = datasets.ingest(home, actor, name="sums", source=given)
    made = queue(home, actor, kind="row")
    added = add(home, actor, dataset="sums@1")
    assert (added.added, sum(added.skipped.values())) == (3, 1)
    taken = took(home, ANN)
    assert taken.content["messages"] == [{"role": "user", "content": "How much is 0 + 1?"}]
    assert (taken.content["output"], taken.content["reference"]) == ("1", "1")
    assert "suggestion" not in taken.content["row"]
    assert taken.suggestion == Suggestion(**suggestion)  # type: ignore[arg-type]
    assert took(home, ANN, suggestions=False).suggestion is None
    datasets.ingest(home, actor, name="sums", source=[*given, {**rows(4)[3], "suggestion": ""}])
    again = add(home, actor, dataset="sums@2")
    assert (again.added, again.known) == (1, 3), "the same rows of another version are the same items"
    with home.read() as uow:
        edges = lineage.neighbours(uow.conn, actor.scope, "queue", made.id)
    assert {edge.parent_ref for edge in edges} == {version.ref, "sums@2"}


def test_columns_can_be_named(home: Home, actor: Actor) -> None:
    datasets.ingest(home, actor, name="odd", source=[{"frage": "Wie?", "antwort": "So."}])
    queue(home, actor, kind="row")
    add(home, actor, dataset="odd", fields={"messages": "frage", "output": "antwort"})
    content = took(home, ANN).content
    assert (content["messages"][0]["content"], content["output"]) == ("Wie?", "So.")
    with pytest.raises(Invalid, match="not a part"):
        add(home, actor, dataset="odd", fields={"question": "frage"})


def test_pairs_of_a_query_were_asked_the_same(home: Home, actor: Actor) -> None:
    for said in ("one", "two", "two", "three"):
        record_call(home, actor, "same question", said)
    record_call(home, actor, "another question", "four")
    service.create(
        home,
        actor,
        spec={"name": "review", "kind": "pair", "labels": [SIDE], "source": {"query": ""}},
    )
    found = overview(home, actor).progress
    assert found.items == 2
    seen = []
    while (taken := take(home, ANN)) is not None:
        assert taken.content["messages"][0]["content"] == "same question"
        seen.append({taken.content["a"], taken.content["b"]})
        answer(home, ANN, taken.item.id, better="a")
    assert all(len(pair) == 2 for pair in seen)


def test_the_sides_of_a_pair_are_shown_by_chance_and_stored_truly(home: Home, actor: Actor) -> None:
    given = [{"prompt": f"p{n}", "chosen": f"first {n}", "rejected": f"second {n}"} for n in range(40)]
    datasets.ingest(home, actor, name="pairs", source=given)
    queue(home, actor, kind="pair", labels=[SIDE], source={"dataset": "pairs"})
    turned = 0
    while (taken := take(home, ANN)) is not None:
        assert "row" not in taken.content, "its columns would tell which side is which"
        turned += taken.content["a"].startswith("second")
        liked = "a" if taken.content["a"].startswith("first") else "b"
        assert answer(home, ANN, taken.item.id, better=liked).answer == {"better": liked}
    assert 6 <= turned <= 34
    with home.read() as uow:
        stored = [work.answer for _, works in service.list_items(uow, actor, name="review") for work in works]
    assert stored == [{"better": "a"}] * 40


def test_traces_can_be_paired_by_hand(home: Home, actor: Actor) -> None:
    one, two = calls(home, actor, 2)
    queue(home, actor, kind="pair", labels=[SIDE])
    added = add(home, actor, pairs=[[one, two], [one, new_trace_id()]])
    assert (added.added, added.skipped) == (1, {filling.GONE: 1})
    assert {took(home, ANN).content[side] for side in "ab"} == {"answer 0", "answer 1"}


def test_a_queue_that_cannot_be_filled_is_not_made(home: Home, actor: Actor) -> None:
    with pytest.raises(NotFound):
        queue(home, actor, kind="row", source={"dataset": "nothing"})
    with pytest.raises(Invalid):
        queue(home, actor, source={"query": "(("})
    with home.read() as uow:
        assert service.list_queues(uow, actor) == []
    queue(home, actor)
    with pytest.raises(Conflict):
        queue(home, actor)


def test_gold_questions_come_first_and_rate_annotators(home: Home, actor: Actor) -> None:
    calls(home, actor, 4)
    gold = [
        {"content": {"messages": [{"role": "user", "content": f"gold {n}"}]}, "values": {"quality": "good"}}
        for n in range(3)
    ]
    queue(home, actor, source={"query": ""}, gold=gold, gold_every=2, overlap=2)
    seen = []
    for who, value in ((ANN, "good"), (BOB, "bad")):
        while (taken := take(home, who)) is not None:
            seen.append(taken.content["messages"][0]["content"])
            answer(home, who, taken.item.id, quality=value)
    assert (seen[0], seen[3]) == ("gold 0", "gold 1"), "one at first, then one after two others"
    assert sum(text.startswith("gold") for text in seen) == 6, "everybody gets each"
    found = overview(home, actor)
    assert (found.progress.items, found.progress.done) == (4, 4)
    right = {one.name: (one.gold_asked, one.gold_right, one.answered) for one in found.annotators}
    assert right == {"ann": (3, 3.0, 4), "bob": (3, 0.0, 4)}
    assert found.agreement[0].n == 4, "gold questions are not counted"
    with home.read() as uow:
        mine = service.list_items(uow, BOB, name="review")
        assert all(item.gold is None for item, _ in mine), "annotators cannot tell"
        assert len(service.list_items(uow, actor, name="review", state="gold")) == 3
        with pytest.raises(Denied):
            service.list_items(uow, BOB, name="review", state="gold")


def test_an_item_can_be_made_a_gold_question(home: Home, actor: Actor) -> None:
    calls(home, actor, 2)
    queue(home, actor, source={"query": ""})
    item = took(home, ANN).item.id
    with home.begin() as uow:
        assert service.set_gold(uow, actor, item_id=item, values={"quality": "bad"}).gold == {
            "quality": "bad"
        }
    assert overview(home, actor).progress.items == 1
    answer(home, ANN, item, quality="bad")
    assert overview(home, actor).annotators[0].gold_right == 1.0
    with home.begin() as uow, pytest.raises(Conflict):
        service.set_gold(uow, actor, item_id=item, values=None)


def suggest(home: Home, actor: Actor, item: str, value: str, sure: float) -> None:
    with home.begin() as uow:
        found = Suggestion(values={"quality": value}, confidence={"quality": sure}, model="judge")
        service.suggest(uow, actor, item_id=item, suggestion=found)


def ids_of(home: Home, actor: Actor) -> list[str]:
    with home.read() as uow:
        return [item.id for item, _ in service.list_items(uow, actor, name="review")]


def test_the_least_sure_come_first(home: Home, actor: Actor) -> None:
    calls(home, actor, 3)
    queue(home, actor, source={"query": ""}, order="uncertainty")
    one, two, three = ids_of(home, actor)
    suggest(home, actor, one, "good", 0.99)
    suggest(home, actor, two, "bad", 0.4)
    suggest(home, actor, three, "bad", 0.7)
    order = []
    while (taken := take(home, ANN)) is not None:
        order.append(taken.item.id)
        answer(home, ANN, taken.item.id, quality="good")
    assert order == [two, three, one]


def test_the_most_disputed_come_first(home: Home, actor: Actor) -> None:
    calls(home, actor, 3)
    queue(home, actor, source={"query": ""}, order="disagreement", overlap=2)
    one, two, three = ids_of(home, actor)
    suggest(home, actor, two, "bad", 0.5)
    for item in (one, two, three):
        answer(home, ANN, item, quality="good")
    assert took(home, BOB).item.id == two


def test_diverse_items_come_first(home: Home, actor: Actor) -> None:
    usual = [record_call(home, actor, f"where is my parcel number {n}", "soon") for n in range(6)]
    odd = record_call(home, actor, "translate this poem into Latin hexameter", "carmen")
    queue(home, actor, source={"trace_ids": [*usual, odd]}, order="diversity")
    seen = []
    for _ in range(2):
        taken = took(home, ANN)
        seen.append(taken.item.trace_id)
        answer(home, ANN, taken.item.id, quality="good")
    assert seen == [usual[0], odd]


def test_what_drifts_away_comes_first(home: Home, actor: Actor) -> None:
    usual = [record_call(home, actor, f"where is my parcel number {n}", "soon") for n in range(6)]
    queue(home, actor, source={"trace_ids": usual}, order="drift")
    odd = record_call(home, actor, "translate this poem into Latin hexameter", "carmen")
    add(home, actor, trace_ids=[odd, record_call(home, actor, "where is my parcel number 9", "soon")])
    assert took(home, ANN).item.trace_id == odd


def test_hidden_suggestions_stay_hidden(home: Home, actor: Actor) -> None:
    calls(home, actor, 1)
    queue(home, actor, source={"query": ""}, suggestions=False)
    (item,) = ids_of(home, actor)
    suggest(home, actor, item, "bad", 0.8)
    assert took(home, ANN).suggestion is None
    assert not answer(home, ANN, item, quality="good").saw_suggestion
    with home.begin() as uow, pytest.raises(Invalid):
        service.suggest(uow, actor, item_id=item, suggestion=Suggestion(values={"quality": "odd"}))


def test_a_queue_can_be_changed_by_who_leads_it(home: Home, actor: Actor) -> None:
    calls(home, actor, 1)
    queue(home, actor, source={"query": ""})
    with home.begin() as uow:
        changed = service.change(uow, actor, name="review", changes={"guidelines": "Be fair.", "overlap": 2})
        assert (changed.spec.guidelines, changed.spec.overlap) == ("Be fair.", 2)
        with pytest.raises(Denied):
            service.change(uow, ANN, name="review", changes={"overlap": 1})
        with pytest.raises(Denied):
            service.delete(uow, ANN, name="review")
    answer(home, ANN, took(home, ANN).item.id, quality="good")
    with home.begin() as uow:
        with pytest.raises(Conflict, match="answered"):
            service.change(uow, actor, name="review", changes={"labels": [{**QUALITY, "name": "other"}]})
        with pytest.raises(Invalid):
            service.change(uow, actor, name="review", changes={"kind": "row"})
        service.delete(uow, actor, name="review")
        assert service.list_queues(uow, actor) == []
