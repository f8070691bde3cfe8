"""A chat request as a request of Cohere's chat API (v2). Pure functions over decoded JSON.

From https://platform.openai.com/docs/api-reference/chat/create to https://docs.cohere.com/reference/chat.
"""

from collections.abc import Mapping
from typing import Any

from penstock.gateway.dialects.chat_reading import (
    attempt,
    bad,
    calls_of,
    check_members,
    check_single_calls,
    choice_of,
    functions_of,
    inner_of,
    left_out,
    limit_of,
    messages_of,
    parts_of,
    refused,
    schema_format,
    stops_of,
    text_of,
    tool_call_id,
)

WHOM = "Cohere"
SAME = (
    "temperature",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "stream",
    "documents",
    "citation_options",
    "safety_mode",
    "strict_tools",
    "priority",
)
"""Members that both APIs share, or that only Cohere knows and a caller may send on purpose."""
RENAMED = {"top_p": "p", "top_k": "k"}
KNOWN = frozenset(
    {
        "model", "messages", "max_tokens", "max_completion_tokens", "stop", "tools", "tool_choice", "response_format",
        "thinking", "reasoning_effort", "parallel_tool_calls", *SAME, *RENAMED,
    }
)  # fmt: skip


def translate_request(body: Mapping[str, Any], model: str, *, drop: bool = False) -> dict[str, Any]:
    """Return Cohere's request for a chat request.

    Raises Invalid for what cannot be said there; with `drop`, unsupported members are left out instead.
    """
    if not drop:
        check_members(body, KNOWN, WHOM)
    out: dict[str, Any] = {"model": model, "messages": [_message(*each) for each in messages_of(body)]}
    out |= {name: body[name] for name in SAME if body.get(name) is not None}
    out |= {RENAMED[name]: body[name] for name in RENAMED if body.get(name) is not None}
    if (limit := limit_of(body)) is not None:
        out["max_tokens"] = limit
    if stops := stops_of(body):
        out["stop_sequences"] = stops
    for part in (_tools, _format, _thinking):
        attempt(part, body, out, drop=drop)
    return out


def _message(where: str, role: str, message: Mapping[str, Any]) -> dict[str, Any]:
    content = [_part(part, place) for place, part in parts_of(message.get("content"), where)]
    if role == "assistant":
        return _assistant(message, content, where)
    made: dict[str, Any] = {"role": role, "content": _plain(content)}
    if role == "tool":
        made["tool_call_id"] = tool_call_id(message, where)
        if message.get("is_error"):
            made["content"] = _plain([{"type": "text", "text": "Error: "}, *content])
    return made


def _plain(content: list[dict[str, Any]]) -> Any:
    """Return the content as a string when it is one text: that is how most callers sent it."""
    if len(content) == 1 and content[0]["type"] == "text":
        return content[0]["text"]
    return content or ""


def _part(part: Mapping[str, Any], where: str) -> dict[str, Any]:
    text = text_of(part)
    if text is not None:
        return {"type": "text", "text": text}
    if part.get("type") == "image_url":
        image = inner_of(part, "image_url", where)
        if not isinstance(image.get("url"), str):
            raise bad(f"{where}.image_url.url must be a URL or a data URL.", where)
        detail = {"detail": image["detail"]} if image.get("detail") else {}
        return {"type": "image_url", "image_url": {"url": image["url"], **detail}}
    raise bad(f"{where} has the type {part.get('type')!r}, which {WHOM} does not take.", where)


def _assistant(message: Mapping[str, Any], content: list[dict[str, Any]], where: str) -> dict[str, Any]:
    made: dict[str, Any] = {"role": "assistant"}
    calls = message.get("tool_calls") or []
    calls_of(message, where)  # only to refuse what is broken: both APIs carry arguments as text
    thought = message.get("reasoning_content")
    if calls:
        made["tool_calls"] = [
            {"id": call.get("id"), "type": "function", "function": call["function"]} for call in calls
        ]
        if thought:
            made["tool_plan"] = thought
    elif thought:
        content = [{"type": "thinking", "thinking": thought}, *content]
    if content or not calls:
        made["content"] = _plain(content)
    return made


def _tools(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    functions = functions_of(body, WHOM)
    kind, name = choice_of(body)
    if kind == "named":
        # There is no choice of one tool there: a call that is required, with one tool to call, is the same.
        functions = [each for each in functions if each[1]["name"] == name]
        if not functions:
            raise bad(f"tool_choice names {name!r}, which is none of the tools.", "tool_choice")
    if not functions:
        return
    out["tools"] = [{"type": "function", "function": _function(function)} for _, function in functions]
    if any(function.get("strict") is True for _, function in functions):
        out.setdefault("strict_tools", True)
    if kind in ("required", "named"):
        out["tool_choice"] = "REQUIRED"
    elif kind == "none":
        out["tool_choice"] = "NONE"
    check_single_calls(body, WHOM)


def _function(function: Mapping[str, Any]) -> dict[str, Any]:
    names = ("name", "description", "parameters")
    made = {name: function[name] for name in names if function.get(name) is not None}
    return {"parameters": {"type": "object", "properties": {}}} | made


def _format(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    given = body.get("response_format")
    if left_out("response_format", given):
        return
    inner = schema_format(body)
    if inner is not None:
        out["response_format"] = {"type": "json_object", "json_schema": inner["schema"]}
    elif isinstance(given, dict) and given.get("type") == "json_object":
        out["response_format"] = {"type": "json_object"}
    else:
        raise refused(
            "response_format", WHOM, "only json_object and json_schema with a schema have counterparts"
        )


def _thinking(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    thinking = body.get("thinking")
    if isinstance(thinking, dict):
        made = {"type": "disabled" if thinking.get("type") == "disabled" else "enabled"}
        budget = thinking.get("budget_tokens", thinking.get("token_budget"))
        out["thinking"] = made if budget is None else made | {"token_budget": budget}
    elif thinking is not None:
        raise bad("thinking must be an object.", "thinking")
    elif body.get("reasoning_effort") is not None:
        # Efforts have no counterpart: models that think do so unless told not to.
        out["thinking"] = {"type": "disabled" if body["reasoning_effort"] == "none" else "enabled"}
