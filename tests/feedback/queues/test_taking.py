"""An annotator's way through a queue, on both databases."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from tests.feedback.queues.support import answer, calls, overview, person, queue, take, took

from penstock.core import clock
from penstock.core.errors import Conflict, Denied, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor, Role, Scope
from penstock.feedback import service as feedback
from penstock.feedback.model import Kind
from penstock.feedback.queues import service
from penstock.feedback.queues.model import WorkState
from penstock.traces import service as traces

ANN, BOB, CY = person("ann"), person("bob"), person("cy")


def later(monkeypatch: pytest.MonkeyPatch, **step: float) -> None:
    """Let the clock stand still at so much later than now."""
    moment = clock.now() + timedelta(**step)
    monkeypatch.setattr(clock, "now", lambda: moment)


def test_an_item_is_shown_answered_and_becomes_feedback(home: Home, actor: Actor) -> None:
    (trace,) = calls(home, actor, 1)
    queue(home, actor, source={"query": ""})
    taken = took(home, ANN)
    assert taken.content["messages"] == [{"role": "user", "content": "question 0"}]
    assert (taken.content["output"], taken.item.trace_id) == ("answer 0", trace)
    work = answer(home, ANN, taken.item.id, quality="fair", comment="so so")
    assert (work.state, work.answer) == (WorkState.ANSWERED, {"quality": "fair"})
    assert take(home, ANN) is None
    with home.read() as uow:
        (given,) = feedback.list_feedback(uow, actor, trace_id=trace)
        (score,) = traces.scores_of(uow, actor, trace_id=trace)
    assert (given.name, given.kind, given.text, given.comment) == ("quality", Kind.LABEL, "fair", "so so")
    assert (given.actor, given.source, score.name) == ("ann", "annotator", "quality")
    found = overview(home, actor)
    assert (found.progress.items, found.progress.done, found.progress.open) == (1, 1, 0)


def test_an_item_is_held_until_its_reservation_ends(
    home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls(home, actor, 2)
    queue(home, actor, source={"query": ""}, reserve_minutes=10)
    first, second = took(home, ANN), took(home, BOB)
    assert first.item.id != second.item.id
    assert took(home, ANN).item.id == first.item.id, "asking again gives the same item"
    assert take(home, CY) is None, "both are held"
    assert overview(home, actor).progress.reserved == 2
    later(monkeypatch, minutes=11)
    assert overview(home, actor).progress.reserved == 0
    assert took(home, CY).item.id == first.item.id
    with pytest.raises(Conflict, match="others are at it"):
        answer(home, ANN, first.item.id, quality="good")
    answer(home, BOB, second.item.id, quality="good")  # late, but nobody took it
    answer(home, CY, first.item.id, quality="bad")
    assert overview(home, actor).progress.done == 2


def test_a_draft_is_kept_and_keeps_the_item(
    home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls(home, actor, 1)
    queue(home, actor, source={"query": ""}, reserve_minutes=10)
    item = took(home, ANN).item.id
    later(monkeypatch, minutes=8)
    with home.begin() as uow:
        service.draft(uow, ANN, item_id=item, values={"quality": "not yet an option"}, comment="hm")
    later(monkeypatch, minutes=8)
    assert take(home, BOB) is None, "the draft prolonged the reservation"
    again = took(home, ANN)
    assert (again.work.draft, again.work.comment) == ({"quality": "not yet an option"}, "hm")
    answer(home, ANN, item, quality="good")
    with home.begin() as uow, pytest.raises(Conflict):
        service.draft(uow, ANN, item_id=item, values={})


def test_each_item_gets_as_many_answers_as_the_overlap(home: Home, actor: Actor) -> None:
    calls(home, actor, 3)
    queue(home, actor, source={"query": ""}, overlap=2)
    for who, values in ((ANN, "good bad good"), (BOB, "good bad bad"), (CY, "")):
        for value in values.split():
            answer(home, who, took(home, who).item.id, quality=value)
    assert take(home, CY) is None
    found = overview(home, actor)
    assert (found.progress.done, found.progress.disputed) == (3, 1)
    same, kappa, alpha = found.agreement
    assert (same.kind, same.n, round(same.value, 3)) == ("same", 3, 0.667)
    assert (kappa.kind, round(kappa.value, 3)) == ("cohen", 0.4)
    assert (alpha.kind, alpha.n) == ("alpha", 3)
    assert alpha.low <= alpha.value <= alpha.high
    assert [(one.name, one.answered) for one in found.annotators] == [("ann", 3), ("bob", 3)]


def test_what_is_skipped_goes_to_others(home: Home, actor: Actor) -> None:
    calls(home, actor, 1)
    queue(home, actor, source={"query": ""})
    item = took(home, ANN).item.id
    with home.begin() as uow:
        service.skip(uow, ANN, item_id=item, comment="not my language")
    assert take(home, ANN) is None
    assert overview(home, actor).progress.skipped == 1
    assert took(home, BOB).item.id == item
    with home.begin() as uow, pytest.raises(Conflict, match="Others have taken"):
        service.undo(uow, ANN, item_id=item)
    with pytest.raises(Conflict, match="skipped"):
        answer(home, ANN, item, quality="good")


def test_undo_takes_an_answer_back_with_its_feedback(home: Home, actor: Actor) -> None:
    (trace,) = calls(home, actor, 1)
    queue(home, actor, source={"query": ""})
    item = took(home, ANN).item.id
    answer(home, ANN, item, quality="good")
    with home.begin() as uow:
        back = service.undo(uow, ANN, item_id=item)
    assert back.work.draft == {"quality": "good"}
    assert took(home, ANN).item.id == item
    with home.read() as uow:
        assert feedback.list_feedback(uow, actor, trace_id=trace) == []
        assert traces.scores_of(uow, actor, trace_id=trace) == []
    assert overview(home, actor).progress.done == 0
    answer(home, ANN, item, quality="bad")
    with home.read() as uow:
        assert [one.text for one in feedback.list_feedback(uow, actor, trace_id=trace)] == ["bad"]
    with home.begin() as uow, pytest.raises(Conflict, match="nothing of yours"):
        service.undo(uow, BOB, item_id=item)


def test_the_same_answer_twice_counts_once(home: Home, actor: Actor) -> None:
    (trace,) = calls(home, actor, 1)
    queue(home, actor, source={"query": ""}, overlap=3)
    item = took(home, ANN).item.id
    first, second = (answer(home, ANN, item, quality="good") for _ in range(2))
    assert first == second
    with pytest.raises(Conflict, match="Undo"):
        raise_for(lambda: answer(home, ANN, item, quality="bad"))
    with home.read() as uow:
        (found,) = service.list_items(uow, actor, name="review")
        assert found[0].answers == 1
        assert len(feedback.list_feedback(uow, actor, trace_id=trace)) == 1


def raise_for(call: Any) -> None:
    """Call it; the conflict's hint becomes part of its message."""
    try:
        call()
    except Conflict as error:
        raise Conflict(f"{error.message} {error.hint}") from error


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "needs an answer"),
        ({"quality": "great"}, "not an option"),
        ({"quality": "good", "mood": 1}, "no label"),
    ],
)
def test_answers_must_fit_the_labels(home: Home, actor: Actor, values: dict[str, Any], message: str) -> None:
    calls(home, actor, 1)
    queue(home, actor, source={"query": ""})
    item = took(home, ANN).item.id
    with pytest.raises(Invalid, match=message):
        answer(home, ANN, item, **values)
    assert overview(home, actor).progress.done == 0


