"""Writing chat answers, whole or streamed, for providers that speak something else.

Shapes: https://platform.openai.com/docs/api-reference/chat/object. Beside them: `reasoning_content` and
`thinking_blocks` for what the model thought, `citations`, and a choice's `stop_reason` for the stop sequence met.
"""

import sys
from typing import Any

import msgspec

from penstock.core import clock
from penstock.gateway.dialects.base import CAPTURE_LIMIT
from penstock.gateway.dialects.openai import usage_json
from penstock.gateway.model import Usage

_encode = msgspec.json.Encoder().encode


def _created() -> int:
    return clock.now_ns() // 1_000_000_000


def completion(
    identity: str,
    alias: str,
    message: dict[str, Any],
    *,
    finish: str | None,
    usage: Usage | None,
    stop: str | None = None,
) -> dict[str, Any]:
    """Return a chat completion with one choice; `stop` is the stop sequence that ended it, where that is known."""
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    if stop is not None:
        choice["stop_reason"] = stop
    return {
        "id": identity,
        "object": "chat.completion",
        "created": _created(),
        "model": alias,
        "choices": [choice],
        "usage": usage_json(usage or Usage()),
    }


class MessageBuilder:
    """Puts an assistant message together from its pieces, up to `room` characters: a trace keeps no more."""

    __slots__ = ("_room", "_text", "_tools", "citations", "refusal", "thoughts")

    def __init__(self, room: int = sys.maxsize) -> None:
        self._text: list[str] = []
        self._tools: list[dict[str, Any]] = []
        self._room = room
        self.thoughts: list[dict[str, Any]] = []
        self.citations: list[Any] = []
        self.refusal: str | None = None

    def _fits(self, text: str) -> bool:
        self._room -= len(text)
        return self._room > 0

    def text(self, text: str) -> None:
        """Add text."""
        if text and self._fits(text):
            self._text.append(text)

    def thinking(self, text: str, signature: str = "") -> None:
        """Add to the thought that is open: one without a signature; a signature closes it."""
        if not text and not signature:
            return
        last = self.thoughts[-1] if self.thoughts else None
        if last is None or last["type"] != "thinking" or "signature" in last:
            last = {"type": "thinking", "thinking": ""}
            self.thoughts.append(last)
        if self._fits(text):
            last["thinking"] += text
        if signature:
            last["signature"] = signature

    def redacted(self, data: str) -> None:
        """Add a thought that only the provider can read."""
        self.thoughts.append({"type": "redacted_thinking", "data": data})

    def tool(self, identity: str, name: str, arguments: str = "") -> int:
        """Open a tool call; returns its index."""
        function = {"name": name, "arguments": arguments}
        self._tools.append({"id": identity, "type": "function", "function": function})
        return len(self._tools) - 1

    def arguments(self, index: int, text: str) -> None:
        """Add to the arguments of a tool call."""
        if self._fits(text):
            self._tools[index]["function"]["arguments"] += text

    @property
    def calls(self) -> bool:
        """Whether there are tool calls."""
        return bool(self._tools)

    def finish_arguments(self) -> None:
        """Give an empty object to calls without arguments, as OpenAI writes it."""
        for tool in self._tools:
            tool["function"]["arguments"] = tool["function"]["arguments"] or "{}"

    def built(self) -> dict[str, Any]:
        """Return the message."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(self._text) if self._text or not self._tools else None,
            "refusal": self.refusal,
        }
        if thought := "".join(each.get("thinking", "") for each in self.thoughts):
            message["reasoning_content"] = thought
        # Only signed or sealed thoughts are of use to the provider in a later turn.
        if any(len(each) > 2 or "data" in each for each in self.thoughts):
            message["thinking_blocks"] = self.thoughts
        if self._tools:
            message["tool_calls"] = self._tools
        if self.citations:
            message["citations"] = self.citations
        if self._room <= 0:
            message["truncated"] = True
        return message


class ChatWriter:
    """Writes the chunks of one stream, and remembers what they said."""

    __slots__ = (
        "_alias", "_created", "_finish", "_identity", "_message", "_stop", "_with_usage", "complete", "started",
        "usage",
    )  # fmt: skip

    def __init__(self, alias: str, with_usage: bool) -> None:
        self._alias = alias
        self._with_usage = with_usage
        self._created = _created()
        self._identity = ""
        self._message = MessageBuilder(CAPTURE_LIMIT)
        self._finish: str | None = None
        self._stop: str | None = None
        self.started = False
        self.usage: Usage | None = None
        self.complete = False

    @property
    def finished(self) -> bool:
        """Whether the finish reason has been written."""
        return self._finish is not None

    def _event(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> bytes:
        body: dict[str, Any] = {
            "id": self._identity,
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": self._alias,
            "choices": choices,
        }
        if self._with_usage:
            body["usage"] = usage
        return b"data: " + _encode(body) + b"\n\n"

    @property
    def calls(self) -> bool:
        """Whether a tool call has been written."""
        return self._message.calls

    def _delta(
        self, delta: dict[str, Any], finish: str | None = None, more: dict[str, Any] | None = None
    ) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._event([choice | more if more else choice])

    def start(self, identity: str) -> bytes:
        """Write the first chunk."""
        self._identity = identity
        self.started = True
        return self._delta({"role": "assistant", "content": "", "refusal": None})

    def text(self, text: str) -> bytes:
        """Write text."""
        self._message.text(text)
        return self._delta({"content": text})

    def thinking(self, text: str) -> bytes:
        """Write a piece of a thought."""
        self._message.thinking(text)
        return self._delta({"reasoning_content": text})

    def signature(self, signature: str) -> bytes:
        """Write the signature of the thought that came before it."""
        self._message.thinking("", signature)
        return self._delta(
            {"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": signature}]}
        )

    def redacted(self, data: str) -> bytes:
        """Write a sealed thought."""
        self._message.redacted(data)
        return self._delta({"thinking_blocks": [{"type": "redacted_thinking", "data": data}]})

    def tool(self, identity: str, name: str, arguments: str = "") -> tuple[int, bytes]:
        """Write the beginning of a tool call; returns its index with the chunk."""
        index = self._message.tool(identity, name, arguments)
        function = {"name": name, "arguments": arguments}
        return index, self._delta(
            {"tool_calls": [{"index": index, "id": identity, "type": "function", "function": function}]}
        )

    def arguments(self, index: int, text: str) -> bytes:
        """Write a piece of a tool call's arguments."""
        self._message.arguments(index, text)
        return self._delta({"tool_calls": [{"index": index, "function": {"arguments": text}}]})

    def citation(self, citation: Any) -> bytes:
        """Write a citation."""
        self._message.citations.append(citation)
        return self._delta({"citations": [citation]})

    def refusal(self, text: str) -> bytes:
        """Write why the model refused."""
        self._message.refusal = (self._message.refusal or "") + text
        return self._delta({"refusal": text})

    def finish(self, reason: str, stop: str | None = None) -> bytes:
        """Write the finish reason, and the stop sequence where that is known."""
        self._finish, self._stop = reason, stop
        return self._delta({}, reason, None if stop is None else {"stop_reason": stop})

    def end(self) -> bytes:
        """Write the usage, if it was asked for, and the end of the stream."""
        self.complete = True
        usage = self._event([], usage_json(self.usage or Usage())) if self._with_usage else b""
        return usage + b"data: [DONE]\n\n"

    def output(self) -> bytes:
        """Return the answer put together."""
        self._message.finish_arguments()
        message = self._message.built()
        return _encode(
            completion(
                self._identity,
                self._alias,
                message,
                finish=self._finish,
                usage=self.usage,
                stop=self._stop,
            )
        )
