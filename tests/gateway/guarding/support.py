"""Guards, calls and streams for the tests of guarding."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec

from penstock.core.scope import Scope
from penstock.gateway.dialects.anthropic import AnthropicRelay
from penstock.gateway.dialects.base import Fault, Relay
from penstock.gateway.dialects.gemini import GeminiRelay
from penstock.gateway.dialects.openai import OpenAIRelay
from penstock.gateway.dialects.sse import EventBuffer, payload
from penstock.gateway.guarding.guarding import Guarding
from penstock.gateway.model import Operation, Usage
from penstock.guardrails.model import About, Action, GuardConfig, Hit, Policy, Rules, Stage
from penstock.guardrails.ports import Reply
from penstock.guardrails.service import Guardrails

json = msgspec.json
SECRET = b"tenant-key"
HERE = Scope()


class ShoutGuard:
    """A text guard: masks or blocks the word WHISPER."""

    stages: ClassVar = (Stage.BOTH,)
    actions: ClassVar = (Action.MASK, Action.BLOCK, Action.FLAG)
    roles: frozenset[str] = frozenset()

    def __init__(self, options: Mapping[str, Any], setting: Any) -> None:
        del options, setting

    def judge(self, text: str, about: About) -> Sequence[Hit]:
        """Find the word."""
        del about
        at = text.find("WHISPER")
        return [Hit("loud", 1.0, at, at + 7)] if at >= 0 else []


class BrokenGuard(ShoutGuard):
    """A text guard that fails."""

    def judge(self, text: str, about: About) -> Sequence[Hit]:
        """Fail."""
        raise RuntimeError("the secret text")


class RemoteGuard:
    """A remote guard: the transport's answer is its reply's text."""

    stages: ClassVar = (Stage.BOTH,)
    actions: ClassVar = (Action.BLOCK, Action.FLAG)
    roles: frozenset[str] = frozenset()

    def __init__(self, options: Mapping[str, Any], setting: Any) -> None:
        del setting
        self.holds = options.get("holds", True)

    async def ask(self, text: str, about: About, transport: Any) -> Reply:
        """Ask the transport."""
        del about
        status, body = await transport.post("http://guard", text.encode(), {}, timeout=1, allow_private=True)
        if status == 200:
            return Reply(None)
        if status == 201:
            return Reply(Action.MASK, "remote", 1.0, body.decode())
        return Reply(Action.BLOCK, "remote")


@dataclass
class Remote:
    """A transport that remembers what it was asked."""

    answer: Callable[[str], tuple[int, bytes]] = lambda text: (200, b"")
    asked: list[str] = field(default_factory=list)

    async def post(self, url: str, body: bytes, headers: Any, **more: Any) -> tuple[int, bytes]:
        """Answer."""
        self.asked.append(body.decode())
        return self.answer(body.decode())


def policy(*guards: GuardConfig, name: str = "p", number: int = 1, **more: Any) -> Policy:
    """Return a policy."""
    return Policy(
        name=name, number=number, rules=Rules(guards=guards, **more), author="me",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


def pii(action: Action = Action.MASK, **more: Any) -> GuardConfig:
    """Return a guard for personal data."""
    return GuardConfig(kind="pii", action=action, **more)


@dataclass
class FakeCaller:
    """A key."""

    key_id: str = "key_1"
    name: str = "mine"


@dataclass
class FakeCall:
    """What guards need of a call."""

    scope: Scope | None = field(default_factory=Scope)
    caller: FakeCaller | None = field(default_factory=FakeCaller)
    user: str | None = None
    envelope: Any = None
    restores: bool = False
    hook: Any = None
    events: list[Any] = field(default_factory=list)
    output: Any = None

    def verdicts(self) -> list[tuple[str, str, str]]:
        """Return (guard, rule, verdict) of each event."""
        return [(e.attributes["guard"], e.attributes["rule"], e.attributes["verdict"]) for e in self.events]


def guarding(*policies: Policy, transport: Any = None, count: Any = None, scope: Scope = HERE) -> Guarding:
    """Return a guarding with these policies in force."""
    more = {"count": count} if count else {}
    held = rails(policies, scope=scope)
    return Guarding(lambda: held, transport or Remote(), revision=lambda: 1, **more)


def rails(policies: tuple[Policy, ...], *, revision: int = 1, scope: Scope = HERE) -> Guardrails:
    """Return policies in force, as the store gives them."""
    return Guardrails(policies={scope: policies}, secrets={scope.tenant: SECRET}, revision=revision)


class PlainRelay:
    """Passes Responses streams on; what a provider's dialect for them does with bytes."""

    def __init__(self) -> None:
        self._events = EventBuffer()
        self.usage: Usage | None = None
        self.model = "m"
        self.fault: Fault | None = None
        self.complete = False
        self._final = b"{}"

    def feed(self, data: bytes) -> bytes:
        """Return complete events."""
        out = b""
        for event in self._events.feed(data):
            found = json.decode(payload(event))
            if found["type"] == "response.completed":
                self.complete = True
                self._final = json.encode(found["response"])
            out += event + b"\n\n"
        return out

    def finish(self) -> bytes:
        """Nothing is owed."""
        return b""

    def output(self) -> bytes:
        """Return the final response."""
        return self._final


