"""The texts in decoded requests and answers of any API family, where they stand and what they are.

What a member is called decides: all strings are texts, except those known to be no text (ids, types, addresses,
base64). So a kind of content that is not known here is looked at rather than missed.
"""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, NamedTuple

Path = tuple[str | int, ...]


class Kind(Enum):
    """What a text is."""

    TEXT = 1
    REASONING = 2
    REFUSAL = 3
    SOURCE = 4
    """JSON source: arguments of a tool call."""
    DATA = 5
    """A string in a tool call's decoded arguments or in a tool's decoded result."""


class Leaf(NamedTuple):
    """A text: `holder[name]`."""

    holder: Any
    name: Any
    kind: Kind
    role: str
    path: Path

    @property
    def text(self) -> str:
        """What stands there."""
        found: str = self.holder[self.name]
        return found


NO_TEXT = frozenset({
    "type", "role", "id", "object", "model", "status", "name", "namespace", "call_id", "tool_call_id", "tool_use_id",
    "item_id", "response_id", "previous_response_id", "file_id", "container_id", "server_label", "finish_reason",
    "finishReason", "stop_reason", "signature", "thoughtSignature", "thought_signature", "encrypted_content",
    "encrypted_index", "media_type", "mimeType", "mime_type", "format", "detail", "url", "uri", "fileUri", "file_uri",
    "image_url", "file_url", "file_data", "b64_json", "result", "data", "service_tier", "system_fingerprint",
    "obfuscation", "taskType", "task_type", "phase", "execution", "language", "logprobs", "logprobsResult",
    "responseId", "modelVersion", "index", "event_id", "effort", "truncation",
})  # fmt: skip
"""Members that hold no text; below them nothing is looked at."""
_TREES = NO_TEXT - {"result", "name"}
_REASONING = frozenset({"thinking", "reasoning", "reasoning_content", "summary", "reasoning_details"})
_ROLES = {
    "system": "system", "developer": "system", "user": "user", "assistant": "assistant", "model": "assistant",
    "tool": "tool", "function": "tool",
}  # fmt: skip
_DATA = frozenset({"args", "arguments", "response"})


def leaves(value: Any, *, role: str = "", kind: Kind = Kind.TEXT, path: Path = ()) -> Iterator[Leaf]:
    """Return the texts below `value` in order; `kind` is what a text is unless its member tells."""
    if isinstance(value, dict):
        role = role_of(value, role)
        for name, inner in value.items():
            if isinstance(inner, str):
                found = kind_of(value, name, kind)
                if found is not None:
                    yield Leaf(value, name, found, role, (*path, name))
            elif isinstance(inner, dict | list):
                below = _below(value, name, kind)
                if below is not None:
                    yield from leaves(inner, role=role, kind=below, path=(*path, name))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            if isinstance(inner, str):
                yield Leaf(value, at, kind, role, (*path, at))
            else:
                yield from leaves(inner, role=role, kind=kind, path=(*path, at))


def role_of(holder: Mapping[str, Any], default: str) -> str:
    """Return who speaks in an object: system, user, assistant or tool."""
    role = holder.get("role")
    if isinstance(role, str):
        return _ROLES.get(role, role)
    kind = holder.get("type")
    if isinstance(kind, str) and (kind.endswith(("_output", "tool_result")) and kind != "code_output"):
        return "tool"
    if "functionResponse" in holder or "function_response" in holder:
        return "tool"
    return default


def kind_of(holder: Mapping[str, Any], name: str, kind: Kind) -> Kind | None:
    """Return what the string `holder[name]` is; None when it is no text."""
    if kind is Kind.DATA:
        return kind
    if name == "arguments":
        return Kind.SOURCE
    if name in NO_TEXT:
        return Kind.TEXT if name == "data" and holder.get("type") == "text" else None
    if name == "refusal":
        return Kind.REFUSAL
    if name in _REASONING or kind is Kind.REASONING or holder.get("thought") is True:
        return Kind.REASONING
    return kind


def _below(holder: Mapping[str, Any], name: str, kind: Kind) -> Kind | None:
    if kind is Kind.DATA:
        return kind
    if name in _TREES:
        return None
    if name in _DATA or (name == "input" and str(holder.get("type")).endswith("tool_use")):
        return Kind.DATA
    if name in _REASONING or holder.get("type") == "reasoning":
        return Kind.REASONING
    return kind


def descriptions(value: Any) -> Iterator[Leaf]:
    """Return the texts by which tools and formats are described; their other strings are code."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "description" and isinstance(inner, str):
                yield Leaf(value, name, Kind.TEXT, "system", (name,))
            else:
                yield from descriptions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from descriptions(inner)
