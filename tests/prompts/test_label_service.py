"""Protected labels move when somebody else approves; any label goes back one step at a time."""

import pytest

from penstock.core.auth import service as auth
from penstock.core.errors import Conflict, Denied, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.core.uow import UnitOfWork
from penstock.prompts import label_service, service
from penstock.prompts.model import Body, Kind, LabelRequest, Prompt, RequestState


def member(actor: Actor, name: str) -> Actor:
    return Actor(id=f"key_{name}", name=name, role=Role.MEMBER, scope=actor.scope)


@pytest.fixture
def prompt(home: Home, actor: Actor) -> str:
    """A prompt of four versions whose label `production` is protected and points at the first."""
    with home.begin() as uow:
        for number in range(1, 5):
            service.add_version(uow, actor, name="p", body=Body(kind=Kind.TEXT, text=f"v{number}"))
        service.set_label(uow, actor, name="p", label="production", version=1)
        label_service.protect(uow, actor, name="p", label="production")
    return "p"


def ask(uow: UnitOfWork, asker: Actor, version: int) -> LabelRequest:
    found = label_service.point(uow, asker, name="p", label="production", version=version, note="better")
    assert isinstance(found, LabelRequest)
    return found


def test_a_protected_label_waits_for_somebody_else(home: Home, actor: Actor, prompt: str) -> None:
    ann, bob = member(actor, "ann"), member(actor, "bob")
    with home.begin() as uow:
        request = ask(uow, ann, 2)
        assert ask(uow, ann, 2).id == request.id, "asked once"
        assert service.find(uow, actor, name=prompt).labels["production"] == 1
        with pytest.raises(Denied, match="You asked for this yourself"):
            label_service.approve(uow, ann, id=request.id)
        done = label_service.approve(uow, bob, id=request.id, reason="measured")
        found = service.find(uow, actor, name=prompt)
        (move, _) = service.history(uow, actor, name=prompt, label="production")
    assert (done.state, done.decided_by, done.reason) == (RequestState.APPROVED, "bob", "measured")
    assert (found.labels["production"], found.protected) == (2, ("production",))
    assert (move.version, move.previous, move.actor, move.approved_by, move.note) == (
        2,
        1,
        "ann",
        "bob",
        "better",
    )


def test_a_key_stands_for_the_person_who_made_it(home: Home, actor: Actor, prompt: str) -> None:
    with home.begin() as uow:
        own, _ = auth.create_key(uow, actor, name="laptop", role=Role.MEMBER)
        colleagues, _ = auth.create_key(uow, actor, name="ann", role=Role.MEMBER)
        by_person, by_key = ask(uow, actor, 2), ask(uow, own.actor(), 3)
        for asked, approver in ((by_person, own.actor()), (by_key, actor)):
            with pytest.raises(Denied, match="You asked for this yourself"):
                label_service.approve(uow, approver, id=asked.id)
        done = label_service.approve(uow, colleagues.actor(), id=by_key.id)
        assert done.state is RequestState.APPROVED, "two keys of one maker may be two people's"


def test_nobody_gets_around_the_protection(home: Home, actor: Actor, prompt: str) -> None:
    with home.begin() as uow:
        with pytest.raises(Denied, match="is protected"):
            service.set_label(uow, actor, name=prompt, label="production", version=2)
        with pytest.raises(Denied, match="is protected"):
            service.remove_label(uow, actor, name=prompt, label="production")
        with pytest.raises(Denied, match="needs the role admin"):
            label_service.unprotect(uow, member(actor, "ann"), name=prompt, label="production")
        with pytest.raises(Denied, match="needs the role admin"):
            label_service.protect(uow, member(actor, "ann"), name=prompt, label="live")
        viewer = Actor(id="key_v", name="v", role=Role.VIEWER, scope=actor.scope)
        request = ask(uow, actor, 2)
        with pytest.raises(Denied):
            label_service.approve(uow, viewer, id=request.id)
        with pytest.raises(NotFound):
            label_service.approve(uow, member(actor, "bob").within("other"), id=request.id)
        assert service.find(uow, actor, name=prompt).labels["production"] == 1


