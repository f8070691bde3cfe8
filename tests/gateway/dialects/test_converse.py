"""Chat over Bedrock's Converse API: recorded payloads both ways, AWS's own description of the API as oracle."""

from itertools import pairwise
from typing import Any

import botocore.session
import msgspec
import pytest
from botocore.validate import ParamValidator
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import Invalid, Upstream
from penstock.gateway.dialects import chat_to_converse, converse_to_chat
from penstock.gateway.dialects.chained import Chained
from penstock.gateway.dialects.chat_over_converse import ChatOverConverse
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.messages_over_chat import MessagesOverChat
from penstock.gateway.dialects.sse import EventBuffer, payload
from tests.fakes import bedrock as fake

PNG = "iVBORw0KGgo="
PDF = f"data:application/pdf;base64,{PNG}"
CACHE = {"type": "ephemeral"}
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
SERVICE = botocore.session.get_session().get_service_model("bedrock-runtime")
USER = [{"role": "user", "content": "Hi"}]
FUNCTION = {"name": "f", "description": "d", "parameters": {"type": "object"}}
TOOL = {"type": "function", "function": FUNCTION}
SPEC = {"toolSpec": {"name": "f", "description": "d", "inputSchema": {"json": {"type": "object"}}}}


def checked(made: dict[str, Any]) -> dict[str, Any]:
    """Return the request, which AWS's description of Converse must allow."""
    shape = SERVICE.operation_model("ConverseStream").input_shape
    report = ParamValidator().validate(made | {"modelId": "m"}, shape)
    assert not report.has_errors(), report.generate_report()
    assert set(made) <= set(shape.members)
    return made


def test_a_whole_conversation_becomes_a_converse_request() -> None:
    body = {
        "model": "route",
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be brief.", "cache_control": CACHE}]},
            {"role": "developer", "content": "Be kind."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?", "cache_control": CACHE | {"ttl": "1h"}},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                    {"type": "file", "file": {"filename": "a/b_c.v2.pdf", "file_data": PDF}},
                    {"type": "input_audio", "input_audio": {"format": "wav", "data": PNG}},
                    {"type": "text", "text": "  "},
                ],
            },
            {
                "role": "assistant",
                "content": "Wait.",
                "reasoning_content": "Hm. Unsigned.",
                "thinking_blocks": [
                    {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
                    {"type": "redacted_thinking", "data": "c2VhbGVk"},
                    {"type": "thinking", "thinking": "Unsigned."},
                ],
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
                    {"id": "c2", "type": "function", "function": {"name": "f", "arguments": ""}},
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "one"},
            {"role": "tool", "tool_call_id": "c2", "content": ""},
            {"role": "user", "content": "And?"},
        ],
        "max_completion_tokens": 9, "temperature": 1.7, "top_p": 0.5, "stop": "x", "stream": True,
        "stream_options": {"include_usage": True}, "n": 1, "user": "ada", "logit_bias": None,
        "tools": [TOOL | {"cache_control": {"type": "ephemeral"}}], "tool_choice": "required",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}},
        "reasoning_effort": "high", "service_tier": "flex", "thinking": {"type": "enabled", "budget_tokens": 1024},
        "top_k": 5, "guardrailConfig": {"guardrailIdentifier": "gr1", "guardrailVersion": "1"},
    }  # fmt: skip
    assert checked(chat_to_converse.translate_request(body)) == {
        "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default"}}, {"text": "Be kind."}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"text": "What is this?"},
                    {"cachePoint": {"type": "default", "ttl": "1h"}},
                    {"image": {"format": "png", "source": {"bytes": PNG}}},
                    {"document": {"format": "pdf", "name": "a b c v2 pdf", "source": {"bytes": PNG}}},
                    {"audio": {"format": "wav", "source": {"bytes": PNG}}},
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}},
                    {"reasoningContent": {"redactedContent": "c2VhbGVk"}},
                    {"text": "Wait."},
                    {"toolUse": {"toolUseId": "c1", "name": "f", "input": {"a": 1}}},
                    {"toolUse": {"toolUseId": "c2", "name": "f", "input": {}}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"toolResult": {"toolUseId": "c1", "content": [{"text": "one"}]}},
                    {"toolResult": {"toolUseId": "c2", "content": [{"text": "(empty)"}]}},
                    {"text": "And?"},
                ],
            },
        ],
        "inferenceConfig": {"maxTokens": 9, "temperature": 1, "topP": 0.5, "stopSequences": ["x"]},
        "toolConfig": {"tools": [SPEC, {"cachePoint": {"type": "default"}}], "toolChoice": {"any": {}}},
        "outputConfig": {
            "textFormat": {
                "type": "json_schema",
                "structure": {"jsonSchema": {"schema": '{"type":"object"}', "name": "n"}},
            },
            "effort": "high",
        },
        "serviceTier": {"type": "flex"},
        "guardrailConfig": {"guardrailIdentifier": "gr1", "guardrailVersion": "1"},
        "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}, "top_k": 5},
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"tools": [TOOL], "tool_choice": "auto"},
            {"toolConfig": {"tools": [SPEC], "toolChoice": {"auto": {}}}},
        ),
        (
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}}},
            {"toolConfig": {"tools": [SPEC], "toolChoice": {"tool": {"name": "f"}}}},
        ),
        ({"tools": [TOOL], "tool_choice": "none"}, {}),
        ({"tools": [], "parallel_tool_calls": False}, {}),
        ({"reasoning_effort": "none"}, {}),
        ({"reasoning_effort": "minimal"}, {"outputConfig": {"effort": "low"}}),
        ({"response_format": {"type": "text"}, "service_tier": "auto", "modalities": ["text"]}, {}),
        ({"max_tokens": 7}, {"inferenceConfig": {"maxTokens": 7}}),
        (
            {"top_k": 3, "additionalModelRequestFields": {"x": 1}},
            {"additionalModelRequestFields": {"top_k": 3, "x": 1}},
        ),
        ({"requestMetadata": {"team": "red"}}, {"requestMetadata": {"team": "red"}}),
    ],
)
def test_single_members(change: dict[str, Any], expected: dict[str, Any]) -> None:
    made = checked(chat_to_converse.translate_request({"messages": USER} | change))
    assert made == {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]} | expected