def test_only_named_annotators_may_answer(home: Home, actor: Actor) -> None:
    calls(home, actor, 1)
    queue(home, actor, source={"query": ""}, annotators=["bob"])
    with pytest.raises(Denied):
        take(home, ANN)
    item = took(home, BOB).item.id
    with pytest.raises(Denied):
        answer(home, ANN, item, quality="good")
    with pytest.raises(Denied):
        take(home, person("eve", Role.VIEWER))


def test_items_can_be_for_one_person(home: Home, actor: Actor) -> None:
    one, two = calls(home, actor, 2)
    queue(home, actor)
    service.add(home, actor, name="review", source={"trace_ids": [one]}, assigned="bob")
    service.add(home, actor, name="review", source={"trace_ids": [two]})
    assert took(home, ANN).item.trace_id == two
    assert took(home, BOB).item.trace_id == one
    assert take(home, CY) is None


def test_items_whose_trace_is_gone_are_passed_over(home: Home, actor: Actor) -> None:
    one, two = calls(home, actor, 2)
    queue(home, actor, source={"trace_ids": [one, two]})
    traces.delete_trace(home, actor, trace_id=one)
    assert took(home, ANN).item.trace_id == two
    found = overview(home, actor).progress
    assert (found.gone, found.open, found.items) == (1, 1, 2)


