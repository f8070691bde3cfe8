"""Messages of the `anthropic` library. Source of the shapes: https://docs.anthropic.com/en/api/messages."""

from typing import Any

from penstock.sdk.spans import Kind
from penstock.sdk.wrapping.calls import Endpoint, Gathering
from penstock.sdk.wrapping.reading import (
    Attributes,
    Part,
    call_part,
    each,
    filled,
    get,
    media_part,
    number,
    parameters,
    reasoning_part,
    result_part,
    text_of,
    text_part,
    usage,
)

PARAMETERS = {
    "model": "model",
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "stop_sequences": "stop_sequences",
    "stream": "stream",
    "service_tier": "service_tier",
}


class Messages:
    """`/v1/messages`."""

    operation = "chat"
    kind: Kind = "llm"

    def request(self, body: Any) -> Attributes:
        """Return the attributes of a request."""
        system = get(body, "system")
        return parameters(body, PARAMETERS) | filled(
            input__messages=[_message(message) for message in each(get(body, "messages"))],
            system_instructions=_contents(system) if system else None,
            tool__definitions=get(body, "tools"),
        )

    def response(self, answer: Any) -> Attributes:
        """Return the attributes of a whole answer."""
        reason = get(answer, "stop_reason")
        message = {"role": "assistant", "parts": _contents(get(answer, "content"))}
        return filled(
            response__id=get(answer, "id"),
            response__model=get(answer, "model"),
            response__finish_reasons=[reason] if reason else None,
            output__messages=[{**message, "finish_reason": reason} if reason else message],
        ) | _used(get(answer, "usage"))

    def gathering(self) -> Gathering:
        """Return what takes the pieces of a streamed answer."""
        return _MessagePieces()


class _MessagePieces:
    """A streamed message, built up from its events."""

    def __init__(self) -> None:
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._usage: dict[str, int] = {}

    def add(self, piece: Any) -> bool:
        match get(piece, "type"):
            case "message_start":
                start = get(piece, "message")
                self._message = {"id": get(start, "id"), "model": get(start, "model")}
                self._count(get(start, "usage"))
            case "content_block_start":
                block = get(piece, "content_block")
                self._blocks[number(piece, "index")] = {
                    "start": block,
                    "text": [],
                    "json": [],
                    "thinking": [],
                }
                return text_of(get(block, "type")) == "tool_use"
            case "content_block_delta":
                return self._delta(number(piece, "index"), get(piece, "delta"))
            case "message_delta":
                self._message["stop_reason"] = get(piece, "delta", "stop_reason")
                self._count(get(piece, "usage"))
        return False

    def _delta(self, index: int, delta: Any) -> bool:
        held = self._blocks.setdefault(index, {"start": None, "text": [], "json": [], "thinking": []})
        for name, kept in (("text", "text"), ("partial_json", "json"), ("thinking", "thinking")):
            if piece := text_of(get(delta, name)):
                held[kept].append(piece)
                return True
        return False

    def _count(self, used: Any) -> None:
        for name in (
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
        ):
            if count := number(used, name):
                self._usage[name] = count

    def attributes(self) -> Attributes:
        content = [_whole(block) for _, block in sorted(self._blocks.items())]
        return Messages().response({**self._message, "content": content, "usage": self._usage})


def _whole(block: dict[str, Any]) -> Any:
    start = block["start"]
    if block["json"]:
        fields = {"type": get(start, "type"), "id": get(start, "id"), "name": get(start, "name")}
        return {**fields, "input": "".join(block["json"])}
    if block["thinking"]:
        return {"type": "thinking", "thinking": "".join(block["thinking"])}
    if block["text"]:
        return {"type": "text", "text": "".join(block["text"])}
    return start


def _used(used: Any) -> Attributes:
    """Return the tokens; Anthropic counts what it read from and wrote into the cache beside the input."""
    cached, written = number(used, "cache_read_input_tokens"), number(used, "cache_creation_input_tokens")
    return usage(
        input_tokens=number(used, "input_tokens") + cached + written,
        output_tokens=number(used, "output_tokens"),
        cached=cached,
        cache_write=written,
        reasoning=number(used, "output_tokens_details", "thinking_tokens"),
    )


def _message(message: Any) -> dict[str, Any]:
    return {"role": get(message, "role"), "parts": _contents(get(message, "content"))}


def _contents(content: Any) -> list[Part]:
    return [text_part(content)] if isinstance(content, str) else [_block(block) for block in each(content)]


def _block(block: Any) -> Part:
    kind = text_of(get(block, "type"))
    match kind:
        case "text":
            return text_part(text_of(get(block, "text")))
        case "thinking":
            return reasoning_part(text_of(get(block, "thinking")))
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            return call_part(get(block, "name"), get(block, "input"), get(block, "id"))
        case "tool_result" | "mcp_tool_result" | "web_search_tool_result":
            content = get(block, "content")
            told = content if isinstance(content, str) else _contents(content)
            return result_part(told, get(block, "tool_use_id"))
        case "image" | "document":
            source = get(block, "source")
            kind = "image" if kind == "image" else "file"
            url, data = get(source, "url") or get(source, "file_id"), get(source, "data")
            return media_part(kind, url=url, data=data, mime_type=get(source, "media_type"))
        case _:
            return {"type": kind or "unknown", "content": block}


ENDPOINTS: dict[str, Endpoint] = {"/messages": Messages()}
