"""Anthropic's count_tokens where the provider counts nothing: an estimate, see `counting`.

Shapes: https://docs.anthropic.com/en/api/messages-count-tokens.
"""

from typing import Any

import msgspec

from penstock.gateway.dialects.chat_reading import bad, decoded
from penstock.gateway.dialects.counting import MEDIA_TOKENS, MESSAGE_TOKENS, estimate_tokens
from penstock.gateway.dialects.envelope import Envelope

_encode = msgspec.json.Encoder().encode
MEDIA = ("image", "document")


def estimate(envelope: Envelope) -> bytes:
    """Return the answer to a count_tokens request; raises Invalid for a body without messages."""
    body: dict[str, Any] = decoded(envelope)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise bad("messages must be a list with at least one message.", "messages")
    tokens = 0
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise bad(f"messages[{index}] must be an object.", f"messages[{index}]")
        tokens += MESSAGE_TOKENS + _content(message.get("content"), f"messages[{index}].content")
    if system := body.get("system"):
        tokens += MESSAGE_TOKENS + _content(system, "system")
    if tools := body.get("tools"):
        tokens += estimate_tokens(_encode(tools))
    return _encode({"input_tokens": tokens})


def _content(content: Any, where: str) -> int:
    if isinstance(content, str):
        return estimate_tokens(content.encode())
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise bad(f"{where} must be a string or a list of blocks.", where)
    return sum(_block(block, where) for block in content)


def _block(block: dict[str, Any], where: str) -> int:
    kind = block.get("type")
    if kind in MEDIA:
        return MEDIA_TOKENS
    if kind == "tool_result" and block.get("content") is not None:
        return _content(block["content"], where)
    for name in ("text", "thinking"):
        if isinstance(text := block.get(name), str):
            return estimate_tokens(text.encode())
    return estimate_tokens(_encode(block))
