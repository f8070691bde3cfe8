"""Translation between the families: pure functions, recorded payloads and generated ones."""

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import Invalid, Upstream
from penstock.gateway.dialects import chat_to_messages, messages_over_chat, messages_request, messages_to_chat
from penstock.gateway.dialects.anthropic import AnthropicDialect, AnthropicRelay
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.openai import OpenAIDialect, OpenAIRelay
from penstock.gateway.dialects.sse import EventBuffer, payload
from tests.fakes import anthropic as fake_anthropic
from tests.fakes import openai as fake_openai

PNG = "iVBORw0KGgo="


def test_a_whole_conversation_becomes_a_messages_request() -> None:
    made = chat_to_messages.translate_request(
        {
            "model": "route",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                        {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
                    ],
                },
                {
                    "role": "assistant",
                    "content": "",
                    "refusal": None,
                    "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
                        {"id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}},
                    ],
                },
                {"role": "tool", "tool_call_id": "c1", "content": "one"},
                {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "two"}]},
                {"role": "user", "content": "And?"},
            ],
            "max_completion_tokens": 9,
            "temperature": 1.7,
            "top_p": 0.5,
            "stop": ["a", "b"],
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "f", "description": "d", "parameters": {"type": "object"}},
                },
                {"type": "function", "function": {"name": "g", "strict": True}},
            ],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "parallel_tool_calls": False,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"type": "object", "additionalProperties": False}},
            },
            "stream": True,
            "stream_options": {"include_usage": True},
            "n": 1,
            "seed": None,
        },
        "claude",
    )
    assert made == {
        "model": "claude",
        "max_tokens": 9,
        "system": "Be brief.\n\nBe kind.",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                    {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
                    {"type": "tool_use", "id": "c2", "name": "g", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": "one"},
                    {
                        "type": "tool_result",
                        "tool_use_id": "c2",
                        "content": [{"type": "text", "text": "two"}],
                    },
                    {"type": "text", "text": "And?"},
                ],
            },
        ],
        "temperature": 1,
        "top_p": 0.5,
        "stream": True,
        "stop_sequences": ["a", "b"],
        "tools": [
            {"name": "f", "input_schema": {"type": "object"}, "description": "d"},
            {"name": "g", "input_schema": {"type": "object", "properties": {}}, "strict": True},
        ],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
        "output_config": {
            "format": {
                "type": "json_schema",
                "schema": {"type": "object", "additionalProperties": False},
            }
        },
    }


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"n": 2}, "n"),
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        ({"seed": 3}, "seed"),
        ({"never_heard_of": 1}, "never_heard_of"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "alien", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0]"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
    ],
)
def test_what_cannot_be_said_is_refused(change: dict[str, Any], param: str) -> None:
    body = {"messages": [{"role": "user", "content": "x"}]} | change
    with pytest.raises(Invalid) as caught:
        chat_to_messages.translate_request(body, "claude")
    assert caught.value.details["param"].startswith(param)


def test_unsupported_members_can_be_dropped() -> None:
    body = {
        "messages": [{"role": "user", "content": "x"}],
        "n": 2,
        "never_heard_of": 1,
        "logit_bias": {"1": 1},
    }
    made = chat_to_messages.translate_request(body, "claude", drop=True)
    assert set(made) == {"model", "max_tokens", "messages"}


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
ARGUMENTS = st.dictionaries(
    TEXT, st.integers() | TEXT | st.none() | st.lists(st.booleans(), max_size=2), max_size=3
)
TURN = st.one_of(
    st.tuples(st.just("user"), TEXT, st.none()),
    st.tuples(st.just("assistant"), TEXT, st.lists(ARGUMENTS, max_size=2)),
)


def _chat(turns: list[tuple[str, str, list[dict[str, Any]] | None]]) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = [{"role": "user", "content": "start"}]
    for number, (role, text, calls) in enumerate(turns):
        if role == out[-1]["role"]:
            continue
        message: dict[str, Any] = {"role": role, "content": text}
        if calls:
            message["tool_calls"] = [
                {
                    "id": f"c{number}-{index}",
                    "type": "function",
                    "function": {"name": "f", "arguments": msgspec.json.encode(call).decode()},
                }
                for index, call in enumerate(calls)
            ]
        out.append(message)
        out += [
            {"role": "tool", "tool_call_id": call["id"], "content": "done"}
            for call in message.get("tool_calls", [])
        ]
        if calls:
            out.append({"role": "user", "content": "next"})
    return out


@given(st.none() | TEXT, st.lists(TURN, max_size=6))
def test_requests_survive_the_round_trip(system: str | None, turns: list) -> None:
    messages = _chat(turns)
    if system:
        messages.insert(0, {"role": "system", "content": system})
    there = chat_to_messages.translate_request({"messages": messages, "max_tokens": 5}, "claude")
    roles = [message["role"] for message in there["messages"]]
    assert all(one != two for one, two in pairwise(roles)), "roles must alternate"
    back = messages_request.translate_request(there, "gpt")
    assert back["messages"] == messages and back["max_tokens"] == 5


