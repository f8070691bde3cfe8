"""Servers that resemble OpenAI's: what is put right, and that nothing else is touched."""

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.messages_over_chat import MessagesOverChat
from penstock.gateway.dialects.openai import OpenAIDialect
from penstock.gateway.dialects.quirks import Quirked, Quirks
from tests.fakes import openai as fake

BOTH = Quirks(
    rename={"max_completion_tokens": "max_tokens", "seed": "random_seed"},
    ignored=frozenset({"stream_options"}),
    unsupported=frozenset({"logit_bias"}),
    developer_as_system=True,
    reasoning="reasoning",
)


def envelope(**members: Any) -> Envelope:
    return Envelope(
        msgspec.json.encode({"model": "alias", "messages": [{"role": "user", "content": "x"}], **members})
    )


def sent(made: Envelope, quirks: Quirks = BOTH, *, drop: bool = False) -> Any:
    return msgspec.json.decode(Quirked(OpenAIDialect(), quirks, drop_params=drop).request(made, "up"))


def test_requests_are_put_into_the_servers_words() -> None:
    made = envelope(
        messages=[{"role": "developer", "content": 'say "developer"'}, {"role": "user", "content": "x"}],
        max_completion_tokens=5, max_tokens=9, seed=0, logit_bias={"1": 2}, stream=True, x_new=1.0,
    )  # fmt: skip
    assert sent(made) == {
        "model": "up",
        "messages": [{"role": "system", "content": 'say "developer"'}, {"role": "user", "content": "x"}],
        "max_tokens": 5,
        "random_seed": 0,
        "logit_bias": {"1": 2},
        "stream": True,
        "x_new": 1.0,
    }
    assert "logit_bias" not in sent(made, drop=True)
    assert sent(envelope(max_tokens=9))["max_tokens"] == 9


def test_what_needs_no_change_keeps_its_bytes() -> None:
    raw = b'{ "model":"alias", "messages":[{"role":"user",  "content":"the \\"developer\\" \\u00e9"}], "x":1.0 }'
    assert Quirked(OpenAIDialect(), BOTH).request(Envelope(raw), "alias") == raw
    odd = b'{"model":"alias","messages":"developer"}'
    assert Quirked(OpenAIDialect(), BOTH).request(Envelope(odd), "alias") == odd


def test_thoughts_of_answers_get_their_common_name() -> None:
    message = {
        "role": "assistant",
        "content": 'a "reasoning" word',
        "reasoning": "Hm.",
        "reasoning_details": [1],
    }
    body = msgspec.json.encode(fake.completion("up", message))
    made = msgspec.json.decode(Quirked(OpenAIDialect(), BOTH).answer(body, "alias").body)
    assert made["choices"][0]["message"] == {
        "role": "assistant", "content": 'a "reasoning" word', "reasoning_content": "Hm.", "reasoning_details": [1],
    }  # fmt: skip
    both = msgspec.json.encode(fake.completion("alias", message | {"reasoning_content": "Kept."}))
    kept = msgspec.json.decode(Quirked(OpenAIDialect(), BOTH).answer(both, "alias").body)
    assert kept["choices"][0]["message"]["reasoning_content"] == "Kept."


def chunks(data: bytes) -> list[Any]:
    return [msgspec.json.decode(each[6:]) for each in data.split(b"\n\n") if each.startswith(b"data: {")]


@pytest.mark.parametrize("inner", [OpenAIDialect, MessagesOverChat])
@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 2500), max_size=12), ends=st.sampled_from([b"\n", b"\r\n"]))
def test_streams_do_not_depend_on_where_they_are_cut(inner: Any, cuts: list[int], ends: bytes) -> None:
    events = fake.chat_events({"model": "up", "stream_options": {"include_usage": True}})
    thoughts = [fake.event("up-2026", {"reasoning": each, "content": ""}) for each in ("Hm", "m.")]
    stream = b"".join([events[0], *thoughts, *events[1:]]).replace(b"\n", ends)
    dialect = Quirked(inner(), BOTH)
    whole, pieces = (dialect.relay(envelope(stream=True)) for _ in range(2))
    expected = whole.feed(stream) + whole.finish()
    places = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    got = b"".join(pieces.feed(stream[one:two]) for one, two in pairwise(places)) + pieces.finish()
    assert got == expected and pieces.complete and pieces.usage == whole.usage and pieces.usage.input == 42
    if inner is OpenAIDialect:
        found = [each["choices"][0]["delta"].get("reasoning_content", "") for each in chunks(got)]
        assert "".join(found) == "Hmm." and b'"reasoning":' not in got
        assert b'"reasoning_content":"Hmm."' in pieces.output()


def test_an_unnamed_chunk_is_named() -> None:
    relay = Quirked(OpenAIDialect(), Quirks(unnamed=True)).relay(envelope(stream=True))
    out = relay.feed(b'data: {"id":"","model":"","choices":[],"prompt_filter_results":[]}\n\n')
    assert chunks(out) == [{"id": "", "model": "alias", "choices": [], "prompt_filter_results": []}]
    out = relay.feed(b"".join(fake.chat_events({"model": "up"})))
    assert (
        {each["model"] for each in chunks(out)} == {"alias"} and relay.complete and relay.model == "up-2026"
    )


def test_without_quirks_of_streams_there_is_no_second_relay() -> None:
    relay = Quirked(OpenAIDialect(), Quirks(rename={"a": "b"})).relay(envelope(stream=True))
    assert type(relay) is type(OpenAIDialect().relay(envelope(stream=True)))


@given(st.binary(max_size=200))
def test_any_bytes_pass(data: bytes) -> None:
    relay = Quirked(OpenAIDialect(), BOTH).relay(envelope(stream=True))
    relay.feed(b'data: {"reasoning":' + data + b"\n\n" + data)
    relay.finish()
    assert isinstance(msgspec.json.decode(relay.output()), dict)