def test_a_request_is_decided_once(home: Home, actor: Actor, prompt: str) -> None:
    ann, bob = member(actor, "ann"), member(actor, "bob")
    with home.begin() as uow:
        request = ask(uow, ann, 2)
        assert label_service.reject(uow, bob, id=request.id, reason="no").state is RequestState.REJECTED
        with pytest.raises(Conflict, match="rejected already, by bob"):
            label_service.approve(uow, bob, id=request.id)
        again = ask(uow, ann, 2)
        assert again.id != request.id
        assert label_service.reject(uow, ann, id=again.id).decided_by == "ann", "taken back"
        listed = label_service.list_requests(uow, actor, name=prompt)
        assert [each.id for each in listed] == [again.id, request.id]
        assert label_service.list_requests(uow, actor, state=RequestState.OPEN) == []
        with pytest.raises(NotFound):
            label_service.approve(uow, bob, id="prq_nope")


def test_a_label_that_moved_since_must_be_asked_for_again(home: Home, actor: Actor, prompt: str) -> None:
    ann, bob = member(actor, "ann"), member(actor, "bob")
    with home.begin() as uow:
        first, second = ask(uow, ann, 2), ask(uow, ann, 3)
        label_service.approve(uow, bob, id=second.id)
        with pytest.raises(Conflict, match="has moved since"):
            label_service.approve(uow, bob, id=first.id)
        assert service.find(uow, actor, name=prompt).labels["production"] == 3


def test_without_protection_a_label_moves_at_once(home: Home, actor: Actor, prompt: str) -> None:
    with home.begin() as uow:
        label_service.unprotect(uow, actor, name=prompt, label="production")
        moved = label_service.point(uow, actor, name=prompt, label="production", version=3)
        assert isinstance(moved, Prompt) and moved.labels["production"] == 3
        with pytest.raises(NotFound, match="not protected"):
            label_service.unprotect(uow, actor, name=prompt, label="production")
        with pytest.raises(NotFound):
            label_service.point(uow, actor, name=prompt, label="production", version=9)
        with pytest.raises(Invalid):
            label_service.protect(uow, actor, name=prompt, label="latest")


def test_rolling_back_goes_one_step_each_time(home: Home, actor: Actor) -> None:
    def back() -> int:
        with home.begin() as uow:
            return label_service.roll_back(uow, actor, name="p", label="live").labels["live"]

    with home.begin() as uow:
        for number in range(1, 5):
            service.add_version(uow, actor, name="p", body=Body(kind=Kind.TEXT, text=f"v{number}"))
        with pytest.raises(NotFound):
            label_service.roll_back(uow, actor, name="p", label="live")
        for number in (1, 3, 2):
            service.set_label(uow, actor, name="p", label="live", version=number)
    assert [back(), back()] == [3, 1]
    with pytest.raises(Conflict, match="nothing but p@1"):
        back()
    with home.begin() as uow:
        service.set_label(uow, actor, name="p", label="live", version=4)
    assert back() == 1
    with home.read() as uow:
        moves = service.history(uow, actor, name="p", label="live")
        assert [(move.version, move.kind) for move in moves[:2]] == [(1, "rollback"), (4, "set")]
        assert service.history(uow, actor, name="p", label="other") == []


def test_a_protected_label_goes_back_at_once(home: Home, actor: Actor, prompt: str) -> None:
    with home.begin() as uow:
        label_service.approve(uow, member(actor, "bob"), id=ask(uow, member(actor, "ann"), 2).id)
        found = label_service.roll_back(
            uow, member(actor, "ann"), name=prompt, label="production", note="down"
        )
        (move, *_) = service.history(uow, actor, name=prompt, label="production")
    assert (found.labels["production"], move.kind, move.note) == (1, "rollback", "down")


def test_tags_and_text_find_prompts(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        service.create(uow, actor, name="a", tags=("mail", "Größe"))
        service.create(uow, actor, name="b", tags=("mail",))
        service.add_version(uow, actor, name="c", body=Body(kind=Kind.TEXT, text='Say "triage"\nnow: 50 %'))
        service.describe(uow, actor, name="c", tags=("urgent", "urgent"), description="for tickets")

        def names(text: str = "", *tags: str) -> list[str]:
            return [prompt.name for prompt in service.search(uow, actor, text=text, tags=tags)]

        assert names("", "mail") == ["a", "b"]
        assert names("", "mail", "Größe") == ["a"]
        assert names("", "mai") == [], "a tag is a whole word"
        assert names('say "TRIAGE"') == names("tickets") == names("50 %") == names("urgent") == ["c"]
        assert names("größe") == ["a"] or names("Größe") == ["a"]
        service.add_version(uow, actor, name="c", body=Body(kind=Kind.TEXT, text="other"))
        assert names("triage") == [], "the newest version counts"
        assert service.find(uow, actor, name="c").tags == ("urgent",)
        with pytest.raises(Invalid, match="at most 50 tags"):
            service.describe(uow, actor, name="c", tags=("",))
