"""Conversations in one shape, from the many in which models' APIs and instrumentations hold them.

The shape is that of the OpenTelemetry GenAI conventions (gen-ai-input-messages.json, gen-ai-output-messages.json):
a list of `{"role", "parts": […], "finish_reason"?, "name"?}`, each part one of

    {"type": "text", "content"}                        {"type": "reasoning", "content"}
    {"type": "tool_call", "id", "name", "arguments"}   {"type": "tool_call_response", "id", "response"}
    {"type": "blob", "modality", "mime_type", "content"} (base64)
    {"type": "uri", "modality", "uri"}                 {"type": "file", "modality", "file_id"}

Members that this page does not know stay where they were, so that nothing is lost on the way.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.traces import parts

MAX_MESSAGES = 10_000
_CONTAINERS = ("messages", "input", "contents", "prompt")
_ANSWERS = ("choices", "output", "candidates", "generations", "message", "outputs")
_USUAL = frozenset({"user", "assistant", "system"})
_ROLES = {
    "human": "user",
    "humanmessage": "user",
    "humanmessagechunk": "user",
    "ai": "assistant",
    "aimessage": "assistant",
    "aimessagechunk": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "systemmessage": "system",
    "developer": "system",
    "toolmessage": "tool",
    "system": "system",
    "tool": "tool",
    "function": "tool",
    "functionmessage": "tool",
}


def canonical(value: Any, role: str) -> list[dict[str, Any]] | None:
    """Return the conversation that `value` holds, or None when it is none: an object of another kind, a number.

    `role` is who speaks where nothing says so: "user" for what a model was asked, "assistant" for what it said.
    """
    try:
        return _canonical(value, role)
    except RecursionError:
        return None  # nested beyond any message


def _canonical(value: Any, role: str) -> list[dict[str, Any]] | None:
    if isinstance(value, str):
        decoded = parts.decoded(value)
        if isinstance(decoded, str):
            return [{"role": role, "parts": [parts.text(decoded)]}]
        value = decoded
    if isinstance(value, list):
        return _listed(value, role)
    if isinstance(value, dict) and len(value) == 2:
        said, content = value.get("role"), value.get("content")
        if isinstance(content, str) and content[:1] != "[" and isinstance(said, str) and said in _USUAL:
            return [{"role": said, "parts": [parts.text(content)] if content else []}]
    return _held(value, role) if isinstance(value, Mapping) else None


def of_document(document: bytes | None, role: str) -> list[dict[str, Any]] | None:
    """Return the conversation that a recorded document holds (see `canonical`), or None."""
    if not document:
        return None
    try:
        return canonical(msgspec.json.decode(document), role)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return canonical(document.decode("utf-8", "replace"), role)


def _listed(values: list[Any], role: str) -> list[dict[str, Any]] | None:
    if values and isinstance(values[0], list) and all(isinstance(one, list) for one in values):
        # LangChain sends one list of messages per prompt of a batch.
        values = [item for one in values for item in one]
    if values and _is_part(values[0]) and all(_is_part(one) for one in values):
        return [{"role": role, "parts": parts.of_content(values)}]
    found: list[dict[str, Any]] = []
    for one in values[:MAX_MESSAGES]:
        said = _canonical(one, role)
        if said is None:
            return None
        found.extend(said)
    return found


def _type(value: Mapping[str, Any]) -> str:
    kind = value.get("type")
    return kind if isinstance(kind, str) else ""


def _is_part(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and "role" not in value
        and _type(value) in parts.TYPES
        and ("data" not in value or not isinstance(value["data"], Mapping))
    )


def _held(value: Mapping[str, Any], role: str) -> list[dict[str, Any]] | None:
    """Return the messages of a message, a request, a response or a wrapper of one."""
    unwrapped = _unwrapped(value)
    if unwrapped is not None:
        return _canonical(unwrapped, role)
    if _is_message(value):
        return [message(value, role)]
    if _type(value) in ("function_call", "function_call_output", "reasoning"):
        return [_item(value)]
    return _request(value) if role == "user" else _response(value)


def _unwrapped(value: Mapping[str, Any]) -> Any:
    """Return what a LangChain constructor or serialised message holds, else None."""
    if value.get("type") == "constructor" and isinstance(value.get("kwargs"), Mapping):
        kind = str((value.get("id") or [""])[-1]).lower()
        return {"type": kind, **value["kwargs"]} if kind in _ROLES else value["kwargs"]
    if isinstance(value.get("data"), Mapping) and _type(value) in _ROLES:
        return {"type": value["type"], **value["data"]}
    for name in ("message", "content"):
        held = value.get(name)
        if isinstance(held, Mapping) and "role" not in value and (name == "message" or "parts" in held):
            rest = {key: item for key, item in value.items() if key in ("finish_reason", "finishReason")}
            inner = _unwrapped(held) or held
            return {**inner, **rest} if isinstance(inner, Mapping) else inner
    return None


def _is_message(value: Mapping[str, Any]) -> bool:
    if isinstance(value.get("role"), str) and value["role"]:
        return True
    if _type(value) in _ROLES and "content" in value:
        return True
    return "parts" in value or "tool_calls" in value or ("content" in value and value.get("type") is None)


def message(value: Mapping[str, Any], role: str) -> dict[str, Any]:
    """Return one message, whatever its dialect, as role and parts."""
    rest = dict(value)
    said = rest.pop("role", None) or rest.pop("type", None) or role
    found = parts.taken(rest)
    lowered = str(said).lower()
    made: dict[str, Any] = {"role": _ROLES.get(lowered, lowered), "parts": found}
    reason = (
        rest.pop("finish_reason", None) or rest.pop("finishReason", None) or rest.pop("stop_reason", None)
    )
    if reason:
        made["finish_reason"] = reason
    made.update((key, item) for key, item in rest.items() if item is not None and key not in made)
    return made


def _item(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a bare item of OpenAI's Responses API as a message."""
    role = "tool" if value.get("type") == "function_call_output" else "assistant"
    return {"role": role, "parts": parts.of_content([value])}


def _request(value: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Return the messages of a request, its system instructions first; None when it holds none."""
    found: list[dict[str, Any]] = []
    for name in ("system", "instructions", "systemInstruction", "system_instruction"):
        system = value.get(name)
        if isinstance(system, Mapping) and "parts" in system:
            system = system["parts"]
        if system:
            content = [system] if isinstance(system, str) else system
            found.append({"role": "system", "parts": parts.of_content(content)})
    for name in _CONTAINERS:
        held = value.get(name)
        if held is not None and held != "" and (said := _canonical(held, "user")) is not None:
            return found + said
    for name in ("question", "query", "user_input"):
        if isinstance(value.get(name), str):
            return [*found, {"role": "user", "parts": [parts.text(value[name])]}]
    return found or None


def _response(value: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Return the messages of a response; None when it holds none."""
    for name in _ANSWERS:
        held = value.get(name)
        if held is not None and (said := _canonical(held, "assistant")) is not None:
            return said
    for name in ("text", "output_text", "completion", "answer"):
        if isinstance(value.get(name), str):
            made: dict[str, Any] = {"role": "assistant", "parts": [parts.text(value[name])]}
            if value.get("finish_reason"):
                made["finish_reason"] = value["finish_reason"]
            return [made]
    return _canonical(value["messages"], "assistant") if isinstance(value.get("messages"), list) else None
