"""OpenAI's Responses API: the translation both ways as such, and OpenAI's own client in front of every family."""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import openai
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent

from penstock.core.errors import Invalid, Upstream
from penstock.gateway.cache.replay import replay
from penstock.gateway.dialects.base import Relay
from penstock.gateway.dialects.chat_over_gemini import ChatOverGemini
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.fronts import fronts
from penstock.gateway.dialects.responses import ResponsesDialect
from penstock.gateway.dialects.responses_echo import Echoed, Expanded
from penstock.gateway.dialects.responses_over_chat import ResponsesOverChat
from penstock.gateway.dialects.responses_request import translate_request
from penstock.gateway.dialects.responses_sealing import MARK, seal, unseal
from penstock.gateway.dialects.sse import EventBuffer, payload
from penstock.gateway.model import Operation
from penstock.gateway.ports import ProviderConfig
from penstock.gateway.providers.azure import AzureProvider
from penstock.gateway.providers.openai import OpenAIProvider
from tests.fakes import anthropic as fake_anthropic
from tests.fakes import gemini as fake_gemini
from tests.fakes import openai as fake_openai
from tests.fakes import openai_responses as fake_responses
from tests.gateway.conftest import Running, routes_for

PNG = "data:image/png;base64,iVBORw0KGgo="
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "Tells it.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "additionalProperties": False,
    },
    "strict": False,
}
PATCH: Any = {"type": "custom", "name": "patch", "description": "Patches.", "format": {"type": "text"}}
_event = pydantic.TypeAdapter(ResponseStreamEvent)


def envelope(**members: Any) -> Envelope:
    return Envelope(json.dumps({"model": "m", "input": "Hi", **members}).encode())


def translated(**members: Any) -> dict[str, Any]:
    return translate_request({"model": "m", "input": "Hi", **members}, "gpt", stream=False)


def datas(stream: bytes) -> list[dict[str, Any]]:
    """Return the events of a stream, checked against the types of OpenAI's client."""
    found = [json.loads(payload(event)) for event in EventBuffer().feed(stream) if payload(event)]
    for each in found:
        _event.validate_python(each)
    return found


def same(answer: Any) -> Any:
    """Return an answer without what differs from call to call."""
    if isinstance(answer, dict):
        gone = ("id", "created_at", "completed_at", "item_id")
        return {name: same(value) for name, value in answer.items() if name not in gone}
    return [same(value) for value in answer] if isinstance(answer, list) else answer


# -- requests ----------------------------------------------------------------------------------------------


def test_every_kind_of_input_becomes_messages() -> None:
    items = [
        {"role": "developer", "content": "Be terse."},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Look:"},
                {"type": "input_image", "image_url": PNG, "detail": "low"},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,QQ=="},
                {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}},
            ],
        },
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "Hm."}],
            "encrypted_content": seal([{"type": "thinking", "thinking": "Hm.", "signature": "s"}]),
        },
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_1",
            "content": [{"type": "output_text", "text": "Well.", "annotations": []}],
        },
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city":"Oslo"}'},
        {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "a\nb"},
        {"type": "function_call_output", "call_id": "c1", "output": "rain"},
        {
            "type": "custom_tool_call_output",
            "call_id": "c2",
            "output": [{"type": "input_text", "text": "ok"}, {"type": "input_image", "image_url": PNG}],
        },
        {"role": "user", "content": "Go on."},
    ]
    wide = translated(input=items, instructions="Obey.")["messages"]
    image = {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}
    assert wide[0] == {"role": "system", "content": "Obey."}
    assert wide[1] == {"role": "developer", "content": "Be terse."}
    assert wide[2]["content"] == [
        {"type": "text", "text": "Look:"},
        image,
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,QQ=="}},
        {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}},
    ]
    assert wide[3] == {
        "role": "assistant",
        "content": "Well.",
        "reasoning_content": "Hm.",
        "thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "s"}],
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}},
            {"id": "c2", "type": "function", "function": {"name": "patch", "arguments": '{"input":"a\\nb"}'}},
        ],
    }
    assert [each["role"] for each in wide[4:]] == ["tool", "tool", "user"]
    assert wide[5]["content"][1] == {"type": "image_url", "image_url": {"url": PNG}}
    # OpenAI's chat API knows neither thoughts nor images in the results of tools.
    plain = translate_request({"input": items}, "gpt", stream=False, extensions=False)["messages"]
    assert set(plain[2]) == {"role", "content", "tool_calls"}
    assert plain[4] == {"role": "tool", "tool_call_id": "c2", "content": "ok"}
    assert plain[5]["role"] == "user" and plain[5]["content"][1]["type"] == "image_url"


