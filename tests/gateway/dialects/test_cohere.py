"""Chat and embeddings over Cohere's API: recorded payloads both ways."""

import base64
import struct
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import Invalid, Upstream
from penstock.gateway.dialects import chat_to_cohere, cohere_to_chat
from penstock.gateway.dialects.chained import Chained
from penstock.gateway.dialects.chat_over_cohere import ChatOverCohere
from penstock.gateway.dialects.embeddings import InBase64
from penstock.gateway.dialects.embeddings_over_cohere import EmbeddingsOverBedrock, EmbeddingsOverCohere
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.fronts import fronts
from penstock.gateway.dialects.messages_over_chat import MessagesOverChat
from penstock.gateway.dialects.sse import EventBuffer, payload
from penstock.gateway.model import Operation
from tests.fakes import cohere as fake

USER = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
OTHER = {"type": "function", "function": {"name": "g"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}


def test_a_whole_conversation_becomes_a_cohere_request() -> None:
    body = {
        "model": "route",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}},
                ],
            },
            {"role": "assistant", "content": None, "reasoning_content": "I will look.", "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "one"}]},
            {"role": "assistant", "content": "So.", "reasoning_content": "Hm."},
            {"role": "user", "content": "And?"},
        ],
        "max_tokens": 9, "temperature": 0.7, "top_p": 0.5, "top_k": 4, "stop": ["a", "b"], "stream": True, "seed": 3,
        "presence_penalty": 0.1, "stream_options": {"include_usage": True}, "metadata": {"a": "b"}, "n": 1,
        "tools": [TOOL, OTHER], "tool_choice": "required", "thinking": {"type": "enabled", "budget_tokens": 100},
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
        "safety_mode": "OFF", "documents": [{"data": {"text": "d"}}],
    }  # fmt: skip
    assert chat_to_cohere.translate_request(body, "command-a") == {
        "model": "command-a",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}},
                ],
            },
            {"role": "assistant", "tool_calls": [CALL], "tool_plan": "I will look."},
            {"role": "tool", "tool_call_id": "c1", "content": "one"},
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "So."}],
            },
            {"role": "user", "content": "And?"},
        ],
        "max_tokens": 9,
        "temperature": 0.7,
        "p": 0.5,
        "k": 4,
        "stop_sequences": ["a", "b"],
        "stream": True,
        "seed": 3,
        "presence_penalty": 0.1,
        "tools": [
            TOOL,
            {
                "type": "function",
                "function": {"name": "g", "parameters": {"type": "object", "properties": {}}},
            },
        ],
        "tool_choice": "REQUIRED",
        "thinking": {"type": "enabled", "token_budget": 100},
        "response_format": {"type": "json_object", "json_schema": {"type": "object"}},
        "safety_mode": "OFF",
        "documents": [{"data": {"text": "d"}}],
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"tools": [TOOL], "tool_choice": "auto"}, {"tools": [TOOL]}),
        ({"tools": [TOOL], "tool_choice": "none"}, {"tools": [TOOL], "tool_choice": "NONE"}),
        (
            {"tools": [OTHER, TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
            {"tools": [TOOL], "tool_choice": "REQUIRED"},
        ),
        (
            {"tools": [{"type": "function", "function": TOOL["function"] | {"strict": True}}]},
            {"tools": [TOOL], "strict_tools": True},
        ),
        ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"reasoning_effort": "high"}, {"thinking": {"type": "enabled"}}),
        ({"thinking": {"type": "disabled"}}, {"thinking": {"type": "disabled"}}),
        ({"logprobs": False, "user": "ada"}, {}),
    ],
)
def test_single_members(change: dict[str, Any], expected: dict[str, Any]) -> None:
    made = chat_to_cohere.translate_request({"messages": USER} | change, "m")
    assert made == {"model": "m", "messages": USER} | expected


