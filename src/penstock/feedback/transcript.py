"""Reading a recorded call: the messages that were sent and the text that came back.

Understands the JSON of OpenAI chat completions and Anthropic messages, OpenTelemetry's messages of parts, and the
plainer forms that instrumentors record (a text, a message, a list of messages).
"""

from collections.abc import Mapping
from typing import Any

import msgspec


def _decode(document: bytes | str | None) -> Any:
    if document is None:
        return None
    try:
        return msgspec.json.decode(document)
    except msgspec.DecodeError:
        return None


def _flat(content: Any) -> str | None:
    """Return the text of a message's content: a string, or a list of nothing but text parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        return None
    texts = [text for text in map(_part, content) if text is not None]
    return "".join(texts) if len(texts) == len(content) else None


def _part(part: Any) -> str | None:
    """Return the text of one part; None for an image, a tool call or anything else that is not text."""
    if not isinstance(part, Mapping) or part.get("type") not in ("text", "output_text", "input_text"):
        return None
    text = part.get("text", part.get("content"))
    return text if isinstance(text, str) else None


def _message(value: Any) -> dict[str, str] | None:
    if not isinstance(value, Mapping) or not isinstance(value.get("role"), str):
        return None
    text = _flat(value.get("content", value.get("parts")))
    return None if text is None else {"role": value["role"], "content": text}


def messages_of(document: bytes | str | None) -> tuple[dict[str, str], ...]:
    """Return the messages of a recorded request as `{role, content}`; empty when they are not plain text."""
    value = _decode(document)
    found: list[dict[str, str] | None] = []
    if isinstance(value, str):
        return ({"role": "user", "content": value},) if value else ()
    if isinstance(value, Mapping):
        system = _flat(value.get("system"))
        if system:
            found.append({"role": "system", "content": system})
        if isinstance(value.get("prompt"), str) and "messages" not in value:
            found.append({"role": "user", "content": value["prompt"]})
        value = value.get("messages", [])
    if not isinstance(value, list):
        return ()
    found += [_message(item) for item in value]
    complete = [message for message in found if message is not None]
    # A call with images or tool results cannot become a text pair; dropping parts would teach something else.
    return tuple(complete) if len(complete) == len(found) else ()


def text_of(document: bytes | str | None) -> str | None:
    """Return the text of a recorded answer, or None when there is none."""
    return _text(_decode(document))


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value:
        return _text(value[-1])
    if not isinstance(value, Mapping):
        return None
    choices = value.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
        return _text(choices[0].get("message") or choices[0].get("text"))
    for name in ("content", "parts", "message", "text", "output"):
        if value.get(name) is not None:
            flat = _flat(value[name])
            return flat if flat is not None else _text(value[name])
    return None