def test_members_become_chats() -> None:
    made = translate_request(
        {
            "model": "m", "input": "Hi", "max_output_tokens": 9, "temperature": 0.5, "top_p": 0.9, "user": "ada",
            "reasoning": {"effort": "low", "summary": "auto"}, "service_tier": "flex", "prompt_cache_key": "k",
            "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": {}, "strict": True}},
            "include": ["message.output_text.logprobs", "reasoning.encrypted_content"], "top_logprobs": 2,
            "tools": [WEATHER, PATCH], "tool_choice": {"type": "function", "name": "weather"},
            "parallel_tool_calls": False, "store": False, "metadata": {"a": "b"}, "truncation": "disabled",
            "background": False, "max_tool_calls": 3, "x_new": 1, "conversation": None,
        },
        "gpt",
        stream=True,
    )  # fmt: skip
    tools = made.pop("tools")
    assert made == {
        "model": "gpt", "messages": [{"role": "user", "content": "Hi"}], "stream": True,
        "stream_options": {"include_usage": True}, "max_completion_tokens": 9, "temperature": 0.5, "top_p": 0.9,
        "user": "ada", "reasoning_effort": "low", "service_tier": "flex", "prompt_cache_key": "k", "verbosity": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {}, "strict": True}},
        "logprobs": True, "top_logprobs": 2, "parallel_tool_calls": False, "x_new": 1,
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
    }  # fmt: skip
    assert tools[0] == {
        "type": "function",
        "function": {name: WEATHER[name] for name in ("name", "description", "parameters", "strict")},
    }
    assert tools[1]["function"]["parameters"]["required"] == ["input"]


def test_allowed_tools_are_the_only_ones_sent() -> None:
    allowed = {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": "weather"}],
    }
    made = translated(tools=[WEATHER, PATCH], tool_choice=allowed)
    assert [tool["function"]["name"] for tool in made["tools"]] == ["weather"]
    assert made["tool_choice"] == "required"


@pytest.mark.parametrize(
    ("members", "param", "code"),
    [
        ({"background": True}, "background", "unsupported_parameter"),
        ({"conversation": "conv_1"}, "conversation", "unsupported_parameter"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt", "unsupported_parameter"),
        ({"previous_response_id": "resp_1"}, "previous_response_id", "unsupported_parameter"),
        ({"truncation": "auto"}, "truncation", "unsupported_parameter"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "unsupported_parameter"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "tools[0].type", "unsupported_parameter"),
        (
            {"tools": [WEATHER], "tool_choice": {"type": "file_search"}},
            "tool_choice",
            "unsupported_parameter",
        ),
        ({"tool_choice": "required"}, "tool_choice", "invalid_value"),
        ({"include": ["x"]}, "include", "unsupported_parameter"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode", "unsupported_parameter"),
        ({"text": {"format": {"type": "xml"}}}, "text.format", "invalid_value"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].id", "unsupported_parameter"),
        ({"input": [{"type": "web_search_call", "id": "x"}]}, "input[0].type", "unsupported_parameter"),
        ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role", "invalid_value"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].image_url",
            "unsupported_parameter",
        ),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id", "invalid_value"),
    ],
)
def test_what_has_no_counterpart_is_refused(members: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        translated(**members)
    assert (caught.value.details["param"], caught.value.details["code"]) == (param, code)


def test_seals_of_others_and_broken_ones_hold_nothing() -> None:
    blocks = [{"type": "redacted_thinking", "data": "x"}]
    assert unseal(seal(blocks)) == blocks
    for text in ("gAAAAABfoo", MARK + "!", MARK + "QQ==", None):
        assert unseal(text) == []


# -- answers -----------------------------------------------------------------------------------------------

THOUGHT = {"type": "thinking", "thinking": "Let me see.", "signature": "sig"}
CALLS = [
    {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}},
    {"id": "c2", "type": "function", "function": {"name": "patch", "arguments": '{"input":"+ ☃"}'}},
]
LOGPROB = {"token": "a", "bytes": [97], "logprob": -0.5, "top_logprobs": []}
CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-1",
    "service_tier": "default",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Grüße, ☃",
                "refusal": "But no.",
                "reasoning_content": "Let me see.",
                "thinking_blocks": [THOUGHT],
                "tool_calls": CALLS,
            },
            "logprobs": {"content": [LOGPROB], "refusal": None},
            "finish_reason": "tool_calls",
        }
    ],
    "usage": fake_openai.USAGE,
}


