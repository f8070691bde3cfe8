"""OpenAI in, OpenAI out: bytes pass through; only the model's name and the usage chunk are touched.

Shapes: https://platform.openai.com/docs/api-reference/chat (completions and embeddings alike).
"""

from typing import Any

import msgspec

from penstock.core.errors import Upstream
from penstock.gateway.dialects.base import CAPTURE_LIMIT, Answer, Fault
from penstock.gateway.dialects.envelope import Envelope, raw_text
from penstock.gateway.dialects.sse import EventBuffer, payload
from penstock.gateway.model import Usage


class _Details(msgspec.Struct):
    """Parts of the prompt or of the completion. `cache_write_1h_tokens`, a part of `cache_write_tokens`, is ours."""

    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


_NONE = _Details()


class OpenAIUsage(msgspec.Struct):
    """The `usage` object."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None

    def usage(self) -> Usage:
        """Return it as our noun."""
        prompt = self.prompt_tokens_details or _NONE
        completion = self.completion_tokens_details or _NONE
        long = prompt.cache_write_1h_tokens or 0
        return Usage(
            self.prompt_tokens or 0,
            self.completion_tokens or 0,
            prompt.cached_tokens or 0,
            max(0, (prompt.cache_write_tokens or 0) - long),
            completion.reasoning_tokens or 0,
            long,
            prompt.audio_tokens or 0,
            prompt.image_tokens or 0,
            completion.audio_tokens or 0,
            completion.image_tokens or 0,
        )


class _Head(msgspec.Struct):
    model: str | None = None
    usage: OpenAIUsage | None = None


class Function(msgspec.Struct):
    """A piece of a tool call's function."""

    name: str | None = None
    arguments: str | None = None


class ToolCall(msgspec.Struct):
    """A piece of a tool call."""

    index: int = 0
    id: str | None = None
    function: Function | None = None


class Delta(msgspec.Struct):
    """What a chunk adds to a message."""

    role: str | None = None
    content: str | None = None
    reasoning_content: str | None = None
    thinking_blocks: list[dict[str, Any]] | None = None
    images: list[Any] | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None


class Choice(msgspec.Struct):
    """One choice of a chunk; `text` is the legacy completions' delta."""

    index: int = 0
    delta: Delta | None = None
    text: str | None = None
    finish_reason: str | None = None
    stop_reason: Any = None
    """The stop sequence that was met, where a server tells it (vLLM, and this gateway)."""


class Chunk(msgspec.Struct):
    """One event of a stream."""

    id: str | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: OpenAIUsage | None = None
    error: Any = None


_head = msgspec.json.Decoder(_Head)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_chunk = msgspec.json.Decoder(Chunk)
_encode = msgspec.json.Encoder().encode
_INCLUDE_USAGE = msgspec.Raw(b'{"include_usage":true}')


def read_fault(body: bytes, status: int = 0) -> Fault:
    """Return what an OpenAI-style error body says; tolerant, for servers only resemble each other."""
    try:
        found: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        found = None
    inner = found.get("error", found) if isinstance(found, dict) else found
    if isinstance(inner, str):
        return Fault(inner)
    if isinstance(inner, dict):
        message = inner.get("message") or inner.get("detail")
        if message:
            kind, code, param = (str(inner.get(name) or "") for name in ("type", "code", "param"))
            return Fault(str(message), kind, code, param)
    shown = body[:300].decode("utf-8", "replace").strip()
    return Fault(f"The provider answered {status}" + (f": {shown}" if shown else "."))


