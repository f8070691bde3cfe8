"""An Anthropic messages request as an OpenAI chat request. Pure functions over decoded JSON.

From https://docs.anthropic.com/en/api/messages to https://platform.openai.com/docs/api-reference/chat/create.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.core.errors import Invalid

SHARED = ("max_tokens", "temperature", "top_p", "stream", "service_tier")
"""Members that mean the same on both sides."""


def _bad(message: str, param: str) -> Invalid:
    return Invalid(message, details={"param": param, "code": "invalid_value"})


def translate_request(body: Mapping[str, Any], model: str) -> dict[str, Any]:
    """Return the chat request for a messages request; raises Invalid for what has no counterpart."""
    messages: list[dict[str, Any]] = []
    if body.get("system"):
        messages.append({"role": "system", "content": _text(body["system"], "system")})
    given = body.get("messages")
    if not isinstance(given, list) or not given:
        raise _bad("messages must be a list with at least one message.", "messages")
    for index, message in enumerate(given):
        messages += _message(message, f"messages[{index}]")
    out: dict[str, Any] = {"model": model, "messages": messages}
    out |= {name: body[name] for name in SHARED if body.get(name) is not None}
    if body.get("stream"):
        out["stream_options"] = {"include_usage": True}
    if body.get("stop_sequences"):
        out["stop"] = body["stop_sequences"]
    metadata = body.get("metadata")
    if isinstance(metadata, dict) and metadata.get("user_id"):
        out["user"] = metadata["user_id"]
    _tools(body, out)
    _format(body, out)
    return out


def _text(content: Any, where: str) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n\n".join(str(block.get("text", "")) for block in content if isinstance(block, dict))
    raise _bad(f"{where} must be a string or a list of blocks.", where)


def _message(message: Any, where: str) -> list[dict[str, Any]]:
    role = message.get("role") if isinstance(message, dict) else None
    if role not in ("user", "assistant"):
        raise _bad(f"{where} must have the role user or assistant.", f"{where}.role")
    content = message.get("content")
    if isinstance(content, str):
        return [{"role": role, "content": content}]
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise _bad(f"{where}.content must be a string or a list of blocks.", f"{where}.content")
    return _assistant(content) if role == "assistant" else _user(content, where)


def _assistant(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    texts = [str(block.get("text", "")) for block in blocks if block.get("type") == "text"]
    calls = [
        {
            "id": block.get("id"),
            "type": "function",
            "function": {
                "name": block.get("name"),
                "arguments": msgspec.json.encode(block.get("input") or {}).decode(),
            },
        }
        for block in blocks
        if block.get("type") == "tool_use"
    ]
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts) or None}
    if calls:
        message["tool_calls"] = calls
    elif message["content"] is None:
        message["content"] = ""
    return [message]


def _user(blocks: list[dict[str, Any]], where: str) -> list[dict[str, Any]]:
    results = [block for block in blocks if block.get("type") == "tool_result"]
    out: list[dict[str, Any]] = [
        {
            "role": "tool",
            "tool_call_id": block.get("tool_use_id"),
            "content": _text(block.get("content") or "", f"{where}.content"),
        }
        for block in results
    ]
    parts = [
        _part(block, f"{where}.content[{index}]")
        for index, block in enumerate(blocks)
        if block.get("type") != "tool_result"
    ]
    if len(parts) == 1 and parts[0]["type"] == "text":
        out.append({"role": "user", "content": parts[0]["text"]})
    elif parts or not out:
        out.append({"role": "user", "content": parts})
    return out


def _part(block: Mapping[str, Any], where: str) -> dict[str, Any]:
    kind = block.get("type")
    if kind == "text":
        return {"type": "text", "text": str(block.get("text", ""))}
    source = block.get("source")
    if kind in ("image", "document") and isinstance(source, dict):
        url = source.get("url")
        if source.get("type") == "base64":
            url = f"data:{source.get('media_type')};base64,{source.get('data')}"
        if url and kind == "image":
            return {"type": "image_url", "image_url": {"url": url}}
        if url:
            return {"type": "file", "file": {"file_data": url}}
    raise _bad(f"{where} has the type {kind!r}, which this model's provider does not take.", where)


def _tools(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    tools = body.get("tools")
    if not tools:
        return
    if not isinstance(tools, list):
        raise _bad("tools must be a list.", "tools")
    out["tools"] = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)]
    choice = body.get("tool_choice")
    if not isinstance(choice, dict):
        return
    kinds: dict[Any, Any] = {"auto": "auto", "none": "none", "any": "required"}
    if choice.get("type") == "tool":
        out["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    elif choice.get("type") in kinds:
        out["tool_choice"] = kinds[choice["type"]]
    else:
        raise _bad("tool_choice.type must be auto, any, tool or none.", "tool_choice")
    if choice.get("disable_parallel_tool_use"):
        out["parallel_tool_calls"] = False


def _tool(tool: Any, where: str) -> dict[str, Any]:
    if not isinstance(tool, dict) or "input_schema" not in tool or "name" not in tool:
        raise _bad(f"{where} is not a tool of the caller's own, and this provider has no others.", where)
    function = {"name": tool["name"], "parameters": tool["input_schema"]}
    if tool.get("description"):
        function["description"] = tool["description"]
    if tool.get("strict") is True:
        function["strict"] = True
    return {"type": "function", "function": function}


def _format(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    config = body.get("output_config")
    wanted = config.get("format") if isinstance(config, dict) else None
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        schema = {"name": "output", "schema": wanted.get("schema"), "strict": True}
        out["response_format"] = {"type": "json_schema", "json_schema": schema}
