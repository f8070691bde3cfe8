"""What was said in a recorded call, as texts to read: the user's question, the answer, the whole conversation."""

from collections.abc import Mapping
from typing import Any

from penstock.traces import documents, messages

Message = Mapping[str, Any]
"""A message in the one shape of `messages`."""


def of_input(document: bytes | None) -> list[Message]:
    """Return the messages of a recorded request; what is no conversation is one text of the user."""
    return _messages(document, "user")


def of_output(document: bytes | None) -> list[Message]:
    """Return the messages of a recorded answer; what is no conversation is one text of the assistant."""
    return _messages(document, "assistant")


def _messages(document: bytes | None, role: str) -> list[Message]:
    if not document:
        return []
    found = messages.of_document(document, role)
    if found is None:
        shown = documents.encode(documents.to_plain(document)).decode("utf-8", "replace")
        return [{"role": role, "parts": [{"type": "text", "content": shown}]}]
    return list(found)


def text(message: Message) -> str:
    """Return the text parts of a message, one after the other."""
    parts = message.get("parts")
    said = [_said(part) for part in parts if part.get("type") == "text"] if isinstance(parts, list) else []
    return "\n".join(one for one in said if one)


def question(document: bytes | None) -> str:
    """Return what the user said last; without a user's message, all that was given."""
    found = of_input(document)
    for message in reversed(found):
        if message.get("role") == "user" and text(message):
            return text(message)
    return "\n".join(text(message) for message in found if text(message))


def answer(document: bytes | None) -> str:
    """Return the text that came back; without any, the tools it asked for."""
    found = of_output(document)
    said = [text(message) for message in found if message.get("role") == "assistant" and text(message)]
    if said:
        return said[-1]
    calls = [part for message in found for part in message["parts"] if part.get("type") == "tool_call"]
    if calls:
        return "\n".join(f"{part.get('name') or 'tool'}({_said(part)})" for part in calls)
    return "\n".join(text(message) for message in found if text(message))


def shown(found: list[Message]) -> str:
    """Return messages as one text to read and compare."""
    return "\n\n".join(
        f"{message.get('role')}: " + "\n".join(_part(part) for part in message["parts"]) for message in found
    )


def _part(part: Mapping[str, Any]) -> str:
    kind = part.get("type")
    if kind == "text":
        return _said(part)
    return f"[{kind} {part.get('name') or ''}".rstrip() + f"] {_said(part)}"


_HELD = ("content", "arguments", "response", "uri", "file_id")
_LONG = 200


def _said(part: Mapping[str, Any]) -> str:
    """Return what a part holds as text; of a file's content only its length."""
    held = next((part[name] for name in _HELD if part.get(name) is not None), "")
    said = held if isinstance(held, str) else documents.encode(held).decode("utf-8", "replace")
    if part.get("type") == "blob" and len(said) > _LONG:
        return f"({len(said)} characters)"
    return said
