"""Streams of every family behind guards."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.gateway.dialects.base import Answer
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.guarding.guarding import Guarding
from penstock.gateway.model import Operation
from penstock.guardrails.model import Action, GuardConfig
from tests.gateway.guarding.support import (
    STREAMS,
    FakeCall,
    chat_stream,
    chat_whole,
    events_of,
    guarding,
    heard,
    json,
    pii,
    policy,
    relay_of,
    sse,
)  # fmt: skip

URLS = GuardConfig(kind="urls")
SECRETS = GuardConfig(kind="secrets")
FAMILIES = list(STREAMS)
BODY = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}'


_made: dict[str, Guarding] = {}


def _guarding(key: str, guards: Callable[[], tuple[GuardConfig, ...]]) -> Guarding:
    """Compiled once: programs are what takes time."""
    if key not in _made:
        _made[key] = guarding(policy(*guards()))
    return _made[key]


def hook_for(*guards: GuardConfig, operation: Operation = Operation.CHAT, body: bytes = BODY) -> Any:
    call = FakeCall()
    guards_ = _guarding(repr(guards), lambda: guards).for_call(call, "m")
    assert guards_ is not None
    asyncio.run(guards_.admit(call, Envelope(body, model="m", stream=True), operation))
    return call, guards_


def through(relay: Any, stream: list[bytes] | bytes, cuts: list[int] | None = None) -> bytes:
    """Feed a stream in pieces cut at `cuts`, to the end."""
    data = stream if isinstance(stream, bytes) else b"".join(stream)
    out, last = b"", 0
    for cut in [*sorted({c % (len(data) + 1) for c in cuts or []}), len(data)]:
        out += relay.feed(data[last:cut])
        last = cut
        if relay.fault is not None:
            return out
    return out if relay.complete else out + relay.finish()


def split(text: str, sizes: list[int]) -> list[str]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(text[at : at + size])
        at += size
    return [*pieces, text[at:]]


WORDS = st.sampled_from([
    "write to bob@example.com now", "the quick brown fox", "IBAN DE89370400440532013000", "☃ naïve 💧", 'say "hi"',
    "back\\slash\nline", "bob@", "example.com", "![x](http://evil.test/?q=1)", "4111 1111 1111 1111", "AKIA", "[a](b)",
    "AKIA" + "IOSFODNN7EXAMPLE", "+49 30 1234567", ". ", " ", "", "\\nbob@example.com",
])  # fmt: skip
TEXTS = st.lists(WORDS, max_size=6).map(" ".join)
SIZES = st.lists(st.integers(0, 12), max_size=20)
CUTS = st.lists(st.integers(0, 100_000), max_size=12)


@pytest.mark.parametrize("operation", FAMILIES)
@settings(max_examples=150, deadline=None)
@given(text=TEXTS, argument=TEXTS, sizes=SIZES, more=SIZES, cuts=CUTS, ascii_only=st.booleans())
def test_streams_say_what_whole_answers_say(
    operation: Operation, text: str, argument: str, sizes: list[int], more: list[int], cuts: list[int],
    ascii_only: bool,
) -> None:  # fmt: skip
    source = '{"to": "ann", "body": ' + json.encode(argument).decode() + ', "n": 1.5}'
    if ascii_only:
        source = _ascii(source)
    call, _ = hook_for(pii(), SECRETS, URLS, operation=operation)
    stream = STREAMS[operation](split(text, sizes), split(source, more))
    relay = call.hook.relay(relay_of(operation))
    said, arguments = heard(through(relay, stream, cuts), operation)

    whole_call, _ = hook_for(pii(), SECRETS, URLS)
    body = json.encode(chat_whole(text, source))
    answer = asyncio.run(whole_call.hook.answer(Answer(body, None, "m")))
    message = json.decode(answer.body)["choices"][0]["message"]
    assert said == message["content"]
    assert relay.complete
    if operation is not Operation.COMPLETIONS:
        expected = message["tool_calls"][0]["function"]["arguments"]
        assert json.decode(arguments) == json.decode(expected)
        if operation is not Operation.GENERATE:
            assert arguments == expected or ascii_only
    if operation is Operation.RESPONSES:
        _check_repeats(relay, said, arguments)


def _ascii(source: str) -> str:
    out = []
    for character in source:
        code = ord(character)
        if code < 128:
            out.append(character)
        elif code < 0x10000:
            out.append(f"\\u{code:04x}")
        else:
            code -= 0x10000
            out.append(f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}")
    return "".join(out)


def _check_repeats(relay: Any, said: str, arguments: str) -> None:
    output = json.decode(relay.output())["output"]
    assert output[0]["content"][0]["text"] == said
    assert json.decode(output[1]["arguments"]) == json.decode(arguments)


@pytest.mark.parametrize("operation", FAMILIES)
def test_a_benign_stream_keeps_its_bytes(operation: Operation) -> None:
    call, guards = hook_for(pii(), SECRETS, URLS, operation=operation)
    stream = STREAMS[operation](["The ", "quick ", "brown ", "fox", "."], ['{"a": "b', ' c"}'])
    relay = call.hook.relay(relay_of(operation))
    plain = relay_of(operation)
    assert through(relay, stream) == through(plain, stream)
    assert relay.output() == plain.output()
    guards.close(call)
    assert call.events == []


@pytest.mark.parametrize("operation", FAMILIES)
def test_a_find_is_masked_everywhere_it_is_said(operation: Operation) -> None:
    call, guards = hook_for(pii(), operation=operation)
    source = ['{"to": "b', "ob@exam", 'ple.com"}']
    stream = STREAMS[operation](["write to b", "ob@exam", "ple.com now"], source)
    relay = call.hook.relay(relay_of(operation))
    out = through(relay, stream)
    assert b"ob@" not in out and b"exam" not in out
    assert heard(out, operation)[0] == "write to [EMAIL] now"
    assert b"ob@" not in relay.output() and b"[EMAIL]" in relay.output()
    guards.close(call)
    assert call.verdicts() == [("pii", "email", "modify")]


@pytest.mark.parametrize("operation", FAMILIES)
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_a_denied_stream_says_nothing_of_the_find(operation: Operation, size: int) -> None:
    call, guards = hook_for(pii(Action.BLOCK), operation=operation)
    stream = b"".join(STREAMS[operation](["All is well. ", "Write to b", "ob@exam", "ple.com", " now"]))
    relay = call.hook.relay(relay_of(operation))
    out = through(relay, stream, list(range(0, len(stream), size)))
    assert relay.fault is not None and relay.fault.code == "content_filter"
    assert b"All is well. " in out
    assert b'b"' not in out and b"ob@" not in out and b"exam" not in out
    assert not relay.complete
    assert b"ob@" not in relay.output()
    assert relay.feed(b'data: {"type":"more"}\n\n') == b""
    guards.close(call)
    assert call.verdicts() == [("pii", "email", "deny")]


def test_held_back_is_the_last_word_at_most() -> None:
    call, _ = hook_for(pii(), SECRETS, URLS)
    relay = call.hook.relay(relay_of(Operation.CHAT))
    words = [
        f" {word}" for word in ("the quick brown fox jumps over the lazy dog, then rests. " * 20).split()
    ]
    given_, said = "", ""
    for event, word in zip(chat_stream(words)[1:-2], words, strict=True):
        given_ += word
        said += heard(relay.feed(event), Operation.CHAT)[0]
        assert len(given_) - len(said) <= len(word)


@pytest.mark.parametrize("member", ["reasoning_content", "refusal", "reasoning"])
def test_all_texts_of_a_delta_are_guarded(member: str) -> None:
    call, _ = hook_for(pii())
    out = through(call.hook.relay(relay_of(Operation.CHAT)), chat_stream(["a b", "@c.de", "!"], name=member))
    assert b"@c.de" not in out and b"[EMAIL]" in out


def test_texts_of_different_choices_do_not_mix() -> None:
    call, _ = hook_for(pii())

    def event(at: int, text: str) -> Any:
        return {"choices": [{"index": at, "delta": {"content": text}}]}

    parts = sse(
        event(0, "mail bob@"), event(1, "nothing "), event(0, "example.com "), event(1, "here"), b"[DONE]"
    )
    found = events_of(through(call.hook.relay(relay_of(Operation.CHAT)), parts))
    said = {0: "", 1: ""}
    for each in found:
        said[each["choices"][0]["index"]] += each["choices"][0]["delta"]["content"]
    assert said == {0: "mail [EMAIL] ", 1: "nothing here"}


def test_log_probabilities_of_changed_text_are_left_out() -> None:
    call, _ = hook_for(pii())
    tokens = {"content": [{"token": "bob@example.com", "logprob": -0.1, "bytes": [98]}]}
    choice = {"index": 0, "delta": {"content": "bob@example.com "}, "logprobs": tokens}
    out = through(call.hook.relay(relay_of(Operation.CHAT)), sse({"choices": [choice]}, b"[DONE]"))
    assert b"bob" not in out and events_of(out)[0]["choices"][0]["logprobs"] is None


def test_events_that_are_no_json_are_texts() -> None:
    call, _ = hook_for(pii())
    out = through(
        call.hook.relay(relay_of(Operation.CHAT)), [b"data: bob@example.com\n\n", b"data: [DONE]\n\n"]
    )
    assert out == b"data: [EMAIL]\n\ndata: [DONE]\n\n"


def test_a_tool_that_is_not_allowed_is_never_called() -> None:
    call, guards = hook_for(GuardConfig(kind="tools", options={"allow": ["search"]}))
    relay = call.hook.relay(relay_of(Operation.CHAT))
    out = through(relay, chat_stream(["ok"], ['{"a":1}']))
    assert relay.fault is not None and b"send" not in out
    guards.close(call)
    assert call.verdicts() == [("tools", "called", "deny")]


@pytest.mark.parametrize("operation", FAMILIES)
@pytest.mark.parametrize("at", range(1, 10))
def test_stand_ins_are_put_back_wherever_they_are_cut(operation: Operation, at: int) -> None:
    request = b'{"model":"m","messages":[{"role":"user","content":"mail bob@example.com"}]}'
    if operation is Operation.COMPLETIONS:
        request = b'{"model":"m","prompt":"mail bob@example.com"}'
    elif operation is Operation.GENERATE:
        request = b'{"contents":[{"parts":[{"text":"mail bob@example.com"}]}]}'
    elif operation is Operation.RESPONSES:
        request = b'{"model":"m","input":"mail bob@example.com"}'
    call, _ = hook_for(pii(Action.TOKENISE), operation=operation, body=request)
    assert call.restores and b"<EMAIL_1>" in call.envelope.body and b"bob" not in call.envelope.body
    token = "<EMAIL_1>"
    source = '{"to": "' + token + '"}'
    stream = STREAMS[operation](
        [f"Wrote to {token[:at]}", f"{token[at:]}."], [source[: at + 8], source[at + 8 :]]
    )
    text, arguments = heard(through(call.hook.relay(relay_of(operation)), stream), operation)
    assert text == "Wrote to bob@example.com."
    if operation is not Operation.COMPLETIONS:
        assert json.decode(arguments) == {"to": "bob@example.com"}
