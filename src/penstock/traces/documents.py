"""Inputs and outputs as JSON documents, from the many shapes in which instrumentations send them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from penstock.core import clock
from penstock.traces import body, dialects

Event = tuple[str, int, dict[str, Any]]
_WRAPPERS = frozenset({"message", "tool_call", "message_content", "document"})
_MAX_VECTOR = 32


def as_text(value: Any) -> str:
    """Return a label's value as text: text itself, anything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def parsed(value: Any) -> Any:
    """Return a JSON text decoded; any other value, or broken JSON, as it is."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return value
    return value


def as_object(value: Any) -> dict[str, Any]:
    """Return an object, or the object that a JSON text holds; {} for anything else."""
    found = parsed(value)
    return found if isinstance(found, dict) else {}


def from_value(value: Any) -> bytes:
    """Return `value` as a JSON document; a text that is JSON already stays as it was sent."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            raw = value.encode()
            msgspec.json.decode(raw, type=msgspec.Raw)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return encode(value)
        return raw
    return encode(value)


def encode(value: Any) -> bytes:
    """Return `value` as JSON; lone surrogates, which JSON readers refuse, become replacement characters."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(body.storable(value))


def with_system(system: Any, messages: bytes | None) -> bytes:
    """Return the messages with the system instructions in front, as one of them."""
    first = b'{"role":"system","parts":' + from_value(system) + b"}"
    if messages is None or messages == b"[]":
        return b"[" + first + b"]"
    if messages[:1] == b"[":
        return b"[" + first + b"," + messages[1:]
    return b"[" + first + b',{"role":"user","content":' + messages + b"}]"


def from_list(flat: Mapping[str, Any]) -> bytes:
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
        node[last] = parsed(value) if last == "metadata" else value
    return encode(_folded(root))


def _folded(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if len(node) == 1 and (name := next(iter(node))) in _WRAPPERS:
        return _folded(node[name])
    if node and all(key.isascii() and key.isdigit() and len(key) < 8 for key in node):
        return [_folded(node[key]) for key in sorted(node, key=int)]
    return {key: _folded(value) for key, value in node.items()}


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
        given if given is not None or not asked else encode(asked),
        answer if answer is not None or not said else encode(said),
        left if (given is None or not asked) and (answer is None or not said) else list(events),
    )


def _message(event: Event, asked: list[Any], said: list[Any]) -> bool:
    name, _, attributes = event
    if name in dialects.MESSAGE_EVENTS:
        content = {key.removeprefix("gen_ai."): parsed(value) for key, value in attributes.items()}
        asked.append({"role": dialects.MESSAGE_EVENTS[name], **content})
    elif name == dialects.CHOICE_EVENT:
        said.append({key: parsed(value) for key, value in attributes.items()})
    elif name == dialects.PROMPT_EVENT and "gen_ai.prompt" in attributes:
        asked.append(parsed(attributes["gen_ai.prompt"]))
    elif name == dialects.COMPLETION_EVENT and "gen_ai.completion" in attributes:
        said.append(parsed(attributes["gen_ai.completion"]))
    elif name == dialects.DETAIL_EVENT:
        for key, into in (
            ("gen_ai.system_instructions", asked),
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
