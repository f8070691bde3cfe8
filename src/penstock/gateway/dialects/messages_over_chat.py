"""Anthropic's messages API for a provider that speaks OpenAI's chat completions."""

from typing import Any

import msgspec

from penstock.core.errors import Invalid, Upstream
from penstock.gateway.dialects.base import Answer, Fault
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.messages_request import translate_request
from penstock.gateway.dialects.openai import ChatAssembler, Choice, Chunk, OpenAIUsage, ToolCall, read_fault
from penstock.gateway.dialects.sse import EventBuffer, payload
from penstock.gateway.model import Usage

STOP = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
"""OpenAI's finish_reason → Anthropic's stop_reason."""


class _Function(msgspec.Struct):
    name: str = ""
    arguments: str = ""


class _Call(msgspec.Struct):
    id: str = ""
    function: _Function = msgspec.field(default_factory=_Function)


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    id: str = ""
    model: str = ""
    usage: OpenAIUsage | None = None


_completion = msgspec.json.Decoder(_Completion)
_chunk = msgspec.json.Decoder(Chunk)
_encode = msgspec.json.Encoder().encode


def usage_json(usage: Usage) -> dict[str, int]:
    """Return usage in Anthropic's shape, where cached input is counted apart."""
    return {
        "input_tokens": max(0, usage.input - usage.cached - usage.cache_write),
        "output_tokens": usage.output,
        "cache_read_input_tokens": usage.cached,
        "cache_creation_input_tokens": usage.cache_write,
    }


def translate_answer(body: bytes, alias: str) -> Answer:
    """Return the message for a chat completion; raises Upstream when it is not one."""
    try:
        completion = _completion.decode(body)
        choice = completion.choices[0]
        content = _content(choice.message)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, IndexError) as error:
        raise Upstream("The provider's answer is not a chat completion.", body=body[:2000]) from error
    usage = completion.usage.usage() if completion.usage else None
    out = {
        "id": f"msg_{completion.id}",
        "type": "message",
        "role": "assistant",
        "model": alias,
        "content": content,
        "stop_reason": STOP.get(choice.finish_reason or "", "end_turn"),
        "stop_sequence": None,
        "usage": usage_json(usage or Usage()),
    }
    return Answer(_encode(out), usage, completion.model)


def _content(message: _Message) -> list[dict[str, Any]]:
    text = message.content or message.refusal
    blocks: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
    for call in message.tool_calls or ():
        # Arguments are the model's own text: usually JSON, and an error of the provider when not.
        given = msgspec.Raw((call.function.arguments or "{}").encode())
        msgspec.json.decode(given)
        blocks.append({"type": "tool_use", "id": call.id, "name": call.function.name, "input": given})
    return blocks


def _event(kind: str, **members: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode({"type": kind, **members}))


class MessagesOverChatRelay:
    """Reads OpenAI's chunks, writes Anthropic's events."""

    __slots__ = (
        "_alias", "_assembler", "_block", "_events", "_finish", "_id", "_started", "_tool", "complete", "fault",
        "model", "usage",
    )  # fmt: skip

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._events = EventBuffer()
        self._assembler = ChatAssembler()
        self._id = ""
        self._block = -1
        self._tool: int | None = None
        """Index of the tool call that the open block holds; None while it holds text."""
        self._started = False
        self._finish: str | None = None
        self.usage: Usage | None = None
        self.model = ""
        self.fault: Fault | None = None
        self.complete = False

    def feed(self, data: bytes) -> bytes:
        """Return the events for the chunks that `data` completes."""
        return b"".join([self._take(payload(event)) for event in self._events.feed(data)])

    def _take(self, data: bytes) -> bytes:
        if not data:
            return b""
        if data == b"[DONE]":
            return self._end()
        try:
            chunk = _chunk.decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise Upstream("The provider sent a chunk that is not JSON.", body=data[:2000]) from error
        if chunk.error is not None:
            self.fault = read_fault(data)
            return b""
        if chunk.usage is not None:
            self.usage = chunk.usage.usage()
        self.model = self.model or chunk.model or ""
        self._assembler.add(chunk)
        out = [] if self._started else [self._start(chunk)]
        for choice in chunk.choices or ():
            if choice.index == 0:
                out += self._choice(choice)
        return b"".join(out)

    def _start(self, chunk: Chunk) -> bytes:
        self._started = True
        message: dict[str, Any] = {
            "id": f"msg_{chunk.id or ''}",
            "type": "message",
            "role": "assistant",
            "model": self._alias,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_json(Usage()),
        }
        return _event("message_start", message=message)

    def _choice(self, choice: Choice) -> list[bytes]:
        out: list[bytes] = []
        self._finish = choice.finish_reason or self._finish
        delta = choice.delta
        if delta is None:
            return out
        text = delta.content or delta.refusal
        if text:
            if self._block < 0 or self._tool is not None:
                out += self._open(None, {"type": "text", "text": ""})
            part = {"type": "text_delta", "text": text}
            out.append(_event("content_block_delta", index=self._block, delta=part))
        for call in delta.tool_calls or ():
            out += self._call(call)
        return out

    def _call(self, call: ToolCall) -> list[bytes]:
        out: list[bytes] = []
        if self._tool != call.index:
            name = call.function.name if call.function else None
            out += self._open(call.index, {"type": "tool_use", "id": call.id, "name": name, "input": {}})
        if call.function is not None and call.function.arguments:
            part = {"type": "input_json_delta", "partial_json": call.function.arguments}
            out.append(_event("content_block_delta", index=self._block, delta=part))
        return out

    def _open(self, tool: int | None, block: dict[str, Any]) -> list[bytes]:
        out = self._close()
        self._block += 1
        self._tool = tool
        out.append(_event("content_block_start", index=self._block, content_block=block))
        return out

    def _close(self) -> list[bytes]:
        return [_event("content_block_stop", index=self._block)] if self._block >= 0 else []

    def _end(self) -> bytes:
        if self.complete or not self._started:
            return b""
        self.complete = True
        delta = {"stop_reason": STOP.get(self._finish or "", "end_turn"), "stop_sequence": None}
        usage = usage_json(self.usage or Usage())
        return b"".join(
            [*self._close(), _event("message_delta", delta=delta, usage=usage), _event("message_stop")]
        )

    def finish(self) -> bytes:
        """Return the end of the message when the provider left its own out."""
        out = self._take(payload(self._events.rest.strip()))
        if not self.complete and self._finish:
            out += self._end()
        return out

    def output(self) -> bytes:
        """Return the message put together; what was cut short stays in the provider's shape."""
        built = self._assembler.built(self.model, self.usage)
        try:
            return translate_answer(built, self._alias).body
        except Upstream:
            return built


class MessagesOverChat:
    """See `messages_request` for the way there; the way back is here."""

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the chat request; raises Invalid for what has no counterpart."""
        try:
            body = msgspec.json.decode(envelope.body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise Invalid("The body is not valid JSON.", details={"code": "bad_json"}) from error
        return _encode(translate_request(body, model))

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the message."""
        return translate_answer(body, alias)

    def relay(self, envelope: Envelope) -> MessagesOverChatRelay:
        """Return a relay for one stream."""
        return MessagesOverChatRelay(envelope.model)

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        return read_fault(body, status)
