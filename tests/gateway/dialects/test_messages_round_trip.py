"""There and back between chat completions and Anthropic's messages: whatever is said comes back as it was."""

from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.gateway.dialects import messages_to_chat
from penstock.gateway.dialects.anthropic import AnthropicRelay
from penstock.gateway.dialects.chained import ChainedRelay
from penstock.gateway.dialects.chat_to_messages import translate_request as to_messages
from penstock.gateway.dialects.messages_over_chat import MessagesOverChatRelay
from penstock.gateway.dialects.messages_over_chat import translate_answer as message_of
from penstock.gateway.dialects.messages_request import translate_request as to_chat
from tests.gateway.dialects.test_messages_to_chat import comparable, events, whole

TEXT = st.text(st.characters(exclude_categories=["Cs", "Z", "Cc"]), min_size=1, max_size=12)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
OBJECT = st.dictionaries(TEXT, VALUE, max_size=3)
CACHE = st.sampled_from([{}, {"cache_control": {"type": "ephemeral", "ttl": "1h"}}])
IMAGE = st.sampled_from(["https://x.example/a.png", "data:image/png;base64,AA=="]).map(
    lambda url: {"type": "image_url", "image_url": {"url": url}}
)
PDF = {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}}
PART = st.builds(
    lambda part, cache: part | cache,
    st.one_of(TEXT.map(lambda text: {"type": "text", "text": text}), IMAGE, st.just(PDF)),
    CACHE,
)
SIGNED = st.builds(lambda text, sign: {"type": "thinking", "thinking": text, "signature": sign}, TEXT, TEXT)
THOUGHT = SIGNED | TEXT.map(lambda data: {"type": "redacted_thinking", "data": data})


def simple(parts: list[dict[str, Any]]) -> Any:
    """Write a content as the translation does: a string, where it is one text."""
    if len(parts) == 1 and set(parts[0]) == {"type", "text"}:
        return parts[0]["text"]
    return parts