class _Message:
    """A choice being put together."""

    __slots__ = ("content", "finish", "reasoning", "refusal", "role", "text", "tools")

    def __init__(self) -> None:
        self.role = "assistant"
        self.content: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.text: list[str] = []
        self.tools: dict[int, dict[str, Any]] = {}
        self.finish: str | None = None

    def add(self, delta: Delta) -> int:
        """Take a delta in; returns how many characters it held."""
        size = 0
        for text, into in (
            (delta.content, self.content),
            (delta.reasoning_content, self.reasoning),
            (delta.refusal, self.refusal),
        ):
            if text:
                into.append(text)
                size += len(text)
        for call in delta.tool_calls or ():
            size += self._add_tool(call)
        return size

    def _add_tool(self, call: ToolCall) -> int:
        tool = self.tools.setdefault(call.index, {"id": "", "name": "", "arguments": []})
        tool["id"] = call.id or tool["id"]
        if call.function is None:
            return 0
        tool["name"] += call.function.name or ""
        tool["arguments"].append(call.function.arguments or "")
        return len(call.function.arguments or "")

    def built(self, index: int) -> dict[str, Any]:
        """Return the choice as an answer that was not streamed would hold it."""
        if self.text:
            return {"index": index, "text": "".join(self.text), "finish_reason": self.finish}
        message: dict[str, Any] = {
            "role": self.role,
            "content": "".join(self.content) if self.content or not self.tools else None,
        }
        if self.reasoning:
            message["reasoning_content"] = "".join(self.reasoning)
        if self.refusal:
            message["refusal"] = "".join(self.refusal)
        if self.tools:
            message["tool_calls"] = [
                {
                    "id": tool["id"],
                    "type": "function",
                    "function": {"name": tool["name"], "arguments": "".join(tool["arguments"])},
                }
                for _, tool in sorted(self.tools.items())
            ]
        return {"index": index, "message": message, "finish_reason": self.finish}


class ChatAssembler:
    """Puts the choices of a stream together for the trace, up to a limit."""

    __slots__ = ("_id", "_messages", "_room")

    def __init__(self) -> None:
        self._messages: dict[int, _Message] = {}
        self._room = CAPTURE_LIMIT
        self._id: str | None = None

    def add(self, chunk: Chunk) -> None:
        """Take a chunk in."""
        if self._id is None:
            self._id = chunk.id
        for choice in chunk.choices or ():
            message = self._messages.get(choice.index)
            if message is None:
                message = self._messages[choice.index] = _Message()
            message.finish = choice.finish_reason or message.finish
            if self._room <= 0:
                continue
            if choice.delta is not None:
                self._room -= message.add(choice.delta)
            if choice.text:
                message.text.append(choice.text)
                self._room -= len(choice.text)

    @property
    def finished(self) -> bool:
        """Whether some choice has a finish reason."""
        return any(message.finish for message in self._messages.values())

    def built(self, model: str, usage: Usage | None) -> bytes:
        """Return the answer as JSON."""
        body: dict[str, Any] = {
            "id": self._id,
            "object": "chat.completion",
            "model": model,
            "choices": [message.built(index) for index, message in sorted(self._messages.items())],
        }
        if usage is not None:
            body["usage"] = usage_json(usage)
        if self._room <= 0:
            body["truncated"] = True
        return _encode(body)


def usage_json(usage: Usage) -> dict[str, Any]:
    """Return usage in OpenAI's shape."""
    prompt = {
        "cache_write_tokens": usage.written,
        "cache_write_1h_tokens": usage.cache_write_1h,
        "audio_tokens": usage.audio_input,
        "image_tokens": usage.image_input,
    }
    completion = {"audio_tokens": usage.audio_output, "image_tokens": usage.image_output}
    details = [{name: count for name, count in each.items() if count} for each in (prompt, completion)]
    return {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cached, **details[0]},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, **details[1]},
    }


