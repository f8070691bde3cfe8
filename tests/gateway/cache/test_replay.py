"""Replayed streams, read by the official clients themselves."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from penstock.core.errors import Invalid
from penstock.gateway.cache.replay import replay
from penstock.gateway.dialects.anthropic import AnthropicDialect
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.openai import OpenAIDialect
from penstock.gateway.dialects.sse import EventBuffer, payload
from penstock.gateway.model import Operation

TEXT = "Grüße, 世界! " * 100
ARGUMENTS = json.dumps({"city": "Genève", "days": list(range(200))})


def events(operation: Operation, answer: dict[str, Any], *, include_usage: bool = False) -> list[bytes]:
    return list(replay(operation, json.dumps(answer).encode(), include_usage=include_usage))


def datas(found: list[bytes]) -> list[Any]:
    return [json.loads(data) for event in found if (data := payload(event[:-2])) not in (b"", b"[DONE]")]


@pytest.fixture
def openai_client() -> Iterator[Callable[[list[bytes]], openai.OpenAI]]:
    made: list[openai.OpenAI] = []

    def client(stream: list[bytes]) -> openai.OpenAI:
        def respond(_request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(
                200, headers={"content-type": "text/event-stream"}, content=b"".join(stream)
            )

        transport = httpx2.Client(transport=httpx2.MockTransport(respond))
        made.append(openai.OpenAI(api_key="psk_x", base_url="http://127.0.0.1/v1", http_client=transport))
        return made[-1]

    yield client
    for each in made:
        each.close()


CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ARGUMENTS}}
CHAT: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_800_000_000,
    "model": "chat",
    "system_fingerprint": "fp",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": TEXT, "refusal": None, "reasoning_content": "Hm."},
            "finish_reason": "stop",
            "logprobs": None,
        },
        {
            "index": 1,
            "message": {"role": "assistant", "content": None, "tool_calls": [CALL, {**CALL, "id": "call_2"}]},
            "finish_reason": "tool_calls",
        },
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14},
}


def test_chat_comes_back_whole_through_openai_s_client(openai_client: Callable[..., openai.OpenAI]) -> None:
    client = openai_client(events(Operation.CHAT, CHAT, include_usage=True))
    messages: Any = [{"role": "user", "content": "x"}]
    with client.chat.completions.stream(
        model="chat", messages=messages, stream_options={"include_usage": True}
    ) as stream:
        for _ in stream:
            pass
        whole = stream.get_final_completion()
    assert whole.choices[0].message.content == TEXT
    assert [call.id for call in whole.choices[1].message.tool_calls or ()] == ["call_1", "call_2"]
    assert (whole.choices[1].message.tool_calls or ())[1].function.arguments == ARGUMENTS
    assert [choice.finish_reason for choice in whole.choices] == ["stop", "tool_calls"]
    assert whole.usage is not None
    assert whole.usage.total_tokens == 14
    assert (whole.id, whole.model, whole.created) == ("chatcmpl-1", "chat", 1_800_000_000)


def test_chat_has_many_pieces_ends_with_done_and_counts_only_when_asked() -> None:
    found = events(Operation.CHAT, CHAT)
    assert found[-1] == b"data: [DONE]\n\n"
    assert all(chunk["choices"] for chunk in datas(found))
    assert not any("usage" in chunk for chunk in datas(found))
    assert sum("content" in chunk["choices"][0]["delta"] for chunk in datas(found)) > 3
    counted = datas(events(Operation.CHAT, CHAT, include_usage=True))
    assert (counted[-1]["choices"], counted[-1]["usage"]) == ([], CHAT["usage"])
    assert counted[0]["usage"] is None


def test_chat_comes_back_through_our_own_relay() -> None:
    request = Envelope(
        b'{"model":"chat","messages":[],"stream":true,"stream_options":{"include_usage":true}}'
    )
    relay = OpenAIDialect().relay(request)
    sent = b"".join(events(Operation.CHAT, CHAT, include_usage=True))
    assert relay.feed(sent) + relay.finish() == sent
    assert relay.complete
    built = json.loads(relay.output())
    assert built["choices"][0]["message"]["reasoning_content"] == "Hm."
    assert built["choices"][1]["message"]["tool_calls"][0] == CALL


def test_completions_come_back_through_openai_s_client(openai_client: Callable[..., openai.OpenAI]) -> None:
    answer = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "usage": CHAT["usage"]}
    answer["choices"] = [{"index": 0, "text": TEXT, "finish_reason": "stop", "logprobs": None}]
    client = openai_client(events(Operation.COMPLETIONS, answer, include_usage=True))
    chunks = list(client.completions.create(model="m", prompt="x", stream=True))
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == TEXT
    assert chunks[-1].usage is not None
    assert chunks[-2].choices[0].finish_reason == "stop"


MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [
        {"type": "thinking", "thinking": "Let me see. " * 50, "signature": "c2lnbmVk"},
        {"type": "redacted_thinking", "data": "b3BhcXVl"},
        {"type": "text", "text": TEXT},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Genève", "n": [1, 2]}},
        {"type": "tool_use", "id": "toolu_2", "name": "nothing", "input": {}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 12, "output_tokens": 34, "cache_read_input_tokens": 5},
}


def test_messages_come_back_whole_through_anthropic_s_client() -> None:
    stream = b"".join(events(Operation.MESSAGES, MESSAGE))

    def respond(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)

    transport = httpx2.Client(transport=httpx2.MockTransport(respond))
    with anthropic.Anthropic(api_key="psk_x", base_url="http://127.0.0.1", http_client=transport) as client:
        messages: Any = [{"role": "user", "content": "x"}]
        with client.messages.stream(model="claude", max_tokens=9, messages=messages) as reading:
            whole = reading.get_final_message()
    found = whole.model_dump(mode="json", exclude_none=True)
    assert found["content"] == MESSAGE["content"]
    assert (found["id"], found["stop_reason"]) == ("msg_1", "tool_use")
    assert MESSAGE["usage"].items() <= found["usage"].items()


def test_messages_come_back_through_our_own_relay() -> None:
    relay = AnthropicDialect().relay(Envelope(b'{"model":"claude","messages":[],"stream":true}'))
    sent = b"".join(events(Operation.MESSAGES, MESSAGE))
    assert relay.feed(sent) == sent
    assert relay.complete
    assert relay.usage is not None
    assert (relay.usage.input, relay.usage.cached, relay.usage.output) == (17, 5, 34)


RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1_800_000_000,
    "status": "completed",
    "model": "m",
    "output": [
        {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "I thought."}]},
        {
            "id": "item_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": TEXT, "annotations": []}],
        },
        {
            "id": "item_2",
            "type": "function_call",
            "call_id": "call_1",
            "name": "weather",
            "arguments": ARGUMENTS,
            "status": "completed",
        },
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 3,
        "output_tokens": 4,
        "total_tokens": 7,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 1},
    },
}


def test_responses_come_back_whole_through_openai_s_client(
    openai_client: Callable[..., openai.OpenAI],
) -> None:
    client = openai_client(events(Operation.RESPONSES, RESPONSE))
    kinds, text = [], ""
    with client.responses.stream(model="m", input="x") as stream:
        for event in stream:
            kinds.append(event.type)
            if event.type == "response.output_text.delta":
                text += event.delta
        whole = stream.get_final_response()
    assert text == whole.output_text == TEXT
    assert whole.output[2].to_dict()["arguments"] == ARGUMENTS
    assert whole.usage is not None
    assert whole.usage.total_tokens == 7
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"


def test_responses_events_are_complete_and_numbered() -> None:
    found = datas(events(Operation.RESPONSES, RESPONSE))
    assert [each["sequence_number"] for each in found] == list(range(len(found)))
    kinds = {each["type"].removeprefix("response.") for each in found}
    wanted = {
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.done",
        "content_part.done", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done",
        "reasoning_summary_text.delta", "completed",
    }  # fmt: skip
    assert wanted <= kinds
    added = [each for each in found if each["type"] == "response.output_item.added"]
    assert [each["item"].get("content", each["item"].get("arguments")) for each in added] == [None, [], ""]
    assert {each["item_id"] for each in found if "content_index" in each} == {"item_1"}


CANDIDATES: dict[str, Any] = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": TEXT, "thoughtSignature": "c2ln"},
                    {"functionCall": {"name": "weather", "args": {"city": "Genève"}}},
                ],
            },
            "finishReason": "STOP",
            "index": 0,
        }
    ],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4, "totalTokenCount": 7},
    "modelVersion": "m",
}


def test_generated_content_comes_in_chunks_as_gemini_sends_them() -> None:
    found = datas(events(Operation.GENERATE, CANDIDATES))
    parts = [part for chunk in found for each in chunk["candidates"] for part in each["content"]["parts"]]
    assert "".join(part.get("text", "") for part in parts) == TEXT
    assert [part["thoughtSignature"] for part in parts if "thoughtSignature" in part] == ["c2ln"]
    assert [part["functionCall"]["name"] for part in parts if "functionCall" in part] == ["weather"]
    assert "finishReason" not in found[0]["candidates"][0]
    assert found[-1]["candidates"][0]["finishReason"] == "STOP"
    assert found[-1]["usageMetadata"] == CANDIDATES["usageMetadata"]


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        (
            Operation.CHAT,
            {**CHAT, "choices": [{"index": 0, "message": {"content": ""}, "finish_reason": "stop"}]},
        ),
        (Operation.MESSAGES, {**MESSAGE, "content": []}),
        (Operation.RESPONSES, {**RESPONSE, "output": []}),
        (Operation.GENERATE, {"candidates": []}),
    ],
)
def test_empty_answers_are_streams_too(operation: Operation, answer: dict[str, Any]) -> None:
    buffer = EventBuffer()
    found = buffer.feed(b"".join(events(operation, answer)))
    assert buffer.rest == b""
    assert found


def test_what_never_streams_is_refused() -> None:
    with pytest.raises(Invalid, match="never streamed"):
        replay(Operation.EMBEDDINGS, b"{}")
