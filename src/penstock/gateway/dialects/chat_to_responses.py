"""A chat answer, whole or streamed, as a Response. Pure.

From https://platform.openai.com/docs/api-reference/chat/object to
https://platform.openai.com/docs/api-reference/responses/object.
"""

from typing import Any

import msgspec

from penstock.core.errors import Upstream
from penstock.gateway.dialects.base import Answer, Fault
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.openai import OpenAIUsage, read_fault
from penstock.gateway.dialects.responses_echo import DEFAULTS, customs_in, echo_of
from penstock.gateway.dialects.responses_writing import ResponseWriter
from penstock.gateway.dialects.sse import PING, EventBuffer, payload
from penstock.gateway.model import Usage

CARRIED = ("extra_content", "citations", "audio")
"""Members beside OpenAI's that a message item keeps."""
ERRORS = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)


class _Said(msgspec.Struct):
    """A message, or what a chunk adds to one."""

    content: str | None = None
    reasoning_content: str | None = None
    thinking_blocks: list[dict[str, Any]] | None = None
    refusal: str | None = None
    annotations: list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    images: list[dict[str, Any]] | None = None
    extra_content: Any = None
    citations: list[Any] | None = None
    audio: Any = None


class _Logprobs(msgspec.Struct):
    content: list[Any] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    message: _Said | None = None
    delta: _Said | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Completion(msgspec.Struct):
    """A completion, or a chunk."""

    choices: list[_Choice] | None = None
    model: str | None = None
    service_tier: str | None = None
    usage: OpenAIUsage | None = None
    error: Any = None


_completion = msgspec.json.Decoder(_Completion)
_encode = msgspec.json.Encoder().encode


def annotation_of(given: dict[str, Any]) -> dict[str, Any]:
    """Return an annotation of chat as one of Responses, where its members lie flat."""
    kind = given.get("type")
    inner = given.get(kind) if isinstance(kind, str) else None
    return {"type": kind, **inner} if isinstance(inner, dict) else given


def _write(writer: ResponseWriter, said: _Said, logprobs: _Logprobs | None) -> bytes:
    """Write what a message says, or a chunk adds to it; returns the events."""
    out = []
    if said.reasoning_content:
        out.append(writer.thought(said.reasoning_content))
    out += [writer.block(block) for block in said.thinking_blocks or ()]
    tokens = logprobs.content if logprobs is not None else None
    if said.content or tokens:
        out.append(writer.text(said.content or "", tokens))
    if said.annotations:
        out.append(writer.annotate([annotation_of(each) for each in said.annotations]))
    if said.refusal:
        out.append(writer.refuse(said.refusal))
    for name in CARRIED:
        if (value := getattr(said, name)) is not None:
            out.append(writer.carry(name, value))
    for image in said.images or ():
        url = (image.get("image_url") or {}).get("url")
        head, comma, data = str(url or "").partition(";base64,")
        if comma:
            out.append(writer.image(data, head.removeprefix("data:image/")))
    for place, call in enumerate(said.tool_calls or ()):
        index = call.get("index")
        out.append(writer.call(index if isinstance(index, int) else place, call))
    return b"".join(out)


def translate_answer(body: bytes, alias: str) -> Answer:
    """Return the Response for a chat completion, to a request of which nothing is known.

    Raises Upstream when the body is no chat completion.
    """
    try:
        found = _completion.decode(body)
    except ERRORS as error:
        raise Upstream("The provider's answer is not a chat completion.", body=body[:2000]) from error
    if not found.choices:
        raise Upstream("The provider's answer is not a chat completion.", body=body[:2000])
    choice = found.choices[0]
    usage = found.usage.usage() if found.usage else None
    writer = ResponseWriter(alias, echo=dict(DEFAULTS) | {"service_tier": found.service_tier}, streamed=False)
    _write(writer, choice.message or _Said(), choice.logprobs)
    writer.finish(choice.finish_reason, usage)
    return Answer(_encode(writer.response), usage, found.model or "")


class ResponsesOverChatRelay:
    """Reads OpenAI's chunks, writes the events of a Response."""

    __slots__ = ("_events", "_finish", "_writer", "complete", "fault", "model", "usage")

    def __init__(self, envelope: Envelope) -> None:
        self._events = EventBuffer()
        self._writer = ResponseWriter(envelope.model, echo=echo_of(envelope), customs=customs_in(envelope))
        self._finish: str | None = None
        self.usage: Usage | None = None
        self.model = ""
        self.fault: Fault | None = None
        self.complete = False

    def feed(self, data: bytes) -> bytes:
        """Return the events for the chunks that `data` completes."""
        return b"".join([self._take(event) for event in self._events.feed(data)])

    def _take(self, event: bytes) -> bytes:
        data = payload(event)
        if not data:
            return PING if event.startswith(b":") else b""
        if self.complete or self.fault is not None:
            return b""
        if data == b"[DONE]":
            return self._end()
        try:
            chunk = _completion.decode(data)
        except ERRORS as error:
            raise Upstream("The provider sent a chunk that is not JSON.", body=data[:2000]) from error
        if chunk.error is not None:
            self.fault = read_fault(data)
            return self.failed(self.fault)
        return self._read(chunk)

    def _read(self, chunk: _Completion) -> bytes:
        if chunk.usage is not None:
            self.usage = chunk.usage.usage()
        self.model = self.model or chunk.model or ""
        if chunk.service_tier is not None:
            self._writer.response["service_tier"] = chunk.service_tier
        out = b"" if self._writer.started else self._writer.start()
        for choice in chunk.choices or ():
            if choice.index == 0:
                self._finish = choice.finish_reason or self._finish
                out += _write(self._writer, choice.delta or _Said(), choice.logprobs)
        return out

    def failed(self, fault: Fault) -> bytes:
        """Return the end of a Response that broke with `fault`."""
        return self._writer.fail(fault, self.usage)

    def _end(self) -> bytes:
        if self.complete or not self._writer.started:
            return b""
        self.complete = True
        return self._writer.finish(self._finish, self.usage)

    def finish(self) -> bytes:
        """Return the end of the Response when the provider left its own out."""
        out = self._take(self._events.rest.strip())
        if not self.complete and self._finish and self.fault is None:
            out += self._end()
        return out

    def output(self) -> bytes:
        """Return the Response put together."""
        return _encode(self._writer.so_far())