@pytest.mark.parametrize(
    ("change", "param", "droppable"),
    [
        ({"n": 2}, "n", True),
        ({"logprobs": True}, "logprobs", True),
        ({"logit_bias": {"1": 1}}, "logit_bias", True),
        ({"never_heard_of": 1}, "never_heard_of", True),
        ({"tools": [TOOL], "parallel_tool_calls": False}, "parallel_tool_calls", True),
        ({"response_format": {"type": "grammar"}}, "response_format", True),
        ({"thinking": "much"}, "thinking", False),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "x"}}},
            "tool_choice",
            False,
        ),
        ({"messages": [{"role": "user", "content": [{"type": "file"}]}]}, "messages[0].content[0]", False),
        (
            {"messages": [*USER, {"role": "assistant", "tool_calls": [{"id": 1}]}]},
            "messages[1].tool_calls[0]",
            False,
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id", False),
        ({"messages": "x"}, "messages", False),
    ],
)
def test_what_cannot_be_said_is_refused(change: dict[str, Any], param: str, droppable: bool) -> None:
    body = {"messages": USER} | change
    with pytest.raises(Invalid) as caught:
        chat_to_cohere.translate_request(body, "m")
    assert caught.value.details["param"].startswith(param)
    if droppable:
        made = chat_to_cohere.translate_request(body, "m", drop=True)
        assert set(made) <= {"model", "messages", "tools"}
    else:
        with pytest.raises(Invalid):
            chat_to_cohere.translate_request(body, "m", drop=True)


def answered(request: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(
        cohere_to_chat.translate_answer(msgspec.json.encode(fake.whole(request)), "alias").body
    )
    return found


def test_answers_become_chat_completions() -> None:
    answer = answered({"thinking": {"type": "enabled"}, "documents": [1]})
    assert answer["choices"] == [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Ciao, mondo ☃",
                "refusal": None,
                "reasoning_content": "Hm.",
                "citations": [fake.CITATION],
            },
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    assert answer["id"] == "chatcmpl-c-1" and answer["usage"]["prompt_tokens"] == 20
    assert answer["usage"]["prompt_tokens_details"] == {"cached_tokens": 5}
    tools = answered({"tools": [1]})["choices"][0]
    assert tools["finish_reason"] == "tool_calls" and tools["message"]["tool_calls"] == [fake.CALL]
    assert tools["message"]["content"] is None and tools["message"]["reasoning_content"] == fake.PLAN


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"message":1}', b'{"message":{},"finish_reason":"ERROR"}']
)
def test_answers_that_are_none(body: bytes) -> None:
    with pytest.raises(Upstream):
        cohere_to_chat.translate_answer(body, "alias")


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(TEXT, st.none() | TEXT)
def test_an_answer_survives_being_sent_back(text: str, thought: str | None) -> None:
    content = [{"type": "thinking", "thinking": thought}] if thought else []
    content.append({"type": "text", "text": text})
    body = msgspec.json.encode({"id": "1", "message": {"content": content}, "finish_reason": "COMPLETE"})
    message = msgspec.json.decode(cohere_to_chat.translate_answer(body, "a").body)["choices"][0]["message"]
    back = chat_to_cohere.translate_request({"messages": [*USER, message]}, "m")["messages"][1]
    assert back == {"role": "assistant", "content": content if thought else text}


@given(st.dictionaries(TEXT, st.integers() | TEXT, max_size=3), st.none() | TEXT)
def test_calls_survive_being_sent_back(arguments: dict[str, Any], plan: str | None) -> None:
    call = {
        "id": "c",
        "type": "function",
        "function": {"name": "f", "arguments": msgspec.json.encode(arguments).decode()},
    }
    said = {"tool_calls": [call]} | ({"tool_plan": plan} if plan else {})
    body = msgspec.json.encode({"id": "1", "message": said, "finish_reason": "TOOL_CALL"})
    message = msgspec.json.decode(cohere_to_chat.translate_answer(body, "a").body)["choices"][0]["message"]
    back = chat_to_cohere.translate_request({"messages": [*USER, message]}, "m")["messages"][1]
    assert back == {"role": "assistant"} | said


