"""An answer of Cohere's chat API (v2), whole or streamed, as a chat answer. Pure.

From https://docs.cohere.com/reference/chat and …/docs/streaming to
https://platform.openai.com/docs/api-reference/chat/object.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from penstock.core.errors import Upstream
from penstock.gateway.dialects.base import Answer, Fault
from penstock.gateway.dialects.chat_writing import ChatWriter, MessageBuilder, completion
from penstock.gateway.dialects.sse import EventBuffer, payload
from penstock.gateway.model import Usage

FINISH = {"COMPLETE": "stop", "STOP_SEQUENCE": "stop", "MAX_TOKENS": "length", "TOOL_CALL": "tool_calls"}
"""Cohere's finish_reason → OpenAI's; ERROR and TIMEOUT are errors."""


class _Tokens(msgspec.Struct):
    input_tokens: float | None = None
    output_tokens: float | None = None


class _Usage(msgspec.Struct):
    billed_units: _Tokens | None = None
    tokens: _Tokens | None = None
    cached_tokens: float | None = None

    def usage(self) -> Usage:
        """Return what is billed, or else what was processed: Cohere's own preamble costs nothing."""
        counts = self.billed_units or self.tokens or _Tokens()
        return Usage(
            int(counts.input_tokens or 0), int(counts.output_tokens or 0), int(self.cached_tokens or 0)
        )


class _Content(msgspec.Struct):
    text: str | None = None
    thinking: str | None = None


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    id: str | None = None
    function: _Function | None = None


class _Message(msgspec.Struct):
    """Of a whole answer (lists) or of a delta (single objects)."""

    content: list[_Content] | _Content | None = None
    tool_plan: str | None = None
    tool_calls: list[_Call] | _Call | None = None
    citations: Any = None


class _Answer(msgspec.Struct):
    message: _Message
    id: str = ""
    finish_reason: str = ""
    usage: _Usage | None = None


class _Delta(msgspec.Struct):
    message: _Message | None = None
    finish_reason: str | None = None
    usage: _Usage | None = None
    error: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    id: str | None = None
    index: int = 0
    delta: _Delta | None = None


class _Error(msgspec.Struct):
    message: str = ""


_answer = msgspec.json.Decoder(_Answer)
_event = msgspec.json.Decoder(_Event)
_error = msgspec.json.Decoder(_Error)
_encode = msgspec.json.Encoder().encode
_ERRORS = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def read_fault(status: int, body: bytes) -> Fault:
    """Return what a Cohere error body says."""
    try:
        message = _error.decode(body).message
    except _ERRORS:
        message = ""
    shown = message or body[:300].decode("utf-8", "replace").strip()
    return Fault(shown or f"The provider answered {status}.")


def _broken_off(reason: str) -> Fault:
    return Fault(f"The provider broke the answer off: {reason}.", reason)


def translate_answer(body: bytes, alias: str) -> Answer:
    """Return the chat completion for an answer; raises Upstream when it is none or was broken off."""
    try:
        found = _answer.decode(body)
    except _ERRORS as error:
        raise Upstream("The provider's answer is not one of Cohere's chat.", body=body[:2000]) from error
    if found.finish_reason in ("ERROR", "TIMEOUT"):
        raise Upstream(_broken_off(found.finish_reason).message, body=body[:2000])
    message = MessageBuilder()
    if found.message.tool_plan:
        message.thinking(found.message.tool_plan)
    for content in _each(found.message.content):
        message.thinking(content.thinking) if content.thinking else message.text(content.text or "")
    for call in _each(found.message.tool_calls):
        function = call.function or _Function()
        message.tool(call.id or "", function.name or "", function.arguments or "{}")
    message.citations += _each(found.message.citations)
    usage = found.usage.usage() if found.usage else None
    finish = FINISH.get(found.finish_reason, "stop")
    made = completion(f"chatcmpl-{found.id}", alias, message.built(), finish=finish, usage=usage)
    return Answer(_encode(made), usage, "")


