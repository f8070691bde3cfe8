"""An OpenAI chat request as an Anthropic messages request. Pure functions over decoded JSON.

From https://platform.openai.com/docs/api-reference/chat/create to https://docs.anthropic.com/en/api/messages.
`chat_to_blocks` has the messages.
"""

import re
from collections.abc import Mapping
from typing import Any

from penstock.gateway.dialects.chat_reading import (
    allowed_of,
    attempt,
    bad,
    check_members,
    choice_of,
    function_of,
    left_out,
    limit_of,
    refused,
    schema_format,
    schema_of,
    stops_of,
)
from penstock.gateway.dialects.chat_to_blocks import WHOM, Block, translate_messages

DEFAULT_MAX_TOKENS = 4096
"""Anthropic wants a limit; this one holds when the caller names none."""
PASSED = (
    "temperature",
    "top_p",
    "top_k",
    "stream",
    "thinking",
    "output_config",
    "cache_control",
    "container",
    "context_management",
    "inference_geo",
    "mcp_servers",
    "speed",
)
"""Members that both APIs share, or that only Anthropic knows and a caller may send on purpose."""
KNOWN = frozenset(
    {
        "model", "messages", "max_tokens", "max_completion_tokens", "stop", "tools", "tool_choice",
        "parallel_tool_calls", "response_format", "reasoning_effort", "service_tier", *PASSED,
    }
)  # fmt: skip
TIERS = {"default": "standard_only", "priority": "auto", "standard_only": "standard_only"}
"""OpenAI's service_tier, or Anthropic's own → Anthropic's, where `auto` uses priority capacity if there is any."""
EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 32768, "max": 65536}
"""Tokens of thinking for models that know no efforts."""
LEAST_BUDGET = 1024
LAST_WITH_BUDGETS = (4, 5)
"""The last version of Claude whose models think with a budget; later ones adapt it to the effort."""
ONLY_JSON = "Answer with one valid JSON object and nothing else: no other text, no Markdown fences."
_VERSION = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2}))?(?!\d)")
_NATIVE = re.compile(r"_\d{8}$")


def translate_request(
    body: Mapping[str, Any], model: str, *, max_tokens: int = DEFAULT_MAX_TOKENS, drop: bool = False
) -> dict[str, Any]:
    """Return the Anthropic request for an OpenAI chat request.

    Raises Invalid for what cannot be said there; with `drop`, unsupported members are left out instead.
    """
    if not drop:
        check_members(body, KNOWN, WHOM)
    system, messages = translate_messages(body)
    limit = limit_of(body)
    if limit is not None and not isinstance(limit, int):
        raise bad("max_completion_tokens must be a whole number.", "max_completion_tokens")
    out: dict[str, Any] = {"model": model, "max_tokens": limit or max_tokens, "messages": messages}
    if system:
        out["system"] = _system(system)
    for name in PASSED:
        if body.get(name) is not None:
            out[name] = body[name]
    if isinstance(out.get("temperature"), int | float):
        out["temperature"] = min(out["temperature"], 1)  # OpenAI's scale goes to 2
    if stops := stops_of(body):
        out["stop_sequences"] = stops
    if user := _user(body):
        out["metadata"] = {"user_id": user}
    for part in (_tools, _format, _effort, _tier):
        attempt(part, body, out, drop=drop)
    _room_to_think(out, given=limit is not None)
    return out


def _system(blocks: list[Block]) -> Any:
    if any("cache_control" in block for block in blocks):
        return blocks
    return "\n\n".join(block["text"] for block in blocks)


def _user(body: Mapping[str, Any]) -> str:
    metadata = body.get("metadata")
    own = metadata.get("user_id") if isinstance(metadata, dict) else None
    found = [body.get("user"), body.get("safety_identifier"), own]
    return next((each for each in found if isinstance(each, str) and each), "")


# -- what the model may do ---------------------------------------------------------------------------------


def _tools(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    given = body.get("tools") or []
    if not isinstance(given, list):
        raise bad("tools must be a list.", "tools")
    kind, name = choice_of(body)
    tools = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(given)]
    allowed = allowed_of(body)
    found = [tool for tool in tools if allowed is None or tool.get("name") in allowed]
    if not found:
        if kind in ("required", "named"):
            raise bad("tool_choice asks for a call, and there are no tools.", "tool_choice")
        return
    out["tools"] = found
    said: dict[str, Any] = {
        "auto": {"type": "auto"},
        "none": {"type": "none"},
        "required": {"type": "any"},
        "named": {"type": "tool", "name": name},
    }
    choice = said.get(kind)
    if not left_out("parallel_tool_calls", body.get("parallel_tool_calls")) and kind != "none":
        choice = (choice or {"type": "auto"}) | {"disable_parallel_tool_use": True}
    if choice is not None:
        out["tool_choice"] = choice


