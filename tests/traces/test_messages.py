import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.traces import documents, messages

WORDS = (
    "role",
    "type",
    "content",
    "parts",
    "messages",
    "tool_calls",
    "function",
    "text",
    "image_url",
    "source",
    "data",
)
VALUES = (
    "user",
    "human",
    "text",
    "tool_use",
    "image",
    "constructor",
    "file",
    "reasoning",
    "",
    "data:x",
    "[{",
    "{}",
)
shapes = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(VALUES)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=400, deadline=None)
@given(shapes, st.sampled_from(["user", "assistant"]))
def test_whatever_comes_is_a_conversation_or_none(value: Any, role: str) -> None:
    found = messages.canonical(value, role)
    if found is not None:
        for one in found:
            assert isinstance(one["role"], str)
            assert all(isinstance(part, dict) for part in one["parts"])
        encoded = documents.encode(found)
        assert messages.of_document(encoded, role) is not None


@settings(max_examples=200, deadline=None)
@given(shapes)
def test_what_has_the_one_shape_keeps_it(value: Any) -> None:
    """Reading a conversation twice says what reading it once said, so that readers need not know who stored it."""
    first = messages.canonical(value, "user")
    if first and all(part["type"] in PLAIN for one in first for part in one["parts"] if "type" in part):
        typed = [one for one in first if all(part.get("type") in PLAIN for part in one["parts"])]
        clean = [{"role": one["role"], "parts": one["parts"]} for one in typed if one["parts"]]
        assert messages.canonical(clean, "user") == clean


PLAIN = {"text"}

TEXT = [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
FORMS: list[tuple[Any, Any]] = [
    ({"content": {"type": ["a"], "x": 1}}, [{"role": "user", "parts": [{"type": '["a"]', "x": 1}]}]),
    ("hi", TEXT),
    ({"role": "user", "content": "hi"}, TEXT),
    ([{"role": "user", "content": [{"type": "text", "text": "hi"}]}], TEXT),
    ({"messages": [{"role": "user", "content": "hi"}], "model": "m"}, TEXT),
    ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}]}, TEXT),
    ({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}, TEXT),
    ({"messages": [["human", "x"]]}, None),
    ({"messages": [{"type": "human", "data": {"content": "hi", "type": "human"}}]}, TEXT),
    ({"prompt": "hi"}, TEXT),
    ({"anything": "else"}, None),
    (3, None),
]


@pytest.mark.parametrize("form", range(len(FORMS)))
def test_requests_of_every_api_say_the_same(form: int) -> None:
    value, expected = FORMS[form]
    if expected is None:
        found = messages.canonical(value, "user")
        assert found is None or found != TEXT
    else:
        assert messages.canonical(value, "user") == expected
        assert messages.of_document(json.dumps(value).encode(), "user") == expected


def test_parts_of_every_api() -> None:
    content = [
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AA"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "BB"}},
        {"type": "document", "source": {"type": "file", "file_id": "f1"}},
        {"type": "input_audio", "input_audio": {"format": "mp3", "data": "CC"}},
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {
            "type": "tool_result",
            "tool_use_id": "t1",
            "content": [{"type": "text", "text": "ok"}],
            "is_error": True,
        },
        {"type": "file", "file_id": "f2", "modality": "video"},
        {"type": "unheard_of", "x": 1},
        {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://v"}},
    ]
    (found,) = messages.canonical([{"role": "user", "content": content}], "user") or []
    assert found["parts"] == [
        {"type": "blob", "modality": "image", "mime_type": "image/jpeg", "content": "AA"},
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "BB"},
        {"type": "file", "modality": "document", "file_id": "f1"},
        {"type": "blob", "modality": "audio", "mime_type": "audio/mp3", "content": "CC"},
        {"type": "reasoning", "content": "hm", "signature": "s"},
        {
            "type": "tool_call_response",
            "id": "t1",
            "response": [{"type": "text", "text": "ok"}],
            "is_error": True,
        },
        {"type": "file", "modality": "video", "file_id": "f2"},
        {"type": "unheard_of", "x": 1},
        {"type": "uri", "modality": "video", "uri": "gs://v", "mime_type": "video/mp4"},
    ]


def test_openai_responses_items_and_choices() -> None:
    items = [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "id": "r1"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a": 1}'},
        {"type": "function_call_output", "call_id": "c1", "output": "ok"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "yo"}]},
    ]
    found = messages.canonical({"output": items}, "assistant") or []
    assert [one["role"] for one in found] == ["assistant", "assistant", "tool", "assistant"]
    assert [part for one in found for part in one["parts"]] == [
        {"type": "reasoning", "content": "hm", "id": "r1"},
        {"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}},
        {"type": "tool_call_response", "id": "c1", "response": "ok"},
        {"type": "text", "content": "yo"},
    ]
    two = {
        "choices": [
            {"message": {"role": "assistant", "content": one}, "finish_reason": "stop"} for one in "ab"
        ]
    }
    assert [one["parts"][0]["content"] for one in messages.canonical(two, "assistant") or []] == ["a", "b"]
