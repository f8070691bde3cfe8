"""Writing Anthropic messages, whole or streamed, from what a provider of another family says. Pure.

Shapes: https://docs.anthropic.com/en/api/messages and …/messages-streaming.
"""

from typing import Any

import msgspec

from penstock.core.errors import Upstream
from penstock.core.ids import new_id
from penstock.gateway.dialects.base import CAPTURE_LIMIT
from penstock.gateway.model import Usage

_encode = msgspec.json.Encoder().encode
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def usage_json(usage: Usage) -> dict[str, Any]:
    """Return usage in Anthropic's shape, where cached input is counted apart."""
    out: dict[str, Any] = {
        "input_tokens": max(0, usage.input - usage.cached - usage.written),
        "output_tokens": usage.output,
        "cache_read_input_tokens": usage.cached,
        "cache_creation_input_tokens": usage.written,
    }
    if usage.written:
        out["cache_creation"] = {
            "ephemeral_5m_input_tokens": usage.cache_write,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        }
    if usage.reasoning:
        out["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return out


def stop_of(finish: str | None, stop: Any, *, calls: bool, refused: bool) -> dict[str, Any]:
    """Return stop_reason and stop_sequence for OpenAI's finish_reason and the stop sequence, if one is known."""
    if refused or finish == "content_filter":
        reason = "refusal"
    elif finish == "length":
        reason = "max_tokens"
    elif calls:  # some servers say `stop` here, and callers would not run the tools
        reason = "tool_use"
    elif finish == "stop" and isinstance(stop, str) and stop:
        return {"stop_reason": "stop_sequence", "stop_sequence": stop}
    else:
        reason = "end_turn"
    return {"stop_reason": reason, "stop_sequence": None}


def tool_input(text: str) -> msgspec.Raw | None:
    """Return a call's arguments as JSON, or None when they are no JSON object."""
    raw = (text or "{}").encode()
    try:
        _object.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return msgspec.Raw(raw)


def message(
    identity: str, alias: str, content: list[dict[str, Any]], stop: dict[str, Any], usage: Usage
) -> dict[str, Any]:
    """Return a message."""
    return {
        "id": f"msg_{identity}",
        "type": "message",
        "role": "assistant",
        "model": alias,
        "content": content,
        **stop,
        "usage": usage_json(usage),
    }


def _event(kind: str, **members: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode({"type": kind, **members}))


class _Segment:
    """A block on its way to the caller: what of it waits, and what it holds so far."""

    __slots__ = ("held", "id", "kind", "name", "open", "signature", "waiting")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.open = False
        self.waiting: list[dict[str, Any]] = []
        self.held: list[str] = []
        self.id = ""
        self.name = ""
        self.signature = ""

    @property
    def text(self) -> str:
        """What it holds."""
        return "".join(self.held)

    @property
    def whole(self) -> bool:
        """Whether nothing more can come once something else has begun."""
        return self.kind != "tool_use" or (bool(self.held) and tool_input(self.text) is not None)

    def start(self) -> dict[str, Any]:
        """Return the block as it begins."""
        if self.kind == "tool_use":
            self.id = self.id or new_id("toolu")
            return {"type": "tool_use", "id": self.id, "name": self.name, "input": {}}
        if self.kind == "redacted_thinking":
            return {"type": self.kind, "data": self.text}
        return {"type": "text", "text": ""} if self.kind == "text" else thinking_block("", "")

    def built(self) -> dict[str, Any]:
        """Return the whole block; arguments that were cut short stay as they came."""
        if self.kind == "text":
            return {"type": "text", "text": self.text}
        if self.kind == "thinking":
            return thinking_block(self.text, self.signature)
        if self.kind == "tool_use":
            given = tool_input(self.text)
            return self.start() | {"input": self.text if given is None else given}
        return self.start()


def thinking_block(text: str, signature: str) -> dict[str, Any]:
    """Return a thought; one of another family's model has no signature."""
    return {"type": "thinking", "thinking": text, "signature": signature}


class MessageWriter:
    """Writes the events of one stream, and remembers what they said.

    Blocks follow one another in that API, so what belongs to a later block waits until the one before is whole:
    text and thoughts are when something else begins, a tool call is when its arguments are a JSON object.
    """

    __slots__ = (
        "_alias", "_head", "_id", "_room", "_segments", "_stop", "_tools", "complete", "refused", "started",
        "usage",
    )  # fmt: skip

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._id = ""
        self._segments: list[_Segment] = []
        self._head = 0
        self._tools: dict[int, _Segment] = {}
        self._room = CAPTURE_LIMIT
        self._stop: dict[str, Any] = {"stop_reason": None, "stop_sequence": None}
        self.started = False
        self.complete = False
        self.refused = False
        self.usage: Usage | None = None

    def start(self, identity: str) -> bytes:
        """Write the beginning; what the prompt took is not known yet."""
        self.started = True
        self._id = identity
        return _event("message_start", message=message(identity, self._alias, [], self._stop, Usage()))

    def _last(self, kind: str) -> _Segment:
        """Return the last block if it is of that kind, else a new one."""
        if not self._segments or self._segments[-1].kind != kind:
            self._segments.append(_Segment(kind))
        return self._segments[-1]

    def _keep(self, segment: _Segment, text: str) -> None:
        self._room -= len(text)
        if self._room > 0:
            segment.held.append(text)

    def text(self, text: str) -> bytes:
        """Write text."""
        segment = self._last("text")
        segment.waiting.append({"type": "text_delta", "text": text})
        self._keep(segment, text)
        return self._written()

    def thinking(self, text: str, signature: str = "") -> bytes:
        """Write a piece of a thought; a signature ends it."""
        segment = self._last("thinking")
        if segment.signature:
            segment = _Segment("thinking")
            self._segments.append(segment)
        if text:
            segment.waiting.append({"type": "thinking_delta", "thinking": text})
            self._keep(segment, text)
        if signature:
            segment.signature = signature
            segment.waiting.append({"type": "signature_delta", "signature": signature})
        return self._written()

    def redacted(self, data: str) -> bytes:
        """Write a sealed thought."""
        segment = _Segment("redacted_thinking")
        segment.held.append(data)
        self._segments.append(segment)
        return self._written()

    def tool(self, index: int, identity: str, name: str, arguments: str) -> bytes:
        """Write a piece of the tool call that the provider counts as `index`."""
        segment = self._tools.get(index)
        if segment is None or (identity and segment.id not in ("", identity)):
            # Some servers count all calls as the first one: a new id begins a new call.
            segment = self._tools[index] = _Segment("tool_use")
            self._segments.append(segment)
        elif arguments.strip() and segment in self._segments[: self._head]:
            raise Upstream("The provider added to the arguments of a tool call that were whole.")
        segment.id = segment.id or identity
        if not segment.open:
            segment.name += name
        if arguments:
            segment.waiting.append({"type": "input_json_delta", "partial_json": arguments})
            segment.held.append(arguments)
        return self._written()

    def _written(self, *, all_of_it: bool = False) -> bytes:
        out: list[bytes] = []
        while self._head < len(self._segments):
            segment = self._segments[self._head]
            last = self._head == len(self._segments) - 1
            if segment.kind == "tool_use" and not segment.name and not all_of_it:
                break
            out += self._flushed(segment)
            if not all_of_it and (last or not segment.whole):
                break
            out.append(_event("content_block_stop", index=self._head))
            self._head += 1
        return b"".join(out)

    def _flushed(self, segment: _Segment) -> list[bytes]:
        out: list[bytes] = []
        if not segment.open:
            segment.open = True
            out.append(_event("content_block_start", index=self._head, content_block=segment.start()))
        out += [_event("content_block_delta", index=self._head, delta=delta) for delta in segment.waiting]
        segment.waiting.clear()
        return out

    def end(self, finish: str | None, stop: Any) -> bytes:
        """Write the end; raises Upstream when arguments are broken though the model was not cut short."""
        calls = bool(self._tools)
        self._stop = stop_of(finish, stop, calls=calls, refused=self.refused)
        if finish != "length" and any(tool_input(each.text) is None for each in self._tools.values()):
            raise Upstream("The provider sent tool arguments that are not a JSON object.")
        out = self._written(all_of_it=True)
        self.complete = True
        usage = usage_json(self.usage or Usage())
        return out + _event("message_delta", delta=self._stop, usage=usage) + _event("message_stop")

    def output(self) -> bytes:
        """Return the message put together."""
        content = [segment.built() for segment in self._segments]
        made = message(self._id, self._alias, content, self._stop, self.usage or Usage())
        if self._room <= 0:
            made["truncated"] = True
        return _encode(made)
