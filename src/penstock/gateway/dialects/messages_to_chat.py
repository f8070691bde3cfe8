"""An Anthropic messages answer, whole or streamed, as an OpenAI chat answer. Pure.

From https://docs.anthropic.com/en/api/messages to https://platform.openai.com/docs/api-reference/chat/object.
What Anthropic's own tools did on its side has no place in chat completions: of that, the text remains.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from penstock.core.errors import Upstream
from penstock.core.ids import new_id
from penstock.gateway.dialects.anthropic import AnthropicUsage, BlockDelta, Event, StopDetails, event_decoder
from penstock.gateway.dialects.base import Answer, Fault
from penstock.gateway.dialects.chat_writing import ChatWriter, MessageBuilder, completion
from penstock.gateway.dialects.sse import PING, EventBuffer, payload
from penstock.gateway.model import Usage

FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""Anthropic's stop_reason → OpenAI's finish_reason."""


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"{}")
    citations: list[Any] | None = None


class _Message(msgspec.Struct):
    content: list[_Block]
    id: str = ""
    model: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None
    usage: AnthropicUsage | None = None


_message = msgspec.json.Decoder(_Message)
_encode = msgspec.json.Encoder().encode


def finish_of(reason: str | None, *, calls: bool) -> str:
    """Return OpenAI's finish_reason; what is not known or was left out says no more than that it ended."""
    return FINISH.get(reason or "", "tool_calls" if calls else "stop")


def translate_answer(body: bytes, alias: str) -> Answer:
    """Return the chat completion for a message; raises Upstream when it is not one."""
    try:
        found = _message.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Upstream("The provider's answer is not an Anthropic message.", body=body[:2000]) from error
    message = MessageBuilder()
    for block in found.content:
        _add(message, block)
    message.finish_arguments()
    if found.stop_details is not None:
        message.refusal = found.stop_details.explanation
    usage = found.usage.usage() if found.usage else None
    made = completion(
        f"chatcmpl-{found.id}",
        alias,
        message.built(),
        finish=finish_of(found.stop_reason, calls=message.calls),
        usage=usage,
        stop=found.stop_sequence,
    )
    return Answer(_encode(made), usage, found.model)


def _add(message: MessageBuilder, block: _Block) -> None:
    if block.type == "text":
        message.text(block.text or "")
        message.citations += block.citations or ()
    elif block.type == "thinking":
        message.thinking(block.thinking or "", block.signature or "")
    elif block.type == "redacted_thinking":
        message.redacted(block.data or "")
    elif block.type == "tool_use":
        given = bytes(block.input).decode()
        message.tool(block.id or new_id("call"), block.name or "", "" if given == "{}" else given)


