"""Inputs and outputs as JSON documents, from the many shapes in which instrumentations send them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from penstock.core import clock
from penstock.traces import body, dialects, messages

Event = tuple[str, int, dict[str, Any]]
Shape = Literal["asked", "said", "documents", "plain"]
"""What a document is: messages to a model, messages from it, retrieved documents, or anything."""

_WRAPPERS = frozenset(
    {"message", "tool_call", "message_content", "document", "tool", "embedding", "evaluation", "annotation"}
)
_MAX_VECTOR = 32
_SPEAKER = {"asked": "user", "said": "assistant"}
_SCORES = ("score", "relevance_score", "_score", "similarity", "distance")


def as_text(value: Any) -> str:
    """Return a label's value as text: text itself, anything else as JSON."""
    return value if isinstance(value, str) else encode(value).decode("utf-8", "replace")


def parsed(value: Any) -> Any:
    """Return a JSON text decoded; any other value, or broken JSON, as it is."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return value
    return value


def unquoted(value: Any) -> Any:
    """Return the text that a JSON text in quotes stands for (MLflow's attributes); anything else as it is."""
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeError):
            return value
    return value


def as_object(value: Any) -> dict[str, Any]:
    """Return an object, or the object that a JSON text holds; {} for anything else."""
    found = parsed(value)
    return found if isinstance(found, dict) else {}


