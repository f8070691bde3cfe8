"""An Anthropic messages answer, whole or streamed, as an OpenAI chat answer. Pure.

From https://docs.anthropic.com/en/api/messages to https://platform.openai.com/docs/api-reference/chat/object.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from penstock.core import clock
from penstock.core.errors import Upstream
from penstock.gateway.dialects.anthropic import AnthropicUsage, Event, MessageAssembler, event_decoder
from penstock.gateway.dialects.base import Answer, Fault
from penstock.gateway.dialects.openai import usage_json
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
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _Message(msgspec.Struct):
    content: list[_Block]
    id: str = ""
    model: str = ""
    stop_reason: str | None = None
    usage: AnthropicUsage | None = None


_message = msgspec.json.Decoder(_Message)
_encode = msgspec.json.Encoder().encode


def _created() -> int:
    return clock.now_ns() // 1_000_000_000


def translate_answer(body: bytes, alias: str) -> Answer:
    """Return the chat completion for a message; raises Upstream when it is not one."""
    try:
        message = _message.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Upstream("The provider's answer is not an Anthropic message.", body=body[:2000]) from error
    usage = message.usage.usage() if message.usage else None
    out = {
        "id": f"chatcmpl-{message.id}",
        "object": "chat.completion",
        "created": _created(),
        "model": alias,
        "choices": [
            {
                "index": 0,
                "message": _chat_message(message.content),
                "logprobs": None,
                "finish_reason": FINISH.get(message.stop_reason or "", "stop"),
            }
        ],
        "usage": usage_json(usage or Usage()),
    }
    return Answer(_encode(out), usage, message.model)


def _chat_message(blocks: list[_Block]) -> dict[str, Any]:
    texts = [block.text or "" for block in blocks if block.type == "text"]
    thoughts = [block.thinking or "" for block in blocks if block.type == "thinking"]
    calls = [block for block in blocks if block.type == "tool_use"]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "".join(texts) if texts or not calls else None,
        "refusal": None,
    }
    if thoughts:
        message["reasoning_content"] = "".join(thoughts)
    if calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": bytes(call.input).decode(),
                },
            }
            for call in calls
        ]
    return message


class ChatOverMessagesRelay:
    """Reads Anthropic's events, writes OpenAI's chunks."""

    __slots__ = (
        "_alias", "_assembler", "_created", "_events", "_id", "_tool_at", "_with_usage", "complete", "fault",
    )  # fmt: skip

    def __init__(self, alias: str, with_usage: bool) -> None:
        self._alias = alias
        self._with_usage = with_usage
        self._events = EventBuffer()
        self._assembler = MessageAssembler()
        self._tool_at: dict[int, int] = {}
        self._id = ""
        self._created = _created()
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
        """Return the chunks for the events that `data` completes."""
        return b"".join([self._event(event) for event in self._events.feed(data)])

    def _event(self, raw: bytes) -> bytes:
        data = payload(raw)
        if not data:
            return b""
        try:
            event = event_decoder.decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise Upstream("The provider sent an event that is not JSON.", body=data[:2000]) from error
        self._assembler.add(event)
        handler = _HANDLERS.get(event.type)
        return handler(self, event) if handler is not None else b""

    def _start(self, event: Event) -> bytes:
        self._id = f"chatcmpl-{event.message.id if event.message else ''}"
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def _block(self, event: Event) -> bytes:
        block = event.content_block
        if block is None or block.type != "tool_use":
            return self._chunk({"content": block.text}) if block is not None and block.text else b""
        index = self._tool_at[event.index] = len(self._tool_at)
        function = {"name": block.name, "arguments": ""}
        return self._chunk(
            {"tool_calls": [{"index": index, "id": block.id, "type": "function", "function": function}]}
        )

    def _delta(self, event: Event) -> bytes:
        delta = event.delta
        if delta is None:
            return b""
        if delta.text:
            return self._chunk({"content": delta.text})
        if delta.thinking:
            return self._chunk({"reasoning_content": delta.thinking})
        if delta.partial_json and event.index in self._tool_at:
            call = {"index": self._tool_at[event.index], "function": {"arguments": delta.partial_json}}
            return self._chunk({"tool_calls": [call]})
        return b""

    def _message_delta(self, event: Event) -> bytes:
        reason = event.delta.stop_reason if event.delta else None
        return self._chunk({}, FINISH.get(reason, "stop")) if reason else b""

    def _stop(self, _event: Event) -> bytes:
        self.complete = True
        out = b""
        if self._with_usage:
            body = self._head() | {"choices": [], "usage": usage_json(self.usage or Usage())}
            out = b"data: " + _encode(body) + b"\n\n"
        return out + b"data: [DONE]\n\n"

    def _error(self, event: Event) -> bytes:
        # The call ends the stream with this fault, in the caller's shape.
        found = event.error
        self.fault = Fault(found.message, found.type) if found else Fault("The provider reported an error.")
        return b""

    def _ping(self, _event: Event) -> bytes:
        return PING

    def _head(self) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._alias,
        }

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        body = self._head()
        body["choices"] = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
        if self._with_usage:
            body["usage"] = None
        return b"data: " + _encode(body) + b"\n\n"

    def finish(self) -> bytes:
        """Return the chunks of a last event without a blank line."""
        rest = self._events.rest.strip()
        return self._event(rest) if rest else b""

    def output(self) -> bytes:
        """Return the message put together, as a chat completion."""
        return translate_answer(self._assembler.built(), self._alias).body


_HANDLERS: dict[str, Callable[[ChatOverMessagesRelay, Event], bytes]] = {
    "message_start": ChatOverMessagesRelay._start,
    "content_block_start": ChatOverMessagesRelay._block,
    "content_block_delta": ChatOverMessagesRelay._delta,
    "message_delta": ChatOverMessagesRelay._message_delta,
    "message_stop": ChatOverMessagesRelay._stop,
    "ping": ChatOverMessagesRelay._ping,
    "error": ChatOverMessagesRelay._error,
}