def sse(*events: Any, named: bool = False) -> list[bytes]:
    """Return events on the wire."""
    return [
        (f"event: {each['type']}\n".encode() if named else b"")
        + b"data: "
        + (each if isinstance(each, bytes) else json.encode(each))
        + b"\n\n"
        for each in events
    ]


# -- one stream and one whole answer per family: texts in pieces, tool arguments in pieces ----------------------


def chat_stream(pieces: Iterable[str], arguments: Iterable[str] = (), name: str = "text") -> list[bytes]:
    """Chat completions; `name` chooses the delta's member."""

    def event(delta: Any, finish: str | None = None) -> Any:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1.5,
            "model": "m",
            "choices": [choice],
        }

    member = "content" if name == "text" else name
    events = [event({"role": "assistant", "content": ""}), *(event({member: piece}) for piece in pieces)]
    for at, piece in enumerate(arguments):
        call: dict[str, Any] = {"index": 0, "function": {"arguments": piece}}
        if at == 0:
            call |= {"id": "t", "type": "function"}
            call["function"]["name"] = "send"
        events.append(event({"tool_calls": [call]}))
    return sse(*events, event({}, "stop"), b"[DONE]")


def chat_whole(text: str, arguments: str) -> dict[str, Any]:
    """A chat completion."""
    calls = [{"id": "t", "type": "function", "function": {"name": "send", "arguments": arguments}}]
    message = {"role": "assistant", "content": text, "tool_calls": calls}
    return {"id": "c", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


def completions_stream(pieces: Iterable[str], arguments: Iterable[str] = ()) -> list[bytes]:
    """Completions: no tools."""
    del arguments

    def event(text: str, finish: str | None = None) -> Any:
        return {"id": "c", "model": "m", "choices": [{"index": 0, "text": text, "finish_reason": finish}]}

    return sse(*(event(piece) for piece in pieces), event("", "stop"), b"[DONE]")


def messages_stream(pieces: Iterable[str], arguments: Iterable[str] = ()) -> list[bytes]:
    """Messages: a text block and a tool block."""
    events: list[Any] = [
        {"type": "message_start", "message": {"id": "x", "model": "m", "role": "assistant", "content": []}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]
    for piece in pieces:
        delta = {"type": "text_delta", "text": piece}
        events.append({"type": "content_block_delta", "index": 0, "delta": delta})
    tool = {"type": "tool_use", "id": "t", "name": "send", "input": {}}
    events += [
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": tool},
    ]
    for piece in arguments:
        delta = {"type": "input_json_delta", "partial_json": piece}
        events.append({"type": "content_block_delta", "index": 1, "delta": delta})
    events += [
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}},
        {"type": "message_stop"},
    ]
    return sse(*events, named=True)