class OpenAIRelay:
    """Passes a stream through, event by event: renames the model, keeps back a usage chunk nobody asked for."""

    __slots__ = (
        "_alias", "_assembler", "_events", "_names", "_with_usage", "complete", "fault", "model", "usage",
    )  # fmt: skip

    def __init__(self, alias: str, with_usage: bool) -> None:
        self._alias = alias
        self._with_usage = with_usage
        self._events = EventBuffer()
        self._assembler = ChatAssembler()
        self._names: tuple[tuple[bytes, bytes], ...] = ()
        self.usage: Usage | None = None
        self.model = ""
        self.fault: Fault | None = None
        self.complete = False

    def feed(self, data: bytes) -> bytes:
        """Return the caller's bytes for the events that `data` completes."""
        out = [kept for event in self._events.feed(data) if (kept := self._event(event))]
        return out[0] if len(out) == 1 else b"".join(out)

    def _event(self, event: bytes) -> bytes:
        if not event:
            return b""
        data = payload(event)
        if data == b"[DONE]":
            self.complete = True
            return b"data: [DONE]\n\n"
        if data:
            try:
                chunk = _chunk.decode(data)
            except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
                pass  # not a chunk as we know it: it passes on unread
            else:
                if not self._read(chunk, data):
                    return b""
            for old, new in self._names:
                event = event.replace(old, new, 1)
        return event + b"\n\n"

    def _read(self, chunk: Chunk, data: bytes) -> bool:
        """Learn from a chunk; returns whether the caller should get it."""
        if chunk.model and not self.model:
            self.model = chunk.model
            if chunk.model != self._alias:
                old, new = _encode(chunk.model), _encode(self._alias)
                # Inside JSON strings quotes are escaped, so these bytes can only be the member itself.
                self._names = (
                    (b'"model":' + old, b'"model":' + new),
                    (b'"model": ' + old, b'"model": ' + new),
                )
        if chunk.error is not None:
            self.fault = read_fault(data)
            return False
        if chunk.usage is not None:
            self.usage = chunk.usage.usage()
        if chunk.choices:
            self._assembler.add(chunk)
            return True
        return chunk.usage is None or self._with_usage

    def finish(self) -> bytes:
        """Return a last event that the provider did not end with a blank line; notes a missing end."""
        rest = self._events.rest.strip()
        out = self._event(rest) if rest else b""
        if not self.complete and self._assembler.finished:
            self.complete = True
            out += b"data: [DONE]\n\n"
        return out

    def output(self) -> bytes:
        """Return the answer put together."""
        return self._assembler.built(self.model, self.usage)


class OpenAIDialect:
    """Chat, completions and embeddings for a provider that speaks OpenAI's API."""

    def __init__(self, *, ask_usage: bool = True) -> None:
        """`ask_usage=False` is for servers that refuse `stream_options`: streams then carry no token counts."""
        self._ask_usage = ask_usage

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the caller's body with the target's model, asking for usage in streams."""
        changes: dict[str, msgspec.Raw] = {}
        if model != envelope.model:
            changes["model"] = raw_text(model)
        if envelope.stream and self._ask_usage and not envelope.include_usage:
            changes["stream_options"] = self._stream_options(envelope)
        return envelope.with_fields(changes) if changes else envelope.body

    @staticmethod
    def _stream_options(envelope: Envelope) -> msgspec.Raw:
        raw = envelope.fields.get("stream_options")
        if raw is None or bytes(raw) == b"null":
            return _INCLUDE_USAGE
        return msgspec.Raw(_encode(_fields.decode(raw) | {"include_usage": msgspec.Raw(b"true")}))

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the body with the caller's model name; raises Upstream when it is not a JSON object."""
        try:
            head = _head.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            head = None  # not JSON, or with a usage or model of an odd type: the slow way tells
        if head is None or head.model is None:
            return self._odd_answer(body, alias)
        usage = head.usage.usage() if head.usage is not None else None
        if head.model == alias:
            return Answer(body, usage, head.model)
        old = b'"model":' + _encode(head.model)
        at = body.find(old)
        # With an object opened before it, the match might be a member of that one.
        if at < 0 or body.find(b"{", 1, at) >= 0:
            return Answer(self._renamed(body, alias), usage, head.model)
        return Answer(body[:at] + b'"model":' + _encode(alias) + body[at + len(old) :], usage, head.model)

    @staticmethod
    def _renamed(body: bytes, alias: str) -> bytes:
        return _encode(_fields.decode(body) | {"model": raw_text(alias)})

    def _odd_answer(self, body: bytes, alias: str) -> Answer:
        try:
            return Answer(self._renamed(body, alias), None, "")
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise Upstream("The provider's answer is not a JSON object.", body=body[:2000]) from error

    def relay(self, envelope: Envelope) -> OpenAIRelay:
        """Return a relay for one stream."""
        return OpenAIRelay(envelope.model, envelope.include_usage)

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        return read_fault(body, status)
