"""Whatever a provider sends, a relay gives bytes or a PenstockError, for every provider and every caller's family."""

import itertools
import re
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core import plugins
from penstock.core.errors import PenstockError
from penstock.gateway.dialects.base import Dialect
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.model import Operation
from penstock.gateway.ports import Provider, ProviderConfig
from tests.fakes import anthropic, bedrock, cohere, gemini, openai

EXAMPLES = max(120, settings.default.max_examples) if settings.default else 120
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
CHAT = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
MESSAGES = CHAT | {"max_tokens": 10}
GENERATE = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
ASKED = {Operation.CHAT: CHAT, Operation.MESSAGES: MESSAGES, Operation.GENERATE: GENERATE}
OPTIONS = {"region": "eu-west-3", "access_key_id": "AKIAEXAMPLE", "project": "p", "location": "l"}
KINDS: dict[str, tuple[str, str, Callable[[dict], list[bytes]]]] = {
    "openai": ("https://x.test/v1", "openai", openai.chat_events),
    "anthropic": ("https://x.test", "anthropic", anthropic.events),
    "gemini": ("https://x.test", "gemini", lambda r: [gemini.sse(e) for e in gemini.events(r, "plain")]),
    "bedrock": ("https://x.test", "bedrock", bedrock.events),
    "cohere": ("https://x.test", "cohere", cohere.events),
}
PAIRS = [(kind, operation) for kind in KINDS for operation in ASKED]


def provider(kind: str) -> Provider:
    """Return a provider of the kind."""
    address, name, _ = KINDS[kind]
    plugin = plugins.load("providers", name)
    options = {key: value for key, value in OPTIONS.items() if key in plugin.OPTIONS}
    made: Provider = plugin(ProviderConfig(name=kind, base_url=address, api_key="k", options=options))
    return made


def good(kind: str, *, tools: bool) -> list[bytes]:
    """Return the events of a good stream."""
    more = {"tools": TOOLS, "toolConfig": {"tools": []}} if tools else {}
    contents = [{"parts": [{"text": "hi"}]}]
    return KINDS[kind][2](
        {"model": "m", "contents": contents, "stream_options": {"include_usage": True}, **more}
    )


def envelope(operation: Operation) -> Envelope:
    """Return a caller's request for a stream."""
    named = {"model": "m", "stream": True} if operation is Operation.GENERATE else {}
    return Envelope(msgspec.json.encode(ASKED[operation]), **named)


def carry(dialect: Dialect, operation: Operation, pieces: list[bytes]) -> tuple[bytes, bool, bool]:
    """Return what the caller gets, whether it is whole, and whether an error was told."""
    relay = dialect.relay(envelope(operation))
    out = b""
    try:
        for piece in pieces:
            out += relay.feed(piece)
            if relay.fault is not None or relay.complete:
                break
        else:
            out += relay.finish()
        msgspec.json.decode(relay.output())
    except PenstockError:
        return out, False, True
    return out, relay.complete, relay.fault is not None


@pytest.mark.parametrize(("kind", "operation"), PAIRS)
@pytest.mark.parametrize("tools", [False, True])
def test_good_streams_are_whole_however_they_are_cut(kind: str, operation: Operation, tools: bool) -> None:
    dialect = provider(kind).dialect(operation)
    assert dialect is not None
    data = b"".join(good(kind, tools=tools))
    whole = carry(dialect, operation, [data])
    assert whole[1] and not whole[2]
    one_by_one, complete, fault = carry(dialect, operation, [data[at : at + 1] for at in range(len(data))])
    assert complete and not fault
    assert _text(one_by_one) == _text(whole[0])


def _text(stream: bytes) -> list[str]:
    """Return the events' data without ids and times, which are new each time."""
    found = []
    for line in stream.replace(b"\r", b"").split(b"\n"):
        if line.startswith(b"data: {"):
            body = msgspec.json.decode(line[6:])
            said = str(body.get("choices") or body.get("delta") or body.get("candidates") or "")
            found.append(re.sub("call_[0-9a-f]+", "call", said))
    return found


CHANGES = st.tuples(
    st.sampled_from(["drop", "repeat", "flip", "insert", "cut", "swap", "null", "deep"]),
    st.integers(min_value=0, max_value=10**6),
    st.binary(min_size=1, max_size=12),
)


