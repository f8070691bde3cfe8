"""A filled-in prompt as the members of a request, in the shape of each API. Pure functions over decoded JSON."""

from collections.abc import Callable, Mapping
from typing import Any

from penstock.gateway.dialects import chat_to_messages
from penstock.gateway.model import Operation
from penstock.prompts.model import Rendered

Members = dict[str, Any]
LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""Names of one thing: a caller who gives any of them has said it."""
_SYSTEM = ("system", "developer")


def chat(rendered: Rendered) -> Members:
    """Return the members of a chat completion: https://platform.openai.com/docs/api-reference/chat/create."""
    messages = list(rendered.messages) or [{"role": "user", "content": rendered.text}]
    out: Members = {name: value for name, value in rendered.settings.items() if value is not None}
    out["messages"] = messages
    if rendered.tools:
        out["tools"] = list(rendered.tools)
    if rendered.output_schema is not None:
        out["response_format"] = {"type": "json_schema", "json_schema": _named(rendered)}
    return out


def _named(rendered: Rendered) -> dict[str, Any]:
    name = rendered.ref.partition("@")[0].replace(".", "_")[:64]
    return {"name": name, "schema": rendered.output_schema}


def messages(rendered: Rendered) -> Members:
    """Return the members of an Anthropic message; raises Invalid for what cannot be said there."""
    body = chat(rendered)
    turns = any(message["role"] not in _SYSTEM for message in body["messages"])
    if not turns:
        # The caller brings the turns; a request without any is refused where it is translated.
        body["messages"].append({"role": "user", "content": "-"})
    out = chat_to_messages.translate_request(body, str(body.get("model") or ""))
    if not turns:
        out["messages"] = []
    if not out["model"]:
        del out["model"]
    return out


def responses(rendered: Rendered) -> Members:
    """Return the members of a response: https://platform.openai.com/docs/api-reference/responses/create."""
    body = chat(rendered)
    out: Members = {"input": [item for message in body.pop("messages") for item in _items(message)]}
    if tools := body.pop("tools", None):
        out["tools"] = [_flat(tool) for tool in tools]
    if shape := body.pop("response_format", None):
        out["text"] = {"format": _flat(shape)}
    if (effort := body.pop("reasoning_effort", None)) is not None:
        out["reasoning"] = {"effort": effort}
    for name in LIMITS:
        if name in body:
            out["max_output_tokens"] = body.pop(name)
    return out | body


def _flat(nested: Mapping[str, Any]) -> dict[str, Any]:
    """Return a tool or format of chat as one of Responses, where the inner members lie beside the type."""
    kind = nested.get("type")
    inner = nested.get(kind) if isinstance(kind, str) else None
    return {"type": kind, **inner} if isinstance(inner, dict) else dict(nested)


def _items(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    role, content = message["role"], message.get("content")
    if role == "tool":
        output = content if isinstance(content, str) else _parts(content, "user")
        return [{"type": "function_call_output", "call_id": message.get("tool_call_id"), "output": output}]
    items: list[dict[str, Any]] = []
    if content:
        parts = content if isinstance(content, str) else _parts(content, role)
        items.append({"role": role, "content": parts})
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        named = {"name": function.get("name"), "arguments": function.get("arguments")}
        items.append({"type": "function_call", "call_id": call.get("id"), **named})
    return items


def _parts(content: Any, role: str) -> list[dict[str, Any]]:
    return [_part(part, role) for part in content or ()]


def _part(part: Mapping[str, Any], role: str) -> dict[str, Any]:
    kind = part.get("type")
    if kind == "text":
        return {"type": "output_text" if role == "assistant" else "input_text", "text": part.get("text")}
    if kind == "image_url":
        given = part.get("image_url")
        inner = given if isinstance(given, dict) else {"url": given}
        more = {"detail": inner["detail"]} if "detail" in inner else {}
        return {"type": "input_image", "image_url": inner.get("url"), **more}
    if kind == "file" and isinstance(part.get("file"), dict):
        return {"type": "input_file", **part["file"]}
    return dict(part)


WRITERS: Mapping[Operation, tuple[str, Callable[[Rendered], Members]]] = {
    Operation.CHAT: ("messages", chat),
    Operation.MESSAGES: ("messages", messages),
    Operation.RESPONSES: ("input", responses),
}
"""Operations that take prompts: the member that holds what is said, and who writes the members."""