@st.composite
def conversations(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw messages as OpenAI's API takes them: turns alternate, results follow their calls."""
    out: list[dict[str, Any]] = []
    if draw(st.booleans()):
        out.append({"role": "system", "content": draw(TEXT)})
    for turn in range(draw(st.integers(1, 3))):
        out.append({"role": "user", "content": simple(draw(st.lists(PART, min_size=1, max_size=3)))})
        said: dict[str, Any] = {"role": "assistant", "content": draw(TEXT)}
        if thoughts := draw(st.lists(THOUGHT, max_size=2)):
            said["thinking_blocks"] = thoughts
            if told := "".join(each.get("thinking", "") for each in thoughts):
                said["reasoning_content"] = told
        calls = draw(st.lists(st.tuples(TEXT, OBJECT, CACHE), max_size=3))
        if calls:
            said["content"] = draw(st.none() | TEXT)
            said["tool_calls"] = [
                {
                    "id": f"call_{turn}_{index}",
                    "type": "function",
                    "function": {"name": name, "arguments": msgspec.json.encode(value).decode()},
                    **cache,
                }
                for index, (name, value, cache) in enumerate(calls)
            ]
        out.append(said)
        for call in said.get("tool_calls", ()):
            result = {"role": "tool", "tool_call_id": call["id"], "content": draw(TEXT)}
            out.append(result | draw(CACHE) | draw(st.sampled_from([{}, {"is_error": True}])))
    return out


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a whole chat request of what both families know."""
    body: dict[str, Any] = {"messages": draw(conversations()), "max_tokens": draw(st.integers(1, 9999))}
    optional: dict[str, st.SearchStrategy[Any]] = {
        "temperature": st.floats(0, 1),
        "top_p": st.floats(0, 1),
        "stop": st.lists(TEXT, min_size=1, max_size=3),
        "user": TEXT,
        "thinking": st.sampled_from(
            [{"type": "enabled", "budget_tokens": 2000}, {"type": "adaptive"}, {"type": "disabled"}]
        ),
        "response_format": st.just(
            {
                "type": "json_schema",
                "json_schema": {
                    "name": "output",
                    "schema": {"type": "object", "properties": {}, "additionalProperties": False},
                    "strict": True,
                },
            }
        ),
    }
    for name, strategy in optional.items():
        if draw(st.booleans()):
            body[name] = draw(strategy)
    if "thinking" in body and draw(st.booleans()):
        body["reasoning_effort"] = draw(st.sampled_from(["low", "medium", "high", "max"]))
    if names := draw(st.lists(TEXT, max_size=3, unique=True)):
        body["tools"] = [
            {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} | draw(CACHE)
            for name in names
        ]
        one = {"type": "function", "function": {"name": names[0]}}
        choice = draw(st.sampled_from([None, "auto", "none", "required", one]))
        if choice is not None:
            body["tool_choice"] = choice
        if choice not in (None, "none") and draw(st.booleans()):
            body["parallel_tool_calls"] = False
    return body


@settings(deadline=None)
@given(requests())
def test_requests(body: dict[str, Any]) -> None:
    there = to_messages(body, "claude-opus-4-6")
    assert all(one["role"] != two["role"] for one, two in pairwise(there["messages"]))
    assert to_chat(there, "gpt") == body | {"model": "gpt"}


BLOCK = st.one_of(
    TEXT.map(lambda text: {"type": "text", "text": text}),
    st.tuples(st.uuids(), TEXT, OBJECT).map(
        lambda each: {"type": "tool_use", "id": f"toolu_{each[0].hex}", "name": each[1], "input": each[2]}
    ),
)
STOPS = st.sampled_from(["end_turn", "max_tokens", "refusal"])


@st.composite
def contents(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw what a model says: thoughts, then text, then calls."""
    content: list[dict[str, Any]] = draw(st.lists(THOUGHT, max_size=3))
    said = draw(st.lists(BLOCK, min_size=1, max_size=4, unique_by=lambda block: block.get("id") or "text"))
    return content + sorted(said, key=lambda block: block["type"])


@settings(deadline=None)
@given(contents(), STOPS, st.lists(st.integers(0, 9000), max_size=20), st.sampled_from([b"\n", b"\r\n"]))
def test_answers(content: list[dict[str, Any]], stop: str, cuts: list[int], ends: bytes) -> None:
    if stop == "end_turn" and any(block["type"] == "tool_use" for block in content):
        stop = "tool_use"
    original = whole(content, stop)
    chat = messages_to_chat.translate_answer(original, "alias")
    back = msgspec.json.decode(message_of(chat.body, "claude").body)
    assert back["content"] == content and back["stop_reason"] == stop
    assert back["usage"] == msgspec.json.decode(original)["usage"]

    raw = b"".join(events(content, stop)).replace(b"\n", ends)
    places = [0, *sorted(cut for cut in cuts if cut < len(raw)), len(raw)]
    relay = messages_to_chat.ChatOverMessagesRelay("alias", True)
    chunks = b"".join(relay.feed(raw[one:two]) for one, two in pairwise(places)) + relay.finish()
    assert relay.complete and relay.usage == chat.usage
    assert comparable(relay.output()) == comparable(chat.body)

    # The chunks, read as another provider's stream, make the same message again …
    again = MessagesOverChatRelay("claude")
    written = again.feed(chunks) + again.finish()
    assert msgspec.json.decode(again.output()) == back
    # … and its events, read as Anthropic's own client reads them, do so too.
    last = AnthropicRelay("claude")
    last.feed(written)
    assert last.complete and msgspec.json.decode(last.output()) == back


@settings(deadline=None)
@given(contents(), st.lists(st.integers(0, 9000), max_size=20))
def test_chained_streams(content: list[dict[str, Any]], cuts: list[int]) -> None:
    raw = b"".join(events(content))

    def run(places: list[int]) -> tuple[bytes, bytes]:
        back = messages_to_chat.ChatOverMessagesRelay("alias", True)
        relay = ChainedRelay(MessagesOverChatRelay("alias"), back)
        out = b"".join(relay.feed(raw[one:two]) for one, two in pairwise(places)) + relay.finish()
        assert relay.complete
        return out, relay.output()

    assert run([0, len(raw)]) == run([0, *sorted(cut for cut in cuts if cut < len(raw)), len(raw)])
