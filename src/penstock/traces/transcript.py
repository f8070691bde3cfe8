"""What was said in a recorded call, whatever shape it was recorded in.

Understands the requests and answers of OpenAI (chat completions, responses), Anthropic and Gemini, the messages of
OpenTelemetry GenAI and OpenInference, and plain texts. What has none of these shapes is shown as its JSON.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from penstock.traces import documents

PartType = Literal["text", "reasoning", "tool_call", "tool_result", "file"]

_ROLES = {
    "human": "user",
    "ai": "assistant",
    "model": "assistant",
    "developer": "system",
    "function": "tool",
}
_TEXT = frozenset({"text", "input_text", "output_text", "refusal"})
_REASONING = frozenset({"reasoning", "thinking", "redacted_thinking", "summary_text"})
_CALLS = frozenset({"tool_call", "tool_use", "function_call", "function", "tool-call"})
_RESULTS = frozenset({"tool_call_response", "tool_result", "function_call_output", "tool-result"})
_SAID = frozenset({"message", "human", "ai"})
_DEEPEST = 12


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A piece of a message. A tool call's `text` is its arguments, a file's what is known of it."""

    type: PartType
    text: str = ""
    name: str | None = None
    id: str | None = None


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message: system, user, assistant or tool (other roles as they were recorded)."""

    role: str
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The text parts, one after the other."""
        return "\n".join(part.text for part in self.parts if part.type == "text")


def of_input(document: bytes | None) -> list[Message]:
    """Return the messages of a recorded request; what is no message is one of the user."""
    return _messages(documents.to_plain(document), "user", 0)


def of_output(document: bytes | None) -> list[Message]:
    """Return the messages of a recorded answer; what is no message is one of the assistant."""
    return _messages(documents.to_plain(document), "assistant", 0)


def question(document: bytes | None) -> str:
    """Return what the user said last; without a user's message, all that was given."""
    found = of_input(document)
    for message in reversed(found):
        if message.role == "user" and message.text:
            return message.text
    return "\n".join(message.text for message in found if message.text)


def answer(document: bytes | None) -> str:
    """Return the text that came back; without any, the tools it asked for."""
    found = of_output(document)
    said = [message.text for message in found if message.role == "assistant" and message.text]
    if said:
        return said[-1]
    calls = [part for message in found for part in message.parts if part.type == "tool_call"]
    if calls:
        return "\n".join(f"{part.name or 'tool'}({part.text})" for part in calls)
    return "\n".join(message.text for message in found if message.text)


def _messages(value: Any, role: str, depth: int) -> list[Message]:
    if value is None or value == "" or value == [] or depth > _DEEPEST:
        return []
    if isinstance(value, str):
        return [Message(role=role, parts=(Part(type="text", text=value),))]
    if isinstance(value, list):
        return _of_list(value, role, depth)
    if isinstance(value, Mapping):
        return _of_object(value, role, depth)
    return [Message(role=role, parts=(Part(type="text", text=_json(value)),))]


def _of_list(value: list[Any], role: str, depth: int) -> list[Message]:
    if not any(isinstance(item, Mapping) and _is_message(item) for item in value):
        parts = tuple(part for item in value for part in _parts(item, depth + 1))
        return [Message(role=role, parts=parts)] if parts else []
    return [message for item in value for message in _messages(item, role, depth + 1)]


def _is_message(item: Mapping[str, Any]) -> bool:
    if "role" in item or "message" in item or item.get("type") in _SAID:
        return True
    return _holds_message(item)


def _holds_message(item: Mapping[str, Any]) -> bool:
    """Whether `item` is a candidate of Gemini: a message below `content`."""
    inner = item.get("content")
    return isinstance(inner, Mapping) and ("role" in inner or "parts" in inner)


_WRAPPED = ("messages", "contents", "choices", "candidates", "input", "output", "prompt", "message")


def _of_object(value: Mapping[str, Any], role: str, depth: int) -> list[Message]:
    if _holds_message(value):
        return _messages(value["content"], role, depth + 1)
    if "role" in value or "parts" in value or _is_answer(value):
        return _message(value, role, depth)
    for name in _WRAPPED:
        if name in value and not _is_part(value):
            return _system(value) + _messages(value[name], role, depth + 1)
    if isinstance(value.get("content"), str | list | Mapping) and not _is_part(value):
        return _message(value, role, depth)
    parts = tuple(_parts(value, depth + 1))
    return [Message(role=role, parts=parts)] if parts else []


def _is_answer(value: Mapping[str, Any]) -> bool:
    return "tool_calls" in value or ("content" in value and value.get("type") in _SAID)


