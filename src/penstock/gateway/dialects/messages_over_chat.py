"""Anthropic's messages API for a provider that speaks OpenAI's chat completions."""

from collections.abc import Collection
from typing import Any

import msgspec

from penstock.core.errors import Upstream
from penstock.core.ids import new_id
from penstock.gateway.dialects.base import Answer, Fault
from penstock.gateway.dialects.chat_reading import decoded
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.messages_request import translate_request
from penstock.gateway.dialects.messages_writing import (
    MessageWriter,
    message,
    stop_of,
    thinking_block,
    tool_input,
)
from penstock.gateway.dialects.openai import Chunk, Delta, OpenAIUsage, read_fault
from penstock.gateway.dialects.sse import EventBuffer, payload
from penstock.gateway.model import Usage


class _Function(msgspec.Struct):
    name: str = ""
    arguments: str | None = None


class _Call(msgspec.Struct):
    id: str | None = None
    function: _Function = msgspec.field(default_factory=_Function)


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    thinking_blocks: list[dict[str, Any]] | None = None
    images: list[Any] | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None
    stop_reason: Any = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    id: str | None = None
    model: str | None = None
    usage: OpenAIUsage | None = None


_completion = msgspec.json.Decoder(_Completion)
_chunk = msgspec.json.Decoder(Chunk)
_encode = msgspec.json.Encoder().encode


def translate_answer(body: bytes, alias: str) -> Answer:
    """Return the message for a chat completion; raises Upstream when it is not one."""
    try:
        found = _completion.decode(body)
        choice = found.choices[0]
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, IndexError) as error:
        raise Upstream("The provider's answer is not a chat completion.", body=body[:2000]) from error
    said = choice.message
    _no_images(said)
    content = [*_thoughts(said), *_texts(said), *_calls(said, choice.finish_reason)]
    calls = any(block["type"] == "tool_use" for block in content)
    stop = stop_of(choice.finish_reason, choice.stop_reason, calls=calls, refused=bool(said.refusal))
    usage = found.usage.usage() if found.usage else None
    made = message(found.id or new_id("msg"), alias, content, stop, usage or Usage())
    return Answer(_encode(made), usage, found.model or "")


def _no_images(said: _Message | Delta) -> None:
    if said.images:
        raise Upstream("The model made an image, and Anthropic's API has no place for one in an answer.")


def _thoughts(said: _Message) -> list[dict[str, Any]]:
    blocks = [_thought(each) for each in said.thinking_blocks or ()]
    if said.reasoning_content and not any(block["type"] == "thinking" for block in blocks):
        blocks.insert(0, thinking_block(said.reasoning_content, ""))
    return blocks


def _thought(given: dict[str, Any]) -> dict[str, Any]:
    if given.get("type") == "redacted_thinking":
        return {"type": "redacted_thinking", "data": str(given.get("data") or "")}
    return thinking_block(str(given.get("thinking") or ""), str(given.get("signature") or ""))


def _texts(said: _Message) -> list[dict[str, Any]]:
    text = (said.content or "") + (said.refusal or "")
    return [{"type": "text", "text": text}] if text else []


def _calls(said: _Message, finish: str | None) -> list[dict[str, Any]]:
    blocks = []
    for call in said.tool_calls or ():
        # Arguments are the model's own text: usually JSON, and an error of the provider when not.
        given = tool_input(call.function.arguments or "")
        if given is None and finish != "length":
            raise Upstream("The provider sent tool arguments that are not a JSON object.")
        if given is not None:  # else cut short by the limit, as stop_reason says
            name = call.function.name
            blocks.append(
                {"type": "tool_use", "id": call.id or new_id("toolu"), "name": name, "input": given}
            )
    return blocks


class MessagesOverChatRelay:
    """Reads OpenAI's chunks, writes Anthropic's events."""

    __slots__ = ("_events", "_finish", "_out", "_stop", "fault", "model")

    def __init__(self, alias: str) -> None:
        self._events = EventBuffer()
        self._out = MessageWriter(alias)
        self._finish: str | None = None
        self._stop: Any = None
        self.model = ""
        self.fault: Fault | None = None

    @property
    def usage(self) -> Usage | None:
        """Tokens, once the provider has told them."""
        return self._out.usage

    @property
    def complete(self) -> bool:
        """Whether the message has ended."""
        return self._out.complete

    def feed(self, data: bytes) -> bytes:
        """Return the events for the chunks that `data` completes."""
        return b"".join([self._take(payload(event)) for event in self._events.feed(data)])

    def _take(self, data: bytes) -> bytes:
        if not data or self.complete:
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
            self._out.usage = chunk.usage.usage()
        self.model = self.model or chunk.model or ""
        out = [] if self._out.started else [self._out.start(chunk.id or new_id("msg"))]
        for choice in chunk.choices or ():
            if choice.index == 0:
                self._finish = choice.finish_reason or self._finish
                self._stop = choice.stop_reason or self._stop
                out += [] if choice.delta is None else self._said(choice.delta)
        return b"".join(out)

    def _said(self, delta: Delta) -> list[bytes]:
        _no_images(delta)
        out: list[bytes] = []
        if delta.reasoning_content:
            out.append(self._out.thinking(delta.reasoning_content))
        for each in delta.thinking_blocks or ():
            block = _thought(each)
            if block["type"] == "redacted_thinking":
                out.append(self._out.redacted(block["data"]))
            else:  # some servers repeat the thought here
                text = "" if delta.reasoning_content else block["thinking"]
                out.append(
                    self._out.thinking(text, block["signature"]) if text or block["signature"] else b""
                )
        if text := (delta.content or "") + (delta.refusal or ""):
            out.append(self._out.text(text))
        self._out.refused = self._out.refused or bool(delta.refusal)
        for call in delta.tool_calls or ():
            function = call.function
            name, arguments = (function.name, function.arguments) if function else ("", "")
            out.append(self._out.tool(call.index, call.id or "", name or "", arguments or ""))
        return out

    def _end(self) -> bytes:
        return self._out.end(self._finish, self._stop) if self._out.started else b""

    def finish(self) -> bytes:
        """Return the end of the message when the provider left its own out."""
        out = self._take(payload(self._events.rest.strip()))
        if not self.complete and self._finish and self.fault is None:
            out += self._end()
        return out

    def output(self) -> bytes:
        """Return the message put together."""
        return self._out.output()


class MessagesOverChat:
    """See `messages_request` for the way there; the way back is here."""

    def __init__(
        self, *, extensions: bool = True, takes: Collection[str] = (), drop_params: bool = False
    ) -> None:
        """`extensions` says whether the requests go on to a dialect that knows more than OpenAI's servers do.

        If not, `takes` names what the server knows of `cache_control`, `reasoning_content` and `thinking`.
        """
        self._extensions = extensions
        self._takes = takes
        self._drop = drop_params

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the chat request; raises Invalid for what has no counterpart."""
        body = decoded(envelope)
        made = translate_request(body, model, extensions=self._extensions, takes=self._takes, drop=self._drop)
        return _encode(made)

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the message."""
        return translate_answer(body, alias)

    def relay(self, envelope: Envelope) -> MessagesOverChatRelay:
        """Return a relay for one stream."""
        return MessagesOverChatRelay(envelope.model)

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        return read_fault(body, status)
