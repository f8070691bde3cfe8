"""Prompts: versions never change, labels move, projects are apart."""

import pytest

from penstock.core.auth import service as auth
from penstock.core.errors import Conflict, Denied, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.prompts import service
from penstock.prompts.model import Body, Kind


def body(text: str) -> Body:
    return Body(kind=Kind.TEXT, text=text)


def test_the_same_body_again_is_the_same_version(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        first = service.add_version(uow, actor, name="greet", body=body("Hello {{ name }}"))
        again = service.add_version(uow, actor, name="greet", body=body("Hello {{ name }}"))
        other = service.add_version(uow, actor, name="greet", body=body("Hi {{ name }}"))
    assert (first.number, again.id, other.number) == (1, first.id, 2)


def test_a_label_moves_and_its_history_stays(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        for text in ("one", "two"):
            service.add_version(uow, actor, name="p", body=body(text))
        service.set_label(uow, actor, name="p", label="production", version=2)
        service.set_label(uow, actor, name="p", label="production", version=1)
        service.set_label(uow, actor, name="p", label="production", version=1)
    with home.read() as uow:
        assert service.get(uow, actor, name="p").body.text == "one", "production is the default"
        assert service.get(uow, actor, name="p", label="latest").body.text == "two"
        moves = service.history(uow, actor, name="p")
    assert [(m.version, m.previous) for m in moves] == [(1, 2), (2, None)]


def test_latest_cannot_be_moved_by_hand(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        service.add_version(uow, actor, name="p", body=body("x"))
        with pytest.raises(Invalid, match="moves by itself"):
            service.set_label(uow, actor, name="p", label="latest", version=1)


def test_what_is_missing_is_told_by_name(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        service.add_version(uow, actor, name="p", body=body("x"))
        with pytest.raises(NotFound, match="no prompt 'q'"):
            service.get(uow, actor, name="q")
        with pytest.raises(NotFound, match="no version 9"):
            service.get(uow, actor, name="p", version=9)
        with pytest.raises(NotFound, match="no label 'staging'"):
            service.get(uow, actor, name="p", label="staging")
        with pytest.raises(Conflict):
            service.create(uow, actor, name="p")


def test_projects_do_not_see_each_other(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        auth.create_project(uow, actor, name="other")
        service.add_version(uow, actor, name="p", body=body("x"))
        with pytest.raises(NotFound):
            service.get(uow, actor.within("other"), name="p")
        assert service.search(uow, actor.within("other")) == []


def test_viewers_read_and_do_not_write(home: Home, actor: Actor) -> None:
    viewer = Actor(id="key_v", name="v", role=Role.VIEWER, scope=actor.scope)
    with home.begin() as uow:
        service.add_version(uow, actor, name="p", body=body("x"))
        assert service.get(uow, viewer, name="p").number == 1
        with pytest.raises(Denied, match="needs the role member"):
            service.add_version(uow, viewer, name="p", body=body("y"))


def test_search_takes_wildcards_literally(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        service.create(uow, actor, name="a", description="100% sure")
        service.create(uow, actor, name="b", description="100 sure")
        assert [p.name for p in service.search(uow, actor, text="100%")] == ["a"]


def test_render_fills_the_labelled_version(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        service.add_version(uow, actor, name="p", body=body("Hello {{ name }}"))
        service.set_label(uow, actor, name="p", label="production", version=1)
        service.add_version(uow, actor, name="p", body=body("Bye {{ name }}"))
    with home.read() as uow:
        rendered = service.render(uow, actor, name="p", variables={"name": "Ann"})
    assert (rendered.ref, rendered.text) == ("p@1", "Hello Ann")


def test_a_label_is_taken_away(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        service.add_version(uow, actor, name="p", body=body("one"))
        service.set_label(uow, actor, name="p", label="live", version=1)
        assert "live" not in service.remove_label(uow, actor, name="p", label="live").labels
        with pytest.raises(NotFound):
            service.remove_label(uow, actor, name="p", label="live")
