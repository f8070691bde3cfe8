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
    text = media = 0
    contents: list[Any] = list(contents_of(given))
    if (system := member(given, "systemInstruction")) is not None:
        contents.append(system)
    for index, content in enumerate(contents):
        text += MESSAGE_TOKENS
        for part in parts_of(content, f"contents[{index}]"):
            if any(member(part, name) is not None for name in MEDIA):
                media += MEDIA_TOKENS
            else:
                text += _part(part)
    if tools := given.get("tools"):
        text += estimate_tokens(_encode(tools))
    details = [{"modality": "TEXT", "tokenCount": text}]
    if media:
        details.append({"modality": "IMAGE", "tokenCount": media})
    return _encode({"totalTokens": text + media, "promptTokensDetails": details})


def _part(part: dict[str, Any]) -> int:
    text = part.get("text")
    return estimate_tokens(text.encode() if isinstance(text, str) else _encode(part))