def _each(found: Any) -> list[Any]:
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


class ChatOverCohereRelay:
    """Reads Cohere's events, writes OpenAI's chunks."""

    __slots__ = ("_events", "_out", "_tools", "fault", "model")

    def __init__(self, alias: str, with_usage: bool) -> None:
        self._events = EventBuffer()
        self._out = ChatWriter(alias, with_usage)
        self._tools: dict[int, int] = {}
        self.fault: Fault | None = None
        self.model = ""

    @property
    def usage(self) -> Usage | None:
        """Tokens: they come with the last event."""
        return self._out.usage

    @property
    def complete(self) -> bool:
        """Whether the last event has come."""
        return self._out.complete

    def feed(self, data: bytes) -> bytes:
        """Return the chunks for the events that `data` completes."""
        return b"".join([self._take(payload(event)) for event in self._events.feed(data)])

    def _take(self, data: bytes) -> bytes:
        if not data or data == b"[DONE]":
            return b""
        try:
            event = _event.decode(data)
        except _ERRORS as error:
            raise Upstream("The provider sent an event that is not JSON.", body=data[:2000]) from error
        handler = _HANDLERS.get(event.type)
        if handler is None or self.fault is not None or self.complete:
            return b""
        return handler(self, event)

    def _start(self, event: _Event) -> bytes:
        return self._out.start(f"chatcmpl-{event.id or ''}")

    @staticmethod
    def _message(event: _Event) -> _Message:
        found = event.delta.message if event.delta else None
        return found if found is not None else _Message()

    def _content(self, event: _Event) -> bytes:
        out = b""
        for content in _each(self._message(event).content):
            if content.thinking:
                out += self._out.thinking(content.thinking)
            elif content.text:
                out += self._out.text(content.text)
        return out

    def _plan(self, event: _Event) -> bytes:
        plan = self._message(event).tool_plan
        return self._out.thinking(plan) if plan else b""

    def _tool(self, event: _Event) -> bytes:
        out = b""
        for call in _each(self._message(event).tool_calls):
            function = call.function or _Function()
            index, made = self._out.tool(call.id or "", function.name or "", function.arguments or "")
            self._tools[event.index] = index
            out += made
        return out

    def _arguments(self, event: _Event) -> bytes:
        out = b""
        for call in _each(self._message(event).tool_calls):
            if call.function is not None and call.function.arguments and event.index in self._tools:
                out += self._out.arguments(self._tools[event.index], call.function.arguments)
        return out

    def _citation(self, event: _Event) -> bytes:
        return b"".join([self._out.citation(each) for each in _each(self._message(event).citations)])

    def _end(self, event: _Event) -> bytes:
        delta = event.delta or _Delta()
        reason = delta.finish_reason or ""
        if delta.usage is not None:
            self._out.usage = delta.usage.usage()
        if delta.error or reason in ("ERROR", "TIMEOUT"):
            self.fault = Fault(delta.error, reason) if delta.error else _broken_off(reason)
            return b""
        return self._out.finish(FINISH.get(reason, "stop")) + self._out.end()

    def finish(self) -> bytes:
        """Return the chunks of a last event without a blank line."""
        rest = self._events.rest.strip()
        return self._take(payload(rest)) if rest else b""

    def output(self) -> bytes:
        """Return the answer put together."""
        return self._out.output()


_HANDLERS: dict[str, Callable[[ChatOverCohereRelay, _Event], bytes]] = {
    "message-start": ChatOverCohereRelay._start,
    "content-start": ChatOverCohereRelay._content,
    "content-delta": ChatOverCohereRelay._content,
    "tool-plan-delta": ChatOverCohereRelay._plan,
    "tool-call-start": ChatOverCohereRelay._tool,
    "tool-call-delta": ChatOverCohereRelay._arguments,
    "citation-start": ChatOverCohereRelay._citation,
    "message-end": ChatOverCohereRelay._end,
}