def _tool(tool: Any, where: str) -> Block:
    kind = tool.get("type") if isinstance(tool, dict) else None
    if isinstance(tool, dict) and ("input_schema" in tool or _NATIVE.search(str(kind))):
        return tool  # one of Anthropic's own, meant as it is
    if kind == "custom":
        raise bad(f"{where} takes free text, and the tools of {WHOM} take JSON objects.", where)
    function = function_of(tool, where, WHOM)
    made: Block = {"name": function["name"], "input_schema": {"type": "object", **schema_of(function)}}
    if function.get("description"):
        made["description"] = function["description"]
    if function.get("strict") is True:
        made["strict"] = True
    if (control := tool.get("cache_control") or function.get("cache_control")) is not None:
        made["cache_control"] = control
    return made


# -- how it answers ----------------------------------------------------------------------------------------


def _config(out: dict[str, Any], name: str, value: Any) -> None:
    """Put a member into output_config; what the caller sent there stands."""
    given = out.get("output_config", {})
    if not isinstance(given, dict):
        raise bad("output_config must be an object.", "output_config")
    out["output_config"] = {name: value} | given


def _format(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    given = body.get("response_format")
    if left_out("response_format", given):
        return
    inner = schema_format(body)
    if inner is not None:
        _config(out, "format", {"type": "json_schema", "schema": closed(inner["schema"])})
    elif isinstance(given, dict) and given.get("type") == "json_object":
        # There is no such mode: the model is told, as OpenAI's callers have to tell it anyway.
        system = out.get("system")
        told = {"type": "text", "text": ONLY_JSON}
        if isinstance(system, list):
            out["system"] = [*system, told]
        else:
            out["system"] = f"{system}\n\n{ONLY_JSON}" if system else ONLY_JSON
    else:
        raise refused(
            "response_format", WHOM, "it is neither text, json_object nor json_schema with a schema"
        )


def closed(schema: Any) -> Any:
    """Return the schema with objects closed that do not say whether they are: open ones are refused there."""
    if not isinstance(schema, dict):
        return schema
    out = dict(schema)
    for name in ("properties", "$defs", "definitions"):
        if isinstance(out.get(name), dict):
            out[name] = {key: closed(value) for key, value in out[name].items()}
    for name in ("anyOf", "allOf", "oneOf"):
        if isinstance(out.get(name), list):
            out[name] = [closed(value) for value in out[name]]
    if "items" in out:
        out["items"] = closed(out["items"])
    if out.get("type") == "object" or "properties" in out:
        out.setdefault("additionalProperties", False)
    return out


def _tier(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    tier = body.get("service_tier")
    if left_out("service_tier", tier):
        return
    if tier not in TIERS:
        raise refused("service_tier", WHOM, f"{tier!r} is none of auto, {', '.join(TIERS)}")
    out["service_tier"] = TIERS[tier]


# -- thinking ----------------------------------------------------------------------------------------------


def takes_budgets(model: str) -> bool:
    """Return whether the model is known to think with a budget, instead of adapting to an effort."""
    found = _VERSION.search(model)
    return found is not None and (int(found[1]), int(found[2] or 0)) <= LAST_WITH_BUDGETS


def _effort(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    effort = body.get("reasoning_effort")
    if effort is None:
        return
    if effort != "none" and (not isinstance(effort, str) or effort not in EFFORTS):
        raise refused("reasoning_effort", WHOM, f"{effort!r} is none of none, {', '.join(EFFORTS)}")
    if effort == "none":
        out.setdefault("thinking", {"type": "disabled"})
    elif "thinking" in out:
        _config(out, "effort", EFFORTS[effort])
    elif not takes_budgets(out["model"]):
        out["thinking"] = {"type": "adaptive"}
        _config(out, "effort", EFFORTS[effort])
    elif _may_think(out["messages"]):
        budget = BUDGETS[effort]
        if limit_of(body) is not None:
            budget = min(budget, out["max_tokens"] - 1)
        if budget < LEAST_BUDGET:
            raise refused("reasoning_effort", WHOM, f"it needs max_completion_tokens above {LEAST_BUDGET}")
        out["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _may_think(messages: list[dict[str, Any]]) -> bool:
    """Return whether the last turn of the assistant allows thinking: calls without their thoughts do not."""
    for message in reversed(messages):
        if message["role"] == "assistant":
            kinds = [block["type"] for block in message["content"]]
            return "tool_use" not in kinds or kinds[0] in ("thinking", "redacted_thinking")
    return True


def _room_to_think(out: dict[str, Any], *, given: bool) -> None:
    """Raise a limit that the caller did not set to hold the thoughts beside the answer, for they count too."""
    thinking = out.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    if isinstance(budget, int) and not given:
        out["max_tokens"] += budget
