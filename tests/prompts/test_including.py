"""Prompts inside prompts: what a label means is looked up once, pinned, and never leads in a circle."""

import pytest

from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.prompts import label_service, service
from penstock.prompts.including import MAX_DEPTH, MAX_INCLUDES
from penstock.prompts.model import Body, Kind, PromptVersion, Variable


def add(uow: UnitOfWork, actor: Actor, name: str, text: str, *variables: Variable) -> PromptVersion:
    body = Body(kind=Kind.TEXT, text=text, variables=variables)
    return service.add_version(uow, actor, name=name, body=body)


def test_an_include_follows_its_label_and_the_answer_says_what_it_was(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        add(uow, actor, "tone", "Be kind, {{ name }}.")
        service.set_label(uow, actor, name="tone", label="live", version=1)
        add(uow, actor, "tone", "Be brief.")
        made = add(
            uow,
            actor,
            "ask",
            "{% include 'tone@live' %} {% include \"tone\" %} {% include 'tone@1' %} {{ q }}",
        )
        assert made.includes == ("tone@live", "tone", "tone@1")
        found = service.render(uow, actor, name="ask", variables={"name": "Ann", "q": "Why?"})
        assert found.text == "Be kind, Ann. Be brief. Be kind, Ann. Why?"
        assert found.includes == {"tone@live": "tone@1", "tone": "tone@2", "tone@1": "tone@1"}
        service.set_label(uow, actor, name="tone", label="live", version=2)
        moved = service.render(uow, actor, name="ask", variables={"name": "Ann", "q": "Why?"})
    assert (moved.text[:9], moved.includes["tone@live"]) == ("Be brief.", "tone@2")


def test_variables_of_what_is_included_are_asked_for_and_may_have_defaults(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        add(uow, actor, "sign", "{{ brand }}", Variable(name="brand", default="Acme", required=False))
        add(uow, actor, "top", "Hi {{ name }}, {% include 'sign' %}")
        assert service.render(uow, actor, name="top", variables={"name": "A"}).text == "Hi A, Acme"
        told = service.render(uow, actor, name="top", variables={"name": "A", "brand": "B"})
        assert told.text == "Hi A, B"
        with pytest.raises(Invalid, match="'name' needs a value"):
            service.render(uow, actor, name="top", variables={})


def test_messages_of_another_chat_prompt_take_the_place_of_the_include(home: Home, actor: Actor) -> None:
    shots = ({"role": "user", "content": "2+2"}, {"role": "assistant", "content": "{{ four }}"})
    top = ({"role": "system", "content": "Count."}, {"include": "shots"}, {"role": "user", "content": "3+3"})
    with home.begin() as uow:
        service.add_version(uow, actor, name="shots", body=Body(kind=Kind.CHAT, messages=shots))
        service.add_version(uow, actor, name="top", body=Body(kind=Kind.CHAT, messages=top))
        found = service.render(uow, actor, name="top", variables={"four": "4"})
        assert [message["content"] for message in found.messages] == ["Count.", "2+2", "4", "3+3"]
        add(uow, actor, "words", "x")
        with pytest.raises(Invalid, match="is a text prompt"):
            body = Body(kind=Kind.CHAT, messages=({"include": "words"},))
            service.add_version(uow, actor, name="wrong", body=body)
        with pytest.raises(Invalid, match="is a chat prompt, which a text cannot include"):
            add(uow, actor, "wrong", "{% include 'shots' %}")


def test_what_is_not_there_is_told_when_the_version_is_added(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        with pytest.raises(Invalid, match="'top' includes what is not there: There is no prompt 'tone'"):
            add(uow, actor, "top", "{% include 'tone' %}")
        add(uow, actor, "tone", "x")
        with pytest.raises(Invalid, match="no label 'live'"):
            add(uow, actor, "top", "{% include 'tone@live' %}")


def test_a_prompt_cannot_include_itself_without_end(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        add(uow, actor, "a", "plain")
        older = add(uow, actor, "a", "{% include 'a@1' %} more")
        assert service.render(uow, actor, name="a", variables={}).text == "plain more"
        assert older.number == 2
    with home.begin() as uow, pytest.raises(Invalid, match="include itself without end: a → a"):
        add(uow, actor, "a", "{% include 'a' %}")


def test_moving_a_label_may_not_close_a_circle(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        add(uow, actor, "b", "plain")
        service.set_label(uow, actor, name="b", label="live", version=1)
        add(uow, actor, "a", "{% include 'b@live' %}")
        add(uow, actor, "b", "{% include 'a' %}")
    with pytest.raises(Invalid, match="end: a → b@live → a"), home.begin() as uow:
        service.set_label(uow, actor, name="b", label="live", version=2)
    with home.read() as uow:
        assert service.find(uow, actor, name="b").labels["live"] == 1, "nothing moved"
        assert service.render(uow, actor, name="a", variables={}).text == "plain"


def test_includes_have_bounds(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        add(uow, actor, "p0", "x")
        for level in range(1, MAX_DEPTH + 1):
            add(uow, actor, f"p{level}", f"{{% include 'p{level - 1}' %}}")
        with pytest.raises(Invalid, match="go deeper than 8 levels"):
            add(uow, actor, "deep", f"{{% include 'p{MAX_DEPTH}' %}}")
        many = "".join(f"{{% include 'p0@{number}' %}}" for number in range(1, MAX_INCLUDES + 2))
        for number in range(2, MAX_INCLUDES + 2):
            add(uow, actor, "p0", f"x{number}")
        with pytest.raises(Invalid, match="includes more than 64 others"):
            add(uow, actor, "wide", many)


def test_many_ways_to_the_same_prompt_are_walked_once(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        add(uow, actor, "p0", ".")
        for level in range(1, MAX_DEPTH):
            add(uow, actor, f"p{level}", f"{{% include 'p{level - 1}' %}}" * 3)
        assert service.render(uow, actor, name="p7", variables={}).text == "." * 3**7


def test_who_includes_a_prompt_is_known(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        add(uow, actor, "tone", "x")
        add(uow, actor, "ask", "{% include 'tone' %}")
        add(uow, actor, "ask", "{% include 'tone@1' %}{% include 'tone' %}")
        service.set_label(uow, actor, name="ask", label="live", version=1)
        found = service.used_by(uow, actor, name="tone")
        rest = service.used_by(uow, actor, name="tone", after=("ask", 2, "tone"))
    assert [(use.prompt, use.version, use.reference, set(use.labels)) for use in found] == [
        ("ask", 2, "tone", {"latest"}),
        ("ask", 2, "tone@1", {"latest"}),
        ("ask", 1, "tone", {"live"}),
    ]
    assert list(rest) == list(found[1:])


def test_projects_do_not_include_each_others_prompts(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        add(uow, actor, "tone", "x")
        with pytest.raises(Invalid, match="not there"):
            add(uow, actor.within("other"), "ask", "{% include 'tone' %}")
        assert label_service.list_requests(uow, actor) == []