def changed(data: bytes, change: tuple[str, int, bytes]) -> bytes:
    """Return `data` with something wrong in it."""
    how, where, extra = change
    at = where % max(1, len(data))
    if how == "cut":
        return data[:at]
    if how == "drop":
        return data[:at] + data[at + len(extra) :]
    if how == "repeat":
        return data[:at] + data[max(0, at - 30) :]
    if how == "flip":
        return data[:at] + bytes([data[at] ^ (extra[0] or 1)]) + data[at + 1 :] if data else extra
    if how == "swap":
        return data[at:] + data[:at]
    if how == "null":
        start = data.find(b'":', at)
        end = min((x for x in (data.find(b",", start), data.find(b"}", start)) if x > 0), default=-1)
        return data if start < 0 or end < 0 else data[: start + 2] + b"null" + data[end:]
    if how == "deep":
        return data[:at] + b'data: {"choices":' + b"[" * 5000 + b"\n\n" + data[at:]
    return data[:at] + extra + data[at:]


@pytest.mark.parametrize(("kind", "operation"), PAIRS)
@settings(max_examples=EXAMPLES)
@given(
    changes=st.lists(CHANGES, min_size=1, max_size=3),
    cuts=st.lists(st.integers(min_value=0, max_value=10**6), max_size=5),
    tools=st.booleans(),
)
def test_broken_streams_never_break_the_gateway(
    kind: str, operation: Operation, changes: list[tuple[str, int, bytes]], cuts: list[int], tools: bool
) -> None:
    data = b"".join(good(kind, tools=tools))
    for change in changes:
        data = changed(data, change)
    places = sorted({cut % max(1, len(data)) for cut in cuts} | {0, len(data)})
    pieces = [data[a:b] for a, b in itertools.pairwise(places)]
    dialect = provider(kind).dialect(operation)
    assert dialect is not None
    carry(dialect, operation, pieces)


@pytest.mark.parametrize(("kind", "operation"), PAIRS)
@settings(max_examples=EXAMPLES)
@given(
    body=st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=8),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["choices", "message", "content", "usage", "candidates", "parts", "output", "text"]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=12,
        ).map(msgspec.json.encode),
        st.just(b"[" * 100_000),
    ),
    status=st.sampled_from([400, 401, 403, 404, 408, 413, 422, 429, 500, 502, 503, 529]),
)
def test_any_whole_answer_and_any_error_is_understood_or_refused(
    kind: str, operation: Operation, body: bytes, status: int
) -> None:
    dialect = provider(kind).dialect(operation)
    assert dialect is not None
    assert isinstance(dialect.fault(status, body).message, str)
    try:
        answer = dialect.answer(body, "alias")
    except PenstockError:
        return
    assert isinstance(msgspec.json.decode(answer.body), dict)


@pytest.mark.parametrize("kind", [*KINDS])
@settings(max_examples=EXAMPLES)
@given(
    members=st.dictionaries(
        st.sampled_from(
            ["messages", "tools", "tool_choice", "response_format", "stop", "max_tokens", "temperature", "n",
             "reasoning_effort", "thinking", "user", "metadata", "stream_options", "system", "contents",
             "generationConfig", "functions", "logprobs", "modalities", "audio"]
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers(-3, 10**6) | st.floats(allow_nan=False) | st.text(max_size=6),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["role", "content", "type", "text", "image_url", "url", "tool_calls", "function", "name",
                         "arguments", "parts", "input_schema", "parameters", "json_schema", "schema"]
                    ),
                    inner,
                    max_size=4,
                )
            ),
            max_leaves=15,
        ),
    ),
    operation=st.sampled_from([*ASKED]),
)  # fmt: skip
def test_any_request_is_translated_or_refused(kind: str, members: dict, operation: Operation) -> None:
    dialect = provider(kind).dialect(operation)
    assert dialect is not None
    try:
        asked = Envelope(msgspec.json.encode(ASKED[operation] | members), model="m", stream=False)
        made = dialect.request(asked, "target")
    except PenstockError as error:
        assert error.status < 500
        return
    assert isinstance(msgspec.json.decode(made), dict)