def test_cache_points_of_results_stand_after_them() -> None:
    cached = [{"type": "text", "text": "x", "cache_control": CACHE}]
    for message in ({"content": cached}, {"content": "x", "cache_control": CACHE}):
        body = {"messages": [*USER, {"role": "tool", "tool_call_id": "c"} | message]}
        assert checked(chat_to_converse.translate_request(body))["messages"][0]["content"][1:] == [
            {"toolResult": {"toolUseId": "c", "content": [{"text": "x"}]}},
            {"cachePoint": {"type": "default"}},
        ]


def test_documents_have_names_of_their_own() -> None:
    file = {"type": "file", "file": {"filename": "a.pdf", "file_data": PDF}}
    bare = {"type": "file", "file": {"file_data": PDF}}
    made = checked(chat_to_converse.translate_request(parts(file, file, bare, file, bare)))
    names = [block["document"]["name"] for block in made["messages"][0]["content"]]
    assert names == ["a pdf", "a pdf (2)", "document", "a pdf (3)", "document (2)"]


def parts(*content: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(content)}]}


HISTORY = [
    *USER,
    {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]},
    {"role": "tool", "tool_call_id": "c", "content": "x"},
]


@pytest.mark.parametrize(
    ("change", "param", "droppable"),
    [
        ({"n": 2}, "n", True),
        ({"logit_bias": {"1": 1}}, "logit_bias", True),
        ({"seed": 3}, "seed", True),
        ({"never_heard_of": 1}, "never_heard_of", True),
        ({"response_format": {"type": "json_object"}}, "response_format", True),
        ({"reasoning_effort": "vast"}, "reasoning_effort", True),
        ({"service_tier": "scale"}, "service_tier", True),
        ({"tools": [TOOL], "parallel_tool_calls": False}, "parallel_tool_calls", True),
        ({"tools": [TOOL], "tool_choice": "none", "messages": HISTORY}, "tool_choice", True),
        (
            parts({"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}),
            "messages[0].content[0]",
            False,
        ),
        (
            parts({"type": "image_url", "image_url": {"url": "data:image/bmp;base64,AA=="}}),
            "messages[0].content[0]",
            False,
        ),
        (parts({"type": "video_url"}), "messages[0].content[0]", False),
        (parts({"type": "input_audio", "input_audio": {"format": "pcm16"}}), "messages[0].content[0]", False),
        ({"messages": []}, "messages", False),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages", False),
        ({"messages": [{"role": "system", "content": [IMAGE]}, *USER]}, "messages[0].content", False),
        ({"messages": [{"role": "alien", "content": "x"}]}, "messages[0].role", False),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id", False),
        ({"tools": [{"type": "function"}]}, "tools[0]", False),
        ({"tools": [{"type": "web_search"}]}, "tools[0]", False),
        ({"tools": [TOOL], "tool_choice": "sometimes"}, "tool_choice", False),
    ],
)
def test_what_cannot_be_said_is_refused(change: dict[str, Any], param: str, droppable: bool) -> None:
    body = {"messages": USER} | change
    with pytest.raises(Invalid) as caught:
        chat_to_converse.translate_request(body)
    assert caught.value.details["param"].startswith(param)
    if droppable:
        assert caught.value.details["code"] == "unsupported_parameter"
        made = checked(chat_to_converse.translate_request(body, drop=True))
        assert set(made) <= {"messages", "toolConfig"}
    else:
        with pytest.raises(Invalid):
            chat_to_converse.translate_request(body, drop=True)


def test_a_whole_answer_becomes_a_chat_completion() -> None:
    body = fake.message({"toolConfig": {}}, thinks=True) | {"trace": {"guardrail": {"actionReason": "none"}}}
    body["output"]["message"]["content"] += [
        {"reasoningContent": {"redactedContent": "c2VhbGVk"}},
        {"toolUse": fake.TOOL},
        {"citationsContent": {"content": [{"text": " Cited."}], "citations": [{"title": "t"}]}},
    ]
    made = converse_to_chat.translate_answer(msgspec.json.encode(body), "alias")
    answer = msgspec.json.decode(made.body)
    call = {
        "id": "tooluse_1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city":"Oslo"}'},
    }
    assert answer["choices"][0]["message"] == {
        "role": "assistant",
        "content": "Hola, mundo ☃ Cited.",
        "refusal": None,
        "reasoning_content": "Let me think.",
        "thinking_blocks": [
            {"type": "thinking", "thinking": "Let me think.", "signature": "c2lnbmVk"},
            {"type": "redacted_thinking", "data": "c2VhbGVk"},
        ],
        "tool_calls": [call],
        "citations": [{"title": "t"}],
    }
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["model"] == "alias" and answer["id"].startswith("chatcmpl")
    assert answer["trace"] == {"guardrail": {"actionReason": "none"}}
    assert (made.usage.input, made.usage.output, made.usage.cached, made.usage.cache_write) == (28, 11, 5, 3)
    assert answer["usage"]["prompt_tokens"] == 28


@pytest.mark.parametrize(
    ("reason", "finish"), [*converse_to_chat.FINISH.items(), ("malformed_tool_use", "stop")]
)
def test_stop_reasons(reason: str, finish: str) -> None:
    known = SERVICE.shape_for("StopReason").enum
    assert reason in known
    body = msgspec.json.encode(fake.message({}) | {"stopReason": reason})
    answer = msgspec.json.decode(converse_to_chat.translate_answer(body, "a").body)
    assert answer["choices"][0]["finish_reason"] == finish


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(str.strip)
ARGUMENTS = st.dictionaries(TEXT, st.integers() | TEXT | st.none(), max_size=3)
THOUGHT = st.tuples(TEXT, TEXT)


@given(TEXT, st.lists(ARGUMENTS, max_size=2), st.lists(THOUGHT, max_size=2), st.none() | TEXT)
def test_an_answer_survives_being_sent_back(
    text: str, calls: list, thoughts: list, sealed: str | None
) -> None:
    content: list[dict[str, Any]] = [
        {"reasoningContent": {"reasoningText": {"text": thought, "signature": signed}}}
        for thought, signed in thoughts
    ]
    content += [{"reasoningContent": {"redactedContent": sealed}}] if sealed else []
    content.append({"text": text})
    content += [
        {"toolUse": {"toolUseId": f"t{i}", "name": "f", "input": call}} for i, call in enumerate(calls)
    ]
    body = fake.message({}) | {"output": {"message": {"role": "assistant", "content": content}}}
    answer = msgspec.json.decode(converse_to_chat.translate_answer(msgspec.json.encode(body), "a").body)
    back = chat_to_converse.translate_request({"messages": [*USER, answer["choices"][0]["message"]]})
    assert checked(back)["messages"][1] == {"role": "assistant", "content": content}


TURNS = st.lists(
    st.one_of(
        st.tuples(st.just("user"), st.just("") | TEXT, st.just([])),
        st.tuples(st.just("system"), TEXT, st.just([])),
        st.tuples(st.just("assistant"), st.just("") | TEXT, st.lists(ARGUMENTS, max_size=2)),
    ),
    max_size=6,
)


@given(TURNS)
def test_any_conversation_becomes_one_that_is_allowed(turns: list) -> None:
    messages: list[dict[str, Any]] = [*USER]
    for number, (role, text, calls) in enumerate(turns):
        made = [
            {
                "id": f"c{number}-{i}",
                "function": {"name": "f", "arguments": msgspec.json.encode(call).decode()},
            }
            for i, call in enumerate(calls)
        ]
        messages.append({"role": role, "content": text} | ({"tool_calls": made} if made else {}))
        messages += [{"role": "tool", "tool_call_id": each["id"], "content": text} for each in made]
    out = checked(chat_to_converse.translate_request({"messages": messages}))
    roles = [message["role"] for message in out["messages"]]
    assert all(one != two for one, two in pairwise(roles)) and roles[0] == "user"
    said = [block["text"] for message in out["messages"] for block in message["content"] if "text" in block]
    assert said == ["Hi", *[text for role, text, _ in turns if role != "system" and text]]
    assert [block["text"] for block in out.get("system", [])] == [
        text for role, text, _ in turns if role == "system"
    ]


def envelope(**members: Any) -> Envelope:
    return Envelope(msgspec.json.encode({"model": "alias", "messages": USER, "stream": True, **members}))


def streamed(data: bytes) -> list[Any]:
    found = [payload(each) for each in EventBuffer().feed(data)]
    made = [msgspec.json.decode(each) for each in found if each.startswith(b"{")]
    for each in made:  # identities are made anew each time
        each.pop("created", None), each.pop("id", None), each.get("message", {}).pop("id", None)
    return made


BACKS = {"chat": ChatOverConverse(), "messages": Chained(MessagesOverChat(), ChatOverConverse())}


@pytest.mark.parametrize("name", BACKS)
@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 3000), max_size=12), thinks=st.booleans())
def test_streams_do_not_depend_on_where_they_are_cut(name: str, cuts: list[int], thinks: bool) -> None:
    stream = b"".join(fake.events({"toolConfig": {"tools": []}}, thinks=thinks))
    whole, pieces = (BACKS[name].relay(envelope(stream_options={"include_usage": True})) for _ in range(2))
    expected = whole.feed(stream) + whole.finish()
    assert whole.complete
    places = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    got = b"".join(pieces.feed(stream[one:two]) for one, two in pairwise(places)) + pieces.finish()
    assert streamed(got) == streamed(expected)
    assert pieces.usage == whole.usage and pieces.usage.input == 28