@pytest.mark.parametrize("overlap", [1, 2])
def test_no_item_is_handed_to_more_people_than_it_needs(home: Home, actor: Actor, overlap: int) -> None:
    calls(home, actor, 12)
    queue(home, actor, source={"query": ""}, overlap=overlap)
    people = [person(f"p{n}") for n in range(4)]
    start = threading.Barrier(len(people))

    def work(who: Actor) -> list[tuple[str, str]]:
        done = []
        start.wait()
        while (taken := take(home, who)) is not None:
            done.append((who.id, taken.item.id))
            answer(home, who, taken.item.id, quality="good")
        return done

    with ThreadPoolExecutor(len(people)) as pool:
        given = [one for done in pool.map(work, people) for one in done]
    assert len(given) == len(set(given)) == 12 * overlap
    found = overview(home, actor)
    assert (found.progress.done, found.progress.open) == (12, 0)
    with home.read() as uow:
        assert {item.answers for item, _ in service.list_items(uow, actor, name="review")} == {overlap}


def test_reservations_are_atomic_too(home: Home, actor: Actor) -> None:
    calls(home, actor, 3)
    queue(home, actor, source={"query": ""})
    people = [person(f"p{n}") for n in range(6)]
    start = threading.Barrier(len(people))

    def work(who: Actor) -> str | None:
        start.wait()
        found = take(home, who)
        return None if found is None else found.item.id

    with ThreadPoolExecutor(len(people)) as pool:
        taken = list(pool.map(work, people))
    assert taken.count(None) == 3
    assert len(set(taken)) == 4


def test_another_project_and_tenant_see_nothing(home: Home, actor: Actor) -> None:
    (trace,) = calls(home, actor, 1)
    made = queue(home, actor, source={"query": ""})
    item = took(home, ANN).item.id
    for scope in (Scope("default", "other"), Scope("other", "default")):
        stranger = person("ann", Role.OWNER, scope)
        with home.begin() as uow:
            assert service.list_queues(uow, stranger) == []
            for call in (
                lambda uow=uow, who=stranger: service.take(uow, who, name="review"),
                lambda uow=uow, who=stranger: service.overview(uow, who, name="review"),
                lambda uow=uow, who=stranger: service.list_items(uow, who, name="review"),
                lambda uow=uow, who=stranger: service.delete(uow, who, name="review"),
                lambda uow=uow, who=stranger: service.show(uow, who, item_id=item),
                lambda uow=uow, who=stranger: service.undo(uow, who, item_id=item),
                lambda uow=uow, who=stranger: service.answer(
                    uow, who, item_id=item, values={"quality": "bad"}
                ),
                lambda uow=uow, who=stranger: service.adjudicate(
                    uow, who, item_id=item, values={"quality": "bad"}
                ),
            ):
                with pytest.raises(NotFound):
                    call()
        own = queue(home, stranger, source={"trace_ids": [trace]})
        assert own.id != made.id
        assert overview(home, stranger).progress.items == 0, "nor does it find the other's traces"
    assert overview(home, actor).progress.items == 1
