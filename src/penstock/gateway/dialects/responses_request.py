"""An OpenAI Responses request as a chat request. Pure functions over decoded JSON; items are `responses_items`'.

From https://platform.openai.com/docs/api-reference/responses/create to
https://platform.openai.com/docs/api-reference/chat/create.
"""

from collections.abc import Mapping
from typing import Any

from penstock.gateway.dialects.chat_reading import bad
from penstock.gateway.dialects.responses_items import messages_of, unsupported

ELSEWHERE = frozenset(
    {
        "model", "input", "instructions", "stream", "stream_options", "tools", "tool_choice", "text", "reasoning",
        "include", "max_output_tokens", "parallel_tool_calls", "top_logprobs",
    }
)  # fmt: skip
"""Members that are translated by name."""
KEPT_HERE = frozenset({"store", "metadata", "max_tool_calls", "background", "truncation"})
"""Members that end at the gateway: it stores, and puts metadata on the trace; only a provider's own tools count
towards max_tool_calls; the others have one value that is taken."""
UNTAKEN: Mapping[str, tuple[Any, ...]] = {
    "background": (False,),
    "truncation": ("disabled",),
    "conversation": (),
    "prompt": (),
    "context_management": ([],),
    "previous_response_id": (),
    "n": (1,),
}
"""Members that cannot be said in chat, or not be heard in one answer, and the values at which they may be left out."""
INCLUDABLE = frozenset(
    {
        "message.output_text.logprobs", "reasoning.encrypted_content", "message.input_image.image_url",
        "file_search_call.results", "web_search_call.action.sources", "web_search_call.results",
        "code_interpreter_call.outputs", "computer_call_output.output.image_url",
    }
)  # fmt: skip
LOGPROBS = "message.output_text.logprobs"
REASONING = frozenset({"effort", "summary", "generate_summary"})
"""Known members of `reasoning`. Summaries come as the provider gives them, whatever was asked for."""
CUSTOM_SCHEMA = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
    "additionalProperties": False,
}
"""How a custom tool looks as a function."""


def translate_request(
    body: Mapping[str, Any], model: str, *, stream: bool, extensions: bool = True
) -> dict[str, Any]:
    """Return the chat request; raises Invalid for what has no counterpart. Unknown members pass.

    `extensions=False` is for providers that refuse members OpenAI's chat API does not have.
    """
    for name, harmless in UNTAKEN.items():
        value = body.get(name)
        if value is not None and value not in harmless:
            raise unsupported(f"{name} cannot be used with this model's provider.", name)
    if body.get("messages") is not None:
        raise bad("messages belongs to chat completions; here it is input.", "messages")
    messages = messages_of(body.get("input"), extensions=extensions)
    if (instructions := body.get("instructions")) is not None:
        if not isinstance(instructions, str):
            raise bad("instructions must be a string.", "instructions")
        messages.insert(0, {"role": "system", "content": instructions})
    gone = ELSEWHERE | KEPT_HERE | UNTAKEN.keys()
    out: dict[str, Any] = {"model": model, "messages": messages}
    out |= {name: value for name, value in body.items() if name not in gone and value is not None}
    if stream:
        out |= {"stream": True, "stream_options": {"include_usage": True}}
    if body.get("max_output_tokens") is not None:
        out["max_completion_tokens"] = body["max_output_tokens"]
    _reasoning(body, out)
    _text(body, out)
    _logprobs(body, out)
    _tools(body, out)
    return out