def chunks(*, finish: str = "tool_calls") -> bytes:
    """Return `CHAT` as a stream."""
    deltas: list[tuple[dict[str, Any], Any]] = [
        ({"role": "assistant", "content": "", "refusal": None}, None),
        ({"reasoning_content": "Let me "}, None),
        ({"reasoning_content": "see."}, None),
        ({"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "sig"}]}, None),
        ({"content": "Grü"}, {"content": [LOGPROB]}),
        ({"content": "ße, ☃"}, None),
        ({"refusal": "But no."}, None),
    ]
    for index, call in enumerate(CALLS):
        function: Any = call["function"]
        deltas.append(
            ({"tool_calls": [{**call, "index": index, "function": function | {"arguments": ""}}]}, None)
        )
        for part in (function["arguments"][:4], function["arguments"][4:]):
            deltas.append(({"tool_calls": [{"index": index, "function": {"arguments": part}}]}, None))
    made = [
        {"choices": [{"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": None}]}
        for delta, logprobs in deltas
    ]
    made.append({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    made.append({"choices": [], "usage": fake_openai.USAGE})
    head = {"id": "chatcmpl-1", "model": "gpt-1", "service_tier": "default"}
    return (
        b"".join(b"data: " + json.dumps(head | each).encode() + b"\n\n" for each in made)
        + b"data: [DONE]\n\n"
    )


FRONT = Echoed(ResponsesOverChat())
ASKED = {"tools": [WEATHER, PATCH], "instructions": "Obey.", "metadata": {"a": "b"}, "temperature": 0.5}


def run(relay: Relay, data: bytes, cuts: list[int]) -> bytes:
    places = [0, *sorted(at % (len(data) + 1) for at in cuts), len(data)]
    out = b"".join(relay.feed(data[a:b]) for a, b in pairwise(places))
    return out if relay.complete else out + relay.finish()


def test_an_answer_becomes_a_response_that_repeats_its_request() -> None:
    answer = FRONT.answer_to(envelope(**ASKED), json.dumps(CHAT).encode())
    body = json.loads(answer.body)
    found = Response.model_validate(body)
    assert [item.type for item in found.output] == [
        "reasoning",
        "message",
        "function_call",
        "custom_tool_call",
    ]
    assert (found.model, found.status, found.object, found.service_tier) == (
        "m",
        "completed",
        "response",
        "default",
    )
    assert found.id.startswith("resp_") and len({item.id for item in found.output}) == 4
    assert (found.instructions, found.metadata, found.temperature) == ("Obey.", {"a": "b"}, 0.5)
    assert body["tools"] == ASKED["tools"] and body["tool_choice"] == "auto" and body["store"] is True
    reasoning, message, call, custom = body["output"]
    assert reasoning["summary"] == [{"type": "summary_text", "text": "Let me see."}]
    assert unseal(reasoning["encrypted_content"]) == [THOUGHT]
    assert message["content"] == [
        {"type": "output_text", "text": "Grüße, ☃", "annotations": [], "logprobs": [LOGPROB]},
        {"type": "refusal", "refusal": "But no."},
    ]
    assert (call["call_id"], call["arguments"], call["status"]) == ("c1", '{"city":"Oslo"}', "completed")
    assert (custom["call_id"], custom["name"], custom["input"]) == ("c2", "patch", "+ ☃")
    assert body["usage"] == {
        "input_tokens": 42,
        "input_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 49,
    }
    assert answer.usage is not None and answer.usage.cached == 10


def test_what_comes_back_is_what_was_said() -> None:
    output = json.loads(FRONT.answer_to(envelope(**ASKED), json.dumps(CHAT).encode()).body)["output"]
    message = translated(input=output)["messages"][0]
    said = CHAT["choices"][0]["message"]
    assert message["content"] == [
        {"type": "text", "text": "Grüße, ☃"},
        {"type": "refusal", "refusal": "But no."},
    ]
    for name in ("reasoning_content", "thinking_blocks", "tool_calls"):
        assert message[name] == said[name]


@given(st.lists(st.integers(0, 10_000), max_size=12))
def test_however_the_stream_is_cut_the_response_is_the_whole_one(cuts: list[int]) -> None:
    asked = envelope(**ASKED, stream=True)
    relay = FRONT.relay(asked)
    found = datas(run(relay, chunks(), cuts))
    whole = json.loads(FRONT.answer_to(asked, json.dumps(CHAT).encode()).body)
    assert same(json.loads(relay.output())) == same(whole) == same(found[-1]["response"])
    assert [each["sequence_number"] for each in found] == list(range(len(found)))
    uncut = datas(run(FRONT.relay(asked), chunks(), []))
    assert same(found) == same(uncut)


def test_the_events_are_openais() -> None:
    found = datas(run(FRONT.relay(envelope(**ASKED, stream=True)), chunks(), []))
    kinds = [each["type"].removeprefix("response.") for each in found]
    assert kinds == [
        "created", "in_progress",
        "output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta",
        "reasoning_summary_text.delta", "reasoning_summary_text.done", "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added", "content_part.added", "output_text.delta", "output_text.delta", "output_text.done",
        "content_part.done", "content_part.added", "refusal.delta", "refusal.done", "content_part.done",
        "output_item.done",
        "output_item.added", "function_call_arguments.delta", "function_call_arguments.delta",
        "function_call_arguments.done", "output_item.done",
        "output_item.added", "custom_tool_call_input.delta", "custom_tool_call_input.done", "output_item.done",
        "completed",
    ]  # fmt: skip
    output = found[-1]["response"]["output"]
    for each in found:
        if "item_id" in each:
            assert each["item_id"] == output[each["output_index"]]["id"]
        if each["type"] == "response.output_item.done":
            assert each["item"] == output[each["output_index"]]
    assert [each["content_index"] for each in found if each["type"].endswith("content_part.added")] == [0, 1]


def test_a_cached_response_is_replayed_as_the_same_events() -> None:
    asked = envelope(**ASKED, stream=True)
    relay = FRONT.relay(asked)
    first = datas(run(relay, chunks(), []))
    again = datas(b"".join(replay(Operation.RESPONSES, relay.output(), include_usage=False)))
    assert again[-1] == first[-1] | {"sequence_number": again[-1]["sequence_number"]}
    assert {each["type"] for each in again} == {each["type"] for each in first}


@pytest.mark.parametrize(
    ("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")]
)
def test_an_answer_that_was_cut_is_incomplete(finish: str, reason: str) -> None:
    relay = FRONT.relay(envelope(**ASKED, stream=True))
    last = datas(run(relay, chunks(finish=finish), []))[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["status"] == "incomplete"
    assert last["response"]["incomplete_details"] == {"reason": reason}
    assert last["response"]["output"][-2]["status"] == "incomplete"
    chat = json.loads(json.dumps(CHAT))
    chat["choices"][0]["finish_reason"] = finish
    whole = json.loads(FRONT.answer_to(envelope(**ASKED), json.dumps(chat).encode()).body)
    assert same(whole) == same(last["response"])


def test_a_stream_that_breaks_ends_with_a_failed_response() -> None:
    relay = FRONT.relay(envelope(**ASKED, stream=True))
    begun = chunks().split(b"\n\n")[:5]
    out = relay.feed(b"\n\n".join(begun) + b'\n\ndata: {"error":{"message":"Boom.","code":"x"}}\n\n')
    assert relay.fault is not None and relay.fault.message == "Boom."
    last = datas(out)[-1]
    assert last["type"] == "response.failed" and last["response"]["error"] == {
        "code": "server_error",
        "message": "Boom.",
    }
    assert last["response"]["output"][-1]["content"][0]["text"] == "Grü"


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"choices":[]}', b"[1]"])
def test_answers_that_are_none_are_the_providers_fault(body: bytes) -> None:
    with pytest.raises(Upstream):
        FRONT.answer_to(envelope(), body)


def test_an_expanded_request_still_names_what_it_continues() -> None:
    expanded = Expanded(envelope(stream=True).body, "resp_before")
    whole = json.loads(FRONT.answer_to(expanded, json.dumps(CHAT).encode()).body)
    relay = FRONT.relay(expanded)
    run(relay, chunks(), [])
    native = ResponsesDialect().answer_to(expanded, b'{"model":"x","previous_response_id":null}')
    for found in (whole, json.loads(relay.output()), json.loads(native.body)):
        assert found["previous_response_id"] == "resp_before"


def test_signatures_of_gemini_come_back() -> None:
    dialect = fronts(ChatOverGemini())[Operation.RESPONSES]
    body = json.dumps(fake_gemini.response(fake_gemini.CALLS)).encode()
    output = json.loads(dialect.answer(body, "m").body)["output"]
    items = [{"role": "user", "content": "Hi"}, *output]
    items += [{"type": "function_call_output", "call_id": item["call_id"], "output": "1"} for item in output]
    sent = json.loads(dialect.request(envelope(input=items), "gemini-3-pro"))
    assert sent["contents"][1]["parts"][0]["thoughtSignature"] == fake_gemini.SIGNATURE


# -- upstreams that have the API themselves ----------------------------------------------------------------


@given(st.lists(st.integers(0, 10_000), max_size=12))
def test_native_streams_pass_under_the_callers_name(cuts: list[int]) -> None:
    relay = ResponsesDialect().relay(envelope(stream=True))
    sent = b"".join(fake_responses.events({"model": "gpt"}))
    out = run(relay, sent, cuts)
    assert out == sent.replace(b'"model":"gpt-2025-04-14"', b'"model":"m"')
    assert relay.complete and relay.usage is not None and relay.fault is None
    assert relay.usage.cache_write == 4
    assert (relay.usage.input, relay.usage.output, relay.usage.cached, relay.usage.reasoning) == (
        36,
        87,
        6,
        3,
    )
    assert json.loads(relay.output()) == datas(out)[-1]["response"]


def test_what_came_of_a_native_stream_that_broke() -> None:
    relay = ResponsesDialect().relay(envelope(stream=True))
    relay.feed(b"".join(fake_responses.events({"model": "gpt"})[:6]))
    assert not relay.complete
    found = json.loads(relay.output())
    assert (found["model"], found["output"], found["partial"]) == ("m", [], ["Once upon "])


def test_native_upstreams_get_no_thoughts_that_others_sealed() -> None:
    foreign = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": seal([THOUGHT])}
    own = {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAAA"}
    asked = envelope(input=[foreign, own, {"role": "user", "content": "Hi"}], x_new=1)
    sent = json.loads(ResponsesDialect().request(asked, "gpt"))
    assert [item.get("id") for item in sent["input"]] == ["rs_2", None]
    assert (sent["model"], sent["x_new"]) == ("gpt", 1)


@pytest.mark.parametrize(
    ("kind", "config", "native", "target"),
    [
        (OpenAIProvider, {"base_url": "https://api.openai.com/v1"}, True, b"/v1/responses"),
        (OpenAIProvider, {"base_url": "https://eu.api.openai.com/v1"}, True, b"/v1/responses"),
        (OpenAIProvider, {"base_url": "https://x.test/v1"}, False, b"/v1/chat/completions"),
        (OpenAIProvider, {"base_url": "https://api.openai.com.evil.test/v1"}, False, b"/v1/chat/completions"),
        (
            OpenAIProvider,
            {"base_url": "https://x.test/v1", "options": {"responses": True}},
            True,
            b"/v1/responses",
        ),
        (
            OpenAIProvider,
            {"base_url": "https://api.openai.com/v1", "options": {"responses": False}},
            False,
            b"/v1/chat/completions",
        ),
        (AzureProvider, {"base_url": "https://n.openai.azure.com"}, True, b"/openai/v1/responses"),
        (
            AzureProvider,
            {"base_url": "https://n.openai.azure.com", "options": {"api_version": "2024-10-21"}},
            False,
            b"/openai/deployments/gpt/chat/completions?api-version=2024-10-21",
        ),
        (
            AzureProvider,
            {
                "base_url": "https://n.openai.azure.com",
                "options": {"api_version": "2025-03-01-preview", "responses": True},
            },
            True,
            b"/openai/responses?api-version=2025-03-01-preview",
        ),
    ],
)
def test_who_has_the_api_is_asked_for_it(kind: Any, config: Any, native: bool, target: bytes) -> None:
    provider = kind(ProviderConfig(name="p", **config))
    assert isinstance(provider.dialect(Operation.RESPONSES), ResponsesDialect) is native
    assert provider.request(Operation.RESPONSES, "gpt", b"{}").target == target


# -- OpenAI's client, a gateway, and every family behind it ------------------------------------------------


@pytest.fixture
def gemini_upstream() -> Iterator[fake_gemini.GeminiUpstream]:
    with fake_gemini.GeminiUpstream() as server:
        yield server


@pytest.fixture
def responses_upstream() -> Iterator[fake_responses.ResponsesUpstream]:
    with fake_responses.ResponsesUpstream() as server:
        yield server


@pytest.fixture
def everyone(
    gateway: Running,
    gemini_upstream: fake_gemini.GeminiUpstream,
    responses_upstream: fake_responses.ResponsesUpstream,
) -> Running:
    """The gateway with Gemini (`ge-…`) and a provider of the API itself (`re-…`) as well."""
    native = {"kind": "openai", "base_url": f"{responses_upstream.url}/v1", "api_key": fake_responses.KEY}
    gateway.configure(
        {
            "ge": {"kind": "gemini", "base_url": gemini_upstream.url, "api_key": fake_gemini.KEY},
            "re": native | {"options": {"responses": True}},
        },
        routes_for("ge", "ge-", ["gemini-fake", "breaks"])
        | routes_for("re", "re-", ["gpt", "refused", "crashed", "cut"]),
    )
    return gateway


@pytest.fixture
def client(everyone: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{everyone.url}/v1", api_key=everyone.key, max_retries=0) as made:
        yield made


TEXTS = {
    "oa-gpt-fake": ("".join(fake_openai.WORDS), (42, 7, 10)),
    "an-claude-fake": ("".join(fake_anthropic.TEXTS), (28, 11, 5)),
    "ge-gemini-fake": ("".join(fake_gemini.TEXTS), (30, 13, 10)),
    "re-gpt": ("".join(fake_responses.WORDS), (36, 87, 6)),
}


def test_text_from_everyone(everyone: Running, client: openai.OpenAI) -> None:
    for count, (model, (text, counts)) in enumerate(TEXTS.items()):
        found = client.responses.create(model=model, input="Hello", instructions="Be kind.", user="ada")
        assert (found.output_text, found.model, found.status) == (text, model, "completed")
        assert found.instructions == "Be kind." and found.usage is not None
        usage = found.usage
        assert (usage.input_tokens, usage.output_tokens, usage.input_tokens_details.cached_tokens) == counts
        with client.responses.stream(model=model, input="Hello") as stream:
            deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
            whole = stream.get_final_response()
        assert "".join(deltas) == whole.output_text == text and len(deltas) > 1
        assert (whole.model, whole.status) == (model, "completed")
        span = everyone.recorder.last(2 * count + 2)
        assert (span.input_tokens, span.output_tokens, span.cached_tokens) == counts
        assert json.loads(span.output or b"")["output"][-1]["id"] == whole.output[-1].id


def test_functions_go_round_trip(
    client: openai.OpenAI,
    openai_upstream: fake_openai.MockUpstream,
    anthropic_upstream: fake_anthropic.AnthropicUpstream,
    gemini_upstream: fake_gemini.GeminiUpstream,
) -> None:
    for model in ("oa-gpt-fake", "an-claude-fake", "ge-gemini-fake"):
        items: list[Any] = [{"role": "user", "content": "Weather in Oslo?"}]
        whole = client.responses.create(model=model, input=items, tools=[WEATHER])
        with client.responses.stream(model=model, input=items, tools=[WEATHER]) as stream:
            for _ in stream:
                pass
            streamed = stream.get_final_response()
        for found in (whole, streamed):
            calls = [item for item in found.output if item.type == "function_call"]
            assert json.loads(calls[0].arguments) == {"city": "Oslo"} and calls[0].name == "weather"
            results = [
                {"type": "function_call_output", "call_id": call.call_id, "output": "rain"} for call in calls
            ]
            again = [*items, *(item.to_dict() for item in found.output), *results]
            answer = client.responses.create(model=model, input=again)
            assert answer.output_text == TEXTS[model][0]
    sent = openai_upstream.requests[-1].json["messages"]
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] == "call_1"
    content = anthropic_upstream.requests[-1].json["messages"]
    assert content[1]["content"][-1]["id"] == content[2]["content"][0]["tool_use_id"] == "toolu_1"
    assert gemini_upstream.requests[-1].json["contents"][1]["parts"][0]["thoughtSignature"]


class City(pydantic.BaseModel):
    city: str


def test_structured_outputs_and_thoughts(
    client: openai.OpenAI, gemini_upstream: fake_gemini.GeminiUpstream
) -> None:
    parsed = client.responses.parse(
        model="ge-gemini-fake",
        input="Where?",
        text_format=City,
        reasoning={"effort": "low", "summary": "auto"},
    )
    assert parsed.output_parsed == City(city="Oslo")
    assert gemini_upstream.requests[-1].json["generationConfig"]["responseJsonSchema"]["required"] == ["city"]
    asked: Any = {"model": "ge-gemini-fake", "input": "Where?", "reasoning": {"effort": "low"}}
    found = client.responses.create(**asked)
    first = found.output[0]
    assert first.type == "reasoning" and first.summary[0].text == fake_gemini.THOUGHT
    assert found.usage is not None and found.usage.output_tokens_details.reasoning_tokens == 5
    with client.responses.stream(
        model="ge-gemini-fake", input="Where?", text_format=City, reasoning={"effort": "low"}
    ) as stream:
        assert [event.type for event in stream][-1] == "response.completed"
        assert stream.get_final_response().output_parsed == City(city="Oslo")
    with client.responses.stream(**asked) as stream:
        thoughts = [e.delta for e in stream if e.type == "response.reasoning_summary_text.delta"]
    assert "".join(thoughts) == fake_gemini.THOUGHT


def test_images_reach_everyone(
    client: openai.OpenAI,
    openai_upstream: fake_openai.MockUpstream,
    anthropic_upstream: fake_anthropic.AnthropicUpstream,
    gemini_upstream: fake_gemini.GeminiUpstream,
) -> None:
    content = [
        {"type": "input_text", "text": "What?"},
        {"type": "input_image", "image_url": PNG, "detail": "auto"},
    ]
    items: Any = [{"role": "user", "content": content}]
    for model in ("oa-gpt-fake", "an-claude-fake", "ge-gemini-fake"):
        assert client.responses.create(model=model, input=items).output_text
    for upstream in (openai_upstream, anthropic_upstream, gemini_upstream):
        assert b"iVBORw0KGgo=" in upstream.requests[-1].body


@pytest.mark.parametrize(
    ("model", "kind", "code"),
    [
        ("oa-status-400", openai.BadRequestError, "context_length_exceeded"),
        ("oa-status-429", openai.RateLimitError, "rate_limit_exceeded"),
        ("an-overloaded", openai.InternalServerError, None),
        ("re-refused", openai.BadRequestError, "invalid_value"),
        ("nope", openai.NotFoundError, "model_not_found"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_are_openais(
    client: openai.OpenAI, model: str, kind: type, code: str | None, stream: bool
) -> None:
    with pytest.raises(kind) as caught:
        client.responses.create(model=model, input="Hi", stream=stream)
    assert isinstance(caught.value, openai.APIStatusError)
    assert code is None or caught.value.code == code


def test_refusals_name_the_member(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="an-claude-fake", input="Hi", tools=[{"type": "web_search"}])
    assert caught.value.param == "tools[0].type"


@pytest.mark.parametrize("model", ["oa-error-in-stream", "oa-cut", "ge-breaks", "re-crashed", "re-cut"])
def test_streams_that_break_say_so(everyone: Running, client: openai.OpenAI, model: str) -> None:
    seen = []
    with pytest.raises(openai.APIError):
        for event in client.responses.create(model=model, input="Hi", stream=True):
            seen.append(event.type)
    assert seen[0] == "response.created"
    assert ("response.failed" in seen) is not model.endswith("cut")
    assert everyone.recorder.last().status == "error"
