"""What feedback can be about beside a trace: a session, an answer by its ids; erasing all of it. On both databases."""

import pytest
from fastapi.testclient import TestClient
from tests.feedback.queues.support import answer, calls, overview, person, queue, took
from tests.feedback.test_service import give, record_call

from penstock.core import ids
from penstock.core.errors import Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.subjects import Subject, SubjectKind
from penstock.feedback import service, subjects
from penstock.feedback.queues import service as queues


def test_a_session_is_judged_as_a_whole(home: Home, actor: Actor) -> None:
    given = give(home, actor, "", "rating", 4, session="talk-1", subject="ada")
    assert (given.session, given.trace_id, given.subject, given.route) == ("talk-1", "", "ada", "")
    give(home, actor, "", "correction", "otherwise", session="talk-1")
    with home.read() as uow:
        assert len(service.list_feedback(uow, actor, session="talk-1")) == 2
        assert service.to_sft_rows(uow, actor).rows == ()
    with pytest.raises(Invalid, match="not both"):
        give(home, actor, ids.new_trace_id(), "thumb", "up", session="talk-1")
    with pytest.raises(Invalid, match="at most 200"):
        give(home, actor, "", "thumb", "up", session="x" * 201)
    with home.begin() as uow:
        service.withdraw(uow, actor, id=given.id)
        assert len(service.list_feedback(uow, actor, session="talk-1")) == 1


def test_an_answer_is_found_by_its_response_id(home: Home, actor: Actor) -> None:
    trace = record_call(home, actor, "q", "a", response_id="chatcmpl-77")
    given = give(home, actor, "", "thumb", "up", response_id="chatcmpl-77")
    assert (given.trace_id, given.route, given.subject) == (trace, "ticket-triage", "ada")
    assert given.span_id is not None
    with pytest.raises(NotFound, match="chatcmpl-78"):
        give(home, actor, "", "thumb", "up", response_id="chatcmpl-78")
    with pytest.raises(Invalid, match="needs the trace id"):
        give(home, actor, "", "thumb", "up")


def test_demonstrations_become_examples(home: Home, actor: Actor) -> None:
    trace = record_call(home, actor, "q", "a")
    give(home, actor, trace, "demonstration", "a good one")
    with home.read() as uow:
        assert [row["completion"] for row in service.to_sft_rows(uow, actor).rows] == ["a good one"]
        assert service.to_preference_rows(uow, actor).rows == ()


def test_over_http(client: TestClient, home: Home, actor: Actor) -> None:
    record_call(home, actor, "q", "a", response_id="chatcmpl-1")
    made = client.post("/api/v1/feedback", json={"session": "s", "name": "thumb", "value": True})
    assert (made.status_code, made.json()["session"]) == (201, "s")
    assert [one["id"] for one in client.get("/api/v1/feedback?session=s").json()["items"]] == [
        made.json()["id"]
    ]
    by_id = {"response_id": "chatcmpl-1", "name": "thumb", "value": True}
    assert client.post("/api/v1/feedback", json=by_id).status_code == 201


def test_a_person_is_erased_from_queues_too(home: Home, actor: Actor) -> None:
    (mine,) = calls(home, actor, 1)
    calls(home, actor, 1, user="bob")
    queue(home, actor, source={"query": ""})
    ann = person("ann")
    for _ in range(2):
        answer(home, ann, took(home, ann).item.id, quality="good")
    ada = Subject(SubjectKind.USER, "ada")
    kinds = [record.kind for record in subjects.HANDLER.export(home, actor, ada)]
    assert sorted(kinds) == ["feedback", "judgement", "queue_item"]
    things = subjects.HANDLER.things(home, actor, ada)
    assert sorted(kind for kind, _ in things) == ["feedback", "judgement"]
    assert subjects.HANDLER.erase(home, actor, ada, True) == {"judgements": 1, "queue_items": 1}
    assert overview(home, actor).progress.items == 2
    assert subjects.HANDLER.erase(home, actor, ada, False) == {"judgements": 1, "queue_items": 1}
    assert overview(home, actor).progress.items == 1
    with home.read() as uow:
        ((left, works),) = queues.list_items(uow, actor, name="review")
        assert left.trace_id != mine
        assert [work.annotator_name for work in works] == ["ann"]
        assert service.list_feedback(uow, actor, trace_id=mine) == []
    assert list(subjects.HANDLER.export(home, actor, ada)) == []


def test_a_session_is_erased_with_what_was_said_of_it(home: Home, actor: Actor) -> None:
    give(home, actor, "", "thumb", "up", session="talk-1")
    give(home, actor, "", "thumb", "up", session="talk-2")
    talk = Subject(SubjectKind.SESSION, "talk-1")
    assert subjects.HANDLER.erase(home, actor, talk, False) == {"judgements": 1, "queue_items": 0}
    with home.read() as uow:
        assert [one.session for one in service.list_feedback(uow, actor)] == ["talk-2"]