@pytest.mark.parametrize("thinks", [False, True])
@pytest.mark.parametrize("tools", [{}, {"toolConfig": {"tools": []}}])
def test_a_stream_and_a_whole_answer_say_the_same(thinks: bool, tools: dict[str, Any]) -> None:
    relay = ChatOverConverse().relay(envelope())
    relay.feed(b"".join(fake.events(tools, thinks=thinks)))
    one = msgspec.json.decode(relay.output())
    two = msgspec.json.decode(
        converse_to_chat.translate_answer(
            msgspec.json.encode(fake.message(tools, thinks=thinks)), "alias"
        ).body
    )
    for each in (one, two):
        for call in each["choices"][0]["message"].get("tool_calls", []):
            call["function"]["arguments"] = msgspec.json.decode(call["function"]["arguments"])
        each["created"] = each["id"] = None
    assert one == two


def test_a_call_without_arguments_streams_an_empty_object() -> None:
    relay = ChatOverConverse().relay(envelope())
    start = {"toolUse": {"toolUseId": "t", "name": "now"}}
    out = relay.feed(
        fake.event("messageStart", role="assistant")
        + fake.event("contentBlockStart", contentBlockIndex=0, start=start)
        + fake.event("contentBlockStop", contentBlockIndex=0)
        + fake.event("messageStop", stopReason="tool_use")
    )
    text = [
        call["function"]["arguments"]
        for chunk in streamed(out)
        for call in chunk["choices"][0]["delta"].get("tool_calls", [])
    ]
    assert "".join(text) == "{}"
    assert not relay.complete and relay.finish() == b"data: [DONE]\n\n" and relay.complete


