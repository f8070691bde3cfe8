"""The events of every API family's streams: which of their members carry text, and which text goes on in which.

Shapes: see the dialects of each family. A reader tells a `Flow` what it finds, in order.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from penstock.gateway.guarding.leaves import Kind, kind_of, leaves
from penstock.gateway.model import Operation

Key = tuple[Any, ...]


class Flow(Protocol):
    """Takes in what a reader finds in one event."""

    def text(self, key: Key, holder: Any, name: Any, kind: Kind) -> None:
        """`holder[name]` goes on with the text `key`."""
        ...

    def whole(
        self, value: Any, *, kind: Kind = Kind.TEXT, repeats: bool = False, but: Collection[str] = ()
    ) -> None:
        """All texts below `value`, `but` for some members, are whole; `repeats`: they were streamed before."""
        ...

    def tool(self, name: str) -> None:
        """A tool is called."""
        ...

    def end(self, prefix: Key) -> None:
        """The texts whose keys begin with `prefix` are complete."""
        ...

    def closing(self) -> None:
        """The answer, or one of its choices, is complete."""
        ...


Reader = Callable[[dict[str, Any], Flow], None]


def chat(event: dict[str, Any], flow: Flow) -> None:
    """Chat completions and completions: https://platform.openai.com/docs/api-reference/chat-streaming."""
    choices = event.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if not isinstance(choice, dict):
            continue
        at = choice.get("index", 0)
        delta = choice.get("delta")
        if isinstance(delta, dict):
            _delta(at, delta, flow)
        if isinstance(choice.get("text"), str):
            flow.text((at, "text"), choice, "text", Kind.TEXT)
        if "message" in choice:
            flow.whole(choice["message"], repeats=True)
        if choice.get("finish_reason"):
            flow.end((at,))
            flow.closing()


def _delta(at: Any, delta: dict[str, Any], flow: Flow) -> None:
    for name, value in delta.items():
        if isinstance(value, str):
            if value and (kind := kind_of(delta, name, Kind.TEXT)) is not None:
                flow.text((at, name), delta, name, kind)
        elif name == "tool_calls" and isinstance(value, list):
            for place, call in enumerate(value):
                if isinstance(call, dict):
                    _call((at, name, call.get("index", place)), call, flow)
        elif name == "function_call" and isinstance(value, dict):
            _function((at, name), value, flow)
        elif isinstance(value, dict | list):
            for leaf in leaves({name: value}):
                flow.text((at, *leaf.path), leaf.holder, leaf.name, leaf.kind)


def _call(key: Key, call: dict[str, Any], flow: Flow) -> None:
    for name in ("function", "custom"):
        if isinstance(call.get(name), dict):
            _function((*key, name), call[name], flow)


def _function(key: Key, function: dict[str, Any], flow: Flow) -> None:
    if isinstance(function.get("name"), str) and function["name"]:
        flow.tool(function["name"])
    if isinstance(function.get("arguments"), str):
        flow.text(key, function, "arguments", Kind.SOURCE)
    if isinstance(function.get("input"), str):
        flow.text(key, function, "input", Kind.TEXT)


_PIECES = {
    "text": Kind.TEXT,
    "thinking": Kind.REASONING,
    "partial_json": Kind.SOURCE,
}
_PLAIN_DELTAS = frozenset({"text_delta", "thinking_delta", "input_json_delta", "signature_delta"})


def messages(event: dict[str, Any], flow: Flow) -> None:
    """Messages: https://docs.anthropic.com/en/docs/build-with-claude/streaming."""
    kind = event.get("type")
    at = event.get("index", 0)
    if kind == "content_block_delta":
        delta = event.get("delta")
        if isinstance(delta, dict):
            for name, value in delta.items():
                if name in _PIECES and isinstance(value, str):
                    flow.text((at, name), delta, name, _PIECES[name])
            if delta.get("type") not in _PLAIN_DELTAS:
                flow.whole(delta, but=_PIECES)
    elif kind == "content_block_start":
        _block(at, event.get("content_block"), flow)
    elif kind == "content_block_stop":
        flow.end((at,))
    elif kind == "message_start":
        message = event.get("message")
        flow.whole(message.get("content") if isinstance(message, dict) else None)
    elif kind in ("message_delta", "message_stop"):
        flow.end(())
        flow.closing()