def gemini_stream(pieces: Iterable[str], arguments: Iterable[str] = ()) -> list[bytes]:
    """Gemini: the function call comes whole."""

    def event(parts: list[Any], **more: Any) -> Any:
        return {"candidates": [{"index": 0, "content": {"role": "model", "parts": parts}, **more}]}

    events = [event([{"text": piece}]) for piece in pieces]
    source = "".join(arguments)
    if source:
        events.append(event([{"functionCall": {"name": "send", "args": json.decode(source)}}]))
    return sse(*events, event([{"text": ""}], finishReason="STOP"))


def responses_stream(pieces: Iterable[str], arguments: Iterable[str] = ()) -> list[bytes]:
    """Responses: deltas, then the same again whole, thrice."""
    pieces, arguments = list(pieces), list(arguments)
    text, source = "".join(pieces), "".join(arguments)
    part = {"type": "output_text", "text": text, "annotations": []}
    message = {"type": "message", "id": "m1", "role": "assistant", "content": [part]}
    call = {"type": "function_call", "id": "f1", "name": "send", "call_id": "t", "arguments": source}
    events: list[Any] = [
        {"type": "response.created", "response": {"id": "r", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": message | {"content": []}},
        *(
            {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": piece}
            for piece in pieces
        ),
        {"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": text},
        {"type": "response.content_part.done", "output_index": 0, "content_index": 0, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": message},
        {"type": "response.output_item.added", "output_index": 1, "item": call | {"arguments": ""}},
        *(
            {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": piece}
            for piece in arguments
        ),
        {"type": "response.function_call_arguments.done", "output_index": 1, "arguments": source},
        {"type": "response.output_item.done", "output_index": 1, "item": call},
        {"type": "response.completed", "response": {"id": "r", "output": [message, call]}},
    ]
    for number, event in enumerate(events):
        event["sequence_number"] = number
    return sse(*events, named=True)


STREAMS: dict[Operation, Callable[..., list[bytes]]] = {
    Operation.CHAT: chat_stream,
    Operation.COMPLETIONS: completions_stream,
    Operation.MESSAGES: messages_stream,
    Operation.GENERATE: gemini_stream,
    Operation.RESPONSES: responses_stream,
}


def relay_of(operation: Operation) -> Relay:
    """Return what carries a family's stream without guards."""
    if operation is Operation.MESSAGES:
        return AnthropicRelay("m")
    if operation is Operation.GENERATE:
        return GeminiRelay("m")
    if operation is Operation.RESPONSES:
        return PlainRelay()
    return OpenAIRelay("m", True)


def events_of(stream: bytes) -> list[Any]:
    """Return what the events of a stream say."""
    found = [payload(event) for event in EventBuffer().feed(stream) if event]
    return [json.decode(data) for data in found if data and data != b"[DONE]"]


def heard(stream: bytes, operation: Operation) -> tuple[str, str]:
    """Return the text and the tool arguments that a client puts together from a stream."""
    told = {
        Operation.CHAT: _of_choices, Operation.COMPLETIONS: _of_choices, Operation.MESSAGES: _of_deltas,
        Operation.GENERATE: _of_parts, Operation.RESPONSES: _of_types,
    }[operation]  # fmt: skip
    pairs = [pair for event in events_of(stream) for pair in told(event)]
    return "".join(pair[0] for pair in pairs), "".join(pair[1] for pair in pairs)


def _of_choices(event: Any) -> Iterable[tuple[str, str]]:
    for choice in event["choices"]:
        delta = choice.get("delta", {})
        yield delta.get("content") or choice.get("text") or "", ""
        for call in delta.get("tool_calls", ()):
            yield "", call["function"]["arguments"]


def _of_deltas(event: Any) -> Iterable[tuple[str, str]]:
    delta = event.get("delta", {})
    yield delta.get("text", ""), delta.get("partial_json", "")


def _of_parts(event: Any) -> Iterable[tuple[str, str]]:
    for part in event["candidates"][0]["content"]["parts"]:
        call = part.get("functionCall")
        yield part.get("text", ""), "" if call is None else json.encode(call["args"]).decode()


def _of_types(event: Any) -> Iterable[tuple[str, str]]:
    if event["type"] == "response.output_text.delta":
        yield event["delta"], ""
    elif event["type"] == "response.function_call_arguments.delta":
        yield "", event["delta"]