def _is_part(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("type"), str) and value["type"] in _CALLS | _RESULTS | _TEXT | _REASONING


def _system(value: Mapping[str, Any]) -> list[Message]:
    for name in ("system", "instructions", "systemInstruction", "system_instruction"):
        if value.get(name):
            given = value[name]
            given = given.get("parts", given) if isinstance(given, Mapping) else given
            return [Message(role="system", parts=tuple(_parts(given, 1)))]
    return []


def _message(value: Mapping[str, Any], role: str, depth: int) -> list[Message]:
    named = value.get("role", value.get("type"))
    role = named if isinstance(named, str) and named and named != "message" else role
    role = _ROLES.get(role, role)
    parts: list[Part] = []
    if value.get("reasoning_content"):
        parts.append(Part(type="reasoning", text=_text(value["reasoning_content"])))
    for name in ("parts", "content", "contents"):
        if value.get(name) is not None:
            parts.extend(_parts(value[name], depth + 1))
            break
    calls = value.get("tool_calls")
    parts.extend(
        part for call in (calls if isinstance(calls, list) else []) for part in _parts(call, depth + 1)
    )
    if role == "tool" and parts and all(part.type == "text" for part in parts):
        text = "\n".join(part.text for part in parts)
        number = value.get("tool_call_id", value.get("id"))
        parts = [Part(type="tool_result", text=text, name=_name(value.get("name")), id=_name(number))]
    return [Message(role=role, parts=tuple(parts))] if parts else []


def _parts(value: Any, depth: int) -> Iterator[Part]:
    if value is None or value == "" or depth > _DEEPEST:
        return
    if isinstance(value, list):
        for item in value:
            yield from _parts(item, depth + 1)
    elif isinstance(value, Mapping):
        yield _part(value)
    else:
        yield Part(type="text", text=_text(value))


def _part(value: Mapping[str, Any]) -> Part:
    given = value.get("type")
    kind = given if isinstance(given, str) else ""
    if kind in _RESULTS or "functionResponse" in value:
        return _result(value)
    if kind in _CALLS or "functionCall" in value or isinstance(value.get("function"), Mapping):
        return _call(value)
    if kind in _REASONING or value.get("thought") is True:
        said = next(
            (value[name] for name in ("thinking", "content", "text", "summary") if value.get(name)), ""
        )
        return Part(type="reasoning", text=_text(said))
    for name in ("text", "content", "refusal", "transcript"):
        if (kind in _TEXT or not kind) and isinstance(value.get(name), str):
            return Part(type="text", text=value[name])
    return Part(type="file", text=_file(value), name=kind or None)


def _call(value: Mapping[str, Any]) -> Part:
    inner = next((value[k] for k in ("function", "functionCall") if isinstance(value.get(k), Mapping)), value)
    names = ("arguments", "input", "args")
    given = next((inner[name] for name in names if inner.get(name) is not None), "")
    return Part(
        type="tool_call",
        text=_text(given),
        name=_name(inner.get("name")),
        id=_name(value.get("id", value.get("call_id"))),
    )


def _result(value: Mapping[str, Any]) -> Part:
    inner = value["functionResponse"] if isinstance(value.get("functionResponse"), Mapping) else value
    names = ("response", "result", "content", "output")
    given = next((inner[name] for name in names if inner.get(name) is not None), "")
    if isinstance(given, list):
        given = "\n".join(part.text for part in _parts(given, 1))
    number = next((value[k] for k in ("id", "tool_use_id", "call_id", "tool_call_id") if value.get(k)), None)
    return Part(type="tool_result", text=_text(given), name=_name(inner.get("name")), id=_name(number))


_LONG = 200


def _file(value: Mapping[str, Any]) -> str:
    """Return a part that is not text as JSON, long values (the file itself) as their length."""

    def short(item: Any) -> Any:
        return f"({len(item)} characters)" if isinstance(item, str) and len(item) > _LONG else item

    return _json(
        {
            key: {name: short(inner) for name, inner in item.items()}
            if isinstance(item, Mapping)
            else short(item)
            for key, item in value.items()
        }
    )


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: Any) -> str:
    return documents.encode(value).decode("utf-8", "replace")


def shown(messages: list[Message]) -> str:
    """Return messages as one text to read and compare."""
    return "\n\n".join(f"{message.role}: {_shown(message)}" for message in messages)


def _shown(message: Message) -> str:
    return "\n".join(
        part.text if part.type == "text" else f"[{part.type} {part.name or ''}] {part.text}"
        for part in message.parts
    )
