"""Chat completions as answers for Anthropic callers, whole and streamed."""

from typing import Any

import msgspec
import pytest

from penstock.core.errors import Upstream
from penstock.gateway.dialects.messages_over_chat import MessagesOverChatRelay, translate_answer
from penstock.gateway.dialects.sse import EventBuffer, payload
from tests.fakes.openai import completion, event

CALLS = [
    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
    {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
]
USAGE = {
    "prompt_tokens": 42,
    "completion_tokens": 7,
    "prompt_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 5, "cache_write_1h_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
THOUGHTS = [
    {"type": "thinking", "thinking": "hm", "signature": "s"},
    {"type": "redacted_thinking", "data": "xyz"},
]


def whole(message: dict[str, Any], finish: str | None = "stop", **more: Any) -> Any:
    body = completion("up", message) | {"usage": USAGE}
    body["choices"][0] |= {"finish_reason": finish, **more}
    return msgspec.json.decode(translate_answer(msgspec.json.encode(body), "alias").body)


def call(index: int, arguments: str, identity: str | None = None, name: str | None = None) -> dict[str, Any]:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    return {"tool_calls": [{"index": index, "function": function} | ({"id": identity} if identity else {})]}


def streamed(
    *deltas: dict[str, Any], finish: str | None = "stop", done: bool = True
) -> tuple[Any, list[Any]]:
    relay = MessagesOverChatRelay("alias")
    made = [event("up", {"role": "assistant", "content": ""}), *[event("up", delta) for delta in deltas]]
    made += [event("up", {}, finish)] if finish else []
    made += [event("up", None, usage=USAGE)]
    out = relay.feed(b"".join(made) + (b"data: [DONE]\n\n" if done else b"")) + relay.finish()
    assert relay.complete
    events = [msgspec.json.decode(payload(each)) for each in EventBuffer().feed(out) if payload(each)]
    in_order(events)
    return msgspec.json.decode(relay.output()), events


def in_order(events: list[Any]) -> None:
    """Check what Anthropic promises: one block after the other, each begun and ended."""
    open_at, count = None, 0
    for each in events:
        if each["type"] == "content_block_start":
            assert open_at is None and each["index"] == count
            open_at, count = each["index"], count + 1
        elif each["type"] == "content_block_delta":
            assert each["index"] == open_at
        elif each["type"] == "content_block_stop":
            assert each["index"] == open_at
            open_at = None
    assert open_at is None
    assert [each["type"] for each in (events[0], *events[-2:])] == [
        "message_start",
        "message_delta",
        "message_stop",
    ]


def assembled(events: list[Any]) -> list[dict[str, Any]]:
    """Put the content together as Anthropic's own client does."""
    content: list[dict[str, Any]] = []
    texts: dict[int, str] = {}
    for each in events:
        if each["type"] == "content_block_start":
            content.append(each["content_block"])
        elif each["type"] == "content_block_delta":
            block, delta = content[each["index"]], each["delta"]
            kind = delta["type"]
            if kind == "input_json_delta":
                texts[each["index"]] = texts.get(each["index"], "") + delta["partial_json"]
            elif kind == "signature_delta":
                block["signature"] = delta["signature"]
            else:
                name = {"text_delta": "text", "thinking_delta": "thinking"}[kind]
                block[name] += delta[name]
    for index, text in texts.items():
        content[index]["input"] = msgspec.json.decode(text)
    return content


def test_a_whole_answer() -> None:
    message = {
        "role": "assistant",
        "content": "so",
        "reasoning_content": "hm",
        "thinking_blocks": THOUGHTS,
        "tool_calls": CALLS,
    }
    body = whole(message, "tool_calls")
    assert body["content"] == [
        *THOUGHTS,
        {"type": "text", "text": "so"},
        {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "c2", "name": "g", "input": {}},
    ]
    assert body["stop_reason"] == "tool_use"
    assert body["usage"] == {
        "input_tokens": 27,
        "output_tokens": 7,
        "cache_read_input_tokens": 10,
        "cache_creation_input_tokens": 5,
        "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 2},
        "output_tokens_details": {"thinking_tokens": 3},
    }


def test_a_stream_says_the_same() -> None:
    output, events = streamed(
        {"reasoning_content": "h"},
        {"reasoning_content": "m"},
        {"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "s"}]},
        {"thinking_blocks": [THOUGHTS[1]]},
        {"content": "s"},
        {"content": "o"},
        call(0, "", "c1", "f"),
        call(0, '{"a"'),
        call(0, ": 1}"),
        call(1, "{}", "c2", "g"),
        finish="tool_calls",
    )
    message = {"content": "so", "reasoning_content": "hm", "thinking_blocks": THOUGHTS, "tool_calls": CALLS}
    expected = whole(message, "tool_calls")
    assert output == expected and assembled(events) == expected["content"]
    assert events[-2]["usage"] == expected["usage"]
    assert events[-2]["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}


def test_thoughts_without_a_signature() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": ""}
    assert whole({"content": "so", "reasoning_content": "hm"})["content"][0] == thought
    output, events = streamed({"reasoning_content": "hm"}, {"content": "so"})
    assert output["content"][0] == assembled(events)[0] == thought
    # Some servers say a thought twice.
    both = {"reasoning_content": "hm", "thinking_blocks": [THOUGHTS[0]]}
    assert streamed(both, {"content": "so"})[0]["content"][0] == THOUGHTS[0]


def test_calls_that_come_all_at_once_or_mixed() -> None:
    deltas = [
        call(0, "", "c1", "f"),
        call(1, "", "c2", "g"),
        {"content": "late"},
        call(1, '{"b":'),
        call(0, '{"a":'),
        call(0, "1}"),
        call(1, "2}"),
    ]
    output, events = streamed(*deltas, finish="tool_calls")
    expected = [
        {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "c2", "name": "g", "input": {"b": 2}},
        {"type": "text", "text": "late"},
    ]
    assert output["content"] == assembled(events) == expected


def test_calls_that_servers_number_badly() -> None:
    output, events = streamed(call(0, '{"a":1}', "c1", "f"), call(0, '{"b":2}', "c2", "g"), finish="stop")
    assert [block["id"] for block in output["content"]] == ["c1", "c2"]
    assert assembled(events) == output["content"] and output["stop_reason"] == "tool_use"
    nameless, _ = streamed({"tool_calls": [{"index": 0, "id": "c1"}]}, call(0, "{}", None, "f"))
    assert nameless["content"] == [{"type": "tool_use", "id": "c1", "name": "f", "input": {}}]
    made_up, events = streamed(call(0, "", None, "f"))
    assert made_up["content"][0]["id"].startswith("toolu") and assembled(events) == made_up["content"]


def test_arguments_after_the_last() -> None:
    with pytest.raises(Upstream):
        streamed(call(0, '{"a":1}', "c1", "f"), call(1, "{}", "c2", "g"), call(0, "?"))
    output, _ = streamed(call(0, '{"a":1}', "c1", "f"), call(1, "{}", "c2", "g"), call(0, "\n"))
    assert len(output["content"]) == 2


@pytest.mark.parametrize("arguments", ['{"a":', "[1]", "nonsense"])
def test_arguments_that_are_no_object(arguments: str) -> None:
    message = {"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": arguments}}]}
    with pytest.raises(Upstream):
        whole(message, "tool_calls")
    with pytest.raises(Upstream):
        streamed(call(0, arguments, "c", "f"), finish="tool_calls")
    cut = whole(message, "length")
    assert cut["content"] == [] and cut["stop_reason"] == "max_tokens"
    output, _ = streamed(call(0, arguments, "c", "f"), finish="length")
    assert output["stop_reason"] == "max_tokens" and output["content"][0]["input"] == arguments


@pytest.mark.parametrize(
    ("message", "finish", "more", "expected"),
    [
        ({"content": "a"}, "stop", {}, ("end_turn", None)),
        ({"content": "a"}, None, {}, ("end_turn", None)),
        ({"content": "a"}, "length", {}, ("max_tokens", None)),
        ({"content": "a"}, "content_filter", {}, ("refusal", None)),
        ({"content": None, "refusal": "No."}, "stop", {}, ("refusal", None)),
        ({"content": "a"}, "stop", {"stop_reason": "END"}, ("stop_sequence", "END")),
        ({"content": "a"}, "stop", {"stop_reason": 128001}, ("end_turn", None)),
        ({"content": None, "tool_calls": CALLS}, "stop", {}, ("tool_use", None)),
        ({"content": None, "tool_calls": CALLS}, "function_call", {}, ("tool_use", None)),
    ],
)
def test_stop_reasons(message: dict[str, Any], finish: str | None, more: Any, expected: Any) -> None:
    body = whole(message, finish, **more)
    assert (body["stop_reason"], body["stop_sequence"]) == expected
    if message.get("refusal"):
        assert body["content"] == [{"type": "text", "text": "No."}]
    relay = MessagesOverChatRelay("alias")
    delta = dict(message)
    if "tool_calls" in delta:
        delta["tool_calls"] = [{"index": index, **each} for index, each in enumerate(CALLS)]
    made = event("up", delta)
    end = msgspec.json.decode(payload(event("up", {}, finish)[:-2]))
    end["choices"][0] |= more
    relay.feed(made + b"data: " + msgspec.json.encode(end) + b"\n\ndata: [DONE]\n\n")
    output = msgspec.json.decode(relay.output())
    assert (output["stop_reason"], output["stop_sequence"]) == expected
    assert output["content"] == body["content"]


def test_streams_without_their_end() -> None:
    output, events = streamed({"content": "a"}, done=False)
    assert output["stop_reason"] == "end_turn" and events[-2]["usage"]["output_tokens"] == 7
    relay = MessagesOverChatRelay("alias")
    out = relay.feed(event("up", {"content": "a"})) + relay.finish()
    assert not relay.complete and b"message_stop" not in out


def test_an_error_ends_a_stream() -> None:
    relay = MessagesOverChatRelay("alias")
    out = relay.feed(event("up", {"content": "a"}, "stop") + b'data: {"error":{"message":"Down."}}\n\n')
    assert relay.fault is not None and relay.fault.message == "Down."
    assert b"message_stop" not in out + relay.finish() and not relay.complete


def test_images_have_no_place_there() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    with pytest.raises(Upstream, match="image"):
        whole({"content": "see", "images": [image]})
    with pytest.raises(Upstream, match="image"):
        streamed({"content": "see", "images": [image]})
