"""An Anthropic messages request as an OpenAI chat request. Pure functions over decoded JSON.

From https://docs.anthropic.com/en/api/messages to https://platform.openai.com/docs/api-reference/chat/create.
`blocks_to_chat` has the messages.
"""

import hashlib
import re
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from penstock.gateway.dialects.blocks_to_chat import WHOM, BlockReader
from penstock.gateway.dialects.chat_reading import bad, refused

SHARED = ("max_tokens", "temperature", "top_p", "top_k", "stream")
"""Members that mean the same on both sides; servers that know no `top_k` refuse it themselves."""
OF_CHAT = (
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "prompt_cache_key",
    "verbosity",
)
"""Members that only chat completions know, and a caller may send on purpose."""
HINTS = frozenset({"cache_control", "context_management", "diagnostics"})
"""Members that only help Anthropic's servers along: models elsewhere read the same without them."""
KNOWN = frozenset(
    {
        "model", "messages", "system", "stop_sequences", "metadata", "tools", "tool_choice", "thinking",
        "output_config", "output_format", "service_tier", "stream_options", *SHARED, *OF_CHAT, *HINTS,
    }
)  # fmt: skip
TIERS = {"standard_only": "default"}
BUDGETS = ((1024, "low"), (8192, "medium"), (24576, "high"))
"""Up to so many tokens of thinking → OpenAI's reasoning_effort; beyond the last it is high, too."""
CHOICES = {"auto": "auto", "none": "none", "any": "required"}
_NEW_LIMIT = re.compile(r"(?:^|/)(?:o\d|gpt-[5-9])")
"""OpenAI's models that refuse `max_tokens`; not every server that speaks its API knows the newer name."""
MAX_USER = 64
"""Characters of `user` that OpenAI takes."""


def translate_request(
    body: Mapping[str, Any],
    model: str,
    *,
    extensions: bool = True,
    takes: Collection[str] = (),
    drop: bool = False,
) -> dict[str, Any]:
    """Return the chat request for a messages request; raises Invalid for what has no counterpart.

    With `extensions`, members go along that only dialects behind this one know: `thinking`, `thinking_blocks`,
    `cache_control`, `is_error`; without, those of them that `takes` names. With `drop`, unsupported members are left
    out instead of refused.
    """
    for name, value in body.items():
        harmless = value is None or (name == "speed" and value == "standard")
        if not drop and not harmless and name not in KNOWN:
            raise refused(name, WHOM, "it has no such thing")
    reader = BlockReader(extensions=extensions, drop=drop, takes=takes)
    out: dict[str, Any] = {"model": model, "messages": _messages(body, reader)}
    out |= {name: body[name] for name in (*SHARED, *OF_CHAT) if body.get(name) is not None}
    if drop and not extensions:
        out.pop("top_k", None)
    if _NEW_LIMIT.search(model) and "max_tokens" in out:
        out["max_completion_tokens"] = out.pop("max_tokens")
    if body.get("stream"):
        out["stream_options"] = {"include_usage": True}
    if body.get("stop_sequences"):
        out["stop"] = body["stop_sequences"]
    if (tier := body.get("service_tier")) is not None:
        out["service_tier"] = TIERS.get(tier, tier) if isinstance(tier, str) else tier
    _user(body, out)
    _tools(body, out, reader)
    _output(body, out, drop=drop)
    _thinking(body, out, "thinking" if extensions else "toggle" if "thinking" in takes else "")
    if drop and not extensions and out.get("reasoning_effort") == "none":
        del out["reasoning_effort"]
    return out


def _messages(body: Mapping[str, Any], reader: BlockReader) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    if body.get("system"):
        messages.append({"role": "system", "content": reader.texts(body["system"], "system", "\n\n")})
    given = body.get("messages")
    if not isinstance(given, list) or not given:
        raise bad("messages must be a list with at least one message.", "messages")
    for index, message in enumerate(given):
        messages += reader.message(message, f"messages[{index}]")
    return messages


