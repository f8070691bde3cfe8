"""An answer of Bedrock's Converse API, whole or streamed, as a chat answer. Pure.

From https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html to
https://platform.openai.com/docs/api-reference/chat/object.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from penstock.core.errors import Upstream
from penstock.core.ids import new_id
from penstock.gateway.dialects.base import Answer, Fault
from penstock.gateway.dialects.chat_writing import ChatWriter, MessageBuilder, completion
from penstock.gateway.dialects.eventstream import EventStream, Message
from penstock.gateway.model import Usage

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
"""Converse's stopReason → OpenAI's finish_reason."""


class _TokenUsage(msgspec.Struct, rename="camel"):
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None

    def usage(self) -> Usage:
        """Return it as our noun: Converse counts cached input apart, we count it in."""
        read, written = self.cache_read_input_tokens or 0, self.cache_write_input_tokens or 0
        return Usage(self.input_tokens + read + written, self.output_tokens, read, written)


class _ReasoningText(msgspec.Struct):
    text: str = ""
    signature: str = ""


class _Reasoning(msgspec.Struct, rename="camel"):
    """Of a whole answer (`reasoningText`) or of a delta (`text` or `signature`)."""

    reasoning_text: _ReasoningText | None = None
    redacted_content: str | None = None
    text: str | None = None
    signature: str | None = None


class _ToolUse(msgspec.Struct, rename="camel"):
    """Of a whole answer or a block's start; a delta has only `input`, as text."""

    tool_use_id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _Cited(msgspec.Struct):
    content: list["_Block"] = []
    citations: list[Any] = []


class _Block(msgspec.Struct, rename="camel"):
    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None
    citations_content: _Cited | None = None
    citation: Any = None


class _Content(msgspec.Struct):
    content: list[_Block]


class _Output(msgspec.Struct):
    message: _Content


class _Converse(msgspec.Struct, rename="camel"):
    output: _Output
    stop_reason: str = ""
    usage: _TokenUsage | None = None
    trace: Any = None


class _Event(msgspec.Struct, rename="camel"):
    """Any event's payload."""

    content_block_index: int = 0
    start: _Block | None = None
    delta: _Block | None = None
    stop_reason: str = ""
    usage: _TokenUsage | None = None
    message: str = ""


class _Error(msgspec.Struct):
    message: str = ""
    Message: str = ""
    type: str = msgspec.field(default="", name="__type")


_converse = msgspec.json.Decoder(_Converse)
_event = msgspec.json.Decoder(_Event)
_error = msgspec.json.Decoder(_Error)
_text = msgspec.json.Decoder(str)
_encode = msgspec.json.Encoder().encode
_ERRORS = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


def read_fault(status: int, body: bytes) -> Fault:
    """Return what an AWS error body says: its services spell the message either way."""
    try:
        found = _error.decode(body)
    except _ERRORS:
        found = _Error()
    shown = found.message or found.Message or body[:300].decode("utf-8", "replace").strip()
    kind = found.type.rpartition("#")[2]
    return Fault(shown or f"The provider answered {status}.", kind)


def translate_answer(body: bytes, alias: str) -> Answer:
    """Return the chat completion for a Converse answer; raises Upstream when it is not one."""
    try:
        found = _converse.decode(body)
    except _ERRORS as error:
        raise Upstream("The provider's answer is not one of Converse.", body=body[:2000]) from error
    message = MessageBuilder()
    for block in found.output.message.content:
        _add(message, block)
    usage = found.usage.usage() if found.usage else None
    finish = FINISH.get(found.stop_reason, "stop")
    made = completion(new_id("chatcmpl"), alias, message.built(), finish=finish, usage=usage)
    if found.trace is not None:
        made["trace"] = found.trace
    return Answer(_encode(made), usage, "")


def _add(message: MessageBuilder, block: _Block) -> None:
    if block.text is not None:
        message.text(block.text)
    if block.tool_use is not None:
        message.tool(block.tool_use.tool_use_id, block.tool_use.name, bytes(block.tool_use.input).decode())
    if block.citations_content is not None:
        for cited in block.citations_content.content:
            message.text(cited.text or "")
        message.citations += block.citations_content.citations
    thought = block.reasoning_content
    if thought is not None and thought.redacted_content is not None:
        message.redacted(thought.redacted_content)
    elif thought is not None and thought.reasoning_text is not None:
        message.thinking(thought.reasoning_text.text, thought.reasoning_text.signature)


