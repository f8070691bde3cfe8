"""An OpenAI chat request as an Anthropic messages request. Pure functions over decoded JSON.

From https://platform.openai.com/docs/api-reference/chat/create to https://docs.anthropic.com/en/api/messages.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.core.errors import Invalid

DEFAULT_MAX_TOKENS = 4096
"""Anthropic wants a limit; this one holds when the caller names none."""

PASSED = (
    "temperature",
    "top_p",
    "stream",
    "thinking",
    "top_k",
    "service_tier",
    "output_config",
    "context_management",
)
"""Members that both APIs share, or that only Anthropic knows and a caller may send on purpose."""

DROPPED = frozenset(
    {
        "model", "messages", "max_tokens", "max_completion_tokens", "stop", "tools", "tool_choice",
        "parallel_tool_calls", "response_format", "user", "stream_options", "metadata", "store", "seed",
        "safety_identifier", "prompt_cache_key", "n", "logprobs", "reasoning_effort", "verbosity",
    }
)  # fmt: skip
"""Members that are translated elsewhere, or only hints that another provider is free to ignore."""

UNSUPPORTED_UNLESS = {
    "n": (None, 1),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "logit_bias": (None, {}),
    "presence_penalty": (None, 0),
    "frequency_penalty": (None, 0),
    "modalities": (None, ["text"]),
    "audio": (None,),
    "functions": (None, []),
    "function_call": (None,),
    "web_search_options": (None,),
    "prediction": (None,),
}
"""Members without a counterpart, and the values at which leaving them out changes nothing."""


def _refuse(name: str, why: str) -> Invalid:
    return Invalid(
        f"{name} cannot be sent to an Anthropic model: {why}.",
        hint="Leave it out, or set the provider's option drop_params = true.",
        details={"param": name, "code": "unsupported_parameter"},
    )


def _bad(message: str, param: str) -> Invalid:
    return Invalid(message, details={"param": param, "code": "invalid_value"})


def translate_request(
    body: Mapping[str, Any], model: str, *, max_tokens: int = DEFAULT_MAX_TOKENS, drop: bool = False
) -> dict[str, Any]:
    """Return the Anthropic request for an OpenAI chat request.

    Raises Invalid for what cannot be said there; with `drop`, unsupported members are left out instead.
    """
    for name, harmless in UNSUPPORTED_UNLESS.items():
        if not drop and body.get(name) not in harmless:
            raise _refuse(name, "it has no such thing")
    if not drop and (strange := unknown_members(body)):
        raise _refuse(strange[0], "it is not known there")
    system, messages = _messages(body.get("messages"))
    out: dict[str, Any] = {
        "model": model,
        "max_tokens": body.get("max_completion_tokens") or body.get("max_tokens") or max_tokens,
        "messages": messages,
    }
    if system:
        out["system"] = system
    for name in PASSED:
        if body.get(name) is not None:
            out[name] = body[name]
    if isinstance(out.get("temperature"), int | float):
        out["temperature"] = min(out["temperature"], 1)  # OpenAI's scale goes to 2
    stop = body.get("stop")
    if stop:
        out["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if isinstance(body.get("user"), str):
        out["metadata"] = {"user_id": body["user"]}
    _tools(body, out)
    _format(body, out, drop)
    return out


def _messages(given: Any) -> tuple[Any, list[dict[str, Any]]]:
    if not isinstance(given, list) or not given:
        raise _bad("messages must be a list with at least one message.", "messages")
    system: list[dict[str, Any]] = []
    out: list[dict[str, Any]] = []
    for index, message in enumerate(given):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise _bad(f"{where} must be an object.", where)
        role = message.get("role")
        if role in ("system", "developer"):
            system += _parts(message.get("content"), where)
        elif role == "user":
            _append(out, "user", _parts(message.get("content"), where))
        elif role == "assistant":
            _append(out, "assistant", _assistant(message, where))
        elif role == "tool":
            _append(out, "user", [_tool_result(message, where)])
        else:
            raise _bad(f"{where} has the role {role!r}, which is not known here.", f"{where}.role")
    if not out:
        raise _bad("messages needs a user message beside the system prompt.", "messages")
    return _system(system), out


def _append(out: list[dict[str, Any]], role: str, blocks: list[dict[str, Any]]) -> None:
    # Anthropic wants the roles to alternate, and all results of one turn in one message.
    if not blocks:
        return
    if out and out[-1]["role"] == role:
        out[-1]["content"] += blocks
    else:
        out.append({"role": role, "content": blocks})


def _system(blocks: list[dict[str, Any]]) -> Any:
    if any("cache_control" in block for block in blocks):
        return blocks
    return "\n\n".join(block.get("text", "") for block in blocks)


def _parts(content: Any, where: str) -> list[dict[str, Any]]:
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if not isinstance(content, list):
        raise _bad(f"{where}.content must be a string or a list of parts.", f"{where}.content")
    return [_part(part, f"{where}.content[{index}]") for index, part in enumerate(content)]


def _part(part: Any, where: str) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    block: dict[str, Any]
    if kind in ("text", "refusal"):
        block = {"type": "text", "text": str(part.get("text") or part.get("refusal") or "")}
    elif kind == "image_url":
        image = part.get("image_url")
        url = image.get("url") if isinstance(image, dict) else image
        block = {"type": "image", "source": _source(url, f"{where}.image_url.url")}
    elif kind == "file":
        file = part.get("file")
        data = file.get("file_data") if isinstance(file, dict) else None
        block = {"type": "document", "source": _source(data, f"{where}.file.file_data")}
    else:
        raise _bad(f"{where} has the type {kind!r}, which Anthropic models do not take.", where)
    if "cache_control" in part:
        block["cache_control"] = part["cache_control"]
    return block


def _source(url: Any, where: str) -> dict[str, Any]:
    if not isinstance(url, str) or not url:
        raise _bad(f"{where} must be a URL or a data URL.", where)
    if not url.startswith("data:"):
        return {"type": "url", "url": url}
    head, comma, data = url[5:].partition(",")
    media, _, encoding = head.partition(";")
    if not comma or encoding != "base64":
        raise _bad(f"{where} must be a data URL in base64.", where)
    return {"type": "base64", "media_type": media, "data": data}


def _assistant(message: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    blocks = _parts(message.get("content"), where)
    for index, call in enumerate(message.get("tool_calls") or []):
        place = f"{where}.tool_calls[{index}]"
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise _bad(f"{place} must be a function call.", place)
        arguments = function.get("arguments") or "{}"
        try:
            given = msgspec.json.decode(arguments)
        except (msgspec.DecodeError, TypeError, RecursionError) as error:
            raise _bad(f"{place}.function.arguments is not JSON.", place) from error
        if not isinstance(given, dict):
            raise _bad(f"{place}.function.arguments must be a JSON object.", place)
        blocks.append({"type": "tool_use", "id": call.get("id"), "name": function["name"], "input": given})
    return blocks


def _tool_result(message: Mapping[str, Any], where: str) -> dict[str, Any]:
    identity = message.get("tool_call_id")
    if not isinstance(identity, str):
        raise _bad(f"{where} needs tool_call_id.", f"{where}.tool_call_id")
    content = message.get("content")
    return {
        "type": "tool_result",
        "tool_use_id": identity,
        "content": content if isinstance(content, str) else _parts(content, where),
    }


def _tools(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    tools = body.get("tools")
    if tools:
        if not isinstance(tools, list):
            raise _bad("tools must be a list.", "tools")
        out["tools"] = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(tools)]
    choice = _tool_choice(body.get("tool_choice"))
    if body.get("parallel_tool_calls") is False and tools:
        choice = choice or {"type": "auto"}
        if choice["type"] != "none":
            choice["disable_parallel_tool_use"] = True
    if choice and tools:
        out["tool_choice"] = choice


def _tool(tool: Any, where: str) -> dict[str, Any]:
    if not isinstance(tool, dict):
        raise _bad(f"{where} must be an object.", where)
    if "input_schema" in tool or tool.get("type") not in ("function", None):
        return tool  # one of Anthropic's own, meant as it is
    function = tool.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise _bad(f"{where}.function needs a name.", where)
    made: dict[str, Any] = {
        "name": function["name"],
        "input_schema": function.get("parameters") or {"type": "object", "properties": {}},
    }
    if function.get("description"):
        made["description"] = function["description"]
    if function.get("strict") is True:
        made["strict"] = True
    if "cache_control" in tool:
        made["cache_control"] = tool["cache_control"]
    return made


def _tool_choice(choice: Any) -> dict[str, Any] | None:
    if choice is None:
        return None
    if isinstance(choice, str):
        kinds = {"auto": "auto", "none": "none", "required": "any"}
        if choice in kinds:
            return {"type": kinds[choice]}
    elif isinstance(choice, dict):
        function = choice.get("function")
        if choice.get("type") == "function" and isinstance(function, dict) and function.get("name"):
            return {"type": "tool", "name": function["name"]}
    raise _bad("tool_choice must be auto, none, required or a named function.", "tool_choice")


def _format(body: Mapping[str, Any], out: dict[str, Any], drop: bool) -> None:
    given = body.get("response_format")
    kind = given.get("type") if isinstance(given, dict) else None
    if given is None or kind == "text" or "output_config" in body:
        return
    schema = given.get("json_schema") if isinstance(given, dict) else None
    if kind == "json_schema" and isinstance(schema, dict) and isinstance(schema.get("schema"), dict):
        out["output_config"] = {"format": {"type": "json_schema", "schema": schema["schema"]}}
    elif not drop:
        raise _refuse("response_format", "only json_schema with a schema has a counterpart there")


def unknown_members(body: Mapping[str, Any]) -> list[str]:
    """Return the members of an OpenAI request that the translation knows nothing about."""
    return sorted(
        name for name in body if name not in DROPPED and name not in PASSED and name not in UNSUPPORTED_UNLESS
    )
