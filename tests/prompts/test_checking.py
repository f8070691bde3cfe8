"""What a version may not say is told by name and place."""

from typing import Any

import pytest

from penstock.core.errors import Invalid
from penstock.prompts.checking import check_value
from penstock.prompts.model import Body, Kind, Reference, Variable


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"settings": {"temperature": 3}}, "'temperature' must be a number from 0 to 2"),
        ({"settings": {"temperature": "hot"}}, "'temperature' must be a number"),
        ({"settings": {"max_tokens": 0}}, "a whole number above 0"),
        ({"settings": {"max_tokens": True}}, "a whole number above 0"),
        ({"settings": {"messages": []}}, "'messages' is not a setting. Put it into `messages`"),
        ({"settings": {"stream": True}}, "for the caller to say"),
        ({"tools": ({"function": {"name": "f"}},)}, "Tool 1 needs a `type`"),
        ({"tools": ({"type": "function", "function": {"name": "no spaces"}},)}, "Tool 1 needs"),
        ({"tools": ({"type": "function", "function": {"name": "f"}},) * 2}, "Two tools are named 'f'"),
        ({"output_schema": {"title": "x"}}, "says nothing about the answer"),
        ({"variables": (Variable(name="1x"),)}, "cannot name a variable"),
        ({"variables": (Variable(name="x", type="strin"),)}, "Did you mean 'string'"),
        ({"variables": (Variable(name="x", type="number", default="3"),)}, "must be a number, not str"),
        ({"variables": (Variable(name="x"), Variable(name="x"))}, "same name: 'x'"),
    ],
)
def test_mistakes_of_a_version(more: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid) as told:
        Body(kind=Kind.TEXT, text="x", **more).check()
    assert says in str(told.value)


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ({"role": "user"}, "Message 1 needs a `content`"),
        ({"role": "wizard", "content": "x"}, "Message 1 needs a role"),
        ({"placeholder": "x", "role": "user"}, "and nothing else in it"),
        ({"include": 3}, "and nothing else in it"),
        ({"role": "user", "content": ["x"]}, "Part 1 of message 1 needs a `type`"),
    ],
)
def test_mistakes_of_a_message(message: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid) as told:
        Body(kind=Kind.CHAT, messages=(message,)).check()
    assert says in str(told.value)


def test_what_only_a_provider_knows_passes() -> None:
    Body(kind=Kind.TEXT, text="x", settings={"model": "m", "thinking": {"type": "enabled"}}).check()
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    Body(kind=Kind.CHAT, messages=({"role": "assistant", "content": None, "tool_calls": [call]},)).check()


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("integer", 3, 3.5),
        ("integer", -1, True),
        ("number", 3.5, "3"),
        ("image", "https://example.org/a.png", "a.png"),
        ("image", "data:image/png;base64,iVBOR", "data:text/plain;base64,AA"),
        ("messages", [{"role": "user", "content": "x"}], [{"role": "wizard"}]),
        ("object", {}, []),
    ],
)
def test_types_of_values(kind: str, good: Any, bad: Any) -> None:
    check_value("x", kind, good)
    with pytest.raises(Invalid, match="'x' must be"):
        check_value("x", kind, bad)


def test_references_are_read() -> None:
    assert Reference.read("tone") == Reference(name="tone")
    assert Reference.read("tone@3") == Reference(name="tone", version=3)
    assert Reference.read("tone@production") == Reference(name="tone", label="production")
    for wrong in ("", "@3", "tone@", "tone@0", "Tone", "a b", "tone@3@4"):
        with pytest.raises(Invalid, match="does not name a prompt"):
            Reference.read(wrong)