class ChatOverConverseRelay:
    """Reads Converse's binary events, writes OpenAI's chunks."""

    __slots__ = ("_empty", "_events", "_out", "_tools", "fault", "model")

    def __init__(self, alias: str, with_usage: bool) -> None:
        self._events = EventStream()
        self._out = ChatWriter(alias, with_usage)
        self._tools: dict[int, int] = {}
        self._empty: set[int] = set()
        """Blocks of tool calls that have had no arguments yet."""
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
        """Return the chunks for the events that `data` completes; raises Upstream for a broken stream."""
        return b"".join([self._take(message) for message in self._events.feed(data)])

    def _take(self, message: Message) -> bytes:
        kind = message.headers.get(":message-type", "")
        if kind == "error":
            found = message.headers
            self.fault = Fault(found.get(":error-message", ""), found.get(":error-code", ""))
            return b""
        try:
            event = _event.decode(message.payload or b"{}")
        except _ERRORS as error:
            raise Upstream(
                "The provider sent an event that is not JSON.", body=message.payload[:2000]
            ) from error
        if kind == "exception":
            name = message.headers.get(":exception-type", "")
            self.fault = Fault(event.message or f"The provider reported {name}.", name)
            return b""
        handler = _HANDLERS.get(message.headers.get(":event-type", ""))
        return handler(self, event) if handler is not None and self.fault is None else b""

    def _start(self, _found: _Event) -> bytes:
        return self._out.start(new_id("chatcmpl"))

    def _block_start(self, event: _Event) -> bytes:
        tool = event.start.tool_use if event.start else None
        if tool is None:
            return b""
        at = event.content_block_index
        self._tools[at], out = self._out.tool(tool.tool_use_id, tool.name)
        self._empty.add(at)
        return out

    def _block_delta(self, event: _Event) -> bytes:
        delta = event.delta
        if delta is None:
            return b""
        if delta.text:
            return self._out.text(delta.text)
        if delta.tool_use is not None:
            return self._arguments(event.content_block_index, delta.tool_use)
        if delta.citation is not None:
            return self._out.citation(delta.citation)
        return self._thought(delta.reasoning_content)

    def _arguments(self, at: int, delta: _ToolUse) -> bytes:
        try:
            text = _text.decode(delta.input)
        except _ERRORS as error:
            raise Upstream("The provider sent tool input that is not text.") from error
        if not text or at not in self._tools:
            return b""
        self._empty.discard(at)
        return self._out.arguments(self._tools[at], text)

    def _thought(self, thought: _Reasoning | None) -> bytes:
        if thought is None:
            return b""
        if thought.redacted_content is not None:
            return self._out.redacted(thought.redacted_content)
        if thought.signature:
            return self._out.signature(thought.signature)
        return self._out.thinking(thought.text) if thought.text else b""

    def _block_stop(self, event: _Event) -> bytes:
        at = event.content_block_index
        if at not in self._empty:
            return b""
        self._empty.discard(at)
        return self._out.arguments(self._tools[at], "{}")

    def _stop(self, event: _Event) -> bytes:
        return self._out.finish(FINISH.get(event.stop_reason, "stop"))

    def _metadata(self, event: _Event) -> bytes:
        if event.usage is not None:
            self._out.usage = event.usage.usage()
        return self._out.end()

    def finish(self) -> bytes:
        """Return the end of the stream when the provider left out the last event, which only counts tokens."""
        return b"" if self.complete or not self._out.finished or self.fault else self._out.end()

    def output(self) -> bytes:
        """Return the answer put together."""
        return self._out.output()


_HANDLERS: dict[str, Callable[[ChatOverConverseRelay, _Event], bytes]] = {
    "messageStart": ChatOverConverseRelay._start,
    "contentBlockStart": ChatOverConverseRelay._block_start,
    "contentBlockDelta": ChatOverConverseRelay._block_delta,
    "contentBlockStop": ChatOverConverseRelay._block_stop,
    "messageStop": ChatOverConverseRelay._stop,
    "metadata": ChatOverConverseRelay._metadata,
}
