import json
from typing import Any

import pytest

from penstock.traces import transcript

SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}

QUESTIONS: list[tuple[str, Any, str]] = [
    ("text", "hello", "hello"),
    (
        "openai",
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hello"}]},
        "hello",
    ),
    (
        "openai parts",
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "hello"}, {"type": "image_url"}]}
            ]
        },
        "hello",
    ),
    ("anthropic", {"system": "s", "messages": [{"role": "user", "content": "hello"}]}, "hello"),
    ("responses", {"instructions": "s", "input": "hello"}, "hello"),
    (
        "responses items",
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hello"}]}]},
        "hello",
    ),
    ("gemini", {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}, "hello"),
    ("otel", [{"role": "user", "parts": [{"type": "text", "content": "hello"}]}], "hello"),
    ("openinference", [{"role": "user", "contents": [{"type": "text", "text": "hello"}]}], "hello"),
    ("langchain", [{"type": "human", "content": "hello"}], "hello"),
    (
        "after a tool",
        [
            {"role": "user", "content": "hello"},
            {"role": "assistant", "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "1", "content": "42"},
        ],
        "hello",
    ),
    ("anthropic tool result", [{"role": "user", "content": [{"type": "tool_result", "content": "x"}]}], ""),
    ("completion", {"prompt": "hello"}, "hello"),
    ("other", {"query": {"a": 1}}, '{"query":{"a":1}}'),
    ("nothing", None, ""),
]

ANSWERS: list[tuple[str, Any, str]] = [
    ("text", "hi", "hi"),
    ("openai", {"choices": [{"message": {"role": "assistant", "content": "hi"}}]}, "hi"),
    ("completion", {"choices": [{"text": "hi"}]}, "hi"),
    ("anthropic", {"role": "assistant", "content": [{"type": "text", "text": "hi"}]}, "hi"),
    (
        "thinking",
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "hi"}],
        },
        "hi",
    ),
    (
        "responses",
        {
            "output": [
                {"type": "reasoning", "summary": []},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]},
            ]
        },
        "hi",
    ),
    ("gemini", {"candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]}}]}, "hi"),
    (
        "otel",
        [{"role": "assistant", "parts": [{"type": "text", "content": "hi"}], "finish_reason": "stop"}],
        "hi",
    ),
    ("openinference", [{"message": {"role": "assistant", "content": "hi"}}], "hi"),
    (
        "tool call",
        {
            "choices": [
                {"message": {"content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}}
            ]
        },
        "f({})",
    ),
    ("tool use", {"content": [{"type": "tool_use", "name": "f", "input": {"a": 1}}]}, 'f({"a":1})'),
    ("nothing", None, ""),
]


def _document(value: Any) -> bytes | None:
    return None if value is None else json.dumps(value).encode()


@pytest.mark.parametrize(
    ("value", "said"), [case[1:] for case in QUESTIONS], ids=[case[0] for case in QUESTIONS]
)
def test_what_the_user_asked(value: Any, said: str) -> None:
    assert transcript.question(_document(value)) == said


@pytest.mark.parametrize(("value", "said"), [case[1:] for case in ANSWERS], ids=[case[0] for case in ANSWERS])
def test_what_was_answered(value: Any, said: str) -> None:
    assert transcript.answer(_document(value)) == said


def test_parts_keep_their_kind() -> None:
    document = [
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "hm"},
                {"type": "tool_call", "id": "7", "name": "f", "arguments": {"a": 1}},
            ],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "7", "response": "42"}]},
        {"role": "user", "parts": [{"type": "blob", "mime_type": "image/png", "content": "x" * 500}]},
    ]
    assert transcript.shown(transcript.of_input(_document(document))).split("\n\n") == [
        'assistant: [reasoning] hm\n[tool_call f] {"a":1}',
        "tool: [tool_call_response] 42",
        "user: [blob] (500 characters)",
    ]


def test_nothing_is_too_strange() -> None:
    deep: Any = "x"
    for _ in range(200):
        deep = [{"role": "user", "content": deep}]
    for value in (1, True, [], {}, [1, "a", None], {"role": 3}, {"content": {"content": 1}}, deep):
        transcript.shown(transcript.of_input(_document(value)) + transcript.of_output(_document(value)))
    assert transcript.question(b"not json") == "not json"
