"""Anthropic in, Anthropic out: bytes pass through; only the model's name is touched.

Shapes: https://docs.anthropic.com/en/api/messages and …/messages-streaming.
"""

from typing import Any

import msgspec

from penstock.core.errors import Upstream
from penstock.gateway.dialects.base import CAPTURE_LIMIT, Answer, Fault
from penstock.gateway.dialects.envelope import Envelope, raw_text
from penstock.gateway.dialects.sse import EventBuffer, payload
from penstock.gateway.model import Usage


class CacheCreation(msgspec.Struct):
    """What was written into the prompt cache, by how long it stays there."""

    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class OutputDetails(msgspec.Struct):
    """Parts of the output."""

    thinking_tokens: int | None = None


class AnthropicUsage(msgspec.Struct, omit_defaults=True):
    """The `usage` object; in a stream it comes in two halves."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    output_tokens_details: OutputDetails | None = None

    def usage(self) -> Usage:
        """Return it as our noun: Anthropic counts cached input apart, we count it in."""
        read, split = self.cache_read_input_tokens or 0, self.cache_creation
        long = (split.ephemeral_1h_input_tokens or 0) if split else 0
        short = (split.ephemeral_5m_input_tokens or 0) if split else 0
        written = max(self.cache_creation_input_tokens or 0, long + short)
        details = self.output_tokens_details
        return Usage(
            (self.input_tokens or 0) + read + written,
            self.output_tokens or 0,
            read,
            written - long,
            (details.thinking_tokens or 0) if details else 0,
            long,
        )

    def merged(self, later: "AnthropicUsage") -> "AnthropicUsage":
        """Return this with what a later event says put over it."""
        return AnthropicUsage(
            *(
                old if new is None else new
                for old, new in zip(
                    msgspec.structs.astuple(self), msgspec.structs.astuple(later), strict=True
                )
            )
        )


class StreamMessage(msgspec.Struct):
    """The message that `message_start` opens."""

    id: str = ""
    model: str = ""
    usage: AnthropicUsage | None = None


class StopDetails(msgspec.Struct):
    """Why the model refused."""

    explanation: str | None = None


class BlockDelta(msgspec.Struct):
    """What an event adds to a block, or to the message."""

    type: str = ""
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    citation: Any = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None


class ErrorBody(msgspec.Struct):
    """The inside of an error."""

    type: str = ""
    message: str = ""


class Event(msgspec.Struct):
    """Any event of a stream."""

    type: str = ""
    index: int = 0
    message: StreamMessage | None = None
    content_block: dict[str, Any] | None = None
    delta: BlockDelta | None = None
    usage: AnthropicUsage | None = None
    error: ErrorBody | None = None


class _Head(msgspec.Struct):
    model: str | None = None
    usage: AnthropicUsage | None = None


class _Error(msgspec.Struct):
    error: ErrorBody


_head = msgspec.json.Decoder(_Head)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
event_decoder = msgspec.json.Decoder(Event)
_error = msgspec.json.Decoder(_Error)
_encode = msgspec.json.Encoder().encode


def read_fault(status: int, body: bytes) -> Fault:
    """Return what an Anthropic-style error body says."""
    try:
        inner = _error.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        shown = body[:300].decode("utf-8", "replace").strip()
        return Fault(f"The provider answered {status}" + (f": {shown}" if shown else "."))
    return Fault(inner.message or f"The provider answered {status}.", inner.type)


class _Open:
    """A content block that is being put together."""

    __slots__ = ("_citations", "_json", "_signature", "_start", "_text", "_thinking")

    def __init__(self, start: dict[str, Any]) -> None:
        self._start = start
        self._text: list[str] = []
        self._json: list[str] = []
        self._thinking: list[str] = []
        self._signature = ""
        self._citations: list[Any] = []

    def add(self, delta: BlockDelta) -> int:
        """Take a delta in; returns how many characters it held."""
        size = 0
        for text, into in (
            (delta.text, self._text),
            (delta.partial_json, self._json),
            (delta.thinking, self._thinking),
        ):
            if text:
                into.append(text)
                size += len(text)
        self._signature += delta.signature or ""
        if delta.citation is not None:
            self._citations.append(delta.citation)
        return size

    def built(self) -> dict[str, Any]:
        """Return the block as an answer that was not streamed would hold it."""
        block = dict(self._start)
        for name, parts in (("text", self._text), ("thinking", self._thinking)):
            if parts:
                block[name] = f"{block.get(name) or ''}{''.join(parts)}"
        if self._signature:
            block["signature"] = self._signature
        if self._citations:
            block["citations"] = [*(block.get("citations") or ()), *self._citations]
        if self._json:
            text = "".join(self._json)
            try:
                block["input"] = msgspec.json.decode(text)
            except (msgspec.DecodeError, RecursionError):
                block["input"] = text  # cut short: kept as it came
        return block


class MessageAssembler:
    """Puts a streamed message together for the trace, up to a limit."""

    __slots__ = ("_blocks", "_end", "_id", "_room", "model", "usage")

    def __init__(self) -> None:
        self._id = ""
        self._blocks: dict[int, _Open] = {}
        self._room = CAPTURE_LIMIT
        self._end: dict[str, Any] = {"stop_reason": None, "stop_sequence": None}
        self.model = ""
        self.usage: AnthropicUsage | None = None

    def add(self, event: Event) -> None:
        """Take an event in."""
        if event.message is not None:
            self._id, self.model = event.message.id, event.message.model
            self._count(event.message.usage)
        if event.content_block is not None:
            self._blocks[event.index] = _Open(event.content_block)
        self._count(event.usage)
        delta = event.delta
        if delta is None:
            return
        for name in ("stop_reason", "stop_sequence", "stop_details"):
            if (found := getattr(delta, name)) is not None:
                self._end[name] = found
        if self._room > 0 and event.index in self._blocks:
            self._room -= self._blocks[event.index].add(delta)

    def _count(self, usage: AnthropicUsage | None) -> None:
        if usage is not None:
            self.usage = usage if self.usage is None else self.usage.merged(usage)

    def built(self) -> bytes:
        """Return the message as JSON."""
        body: dict[str, Any] = {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [block.built() for block in self._blocks.values()],
            **self._end,
        }
        if self.usage is not None:
            body["usage"] = self.usage
        if self._room <= 0:
            body["truncated"] = True
        return _encode(body)


class AnthropicRelay:
    """Passes a stream through, event by event, with the caller's model name in `message_start`."""

    __slots__ = ("_alias", "_assembler", "_events", "complete", "fault")

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._events = EventBuffer()
        self._assembler = MessageAssembler()
        self.fault: Fault | None = None
        self.complete = False

    @property
    def usage(self) -> Usage | None:
        """Tokens so far."""
        found = self._assembler.usage
        return None if found is None else found.usage()

    @property
    def model(self) -> str:
        """The provider's name of the model."""
        return self._assembler.model

    def feed(self, data: bytes) -> bytes:
        """Return the caller's bytes for the events that `data` completes."""
        return b"".join([self._event(event) for event in self._events.feed(data)])

    def _event(self, event: bytes) -> bytes:
        if not event:
            return b""
        data = payload(event)
        if not data:
            return event + b"\n\n"
        try:
            found = event_decoder.decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return event + b"\n\n"
        self._assembler.add(found)
        if found.type == "message_stop":
            self.complete = True
        elif found.error is not None:
            self.fault = Fault(found.error.message, found.error.type)
            return b""
        elif found.message is not None and found.message.model:
            old, new = _encode(found.message.model), _encode(self._alias)
            event = event.replace(b'"model":' + old, b'"model":' + new, 1)
            event = event.replace(b'"model": ' + old, b'"model": ' + new, 1)
        return event + b"\n\n"

    def finish(self) -> bytes:
        """Return a last event that the provider did not end with a blank line."""
        rest = self._events.rest.strip()
        return self._event(rest) if rest else b""

    def output(self) -> bytes:
        """Return the message put together."""
        return self._assembler.built()


class AnthropicDialect:
    """Messages for a provider that speaks Anthropic's API."""

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the caller's body with the target's model."""
        if model == envelope.model:
            return envelope.body
        return envelope.with_fields({"model": raw_text(model)})

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the body with the caller's model name."""
        try:
            fields = _fields.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise Upstream("The provider's answer is not a JSON object.", body=body[:2000]) from error
        try:
            head = _head.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            head = _Head()
        if head.model is not None and head.model != alias:
            fields["model"] = raw_text(alias)
            body = _encode(fields)
        return Answer(body, head.usage.usage() if head.usage else None, head.model or "")

    def relay(self, envelope: Envelope) -> AnthropicRelay:
        """Return a relay for one stream."""
        return AnthropicRelay(envelope.model)

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        return read_fault(status, body)