def envelope(**members: Any) -> Envelope:
    return Envelope(msgspec.json.encode({"model": "alias", "messages": USER, "stream": True, **members}))


def streamed(data: bytes) -> list[Any]:
    found = [payload(each) for each in EventBuffer().feed(data)]
    made = [msgspec.json.decode(each) for each in found if each.startswith(b"{")]
    return [{key: value for key, value in each.items() if key != "created"} for each in made]


BACKS = {"chat": ChatOverCohere(), "messages": Chained(MessagesOverChat(), ChatOverCohere())}
ASKED = [{}, {"tools": [1]}, {"documents": [1]}, {"thinking": {"type": "enabled"}}]


@pytest.mark.parametrize("name", BACKS)
@settings(deadline=None)
@given(
    asked=st.sampled_from(ASKED),
    cuts=st.lists(st.integers(0, 2000), max_size=12),
    ends=st.sampled_from([b"\n", b"\r\n", b"\r"]),
)
def test_streams_do_not_depend_on_where_they_are_cut(
    name: str, asked: Any, cuts: list[int], ends: bytes
) -> None:
    stream = b"".join(fake.events(asked)).replace(b"\n", ends)
    whole, pieces = (BACKS[name].relay(envelope(stream_options={"include_usage": True})) for _ in range(2))
    expected = whole.feed(stream) + whole.finish()
    places = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    got = b"".join(pieces.feed(stream[one:two]) for one, two in pairwise(places)) + pieces.finish()
    assert whole.complete and pieces.complete and streamed(got) == streamed(expected)
    assert pieces.usage == whole.usage and pieces.usage.input == 20


@pytest.mark.parametrize("asked", ASKED)
def test_a_stream_and_a_whole_answer_say_the_same(asked: dict[str, Any]) -> None:
    relay = ChatOverCohere().relay(envelope())
    relay.feed(b"".join(fake.events(asked)))
    one, two = msgspec.json.decode(relay.output()), answered(asked)
    assert one | {"created": 0} == two | {"created": 0}


@given(st.binary(max_size=200))
def test_relays_take_any_bytes(data: bytes) -> None:
    relay = ChatOverCohere().relay(envelope())
    try:
        relay.feed(fake.events({})[0] + data + b"\n\ndata: " + data + b"\n\n")
        relay.finish()
    except Upstream:
        return
    assert isinstance(msgspec.json.decode(relay.output()), dict)


# -- embeddings --------------------------------------------------------------------------------------------


def embedding(**members: Any) -> Envelope:
    return Envelope(msgspec.json.encode({"model": "alias", "input": "a", **members}))