def _reasoning(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    given = body.get("reasoning")
    if given is None:
        return
    if not isinstance(given, dict):
        raise bad("reasoning must be an object.", "reasoning")
    for name, value in given.items():
        if name not in REASONING and value is not None:
            raise unsupported(
                f"reasoning.{name} cannot be used with this model's provider.", f"reasoning.{name}"
            )
    if given.get("effort") is not None:
        out["reasoning_effort"] = given["effort"]


def _text(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    given = body.get("text")
    if given is None:
        return
    if not isinstance(given, dict):
        raise bad("text must be an object.", "text")
    for name, value in given.items():
        if name not in ("format", "verbosity") and value is not None:
            raise unsupported(f"text.{name} cannot be used with this model's provider.", f"text.{name}")
    if given.get("verbosity") is not None:
        out["verbosity"] = given["verbosity"]
    shape = given.get("format")
    if shape is None:
        return
    kind = shape.get("type") if isinstance(shape, dict) else None
    if kind == "json_schema":
        inner = {name: shape[name] for name in ("name", "description", "schema", "strict") if name in shape}
        out["response_format"] = {"type": "json_schema", "json_schema": inner}
    elif kind == "json_object":
        out["response_format"] = {"type": "json_object"}
    elif kind != "text":
        raise bad("text.format must be text, json_object or json_schema.", "text.format")


def _logprobs(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    include = body.get("include") or []
    if not isinstance(include, list):
        raise bad("include must be a list.", "include")
    for name in include:
        if name not in INCLUDABLE:
            raise unsupported(f"include cannot name {name!r} with this model's provider.", "include")
    if LOGPROBS in include or body.get("top_logprobs"):
        out["logprobs"] = True
        if body.get("top_logprobs"):
            out["top_logprobs"] = body["top_logprobs"]


# -- tools -------------------------------------------------------------------------------------------------


def customs_of(body: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the request's custom tools, which models see as functions."""
    tools = body.get("tools")
    return frozenset(
        tool["name"]
        for tool in (tools if isinstance(tools, list) else ())
        if isinstance(tool, dict) and tool.get("type") == "custom" and isinstance(tool.get("name"), str)
    )


def _tools(body: Mapping[str, Any], out: dict[str, Any]) -> None:
    given = body.get("tools") or []
    if not isinstance(given, list):
        raise bad("tools must be a list.", "tools")
    tools = [_tool(tool, f"tools[{index}]") for index, tool in enumerate(given)]
    choice = body.get("tool_choice")
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        allowed = _allowed(choice)
        tools = [tool for tool in tools if tool["function"]["name"] in allowed]
        choice = choice.get("mode", "auto")
    if not tools:
        if choice not in (None, "auto", "none"):
            raise bad("tool_choice names what tools do not hold.", "tool_choice")
        return
    out["tools"] = tools
    if choice is not None:
        out["tool_choice"] = _choice(choice)
    if body.get("parallel_tool_calls") is not None:
        out["parallel_tool_calls"] = body["parallel_tool_calls"]


def _tool(tool: Any, where: str) -> dict[str, Any]:
    if not isinstance(tool, dict):
        raise bad(f"{where} must be an object.", where)
    kind = tool.get("type")
    if kind not in ("function", "custom"):
        raise unsupported(
            f"{where} has the type {kind!r}: a tool that runs at the provider, and this model's has none such.",
            f"{where}.type",
        )
    if not isinstance(tool.get("name"), str):
        raise bad(f"{where} needs a name.", f"{where}.name")
    if kind == "custom":
        return {"type": "function", "function": _custom(tool)}
    function = {
        name: tool[name]
        for name in ("name", "description", "parameters", "strict")
        if tool.get(name) is not None
    }
    made: dict[str, Any] = {"type": "function", "function": function}
    if tool.get("cache_control") is not None:
        made["cache_control"] = tool["cache_control"]
    return made


def _custom(tool: Mapping[str, Any]) -> dict[str, Any]:
    """Return a custom tool as a function; a grammar becomes words, for chat completions can hold no model to it."""
    about = str(tool.get("description") or "")
    shape = tool.get("format")
    if isinstance(shape, dict) and shape.get("type") == "grammar":
        rule = f"`input` must match this {shape.get('syntax')} grammar:\n{shape.get('definition')}"
        about = f"{about}\n\n{rule}" if about else rule
    return {"name": tool["name"], "parameters": CUSTOM_SCHEMA} | ({"description": about} if about else {})


def _allowed(choice: Mapping[str, Any]) -> set[str]:
    tools = choice.get("tools")
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise bad("tool_choice.tools must be a list of tools.", "tool_choice.tools")
    return {str(tool.get("name")) for tool in tools}


def _choice(choice: Any) -> Any:
    if choice in ("auto", "none", "required"):
        return choice
    if isinstance(choice, dict) and choice.get("type") in ("function", "custom"):
        if not isinstance(choice.get("name"), str):
            raise bad("tool_choice needs a name.", "tool_choice.name")
        return {"type": "function", "function": {"name": choice["name"]}}
    raise unsupported("tool_choice names a tool that runs at the provider.", "tool_choice")
