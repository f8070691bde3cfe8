"""Requests of every family in front of guards, and whole answers behind them."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import Invalid, PenstockError, Unavailable
from penstock.gateway.dialects.base import Answer
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.guarding.plain import unescaped
from penstock.gateway.model import Operation
from penstock.guardrails.model import Action, GuardConfig, OnError, Record, Stage
from tests.gateway.guarding.support import (
    STREAMS,
    FakeCall,
    Remote,
    chat_whole,
    guarding,
    heard,
    json,
    pii,
    policy,
    relay_of,
)  # fmt: skip

MAIL = "bob@example.com"
MESSAGES = [
    {"role": "system", "content": f"sys {MAIL}"},
    {"role": "user", "content": [
        {"type": "text", "text": f"a {MAIL}"}, {"type": "image_url", "image_url": {"url": "u"}}]},
    {"role": "assistant", "content": None, "tool_calls": [
        {"id": "t", "type": "function", "function": {"name": "send", "arguments": '{"to":"' + MAIL + '","n":1.50}'}}]},
    {"role": "tool", "tool_call_id": "t", "content": f"sent to {MAIL}"},
]  # fmt: skip
CLAUDE = [
    {"role": "user", "content": [
        {"type": "text", "text": MAIL},
        {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": MAIL}]},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": MAIL}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}}]},
    {"role": "assistant", "content": [
        {"type": "tool_use", "id": "t", "name": "send", "input": {"to": MAIL, "name": MAIL}}]},
]  # fmt: skip
GEMINI = [
    {"role": "user", "parts": [{"text": MAIL}, {"inlineData": {"mimeType": "image/png", "data": "iVBO"}}]},
    {"role": "model", "parts": [{"functionCall": {"name": "send", "args": {"to": MAIL}}}]},
    {"role": "user", "parts": [{"functionResponse": {"name": "send", "response": {"said": MAIL}}}]},
]
INPUT = [
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": MAIL}]},
    {"type": "function_call", "call_id": "t", "name": "send", "arguments": '{"to":"' + MAIL + '"}'},
    {"type": "function_call_output", "call_id": "t", "output": MAIL},
]
BODIES: list[tuple[Operation, dict[str, Any], int]] = [
    (Operation.CHAT, {"model": "m", "messages": MESSAGES, "x_unknown": [1.5, {"k": None}]}, 4),
    (Operation.COMPLETIONS, {"model": "m", "prompt": [f"say {MAIL}", "x"], "suffix": MAIL}, 2),
    (Operation.RESPONSES, {"model": "m", "instructions": MAIL, "input": INPUT}, 4),
    (Operation.RESPONSES, {"model": "m", "input": MAIL, "text": {"format": {"description": MAIL}}}, 2),
    (Operation.MESSAGES, {"model": "m", "system": [{"type": "text", "text": MAIL}], "messages": CLAUDE}, 6),
    (Operation.COUNT_TOKENS, {"model": "m", "system": MAIL, "messages": CLAUDE}, 6),
    (Operation.GENERATE, {"systemInstruction": {"parts": [{"text": MAIL}]}, "contents": GEMINI}, 4),
    (Operation.GEMINI_COUNT, {"generateContentRequest": {"contents": GEMINI}}, 3),
    (Operation.EMBEDDINGS, {"model": "m", "input": [MAIL, "x"]}, 1),
    (Operation.EMBED_CONTENT, {"content": {"parts": [{"text": MAIL}]}, "title": MAIL}, 2),
    (Operation.BATCH_EMBED, {"requests": [{"model": "models/m", "content": {"parts": [{"text": MAIL}]}}]}, 1),
    (Operation.MODERATIONS, {"model": "m", "input": [{"type": "text", "text": MAIL}]}, 1),
    (Operation.CHAT, {"model": "m", "messages": [], "tools": [
        {"type": "function", "function": {"name": "f", "description": MAIL, "parameters": {"enum": ["a"]}}}]}, 1),
]  # fmt: skip


def envelope_of(body: Any) -> Envelope:
    data = body if isinstance(body, bytes) else json.encode(body)
    return Envelope(data, model="m", stream=False)


def admit(
    body: Any, *guards: GuardConfig, operation: Operation = Operation.CHAT, **more: Any
) -> tuple[Any, Envelope]:
    call = FakeCall()
    call.envelope = envelope = envelope_of(body)
    record = {"record": more.pop("record")} if "record" in more else {}
    found = guarding(policy(*guards, **record), **more).for_call(call, "m")
    assert found is not None
    call.guards = found  # type: ignore[attr-defined]
    try:
        return call, asyncio.run(found.admit(call, envelope, operation))
    except PenstockError as error:
        error.call = call  # type: ignore[attr-defined]
        raise


def chat(text: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


@pytest.mark.parametrize(("operation", "body", "finds"), BODIES)
def test_texts_of_every_family_are_masked_and_nothing_else(
    operation: Operation, body: dict[str, Any], finds: int
) -> None:
    call, sent = admit(body, pii(), operation=operation)
    expected = json.encode(body).decode().replace(MAIL, "[EMAIL]")
    assert json.decode(sent.body) == json.decode(expected)
    assert list(sent.fields) == list(envelope_of(body).fields)
    assert call.envelope is sent
    (event,) = call.events
    assert event.name == "guardrail"
    assert event.attributes["count"] == finds
    assert MAIL not in repr(event)


def test_what_no_guard_hits_is_the_same_envelope() -> None:
    envelope = envelope_of(chat('a\n "quoted" \\ text'))
    call = FakeCall()
    found = guarding(policy(pii(), GuardConfig(kind="secrets"), GuardConfig(kind="injection"))).for_call(
        call, "m"
    )
    assert found is not None
    assert asyncio.run(found.admit(call, envelope, Operation.CHAT)) is envelope
    assert call.events == [] and not call.restores


@pytest.mark.parametrize(
    "text",
    ["bob\\u0040example.com", "\\u0062ob@example\\u002ecom", "bob@example.com\\/", "x\\nbob@example.com"],
)
def test_escapes_hide_nothing(text: str) -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"' + text.encode() + b'"}]}'
    _, sent = admit(body, pii())
    assert "[EMAIL]" in json.decode(sent.body)["messages"][0]["content"]


def test_escaped_arguments_stay_json() -> None:
    arguments = '{"body":"line\\n' + MAIL + ' \\u0062ob\\u0040example.com","n":1.50}'
    calls = [{"id": "t", "type": "function", "function": {"name": "f", "arguments": arguments}}]
    body = {"model": "m", "messages": [{"role": "assistant", "tool_calls": calls}]}
    _, sent = admit(body, pii())
    found = json.decode(sent.body)["messages"][0]["tool_calls"][0]["function"]["arguments"]
    assert json.decode(found) == {"body": "line\n[EMAIL] [EMAIL]", "n": 1.5}


def test_members_given_twice_hide_nothing() -> None:
    body = b'{"model":"m","messages":[{"content":"bob@example.com","role":"user","content":"x"}]}'
    _, sent = admit(body, pii())
    assert MAIL.encode() not in sent.body


def test_anchored_patterns_see_beginnings_of_texts() -> None:
    topics = GuardConfig(kind="topics", options={"patterns": {"start": ["^secret plan"]}})
    with pytest.raises(Invalid):
        admit(chat("secret plan of ours"), topics)


@settings(max_examples=200, deadline=None)
@given(st.text(), st.booleans())
def test_unescaped_holds_every_text(text: str, ascii_only: bool) -> None:
    text = text.encode(errors="replace").decode()
    source = json.encode({"a": text}).decode()
    if ascii_only:
        source = "".join(c if c < "\x7f" else "".join(f"\\u{b:04x}" for b in _utf16(c)) for c in source)
    assert text.encode() in unescaped(source.encode())


def _utf16(character: str) -> list[int]:
    data = character.encode("utf-16-be")
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


def test_a_refused_request_leaves_nothing_in_the_trace() -> None:
    with pytest.raises(Invalid) as caught:
        admit(chat(f"mail {MAIL}"), pii(Action.BLOCK), record=Record.HASH)
    assert caught.value.details["code"] == "content_filter"
    call = caught.value.call  # type: ignore[attr-defined]
    assert MAIL.encode() not in call.envelope.body
    assert call.verdicts() == [("pii", "email", "deny")]
    assert len(call.events[0].attributes["content_hash"]) == 32


def test_tokens_are_stable_and_come_back_in_whole_answers() -> None:
    call, sent = admit(chat(f"{MAIL}, eve@x.org and {MAIL}; <EMAIL_1> is mine"), pii(Action.TOKENISE))
    text = json.decode(sent.body)["messages"][0]["content"]
    assert text == "<EMAIL_2>, <EMAIL_3> and <EMAIL_2>; <EMAIL_1> is mine"
    assert call.restores
    body = json.encode(chat_whole("to <EMAIL_2>, not <EMAIL_1> or <EMAIL_9>", '{"to":"<EMAIL_3>"}'))
    answer = asyncio.run(call.hook.answer(Answer(body, None, "m")))
    message = json.decode(answer.body)["choices"][0]["message"]
    assert message["content"] == f"to {MAIL}, not <EMAIL_1> or <EMAIL_9>"
    assert message["tool_calls"][0]["function"]["arguments"] == '{"to":"eve@x.org"}'


def test_documents_are_looked_at() -> None:
    tools = [{"type": "function", "function": {"name": "rm"}}]
    guard = GuardConfig(kind="tools", options={"allow": ["search"]})
    with pytest.raises(Invalid):
        admit(chat("x") | {"tools": tools}, guard)
    with pytest.raises(Invalid):
        admit(b'{"model":"m","messages":[],"\\u0074ools":[{"name":"rm"}]}', guard)
    with pytest.raises(Invalid):
        admit(
            {"contents": [], "tools": [{"functionDeclarations": [{"name": "rm"}]}]},
            guard,
            operation=Operation.GENERATE,
        )
    with pytest.raises(Invalid):
        admit(chat("x" * 100), GuardConfig(kind="caps", options={"max_chars": 50}))
    _, sent = admit(chat("x"), GuardConfig(kind="caps", options={"max_chars": 50}))
    assert json.decode(sent.body) == chat("x")


def test_guards_hear_only_the_roles_they_are_for() -> None:
    guard = pii(options={"roles": ["tool"]})
    body = {"model": "m", "messages": [{"role": "user", "content": MAIL}, {"role": "tool", "content": MAIL}]}
    _, sent = admit(body, guard)
    assert [each["content"] for each in json.decode(sent.body)["messages"]] == [MAIL, "[EMAIL]"]


@pytest.mark.parametrize("operation", [Operation.EMBEDDINGS, Operation.COMPLETIONS])
def test_token_ids_cannot_be_guarded(operation: Operation) -> None:
    body = {"model": "m", "input": [1, 2], "prompt": [[1, 2]]}
    with pytest.raises(Invalid, match="token ids"):
        admit(body, pii(), operation=operation)
    call, _ = admit(body, pii(on_error=OnError.OPEN), operation=operation)
    assert call.verdicts() == [("pii", "error:token_ids", "flag")]


def test_text_guards_judge_and_fail_as_they_are_told() -> None:
    _, sent = admit(chat("a WHISPER b"), GuardConfig(kind="shout", stage=Stage.INPUT))
    assert json.decode(sent.body)["messages"][0]["content"] == "a [LOUD] b"
    with pytest.raises(Unavailable) as caught:
        admit(chat("x"), GuardConfig(kind="broken", stage=Stage.INPUT))
    assert "secret" not in str(caught.value)
    call, _ = admit(chat("x"), GuardConfig(kind="broken", stage=Stage.INPUT, on_error=OnError.OPEN))
    assert call.verdicts() == [("broken", "error:RuntimeError", "flag")]


def test_remote_guards_change_and_refuse() -> None:
    guard = GuardConfig(kind="remote", stage=Stage.INPUT)
    remote = Remote(lambda text: (201, text.upper().encode()) if "loud" in text else (200, b""))
    body = {"model": "m", "messages": [{"role": "user", "content": t} for t in ("so loud", "quiet")]}
    _, sent = admit(body, guard, transport=remote)
    assert [each["content"] for each in json.decode(sent.body)["messages"]] == ["SO LOUD", "quiet"]
    assert sorted(remote.asked) == ["quiet", "so loud"]
    with pytest.raises(Invalid):
        admit(body, guard, transport=Remote(lambda text: (403, b"")))
    blocked = Remote()
    with pytest.raises(Invalid):  # what is refused here is told to nobody
        admit(chat(MAIL), pii(Action.BLOCK), guard, transport=blocked)
    assert blocked.asked == []


# -- answers -----------------------------------------------------------------------------------------------

WHOLE: list[tuple[Operation, dict[str, Any]]] = [
    (Operation.CHAT, chat_whole(MAIL, '{"to":"' + MAIL + '"}')),
    (Operation.COMPLETIONS, {"choices": [{"text": MAIL, "index": 0}]}),
    (Operation.MESSAGES, {"type": "message", "content": [
        {"type": "thinking", "thinking": MAIL, "signature": "s"}, *CLAUDE[1]["content"]]}),
    (Operation.GENERATE, {"candidates": [{"content": {"parts": [*GEMINI[1]["parts"], {"text": MAIL}]}}]}),
    (Operation.RESPONSES, {"output": [
        INPUT[1], {"type": "reasoning", "summary": [{"type": "summary_text", "text": MAIL}]}]}),
]  # fmt: skip


@pytest.mark.parametrize(("operation", "body"), WHOLE)
def test_whole_answers_of_every_family(operation: Operation, body: dict[str, Any]) -> None:
    counted: list[tuple[str, str]] = []
    call, _ = admit(chat("hi"), pii(), operation=operation, count=lambda *each: counted.append(each))
    answer = Answer(json.encode(body), None, "m")
    found = asyncio.run(call.hook.answer(answer))
    assert found.body.decode() == json.encode(body).decode().replace(MAIL, "[EMAIL]")
    call.guards.close(call)
    call.guards.close(call)
    assert call.verdicts() == [("pii", "email", "modify")] and counted == [("pii", "modify")]
    clean = Answer(answer.body.replace(MAIL.encode(), b"x"), None, "m")
    assert asyncio.run(call.hook.answer(clean)) is clean


def test_a_denied_answer_is_an_error_and_is_told() -> None:
    call, _ = admit(chat("hi"), pii(Action.BLOCK))
    with pytest.raises(Invalid, match="answer was refused") as caught:
        asyncio.run(call.hook.answer(Answer(json.encode(chat_whole(MAIL, "{}")), None, "m")))
    assert MAIL not in str(caught.value)
    call.guards.close(call)
    assert call.verdicts() == [("pii", "email", "deny")]


def test_embeddings_have_no_hook() -> None:
    call, _ = admit({"model": "m", "input": "x"}, pii(), operation=Operation.EMBEDDINGS)
    assert call.hook is None


# -- held-back streams -------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", list(STREAMS))
def test_held_streams_are_judged_whole(operation: Operation) -> None:
    call, _ = admit(chat("hi"), pii(), GuardConfig(kind="shout"), operation=operation)
    assert call.hook.holds
    relay = call.hook.relay(relay_of(operation))
    stream = b"".join(STREAMS[operation](["so WHI", "SPER it to ", MAIL, " now"], ['{"a":', "1}"]))
    held = relay.feed(stream)
    held += b"" if relay.complete else relay.finish()
    out = asyncio.run(call.hook.release(held))
    text, arguments = heard(out, operation)
    assert text == "so [LOUD] it to [EMAIL] now"
    assert b"WHI" not in out and b"WHI" not in relay.output() and b"[LOUD]" in relay.output()
    if operation is not Operation.COMPLETIONS:
        assert json.decode(arguments) == {"a": 1}
    call.guards.close(call)
    assert sorted(call.verdicts()) == [("pii", "email", "modify"), ("shout", "loud", "modify")]


def test_a_held_stream_that_is_refused_says_nothing() -> None:
    call, _ = admit(chat("hi"), GuardConfig(kind="shout", action=Action.BLOCK))
    relay = call.hook.relay(relay_of(Operation.CHAT))
    held = relay.feed(b"".join(STREAMS[Operation.CHAT](["a WHISPER"])))
    with pytest.raises(Invalid):
        asyncio.run(call.hook.release(held))
    assert b"WHISPER" not in relay.output()


def test_remote_guards_that_nobody_waits_for_flag_afterwards() -> None:
    remote = Remote(lambda text: (403, b""))
    guard = GuardConfig(kind="remote", options={"holds": False}, stage=Stage.OUTPUT)
    call, _ = admit(chat("hi"), guard, transport=remote)
    assert not call.hook.holds
    relay = call.hook.relay(relay_of(Operation.CHAT))
    assert b"hello" in relay.feed(b"".join(STREAMS[Operation.CHAT](["hello"])))
    call.output = relay.output
    asyncio.run(call.guards.afterwards(call))
    call.guards.close(call)
    assert remote.asked == ["hello"] and call.verdicts() == [("remote", "remote", "flag")]