@given(TEXT, st.lists(ARGUMENTS, max_size=2), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_answers_survive_the_round_trip(text: str, calls: list, fresh: int, cached: int, output: int) -> None:
    content: list[dict[str, Any]] = [{"type": "text", "text": text}]
    content += [
        {"type": "tool_use", "id": f"t{i}", "name": "f", "input": call} for i, call in enumerate(calls)
    ]
    message = fake_anthropic.message("claude", content, "tool_use" if calls else "end_turn")
    message["usage"] = {"input_tokens": fresh, "cache_read_input_tokens": cached, "output_tokens": output}
    chat = messages_to_chat.translate_answer(msgspec.json.encode(message), "alias")
    assert (chat.usage.input, chat.usage.cached, chat.usage.output) == (fresh + cached, cached, output)
    back = msgspec.json.decode(messages_over_chat.translate_answer(chat.body, "other").body)
    assert back["content"] == content and back["stop_reason"] == message["stop_reason"]
    assert back["model"] == "other" and back["usage"]["cache_read_input_tokens"] == cached


def envelope(**members: Any) -> Envelope:
    return Envelope(msgspec.json.encode({"model": "alias", "messages": [], "stream": True, **members}))


RELAYS = {
    "openai": lambda: (OpenAIRelay("alias", False), fake_openai.chat_events({"model": "up"})),
    "openai tools": lambda: (
        OpenAIRelay("alias", False),
        fake_openai.chat_events({"model": "up", "tools": [1]}),
    ),
    "anthropic": lambda: (AnthropicRelay("alias"), fake_anthropic.events({"model": "up"})),
    "chat over messages": lambda: (
        messages_to_chat.ChatOverMessagesRelay("alias", True),
        fake_anthropic.events({"model": "up", "tools": [1]}),
    ),
    "messages over chat": lambda: (
        messages_over_chat.MessagesOverChatRelay("alias"),
        fake_openai.chat_events({"model": "up", "tools": [1], "stream_options": {"include_usage": True}}),
    ),
}


@pytest.mark.parametrize("name", RELAYS)
@given(cuts=st.lists(st.integers(0, 3000), max_size=12), ends=st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_streams_do_not_depend_on_where_they_are_cut(name: str, cuts: list[int], ends: bytes) -> None:
    whole, events = RELAYS[name]()
    stream = b"".join(events)
    expected = whole.feed(stream) + whole.finish()
    assert whole.complete and b"alias" in expected and b'"up-' not in expected
    pieces, _ = RELAYS[name]()
    raw = stream.replace(b"\n", ends)
    places = [0, *sorted(cut for cut in cuts if cut < len(raw)), len(raw)]
    got = b"".join(pieces.feed(raw[one:two]) for one, two in pairwise(places)) + pieces.finish()
    strip = msgspec.json.Decoder()

    def parsed(data: bytes) -> list[Any]:
        made = [
            strip.decode(found) for e in EventBuffer().feed(data) if (found := payload(e)).startswith(b"{")
        ]
        return [{key: value for key, value in each.items() if key != "created"} for each in made]

    assert parsed(got) == parsed(expected)
    assert pieces.usage == whole.usage and pieces.complete


@given(st.binary(max_size=200))
def test_relays_take_any_bytes(data: bytes) -> None:
    for make in RELAYS.values():
        relay, events = make()
        try:
            relay.feed(events[0] + data + b"\n\ndata: " + data + b"\n\n")
            relay.finish()
        except Upstream:
            continue
        assert isinstance(msgspec.json.decode(relay.output()), dict)


@pytest.mark.parametrize("name", RELAYS)
def test_a_stream_cut_anywhere_still_has_an_output(name: str) -> None:
    stream = b"".join(RELAYS[name]()[1])
    for cut in range(0, len(stream), 7):
        relay, _ = RELAYS[name]()
        relay.feed(stream[:cut])
        assert isinstance(msgspec.json.decode(relay.output()), dict)


def test_bytes_pass_through_untouched() -> None:
    raw = b'{ "model" : "alias", "messages":[{"role":"user",  "content":"\\u00e9 \xc3\xa9"}], "x":1.0 }'
    made = OpenAIDialect().request(Envelope(raw), "alias")
    assert made is raw
    changed = OpenAIDialect().request(Envelope(raw), "up")
    assert b'[{"role":"user",  "content":"\\u00e9 \xc3\xa9"}]' in changed and b'"model":"up"' in changed
    assert AnthropicDialect().request(Envelope(raw), "alias") is raw


def test_usage_is_asked_for_without_losing_other_stream_options() -> None:
    made = OpenAIDialect().request(envelope(stream_options={"include_obfuscation": False}), "up")
    assert msgspec.json.decode(made)["stream_options"] == {
        "include_obfuscation": False,
        "include_usage": True,
    }
    plain = OpenAIDialect(ask_usage=False).request(envelope(), "up")
    assert "stream_options" not in msgspec.json.decode(plain)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"up","choices":[{"model":"up"}]}',
        b'{"choices":[{"model":"up"}],"model":"up"}',
        b'{"choices":[],"model" : "up"}',
        b'{"choices":[{"message":{"content":"\\"model\\":\\"up\\""}}],"model":"up","usage":"odd"}',
        b'{"choices":[]}',
    ],
)
def test_only_the_answers_own_model_is_renamed(body: bytes) -> None:
    made = OpenAIDialect().answer(body, "alias")
    assert msgspec.json.decode(made.body) == msgspec.json.decode(body) | {"model": "alias"}


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"{", b"[" * 100_000])
def test_answers_that_are_none(body: bytes) -> None:
    for dialect in (OpenAIDialect(), AnthropicDialect()):
        with pytest.raises(Upstream):
            dialect.answer(body, "alias")
    with pytest.raises(Upstream):
        messages_to_chat.translate_answer(body, "alias")
    with pytest.raises(Upstream):
        messages_over_chat.translate_answer(body, "alias")


def test_tool_arguments_that_are_not_json() -> None:
    message = {
        "role": "assistant",
        "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{oops"}}],
    }
    with pytest.raises(Upstream):
        messages_over_chat.translate_answer(
            msgspec.json.encode(fake_openai.completion("m", message)), "alias"
        )