def _user(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    metadata = body.get("metadata")
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    if isinstance(user, str) and user:
        # The digest still tells users apart, which is all it is for.
        out["user"] = user if len(user) <= MAX_USER else hashlib.sha256(user.encode()).hexdigest()


# -- what the model may do ---------------------------------------------------------------------------------


def _tools(body: Mapping[str, Any], out: dict[str, Any], reader: BlockReader) -> None:
    tools = body.get("tools")
    choice = body.get("tool_choice")
    kind = choice.get("type") if isinstance(choice, dict) else None
    if choice is not None and kind not in (*CHOICES, "tool"):
        raise bad("tool_choice.type must be auto, any, tool or none.", "tool_choice")
    if not tools:
        if kind in ("any", "tool"):
            raise bad("tool_choice asks for a call, and there are no tools.", "tool_choice")
        return
    if not isinstance(tools, list):
        raise bad("tools must be a list.", "tools")
    out["tools"] = [_tool(tool, f"tools[{index}]", reader) for index, tool in enumerate(tools)]
    if not isinstance(choice, dict):
        return
    if kind == "tool":
        out["tool_choice"] = {"type": "function", "function": {"name": choice.get("name")}}
    else:
        out["tool_choice"] = CHOICES[str(kind)]
    if choice.get("disable_parallel_tool_use"):
        out["parallel_tool_calls"] = False


def _tool(tool: Any, where: str, reader: BlockReader) -> dict[str, Any]:
    if not isinstance(tool, dict) or "input_schema" not in tool or "name" not in tool:
        raise bad(f"{where} is not a tool of the caller's own, and {WHOM} has no others.", where)
    callers = tool.get("allowed_callers")
    if callers is not None and "direct" not in callers:
        raise bad(f"{where} may only be called by code that runs at Anthropic.", f"{where}.allowed_callers")
    function = {"name": tool["name"], "parameters": tool["input_schema"]}
    if described := _description(tool):
        function["description"] = described
    if tool.get("strict") is True:
        function["strict"] = True
    return reader.cached({"type": "function", "function": function}, tool)


def _description(tool: Mapping[str, Any]) -> str:
    told = str(tool.get("description") or "")
    examples = tool.get("input_examples")
    if not isinstance(examples, list) or not examples:
        return told
    shown = "\n".join(msgspec.json.encode(example).decode() for example in examples)
    return f"{told}\n\nExamples of its input:\n{shown}".lstrip()


# -- how it answers ----------------------------------------------------------------------------------------


def _output(body: Mapping[str, Any], out: dict[str, Any], *, drop: bool) -> None:
    config = body.get("output_config")
    if config is not None and not isinstance(config, dict):
        raise bad("output_config must be an object.", "output_config")
    config = config or {}
    unknown = [
        name for name, value in config.items() if name not in ("format", "effort") and value is not None
    ]
    if unknown and not drop:
        raise refused(f"output_config.{unknown[0]}", WHOM, "it has no such thing")
    if config.get("effort") is not None:
        out["reasoning_effort"] = config["effort"]
    wanted = config.get("format") or body.get("output_format")
    if wanted is None:
        return
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    if not isinstance(schema, dict) or wanted.get("type") != "json_schema":
        raise bad("output_config.format must be a json_schema with a schema.", "output_config.format")
    inner: dict[str, Any] = {"name": "output", "schema": schema}
    if is_strict(schema):
        inner["strict"] = True
    out["response_format"] = {"type": "json_schema", "json_schema": inner}


def is_strict(schema: Any) -> bool:
    """Return whether OpenAI's strict mode takes the schema: objects closed, and all their members required."""
    if isinstance(schema, list):
        return all(is_strict(each) for each in schema)
    if not isinstance(schema, dict):
        return True
    inner: list[Any] = [schema.get(name) for name in ("items", "anyOf", "allOf", "oneOf")]
    for name in ("properties", "$defs", "definitions"):
        found = schema.get(name)
        inner += found.values() if isinstance(found, dict) else ()
    if schema.get("type") == "object" or "properties" in schema:
        required = schema.get("required")
        members = schema.get("properties")
        if schema.get("additionalProperties") is not False:
            return False
        if set(members if isinstance(members, dict) else ()) - set(required or ()):
            return False
    return is_strict(inner)


# -- thinking ----------------------------------------------------------------------------------------------


def _thinking(body: Mapping[str, Any], out: dict[str, Any], manner: str) -> None:
    """Take `thinking` over as it is ("thinking"), as a toggle and an effort ("toggle"), or as an effort ("")."""
    thinking = body.get("thinking")
    if thinking is None:
        return
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if kind not in ("enabled", "adaptive", "disabled", "between_tools"):
        raise bad("thinking must be enabled with budget_tokens, adaptive, or disabled.", "thinking")
    if manner == "toggle":
        out["thinking"] = {"type": "disabled" if kind == "disabled" else "enabled"}
    if manner == "thinking":
        out["thinking"] = thinking
    elif kind == "disabled" and manner == "toggle":
        out.pop("reasoning_effort", None)
    elif kind == "disabled":
        out["reasoning_effort"] = "none"
    elif kind == "enabled":
        budget = thinking.get("budget_tokens")
        if not isinstance(budget, int):
            raise bad("thinking.budget_tokens must be a whole number.", "thinking.budget_tokens")
        effort = next((effort for most, effort in BUDGETS if budget <= most), "high")
        out.setdefault("reasoning_effort", effort)
