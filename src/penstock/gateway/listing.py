"""The list of models, and one of them, in the shape of each API family.

Shapes: https://platform.openai.com/docs/api-reference/models, https://docs.anthropic.com/en/api/models-list and
https://ai.google.dev/api/models.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from penstock.core import clock
from penstock.core.http.families import Family

Entry = tuple[str, int]
"""A model's public name, and when its route was last changed, in seconds since the epoch."""
_VERBS = ["generateContent", "countTokens", "embedContent", "batchEmbedContents"]


def model_json(entry: Entry, family: Family) -> dict[str, Any]:
    """Return one model."""
    name, created = entry
    if family == "anthropic":
        return {
            "type": "model",
            "id": name,
            "display_name": name,
            "lifecycle": "active",
            "created_at": clock.iso(clock.from_ns(created * 1_000_000_000)),
        }
    if family == "gemini":
        return {"name": f"models/{name}", "displayName": name, "supportedGenerationMethods": _VERBS}
    return {"id": name, "object": "model", "created": created, "owned_by": "penstock"}


def models_body(entries: Sequence[Entry], family: Family) -> bytes:
    """Return all models; never paged, because routes are few."""
    data = [model_json(entry, family) for entry in entries]
    if family == "anthropic":
        first, last = (entries[0][0], entries[-1][0]) if entries else (None, None)
        return msgspec.json.encode({"data": data, "has_more": False, "first_id": first, "last_id": last})
    if family == "gemini":
        return msgspec.json.encode({"models": data})
    return msgspec.json.encode({"object": "list", "data": data})