def _block(at: Any, block: Any, flow: Flow) -> None:
    if not isinstance(block, dict):
        return
    if str(block.get("type")).endswith("tool_use") and isinstance(block.get("name"), str):
        flow.tool(block["name"])
    for name in ("text", "thinking"):
        if isinstance(block.get(name), str) and block[name]:
            flow.text((at, name), block, name, _PIECES[name])
    flow.whole(block, but=_PIECES)


def generate(event: dict[str, Any], flow: Flow) -> None:
    """Gemini: https://ai.google.dev/api/generate-content. Text goes on from part to part while nothing is between."""
    candidates = event.get("candidates")
    for candidate in candidates if isinstance(candidates, list) else ():
        if not isinstance(candidate, dict):
            continue
        at = candidate.get("index", 0)
        content = candidate.get("content")
        parts = content.get("parts") if isinstance(content, dict) else None
        for part in parts if isinstance(parts, list) else ():
            if isinstance(part, dict):
                _part(at, part, flow)
        ended = bool(candidate.get("finishReason") or candidate.get("finish_reason"))
        if ended:
            flow.end((at,))
        if any(isinstance(value, dict | list) for name, value in candidate.items() if name != "content"):
            flow.whole(candidate, repeats=True, but=_CONTENT)
        if ended:
            flow.closing()


_CONTENT = ("content",)


def _part(at: Any, part: dict[str, Any], flow: Flow) -> None:
    thought = part.get("thought") is True
    if isinstance(part.get("text"), str):
        flow.end((at, "text" if thought else "thought"))
        key = (at, "thought" if thought else "text")
        flow.text(key, part, "text", Kind.REASONING if thought else Kind.TEXT)
        return
    flow.end((at,))
    call = part.get("functionCall", part.get("function_call"))
    if isinstance(call, dict) and isinstance(call.get("name"), str):
        flow.tool(call["name"])
    flow.whole(part)


def responses(event: dict[str, Any], flow: Flow) -> None:
    """Responses: https://platform.openai.com/docs/api-reference/responses-streaming."""
    kind = str(event.get("type"))
    at = event.get("output_index", 0)
    if isinstance(event.get("delta"), str):
        if "audio.delta" not in kind:
            stem = kind.removesuffix(".delta")
            key = (at, stem, event.get("content_index"), event.get("summary_index"))
            flow.text(key, event, "delta", _kind(stem))
        return
    if kind.endswith(".done"):
        flow.end((at,))
    item = event.get("item")
    if isinstance(item, dict) and isinstance(item.get("name"), str):
        flow.tool(item["name"])
    response = event.get("response")
    if not isinstance(response, dict):
        flow.whole(event, kind=_kind(kind.removesuffix(".done")), repeats=True)
        return
    last = kind in ("response.completed", "response.incomplete", "response.failed")
    if last:
        flow.end(())
    flow.whole(response, repeats=True, but=response.keys() - {"output", "output_text"})
    if last:
        flow.closing()


def _kind(stem: str) -> Kind:
    if "arguments" in stem:
        return Kind.SOURCE
    if "reasoning" in stem:
        return Kind.REASONING
    return Kind.REFUSAL if "refusal" in stem else Kind.TEXT


READERS: Mapping[Operation, Reader] = {
    Operation.CHAT: chat,
    Operation.COMPLETIONS: chat,
    Operation.MESSAGES: messages,
    Operation.GENERATE: generate,
    Operation.RESPONSES: responses,
}