@pytest.mark.parametrize(
    ("dialect", "model", "asked", "expected"),
    [
        (
            EmbeddingsOverCohere(), "embed-v4.0", {"dimensions": 256, "encoding_format": "base64", "user": "x"},
            {"model": "embed-v4.0", "texts": ["a"], "input_type": "search_document", "output_dimension": 256,
             "embedding_types": ["float"]},
        ),
        (
            EmbeddingsOverBedrock(input_type="clustering"), "us.cohere.embed-v4:0",
            {"input": ["a", "b"], "truncate": "END"},
            {"texts": ["a", "b"], "input_type": "clustering", "truncate": "END", "embedding_types": ["float"]},
        ),
        (
            EmbeddingsOverBedrock(), "cohere.embed-english-v3", {"input_type": "search_query"},
            {"texts": ["a"], "input_type": "search_query", "embedding_types": ["float"]},
        ),
        (
            EmbeddingsOverBedrock(), "amazon.titan-embed-text-v2:0", {"dimensions": 512, "normalize": False},
            {"inputText": "a", "dimensions": 512, "normalize": False},
        ),
    ],
)  # fmt: skip
def test_embedding_requests(
    dialect: Any, model: str, asked: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert msgspec.json.decode(InBase64(dialect).request(embedding(**asked), model)) == expected


@pytest.mark.parametrize(
    ("dialect", "model", "asked", "param"),
    [
        (EmbeddingsOverCohere(), "m", {"input": [1, 2]}, "input"),
        (EmbeddingsOverCohere(), "m", {"input": []}, "input"),
        (EmbeddingsOverCohere(), "m", {"encoding_format": "int8"}, "encoding_format"),
        (EmbeddingsOverCohere(), "m", {"never_heard_of": 1}, "never_heard_of"),
        (EmbeddingsOverBedrock(), "amazon.titan-embed-text-v2:0", {"input": ["a", "b"]}, "input"),
        (EmbeddingsOverBedrock(), "anthropic.claude", {}, "model"),
    ],
)
def test_embedding_requests_that_are_refused(
    dialect: Any, model: str, asked: dict[str, Any], param: str
) -> None:
    with pytest.raises(Invalid) as caught:
        InBase64(dialect).request(embedding(**asked), model)
    assert caught.value.details["param"] == param


FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
SHAPES = {
    "by type": lambda v: {"embeddings": {"float": v}, "meta": {"billed_units": {"input_tokens": 4.0}}},
    "floats": lambda v: {"embeddings": v, "response_type": "embeddings_floats"},
    "titan": lambda v: {"embedding": v[0], "inputTextTokenCount": 4},
}


@pytest.mark.parametrize("shape", SHAPES)
@given(vectors=st.lists(st.lists(FLOAT32, min_size=1, max_size=4), min_size=1, max_size=1))
def test_embedding_answers(shape: str, vectors: list[list[float]]) -> None:
    body = msgspec.json.encode(SHAPES[shape](vectors))
    plain, packed = InBase64(EmbeddingsOverBedrock()), InBase64(EmbeddingsOverBedrock())
    plain.request(embedding(), "cohere.embed-v4:0")
    packed.request(embedding(encoding_format="base64"), "cohere.embed-v4:0")
    found = plain.answer(body, "alias")
    assert [row["embedding"] for row in msgspec.json.decode(found.body)["data"]] == vectors
    assert (found.usage.input if found.usage else None) == (None if shape == "floats" else 4)
    rows = msgspec.json.decode(packed.answer(body, "alias").body)["data"]
    raw = [base64.b64decode(row["embedding"]) for row in rows]
    assert [list(struct.unpack(f"<{len(each) // 4}f", each)) for each in raw] == vectors


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"embeddings":{"int8":[[1]]}}'])
def test_embedding_answers_that_are_none(body: bytes) -> None:
    with pytest.raises(Upstream):
        EmbeddingsOverCohere().answer(body, "alias")


def test_failures_of_tools_are_told_in_words() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    made = chat_to_cohere.translate_request(
        {
            "messages": [
                {"role": "user", "content": "x"},
                {"role": "assistant", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "c", "content": "down", "is_error": True},
            ]
        },
        "command",
    )
    assert made["messages"][2]["content"] == [
        {"type": "text", "text": "Error: "},
        {"type": "text", "text": "down"},
    ]


def test_callers_of_anthropic_may_have_members_dropped() -> None:
    body = {
        "model": "route",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "x"}],
        "mcp_servers": [{}],
    }
    envelope = Envelope(msgspec.json.encode(body))
    back = ChatOverCohere(drop_params=True)
    with pytest.raises(Invalid, match="mcp_servers"):
        fronts(back)[Operation.MESSAGES].request(envelope, "command")
    made = msgspec.json.decode(
        fronts(back, drop_params=True)[Operation.MESSAGES].request(envelope, "command")
    )
    assert set(made) == {"model", "messages", "max_tokens"}
