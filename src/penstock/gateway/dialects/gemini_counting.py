"""Gemini's countTokens where the provider has none: an estimate, see `counting`.

Shapes: https://ai.google.dev/api/tokens.
"""

from typing import Any

import msgspec

from penstock.gateway.dialects.chat_reading import decoded
from penstock.gateway.dialects.counting import MEDIA_TOKENS, MESSAGE_TOKENS, estimate_tokens
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.gemini import member
from penstock.gateway.dialects.gemini_request import contents_of, parts_of

_encode = msgspec.json.Encoder().encode
MEDIA = ("inlineData", "fileData")


def estimate(envelope: Envelope) -> bytes:
    """Return the answer to a countTokens request; raises Invalid for a body without contents."""
    body: dict[str, Any] = decoded(envelope)
    inner = member(body, "generateContentRequest")
    given = inner if isinstance(inner, dict) else body
    tokens = 0
    contents: list[Any] = list(contents_of(given))
    if (system := member(given, "systemInstruction")) is not None:
        contents.append(system)
    for index, content in enumerate(contents):
        tokens += MESSAGE_TOKENS
        for part in parts_of(content, f"contents[{index}]"):
            if any(member(part, name) is not None for name in MEDIA):
                tokens += MEDIA_TOKENS
            else:
                tokens += _part(part)
    if tools := given.get("tools"):
        tokens += estimate_tokens(_encode(tools))
    return _encode({"totalTokens": tokens})


def _part(part: dict[str, Any]) -> int:
    text = part.get("text")
    return estimate_tokens(text.encode() if isinstance(text, str) else _encode(part))
