import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.scope import Scope
from penstock.gateway.cache import digest
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.model import Operation
from tests.gateway.cache.build import envelope

WHO = digest.who(Scope(), "chat", "key_1")

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def of(request: Envelope, operation: Operation = Operation.CHAT, **headers: bytes) -> bytes:
    return digest.digest(WHO, operation, {name.encode(): value for name, value in headers.items()}, request)


def turned(value: Any) -> Any:
    """Return `value` with the members of every object in the opposite order."""
    if isinstance(value, dict):
        return {name: turned(value[name]) for name in reversed(value)}
    return [turned(each) for each in value] if isinstance(value, list) else value


@given(
    st.dictionaries(st.text(min_size=1, max_size=5).filter(lambda name: name != "stream"), values, max_size=4)
)
def test_order_white_space_and_escapes_make_no_other_request(members: dict[str, Any]) -> None:
    body = members | {"model": "m", "messages": [{"role": "user", "content": "Grüße"}]}
    plain = Envelope(json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode())
    other = Envelope(json.dumps(turned(body), indent=3).encode())
    assert of(plain) == of(other)


@given(values, values)
def test_another_value_is_another_request(one: Any, other: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (of(envelope(extra=one)) == of(envelope(extra=other))) is same


@pytest.mark.parametrize("name", sorted(digest.IGNORED - {"stream", "stream_options"}))
def test_members_that_do_not_change_the_answer_do_not_count(name: str) -> None:
    assert of(envelope(**{name: "x"})) == of(envelope())


def test_a_stream_and_a_whole_answer_are_the_same_request() -> None:
    streamed = envelope(stream=True, stream_options={"include_usage": True})
    assert of(streamed) == of(envelope(stream=False)) == of(envelope())


@pytest.mark.parametrize(
    "changes",
    [{"temperature": 1}, {"seed": 2}, {"model": "other"}, {"tools": []}, {"n": 2}, {"unknown": None}],
)
def test_every_other_member_counts(changes: dict[str, Any]) -> None:
    assert of(envelope(**changes)) != of(envelope())


def test_who_asks_and_what_for_count() -> None:
    found = {
        digest.digest(digest.who(scope, route, key), operation, {}, envelope())
        for scope in (Scope(), Scope("other"), Scope("default", "other"))
        for route in ("chat", "else")
        for key in ("a", "b", None)
        for operation in (Operation.CHAT, Operation.COMPLETIONS)
    }
    assert len(found) == 36
    assert of(envelope()) != digest.digest(WHO, Operation.CHAT, {b"anthropic-beta": b"x"}, envelope())


def test_long_bodies_are_compared_as_they_were_sent_member_by_member() -> None:
    text = "x" * digest.MAX_SORTED
    messages = [{"role": "user", "content": text}]
    one = Envelope(msgspec.json.encode({"model": "m", "messages": messages, "seed": 1}))
    other = Envelope(msgspec.json.encode({"seed": 1, "messages": messages, "model": "m"}))
    spaced = Envelope(json.dumps({"model": "m", "messages": messages, "seed": 1}).encode())
    assert of(one) == of(other)
    assert of(one) != of(spaced)


@pytest.mark.parametrize("value", [b"1e400", b"123456789012345678901234567890", b"[" * 900 + b"]" * 900])
def test_values_that_cannot_be_read_count_as_their_bytes(value: bytes) -> None:
    def body(extra: bytes) -> Envelope:
        return Envelope(b'{"model":"m","messages":[],"extra":%b}' % extra)

    assert of(body(value)) == of(body(value))
    assert of(body(value)) != of(body(b"1"))


@pytest.mark.parametrize(
    ("members", "stateful"),
    [
        ({"previous_response_id": "r"}, True),
        ({"background": True}, True),
        ({"background": False, "conversation": None}, False),
        ({}, False),
    ],
)
def test_requests_that_hang_on_something_outside_are_known(members: dict[str, Any], stateful: bool) -> None:
    assert digest.is_stateful(envelope(**members)) is stateful


def meant(operation: Operation = Operation.CHAT, **members: Any) -> tuple[str, bytes] | None:
    return digest.meaning(WHO, operation, {}, envelope(**members))


def test_the_last_user_text_is_apart_from_all_else() -> None:
    def asked(text: str, **more: Any) -> tuple[str, bytes]:
        system = {"role": "system", "content": more.pop("system", "Be kind.")}
        found = meant(messages=[system, {"role": "user", "content": text}], **more)
        assert found is not None
        return found

    text, rest = asked("How do I bake bread?")
    assert text == "How do I bake bread?"
    assert asked("What is bread?")[1] == rest
    assert asked("How do I bake bread?", system="Be rude.")[1] != rest
    assert asked("How do I bake bread?", temperature=0)[1] != rest
    assert asked("How do I bake 2 breads?")[1] != rest
    assert asked("How do I bake 2 breads?")[1] != asked("How do I bake 3 breads?")[1]
    assert asked("How do I not bake bread?")[1] != rest


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        (Operation.CHAT, {"messages": [{"role": "assistant", "content": "x"}]}),
        (Operation.CHAT, {"messages": [{"role": "tool", "tool_call_id": "t", "content": "x"}]}),
        (
            Operation.CHAT,
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        ),
        (Operation.CHAT, {"messages": [{"role": "user", "content": " "}]}),
        (Operation.CHAT, {"messages": [{"role": "user", "content": "x" * (digest.MAX_TEXT + 1)}]}),
        (Operation.EMBEDDINGS, {"input": "x"}),
        (Operation.RESPONSES, {"input": [{"type": "function_call_output", "output": "x"}]}),
    ],
)
def test_requests_that_do_not_end_in_a_user_s_text_are_compared_exactly_only(
    operation: Operation, members: dict[str, Any]
) -> None:
    assert meant(operation, **members) is None


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        (Operation.MESSAGES, {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]}),
        (Operation.RESPONSES, {"input": "hi"}),
        (Operation.RESPONSES, {"input": [{"role": "user", "content": "hi"}]}),
        (Operation.GENERATE, {"contents": [{"parts": [{"text": "hi"}]}]}),
        (Operation.COMPLETIONS, {"prompt": "hi"}),
    ],
)
def test_the_text_is_found_in_every_family(operation: Operation, members: dict[str, Any]) -> None:
    found = meant(operation, **members)
    assert found is not None
    assert found[0] == "hi"
