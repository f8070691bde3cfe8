"""Answers of Anthropic models as chat completions, whole and streamed."""

from typing import Any

import msgspec
import pytest

from penstock.core.errors import Upstream
from penstock.gateway.dialects.anthropic import AnthropicRelay
from penstock.gateway.dialects.messages_to_chat import ChatOverMessagesRelay, translate_answer
from penstock.gateway.dialects.sse import EventBuffer, payload
from penstock.gateway.model import Usage
from penstock.traces.price_terms import PER, Price, amount
from tests.fakes.anthropic import event, message

USAGE = {
    "input_tokens": 20,
    "cache_read_input_tokens": 5,
    "cache_creation_input_tokens": 7,
    "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
    "output_tokens": 11,
    "output_tokens_details": {"thinking_tokens": 6},
}
COUNTED = Usage(32, 11, 5, 3, 6, 4)
CITED = {"type": "char_location", "cited_text": "a", "document_index": 0}
CONTENT: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "hm hm", "signature": "s1"},
    {"type": "redacted_thinking", "data": "xyz"},
    {"type": "thinking", "thinking": "", "signature": "s2"},
    {"type": "text", "text": "It is", "citations": [CITED]},
    {"type": "text", "text": " warm."},
    {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {"query": "q"}},
    {"type": "web_search_tool_result", "tool_use_id": "srv", "content": []},
    {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": [1, {"b": "ä"}]}},
    {"type": "tool_use", "id": "t2", "name": "g", "input": {}},
]


def whole(content: list[dict[str, Any]] = CONTENT, stop: str | None = "tool_use", **more: Any) -> bytes:
    body = message("claude", content, stop or "")
    return msgspec.json.encode(body | {"stop_reason": stop, "usage": USAGE} | more)