def from_value(value: Any, shape: Shape = "plain") -> bytes:
    """Return `value` as a JSON document of a shape; a JSON text that has it already stays as it was sent."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            raw = value.encode()
            if shape == "plain" or (shape != "documents" and _canonical(raw)):
                msgspec.json.decode(raw, type=msgspec.Raw)
                return raw
            return shaped(msgspec.json.decode(raw), shape, raw)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return shaped(value, shape)
    return shaped(value, shape)


def _canonical(raw: bytes) -> bool:
    """Whether messages certainly have their one shape: parts, none of which needs a second look."""
    return raw[:2] == b"[{" and b'"parts"' in raw and b'"type"' in raw and b"tool_" not in raw


def shaped(value: Any, shape: Shape, raw: bytes | None = None) -> bytes:
    """Return `value` as a JSON document in the one form of its shape, or as it is (`raw`) when it has another."""
    if shape == "documents":
        found: Any = retrieved(value)
    elif shape == "plain":
        found = None
    else:
        found = messages.canonical(value, _SPEAKER[shape])
    if found is None:
        return encode(value) if raw is None else raw
    return encode(found)


def retrieved(value: Any) -> list[dict[str, Any]] | None:
    """Return documents as `{"id", "score", "content", "metadata"}`, whoever found them; None for anything else."""
    if isinstance(value, dict):
        value = next(
            (value[name] for name in ("documents", "results", "matches", "data") if name in value), None
        )
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        return None
    return [_document(one) for one in value]


def _document(value: dict[str, Any]) -> dict[str, Any]:
    if isinstance(value.get("kwargs"), dict) and value.get("type") == "constructor":
        value = value["kwargs"]
    if isinstance(value.get("node"), dict):
        value = {**value["node"], **{key: item for key, item in value.items() if key != "node"}}
    rest = dict(value)
    content = next((rest.pop(name) for name in ("content", "page_content", "text") if name in rest), None)
    metadata = rest.get("metadata")
    found: dict[str, Any] = {}
    number = rest.pop("id", rest.pop("id_", None))
    if number is not None:
        found["id"] = number
    score = rest.pop("score", None)
    if score is None and isinstance(metadata, dict):
        # LangChain's vector stores tell the score in the metadata alone.
        score = next((metadata[name] for name in _SCORES if name in metadata), None)
    if score is not None:
        found["score"] = score
    if content is not None:
        found["content"] = content
    return found | {key: item for key, item in rest.items() if item is not None}


def encode(value: Any) -> bytes:
    """Return `value` as JSON; lone surrogates, which JSON readers refuse, become replacement characters."""
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError, TypeError):
        return msgspec.json.encode(body.storable(value))


def with_system(system: Any, asked: bytes | None) -> bytes:
    """Return the messages with the system instructions in front, as one of them."""
    first = b'{"role":"system","parts":' + _system(system) + b"}"
    if asked is None or asked == b"[]":
        return b"[" + first + b"]"
    if asked[:1] == b"[":
        return b"[" + first + b"," + asked[1:]
    return b"[" + first + b',{"role":"user","parts":[{"type":"text","content":' + asked + b"}]}]"


def _system(system: Any) -> bytes:
    value = parsed(system)
    if isinstance(value, list) and all(isinstance(one, dict) and "content" in one for one in value):
        return encode(value)
    said = messages.canonical(value, "system")
    return encode(value if said is None else [part for one in said for part in one["parts"]])


def unflattened(flat: Mapping[str, Any]) -> Any:
    """Return the list whose leaves are `flat` (`0.message.role` → value), without the wrapping names."""
    root: dict[str, Any] = {}
    for path, value in flat.items():
        node = root
        *way, last = path.split(".")[:24]
        for step in way:
            following = node.setdefault(step, {})
            if not isinstance(following, dict):
                following = node[step] = {"": following}
            node = following
        node[last] = parsed(value) if last in ("metadata", "json_schema") else value
    return _folded(root)


def _folded(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    first = next(iter(node), "")
    if len(node) == 1 and first in _WRAPPERS:
        return _folded(node[first])
    if first[:1].isdigit() and all(key.isascii() and key.isdigit() and len(key) < 8 for key in node):
        return [_folded(node[key]) for key in (node if len(node) == 1 else sorted(node, key=int))]
    return {key: _folded(value) if isinstance(value, dict) else value for key, value in node.items()}


def keep_unless_repeated(rest: dict[str, Any], held: tuple[str, Any], flat: Mapping[str, Any]) -> None:
    """Keep a plain document beside the structured one, unless it is (the start of) one of its texts."""
    key, value = held
    if isinstance(value, str) and any(
        isinstance(one, str) and one.startswith(value) for one in flat.values()
    ):
        return
    rest[key] = parsed(value)


def keep_list_unless_repeated(
    rest: dict[str, Any], prefix: str, flat: Mapping[str, Any], chosen: bytes | None
) -> None:
    """Keep those leaves of a second list of messages that the chosen document does not hold."""
    for path, value in flat.items():
        if chosen is None or not isinstance(value, str) or encode(value)[1:-1] not in chosen:
            rest[f"{prefix}.{path}"] = value


_VECTOR = re.compile(r"\.vector$|^embedding\.embeddings\.\d+\.embedding\.vector$")


def shortened(key: str, value: Any) -> Any:
    """Return an embedding vector as its length: it is large, and nobody reads it in a trace."""
    if isinstance(value, list | tuple) and len(value) > _MAX_VECTOR and _VECTOR.search(key):
        return f"({len(value)} numbers)"
    return value


def moment_ns(value: Any) -> int | None:
    """Return an ISO 8601 text (or JSON text of one) as nanoseconds since the epoch, or None."""
    if not isinstance(value, str):
        return None
    try:
        return clock.to_ns(clock.parse_iso(value.strip('"')))
    except (ValueError, OverflowError):
        return None


def from_events(
    events: Sequence[Event], given: bytes | None, answer: bytes | None
) -> tuple[bytes | None, bytes | None, list[Event]]:
    """Return input, output and the events left, where older conventions put messages into span events."""
    if not events:
        return given, answer, []
    asked: list[Any] = []
    said: list[Any] = []
    left: list[Event] = []
    for event in events:
        if not _message(event, asked, said):
            left.append(event)
    return (
        given if given is not None or not asked else shaped(asked, "asked"),
        answer if answer is not None or not said else shaped(said, "said"),
        left if (given is None or not asked) and (answer is None or not said) else list(events),
    )


def _message(event: Event, asked: list[Any], said: list[Any]) -> bool:
    name, _, attributes = event
    if name in dialects.MESSAGE_EVENTS:
        content = {key: parsed(value) for key, value in attributes.items() if not key.startswith("gen_ai.")}
        if name == dialects.TOOL_EVENT and "id" in content:
            content["tool_call_id"] = content.pop("id")
        asked.append({"role": dialects.MESSAGE_EVENTS[name], **content})
    elif name == dialects.CHOICE_EVENT:
        said.append({key: parsed(v) for key, v in attributes.items() if not key.startswith("gen_ai.")})
    elif name == dialects.PROMPT_EVENT and "gen_ai.prompt" in attributes:
        asked.append(parsed(attributes["gen_ai.prompt"]))
    elif name == dialects.COMPLETION_EVENT and "gen_ai.completion" in attributes:
        said.append(parsed(attributes["gen_ai.completion"]))
    elif name == dialects.DETAIL_EVENT:
        if (system := attributes.get("gen_ai.system_instructions")) is not None:
            asked.append({"role": "system", "parts": parsed(system)})
        for key, into in (
            ("gen_ai.input.messages", asked),
            ("gen_ai.output.messages", said),
        ):
            value = parsed(attributes.get(key))
            into.extend(value if isinstance(value, list) else [] if value is None else [value])
    else:
        return False
    return True


def to_plain(document: bytes | None) -> Any:
    """Return a stored document as plain Python values; text that is not JSON as text."""
    if document is None:
        return None
    try:
        return msgspec.json.decode(document)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return document.decode("utf-8", "replace")
