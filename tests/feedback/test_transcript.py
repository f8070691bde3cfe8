"""Reading recorded calls."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.feedback.transcript import messages_of, text_of

USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("recorded", "messages"),
    [
        ({"model": "m", "messages": [USER]}, (USER,)),
        ([USER], (USER,)),
        ("hi", (USER,)),
        ({"prompt": "hi"}, (USER,)),
        ([{"role": "user", "parts": [{"type": "text", "content": "hi"}]}], (USER,)),
        ([{"role": "user", "parts": [{"type": "blob", "content": "AA"}]}], ()),
        ({"system": "be kind", "messages": [USER]}, ({"role": "system", "content": "be kind"}, USER)),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}, (USER,)),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url"}]}
                ]
            },
            (),
        ),
        ({"messages": [USER, {"role": "assistant", "content": None, "tool_calls": []}]}, ()),
        ({"messages": "hi"}, ()),
        (17, ()),
    ],
)
def test_requests(recorded: Any, messages: tuple[dict[str, str], ...]) -> None:
    assert messages_of(msgspec.json.encode(recorded)) == messages


@pytest.mark.parametrize(
    ("recorded", "text"),
    [
        ({"choices": [{"message": {"role": "assistant", "content": "ho"}}]}, "ho"),
        ({"choices": [{"text": "ho"}]}, "ho"),
        ({"role": "assistant", "content": [{"type": "text", "text": "ho"}]}, "ho"),
        ([USER, {"role": "assistant", "content": "ho"}], "ho"),
        ("ho", "ho"),
        ([{"role": "assistant", "parts": [{"type": "text", "content": "ho"}]}], "ho"),
        ({"choices": [{"message": {"role": "assistant", "content": None}}]}, None),
        ({}, None),
        ([], None),
        (None, None),
    ],
)
def test_answers(recorded: Any, text: str | None) -> None:
    assert text_of(msgspec.json.encode(recorded)) == text


def test_what_is_not_json_is_nothing() -> None:
    assert messages_of(b"{broken") == ()
    assert text_of(b"\xff") is None
    assert text_of(None) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["messages", "content", "role", "choices", "message", "text", "type"]), inner
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_json_is_survived(value: Any) -> None:
    document = msgspec.json.encode(value)
    for message in messages_of(document):
        assert isinstance(message["content"], str)
    assert isinstance(text_of(document), str | None)