def halves(text: str) -> list[str]:
    return [text[: len(text) // 2], text[len(text) // 2 :]]


def block_events(index: int, block: dict[str, Any]) -> list[bytes]:
    begun, deltas = dict(block), []
    if block["type"] == "text":
        begun["text"] = ""
        cited = begun.pop("citations", [])
        deltas = [{"type": "text_delta", "text": each} for each in halves(block["text"])]
        deltas += [{"type": "citations_delta", "citation": each} for each in cited]
    elif block["type"] == "thinking":
        begun |= {"thinking": "", "signature": ""}
        deltas = [{"type": "thinking_delta", "thinking": each} for each in halves(block["thinking"])]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    elif block["type"].endswith("tool_use") and block["input"]:
        begun["input"] = {}
        text = msgspec.json.encode(block["input"]).decode()
        deltas = [{"type": "input_json_delta", "partial_json": each} for each in ("", *halves(text))]
    return [
        event("content_block_start", index=index, content_block=begun),
        *[event("content_block_delta", index=index, delta=delta) for delta in deltas],
        event("content_block_stop", index=index),
    ]


def events(
    content: list[dict[str, Any]] = CONTENT, stop: str | None = "tool_use", **more: Any
) -> list[bytes]:
    start = message("claude", [], "") | {"stop_reason": None, "usage": USAGE | {"output_tokens": 1}}
    out = [event("message_start", message=start), event("ping"), event("brand_new", x=1)]
    for index, block in enumerate(content):
        out += block_events(index, block)
    delta = {"stop_reason": stop, "stop_sequence": None, **more}
    usage = {"output_tokens": 11, "output_tokens_details": {"thinking_tokens": 6}}
    return [*out, event("message_delta", delta=delta, usage=usage), event("message_stop")]


def chunks(data: bytes) -> list[Any]:
    found = [payload(each) for each in EventBuffer().feed(data)]
    return [msgspec.json.decode(each) for each in found if each.startswith(b"{")]


def comparable(body: bytes) -> Any:
    return msgspec.json.decode(body) | {"created": 0}


def relayed(made: list[bytes], *, usage: bool = True) -> tuple[ChatOverMessagesRelay, bytes]:
    relay = ChatOverMessagesRelay("alias", usage)
    return relay, relay.feed(b"".join(made)) + relay.finish()


def test_a_whole_answer() -> None:
    answer = translate_answer(whole(), "alias")
    body = msgspec.json.decode(answer.body)
    assert (answer.usage, answer.model) == (COUNTED, "claude")
    assert body["choices"][0]["finish_reason"] == "tool_calls"
    assert body["choices"][0]["message"] == {
        "role": "assistant",
        "content": "It is warm.",
        "refusal": None,
        "reasoning_content": "hm hm",
        "thinking_blocks": CONTENT[:3],
        "tool_calls": [
            {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":[1,{"b":"ä"}]}'}},
            {"id": "t2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
        "citations": [CITED],
    }
    assert body["usage"] == {
        "prompt_tokens": 32,
        "completion_tokens": 11,
        "total_tokens": 43,
        "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 7, "cache_write_1h_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 6},
    }


def test_each_class_of_tokens_has_its_price() -> None:
    price = Price(input=1, cached=0.5, cache_write=2, cache_write_1h=4, output=8)
    assert amount(price, COUNTED) * PER == 20 + 5 * 0.5 + 3 * 2 + 4 * 4 + 11 * 8


def test_a_stream_says_the_same() -> None:
    relay, out = relayed(events())
    assert relay.complete and relay.usage == COUNTED and relay.model == "claude"
    assert comparable(relay.output()) == comparable(translate_answer(whole(), "alias").body)
    found = chunks(out)
    assert found[-1]["choices"] == [] and found[-1]["usage"]["prompt_tokens"] == 32
    assert out.endswith(b"data: [DONE]\n\n") and found[-2]["choices"][0]["finish_reason"] == "tool_calls"
    deltas = [chunk["choices"][0]["delta"] for chunk in found[:-1]]
    assert "".join(delta.get("content") or "" for delta in deltas) == "It is warm."
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "hm hm"
    thoughts = [block for delta in deltas for block in delta.get("thinking_blocks") or ()]
    assert [block.get("signature") or block["data"] for block in thoughts] == ["s1", "xyz", "s2"]
    arguments = {0: "", 1: ""}
    for call in (call for delta in deltas for call in delta.get("tool_calls") or ()):
        arguments[call["index"]] += call["function"]["arguments"]
    assert arguments == {0: '{"a":[1,{"b":"ä"}]}', 1: "{}"}


def test_counts_come_only_when_asked_for() -> None:
    _, out = relayed(events(), usage=False)
    assert all(chunk["choices"] for chunk in chunks(out))


@pytest.mark.parametrize(
    ("stop", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("never_heard_of", "stop"),
        (None, "stop"),
    ],
)
def test_stop_reasons(stop: str | None, finish: str) -> None:
    text = [{"type": "text", "text": "a"}]
    body = msgspec.json.decode(translate_answer(whole(text, stop), "alias").body)
    assert body["choices"][0]["finish_reason"] == finish
    relay, out = relayed(events(text, stop))
    assert relay.complete and chunks(out)[-2]["choices"][0]["finish_reason"] == finish


def test_refusals_and_stop_sequences_say_why() -> None:
    text = [{"type": "text", "text": "a"}]
    refused = {"stop_details": {"type": "refusal", "explanation": "It is unsafe."}}
    ended = {"stop_sequence": "END"}
    for stop, more in (("refusal", refused), ("stop_sequence", ended)):
        made = translate_answer(whole(text, stop, **more), "alias").body
        relay, out = relayed(events(text, stop, **more))
        assert comparable(relay.output()) == comparable(made)
        choice = msgspec.json.decode(made)["choices"][0]
        said = [chunk["choices"][0] for chunk in chunks(out)[:-1]]
        if stop == "refusal":
            assert choice["message"]["refusal"] == "It is unsafe."
            assert any(each["delta"].get("refusal") == "It is unsafe." for each in said)
        else:
            assert choice["stop_reason"] == said[-1]["stop_reason"] == "END"


def test_streams_that_leave_things_out() -> None:
    made = events()
    for kept in (
        made[:-1],
        made[:-2] + made[-1:],
        made[1:],
        [each for each in made if b"block_stop" not in each],
    ):
        relay, out = relayed(kept)
        assert relay.complete and out.count(b"[DONE]") == 1
        choice = comparable(relay.output())["choices"][0]
        assert choice["finish_reason"] == "tool_calls"
        assert [call["function"]["arguments"] for call in choice["message"]["tool_calls"]][1] == "{}"
    cut, out = relayed(made[:-2])
    assert not cut.complete and b"[DONE]" not in out


def test_arguments_that_come_at_once() -> None:
    begun = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}
    made = [event("content_block_start", index=0, content_block=begun), event("content_block_stop", index=0)]
    relay, _ = relayed([*made, event("message_stop")])
    message = comparable(relay.output())["choices"][0]["message"]
    assert message["tool_calls"][0]["function"]["arguments"] == '{"a":1}'


def test_an_error_ends_a_stream() -> None:
    failed = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    relay, out = relayed([*events()[:9], failed])
    assert relay.fault is not None and (relay.fault.message, relay.fault.type) == (
        "Overloaded",
        "overloaded_error",
    )
    assert not relay.complete and b"Overloaded" not in out and b"[DONE]" not in out


def test_a_block_that_makes_no_sense() -> None:
    with pytest.raises(Upstream):
        relayed([event("content_block_start", index=0, content_block={"type": "tool_use", "input": "x"})])


def test_an_answer_of_any_length_is_whole() -> None:
    long = "a" * 2_000_000
    body = msgspec.json.decode(translate_answer(whole([{"type": "text", "text": long}]), "alias").body)
    assert body["choices"][0]["message"]["content"] == long


def test_what_the_trace_of_a_native_stream_keeps() -> None:
    relay = AnthropicRelay("alias")
    relay.feed(b"".join(events()))
    kept, expected = msgspec.json.decode(relay.output()), msgspec.json.decode(whole())
    assert kept["content"] == expected["content"] and kept["stop_reason"] == "tool_use"
    assert kept["usage"] == USAGE and relay.usage == COUNTED