def test_exceptions_and_errors_are_faults() -> None:
    relay = ChatOverConverse().relay(envelope())
    out = relay.feed(
        fake.event("messageStart", role="assistant") + fake.exception("throttlingException", "Slow.")
    )
    assert relay.fault[:4] == ("Slow.", "throttlingException", "", "") and len(streamed(out)) == 1
    assert relay.finish() == b"" and not relay.complete
    relay = ChatOverConverse().relay(envelope())
    relay.feed(fake.frame({":message-type": "error", ":error-code": "E", ":error-message": "No."}, b""))
    assert relay.fault[:4] == ("No.", "E", "", "")


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"{}", b'{"output":{}}', b"[" * 100_000])
def test_answers_that_are_none(body: bytes) -> None:
    with pytest.raises(Upstream):
        converse_to_chat.translate_answer(body, "alias")
    relay = ChatOverConverse().relay(envelope())
    if body != b"{}" and body != b"":
        with pytest.raises(Upstream):
            relay.feed(
                fake.frame({":event-type": "contentBlockDelta", ":message-type": "event"}, body + b"x")
            )


@pytest.mark.parametrize(
    ("body", "message", "kind"),
    [
        (b'{"message":"bad"}', "bad", ""),
        (b'{"Message":"User is not authorized"}', "User is not authorized", ""),
        (b'{"__type":"com.amazon#ThrottlingException","message":"slow"}', "slow", "ThrottlingException"),
        (b"<html>", "<html>", ""),
        (b"", "The provider answered 400.", ""),
    ],
)
def test_faults(body: bytes, message: str, kind: str) -> None:
    assert ChatOverConverse().fault(400, body)[:2] == (message, kind)


def test_what_only_openai_knows_of_a_message_becomes_words() -> None:
    body = {
        "messages": [
            {"role": "user", "content": "hi", "name": "ada"},
            {"role": "assistant", "content": None, "refusal": "No.", "name": "bot"},
            {"role": "user", "content": [{"type": "text", "text": "why"}], "name": "bob"},
        ]
    }
    made = chat_to_converse.translate_request(body)["messages"]
    assert [[block["text"] for block in each["content"]] for each in made] == [
        ["ada: hi"],
        ["No."],
        ["bob: ", "why"],
    ]


def test_failures_of_tools_and_allowed_tools() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    tools = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]
    body = {
        "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c", "content": "down", "is_error": True},
        ],
        "tools": tools,
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": tools[1:]}},
    }
    made = chat_to_converse.translate_request(body)
    assert made["messages"][2]["content"][0]["toolResult"]["status"] == "error"
    assert [each["toolSpec"]["name"] for each in made["toolConfig"]["tools"]] == ["g"]
    assert made["toolConfig"]["toolChoice"] == {"any": {}}