class ChatOverMessagesRelay:
    """Reads Anthropic's events, writes OpenAI's chunks."""

    __slots__ = ("_blank", "_events", "_out", "_tool_at", "_usage", "fault", "model")

    def __init__(self, alias: str, with_usage: bool) -> None:
        self._events = EventBuffer()
        self._out = ChatWriter(alias, with_usage)
        self._tool_at: dict[int, int] = {}
        self._blank: dict[int, str] = {}
        """Blocks of tool calls that have had no arguments yet → those they get if none come."""
        self._usage: AnthropicUsage | None = None
        self.fault: Fault | None = None
        self.model = ""

    @property
    def usage(self) -> Usage | None:
        """Tokens so far."""
        return self._out.usage

    @property
    def complete(self) -> bool:
        """Whether the message has ended."""
        return self._out.complete

    def feed(self, data: bytes) -> bytes:
        """Return the chunks for the events that `data` completes."""
        return b"".join([self._event(event) for event in self._events.feed(data)])

    def _event(self, raw: bytes) -> bytes:
        data = payload(raw)
        if not data or self.complete:
            return b""
        try:
            event = event_decoder.decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise Upstream("The provider sent an event that is not JSON.", body=data[:2000]) from error
        handler = _HANDLERS.get(event.type)  # events that came later than this are to be ignored
        return handler(self, event) if handler is not None else b""

    def _count(self, usage: AnthropicUsage | None) -> None:
        if usage is not None:
            self._usage = usage if self._usage is None else self._usage.merged(usage)
            self._out.usage = self._usage.usage()

    def _start(self, event: Event) -> bytes:
        message = event.message
        if message is not None:
            self.model = message.model
            self._count(message.usage)
        return self._out.start(f"chatcmpl-{message.id if message else ''}")

    def _begun(self) -> bytes:
        return b"" if self._out.started else self._out.start(new_id("chatcmpl"))

    def _block(self, event: Event) -> bytes:
        try:
            block = msgspec.convert(event.content_block or {}, _Started)
        except msgspec.ValidationError as error:
            raise Upstream("The provider began a block that makes no sense.") from error
        out = self._begun()
        if block.type == "tool_use":
            self._tool_at[event.index], chunk = self._out.tool(block.id or new_id("call"), block.name or "")
            self._blank[event.index] = _encode(block.input).decode()
            return out + chunk
        if block.type == "redacted_thinking":
            return out + self._out.redacted(block.data or "")
        if block.type not in ("text", "thinking"):
            return out
        delta = BlockDelta(text=block.text, thinking=block.thinking, signature=block.signature)
        return out + self._said(delta)

    def _delta(self, event: Event) -> bytes:
        delta = event.delta
        if delta is None:
            return b""
        out = self._begun()
        if delta.partial_json:
            if event.index not in self._tool_at:
                return out  # the input of a tool that ran on the provider's side
            self._blank.pop(event.index, None)
            return out + self._out.arguments(self._tool_at[event.index], delta.partial_json)
        if delta.citation is not None:
            return out + self._out.citation(delta.citation)
        return out + self._said(delta)

    def _said(self, delta: BlockDelta) -> bytes:
        out = self._out.text(delta.text) if delta.text else b""
        if delta.thinking:
            out += self._out.thinking(delta.thinking)
        return out + self._out.signature(delta.signature) if delta.signature else out

    def _block_stop(self, event: Event) -> bytes:
        given = self._blank.pop(event.index, None)
        return b"" if given is None else self._out.arguments(self._tool_at[event.index], given)

    def _message_delta(self, event: Event) -> bytes:
        self._count(event.usage)
        delta = event.delta
        if delta is None or not delta.stop_reason or self._out.finished:
            return b""
        out = self._begun()
        if delta.stop_details is not None and delta.stop_details.explanation:
            out += self._out.refusal(delta.stop_details.explanation)
        return out + self._finished(delta.stop_reason, delta.stop_sequence)

    def _finished(self, reason: str | None, stop: str | None) -> bytes:
        # Blocks that were not closed are, so that all arguments are JSON.
        out = b"".join([self._block_stop(Event(index=index)) for index in list(self._blank)])
        return out + self._out.finish(finish_of(reason, calls=self._out.calls), stop)

    def _stop(self, _event: Event) -> bytes:
        out = self._begun()
        if not self._out.finished:
            out += self._finished(None, None)
        return out + self._out.end()

    def _error(self, event: Event) -> bytes:
        # The call ends the stream with this fault, in the caller's shape.
        found = event.error
        self.fault = Fault(found.message, found.type) if found else Fault("The provider reported an error.")
        return b""

    def _ping(self, _event: Event) -> bytes:
        return PING

    def finish(self) -> bytes:
        """Return what is owed when the provider left out the blank line, or the event, that ends a stream."""
        rest = self._events.rest.strip()
        out = self._event(rest) if rest else b""
        if self._out.finished and not self.complete and self.fault is None:
            out += self._out.end()
        return out

    def output(self) -> bytes:
        """Return the message put together, as a chat completion."""
        return self._out.output()


class _Started(msgspec.Struct):
    """A block as it begins."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: dict[str, Any] = {}


_HANDLERS: dict[str, Callable[[ChatOverMessagesRelay, Event], bytes]] = {
    "message_start": ChatOverMessagesRelay._start,
    "content_block_start": ChatOverMessagesRelay._block,
    "content_block_delta": ChatOverMessagesRelay._delta,
    "content_block_stop": ChatOverMessagesRelay._block_stop,
    "message_delta": ChatOverMessagesRelay._message_delta,
    "message_stop": ChatOverMessagesRelay._stop,
    "ping": ChatOverMessagesRelay._ping,
    "error": ChatOverMessagesRelay._error,
}
