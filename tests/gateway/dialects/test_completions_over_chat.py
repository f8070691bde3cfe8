"""Older completions over chat: the stream is the same however it is cut, and broken answers are told of."""

from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import Upstream
from penstock.gateway.dialects.completions_over_chat import CompletionsOverChat, CompletionsOverChatRelay
from penstock.gateway.dialects.envelope import Envelope
from tests.fakes import openai as fake

STREAM = b"".join(
    [
        b": ping\n\n",
        *fake.chat_events({"model": "m", "stream_options": {"include_usage": True}}),
    ]
)


def read(out: bytes) -> tuple[str, list[dict]]:
    events = [event.removeprefix(b"data: ") for event in out.split(b"\n\n") if event]
    assert events.pop() == b"[DONE]"
    bodies = [msgspec.json.decode(event) for event in events]
    return "".join(choice["text"] for body in bodies for choice in body["choices"]), bodies


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=30), with_usage=st.booleans(), crlf=st.booleans())
def test_any_chunking(cuts: list[int], with_usage: bool, crlf: bool) -> None:
    relay = CompletionsOverChatRelay("alias", with_usage)
    stream = STREAM.replace(b"\n", b"\r\n") if crlf else STREAM
    edges = [0, *sorted(cuts), len(stream)]
    out = b"".join(relay.feed(stream[a:b]) for a, b in pairwise(edges)) + relay.finish()
    text, bodies = read(out)
    assert text == "".join(fake.WORDS) and relay.complete
    assert all(body["object"] == "text_completion" and body["model"] == "alias" for body in bodies)
    assert relay.usage is not None and (relay.usage.input, relay.usage.output) == (42, 7)
    last = bodies[-1]
    assert (last["choices"] == []) is with_usage and ("usage" in last) is with_usage
    kept = msgspec.json.decode(relay.output())
    assert kept["choices"][0]["text"] == text and kept["usage"]["total_tokens"] == 49


def test_several_choices() -> None:
    relay = CompletionsOverChatRelay("alias", False)
    for index in (1, 0):
        choices = [{"index": index, "delta": {"content": f"text {index}"}, "finish_reason": None}]
        assert f'"index":{index}'.encode() in relay.feed(
            b"data: " + msgspec.json.encode({"choices": choices}) + b"\n\n"
        )
    assert [each["text"] for each in msgspec.json.decode(relay.output())["choices"]] == ["text 0", "text 1"]


def test_the_end_that_was_left_out() -> None:
    relay = CompletionsOverChatRelay("alias", False)
    relay.feed(fake.event("m", {"content": "a"}) + fake.event("m", {}, "length"))
    assert relay.finish() == b"data: [DONE]\n\n" and relay.complete
    cut = CompletionsOverChatRelay("alias", False)
    cut.feed(fake.event("m", {"content": "a"}))
    assert cut.finish() == b"" and not cut.complete


def test_what_is_no_completion() -> None:
    dialect = CompletionsOverChat()
    for body in (b"<html>", b"[]", b'{"choices":[]}', b'{"object":"list"}'):
        with pytest.raises(Upstream):
            dialect.answer(body, "alias")
    with pytest.raises(Upstream):
        dialect.relay(Envelope(b'{"model":"m"}')).feed(b"data: {\n\n")


def test_refusals_and_odd_reasons() -> None:
    body = fake.completion("m", {"role": "assistant", "content": None, "refusal": "No."}, "tool_calls")
    made = msgspec.json.decode(CompletionsOverChat().answer(msgspec.json.encode(body), "alias").body)
    assert made["choices"] == [{"text": "No.", "index": 0, "logprobs": None, "finish_reason": "stop"}]


def test_servers_without_stream_options() -> None:
    asked = Envelope(b'{"model":"m","prompt":"a","stream":true,"stream_options":{"include_usage":true}}')
    assert b"stream_options" not in CompletionsOverChat(ask_usage=False).request(asked, "x")
    assert b'"stream_options":{"include_usage":true}' in CompletionsOverChat().request(asked, "x")
