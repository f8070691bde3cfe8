"""Thoughts that only their provider can read, carried in the `encrypted_content` of reasoning items.

OpenAI's callers hand that member back untouched (https://platform.openai.com/docs/guides/reasoning), so it is where
another provider's signed or redacted thoughts travel through a caller and back. It hides nothing: it is base64.
"""

import base64
import binascii
from typing import Any

import msgspec

MARK = "pnst1."
"""What such a member begins with here; OpenAI's own never do."""
_encode = msgspec.json.Encoder().encode


def seal(blocks: list[dict[str, Any]]) -> str:
    """Return thinking blocks as one string."""
    return MARK + base64.b64encode(_encode(blocks)).decode("ascii")


def unseal(text: Any) -> list[dict[str, Any]]:
    """Return the thinking blocks in a string of `seal`; nothing for what another provider sealed, or broke."""
    if not isinstance(text, str) or not text.startswith(MARK):
        return []
    try:
        return msgspec.json.decode(base64.b64decode(text[len(MARK) :]), type=list[dict[str, Any]])
    except (msgspec.MsgspecError, binascii.Error, ValueError, RecursionError):
        return []
