"""Messages as events: https://docs.anthropic.com/en/api/messages-streaming."""

from collections.abc import Iterator
from typing import Any

from penstock.gateway.cache.pieces import encode, event, pieces

Body = dict[str, Any]


def message(answer: Body, include_usage: bool) -> Iterator[bytes]:  # noqa: ARG001 - counts always belong to it
    """Yield the start, each block with its pieces, the stop reason with the counts, and the end."""
    usage = answer.get("usage") or {}
    begun = {**answer, "content": [], "stop_reason": None, "stop_sequence": None}
    begun["usage"] = {**usage, "output_tokens": 0}
    yield _event("message_start", message=begun)
    yield _event("ping")
    for index, block in enumerate(answer.get("content") or ()):
        yield from _block(index, block)
    delta = {"stop_reason": answer.get("stop_reason"), "stop_sequence": answer.get("stop_sequence")}
    yield _event("message_delta", delta=delta, usage=usage)
    yield _event("message_stop")


def _block(index: int, block: Body) -> Iterator[bytes]:
    begun, deltas = _parts(block)
    yield _event("content_block_start", index=index, content_block=begun)
    for delta in deltas:
        yield _event("content_block_delta", index=index, delta=delta)
    yield _event("content_block_stop", index=index)


def _parts(block: Body) -> tuple[Body, list[Body]]:
    """Return how a block begins and what is added to it; blocks of other types come whole at their beginning."""
    kind = block.get("type")
    if kind == "text":
        deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block.get("text") or "")]
        cited = [{"type": "citations_delta", "citation": each} for each in block.get("citations") or ()]
        begun = {name: value for name, value in block.items() if name != "citations"}
        return {**begun, "text": ""}, deltas + cited
    if kind == "thinking":
        thought = [
            {"type": "thinking_delta", "thinking": piece} for piece in pieces(block.get("thinking") or "")
        ]
        signed = [{"type": "signature_delta", "signature": block.get("signature") or ""}]
        return {**block, "thinking": "", "signature": ""}, thought + signed
    if kind in ("tool_use", "server_tool_use"):
        given = encode(block.get("input") or {}).decode()
        return {**block, "input": {}}, [
            {"type": "input_json_delta", "partial_json": piece} for piece in pieces(given)
        ]
    return block, []


def _event(kind: str, **members: Any) -> bytes:
    return event(kind, {"type": kind, **members})
