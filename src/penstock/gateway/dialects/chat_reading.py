"""Reading a chat request: what every translation of one out of OpenAI's shape needs. Pure.

Shapes: https://platform.openai.com/docs/api-reference/chat/create.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from penstock.core.errors import Invalid
from penstock.gateway.dialects.envelope import Envelope

HINTS = frozenset(
    {
        "user", "stream_options", "metadata", "store", "safety_identifier", "prompt_cache_key",
        "prompt_cache_retention", "prompt_cache_options", "verbosity",
    }
)  # fmt: skip
"""Members that only help a provider along: one without them is free to ignore them."""

HARMLESS: Mapping[str, tuple[Any, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "modalities": (["text"],),
    "functions": ([],),
    "tools": ([],),
    "parallel_tool_calls": (True,),
    "response_format": ({"type": "text"},),
    "service_tier": ("auto",),
}
"""Values at which a member may be left out without changing anything; None always is one."""


GONE: Mapping[str, str] = {
    "function_call": "send tool_calls",
    "audio": "send what was said as content",
}
"""Members of messages that only OpenAI's own servers understand → what to do instead."""


def bad(message: str, param: str) -> Invalid:
    """Return the error for a member that is wrong wherever it is sent."""
    return Invalid(message, details={"param": param, "code": "invalid_value"})


def refused(name: str, whom: str, why: str) -> Invalid:
    """Return the error for a member that `whom` has no counterpart of."""
    return Invalid(
        f"{name} cannot be sent to {whom}: {why}.",
        hint="Leave it out, or set the provider's option drop_params = true.",
        details={"param": name, "code": "unsupported_parameter"},
    )


def decoded(envelope: Envelope) -> dict[str, Any]:
    """Return the whole body; raises Invalid when it is not JSON."""
    try:
        body: dict[str, Any] = msgspec.json.decode(envelope.body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Invalid("The body is not valid JSON.", details={"code": "bad_json"}) from error
    return body


def left_out(name: str, value: Any) -> bool:
    """Return whether leaving the member out changes nothing."""
    return value is None or value in HARMLESS.get(name, ())


def check_members(body: Mapping[str, Any], known: Collection[str], whom: str) -> None:
    """Raise Invalid for the first member that is neither known, nor a hint, nor harmless."""
    for name, value in body.items():
        if name not in known and name not in HINTS and not left_out(name, value):
            raise refused(name, whom, "it has no such thing")


def messages_of(body: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield (place, role, message) for each message; raises Invalid for what is none.

    Refusals and names, which only OpenAI's servers know, are part of the contents.
    """
    given = body.get("messages")
    if not isinstance(given, list) or not given:
        raise bad("messages must be a list with at least one message.", "messages")
    voices = {
        str(each.get("name") or "")
        for each in given
        if isinstance(each, dict) and each.get("role") == "assistant"
    } - {""}
    for index, message in enumerate(given):
        where = f"messages[{index}]"
        if not isinstance(message, dict):
            raise bad(f"{where} must be an object.", where)
        role = message.get("role")
        if role not in ("system", "developer", "user", "assistant", "tool"):
            raise bad(f"{where} has the role {role!r}, which is not known here.", f"{where}.role")
        for name, instead in GONE.items():
            if message.get(name) is not None:
                raise bad(f"{where}.{name} means nothing to this provider: {instead}.", f"{where}.{name}")
        # A model knows which words are its own: its name says something only where there are several.
        named = role != "tool" and (role != "assistant" or len(voices) > 1)
        yield where, "system" if role == "developer" else role, _spoken(message, named=named)


def _spoken(message: dict[str, Any], *, named: bool) -> dict[str, Any]:
    content, name = message.get("content"), message.get("name")
    if not content and isinstance(message.get("refusal"), str):
        content = message["refusal"]
    if named and isinstance(name, str) and name and content:
        if isinstance(content, str):
            content = f"{name}: {content}"
        elif isinstance(content, list):
            content = [{"type": "text", "text": f"{name}: "}, *content]
    return message if content is message.get("content") else message | {"content": content}


def parts_of(content: Any, where: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Return (place, part) for each part of a content, a string being one text part; empty text is left out."""
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [(f"{where}.content", {"type": "text", "text": content})]
    if not isinstance(content, list):
        raise bad(f"{where}.content must be a string or a list of parts.", f"{where}.content")
    out: list[tuple[str, Mapping[str, Any]]] = []
    for index, part in enumerate(content):
        place = f"{where}.content[{index}]"
        if not isinstance(part, dict):
            raise bad(f"{place} must be an object.", place)
        out.append((place, _cache_point(part)))
    return out


def _cache_point(part: dict[str, Any]) -> dict[str, Any]:
    """Return the part with OpenAI's word for a cache point in the one that all providers here go by."""
    point = part.get("prompt_cache_breakpoint")
    if not isinstance(point, dict) or part.get("cache_control") is not None:
        return part
    # OpenAI's times are half an hour and more: of those known elsewhere, one hour is the nearest.
    return part | {"cache_control": {"type": "ephemeral"} | ({"ttl": "1h"} if point.get("ttl") else {})}


def text_of(part: Mapping[str, Any]) -> str | None:
    """Return the text of a text part or refusal, or None for any other part."""
    if part.get("type") in ("text", "refusal"):
        return str(part.get("text") or part.get("refusal") or "")
    return None


def inner_of(part: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    """Return the object that a part of the type `name` holds under that name."""
    inner = part.get(name)
    if isinstance(inner, str) and name == "image_url":
        return {"url": inner}
    if not isinstance(inner, dict):
        raise bad(f"{where}.{name} must be an object.", f"{where}.{name}")
    return inner


class DataUrl(NamedTuple):
    """The inside of a base64 data URL."""

    media: str
    data: str


def data_url(value: Any, where: str) -> DataUrl | None:
    """Return what a data URL holds, None for a plain URL; raises Invalid for neither."""
    if not isinstance(value, str) or not value:
        raise bad(f"{where} must be a URL or a data URL.", where)
    if not value.startswith("data:"):
        return None
    head, comma, data = value[5:].partition(",")
    media, *more = head.split(";")
    if not comma or "base64" not in more:
        raise bad(f"{where} must be a data URL in base64.", where)
    return DataUrl(media, data)


class Call(NamedTuple):
    """A tool call that the model made earlier."""

    id: str
    name: str
    arguments: dict[str, Any]


def calls_of(message: Mapping[str, Any], where: str) -> list[Call]:
    """Return an assistant message's tool calls; raises Invalid when arguments are no JSON object."""
    out = []
    for index, call in enumerate(message.get("tool_calls") or ()):
        place = f"{where}.tool_calls[{index}]"
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise bad(f"{place} must be a function call.", place)
        try:
            given = msgspec.json.decode(function.get("arguments") or "{}")
        except (msgspec.DecodeError, RecursionError, TypeError) as error:
            raise bad(f"{place}.function.arguments is not JSON.", place) from error
        if not isinstance(given, dict):
            raise bad(f"{place}.function.arguments must be a JSON object.", place)
        out.append(Call(str(call.get("id") or ""), function["name"], given))
    return out


def tool_call_id(message: Mapping[str, Any], where: str) -> str:
    """Return which call a tool message answers."""
    identity = message.get("tool_call_id")
    if not isinstance(identity, str):
        raise bad(f"{where} needs tool_call_id.", f"{where}.tool_call_id")
    return identity


def functions_of(body: Mapping[str, Any], whom: str) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Return (tool, its function) for each tool that may be called; raises Invalid for tools that are no functions."""
    tools = body.get("tools") or []
    allowed = allowed_of(body)
    if not isinstance(tools, list):
        raise bad("tools must be a list.", "tools")
    out: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
    for index, tool in enumerate(tools):
        function = function_of(tool, f"tools[{index}]", whom)
        if allowed is None or function["name"] in allowed:
            out.append((tool, function))
    return out


def function_of(tool: Any, where: str, whom: str) -> Mapping[str, Any]:
    """Return the function that a tool is; raises Invalid for any other tool."""
    if not isinstance(tool, dict):
        raise bad(f"{where} must be an object.", where)
    if tool.get("type", "function") != "function":
        raise bad(f"{where} has the type {tool['type']!r}, which {whom} does not take.", where)
    function = tool.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise bad(f"{where}.function needs a name.", where)
    return function


def allowed_of(body: Mapping[str, Any]) -> set[str] | None:
    """Return the names of the only tools that tool_choice allows, or None when it allows all."""
    choice = body.get("tool_choice")
    if not isinstance(choice, dict) or choice.get("type") != "allowed_tools":
        return None
    inner = choice.get("allowed_tools")
    tools = inner.get("tools") if isinstance(inner, dict) else None
    functions = [tool.get("function") for tool in tools or () if isinstance(tool, dict)]
    names = {
        each["name"] for each in functions if isinstance(each, dict) and isinstance(each.get("name"), str)
    }
    if not names or len(functions) != len(tools or ()) or len(names) != len(functions):
        raise bad("tool_choice.allowed_tools.tools must name functions.", "tool_choice.allowed_tools.tools")
    return names


def schema_of(function: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a function's parameters, an empty object's schema when it has none."""
    return function.get("parameters") or {"type": "object", "properties": {}}


def choice_of(body: Mapping[str, Any]) -> tuple[str, str]:
    """Return (auto | none | required | named, name) for tool_choice, ("", "") without one."""
    choice = body.get("tool_choice")
    if choice is None:
        return "", ""
    if isinstance(choice, dict) and choice.get("type") == "allowed_tools":
        inner = choice.get("allowed_tools")
        choice = inner.get("mode", "auto") if isinstance(inner, dict) else "auto"
    if choice in ("auto", "none", "required"):
        return str(choice), ""
    if isinstance(choice, dict) and choice.get("type") == "function":
        function = choice.get("function")
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            return "named", function["name"]
    raise bad(
        "tool_choice must be auto, none, required, a named function or a list of allowed functions.",
        "tool_choice",
    )


def check_single_calls(body: Mapping[str, Any], whom: str) -> None:
    """Raise Invalid when one call per answer is wanted of a model that may always make several.

    A single function that must be called passes: clients get structured output so, and it is called once as a rule.
    """
    if left_out("parallel_tool_calls", body.get("parallel_tool_calls")):
        return
    kind, _ = choice_of(body)
    tools = body.get("tools")
    if kind == "named" or (kind == "required" and isinstance(tools, list) and len(tools) == 1):
        return
    raise refused("parallel_tool_calls", whom, "it may always call several tools, unless one must be called")


def stops_of(body: Mapping[str, Any]) -> list[str]:
    """Return the stop sequences."""
    stop = body.get("stop")
    if not stop:
        return []
    found = [stop] if isinstance(stop, str) else stop
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise bad("stop must be a string or a list of strings.", "stop")
    return found


def limit_of(body: Mapping[str, Any]) -> Any:
    """Return the limit of tokens, or None."""
    return body.get("max_completion_tokens") or body.get("max_tokens")


def schema_format(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the inside of a `json_schema` response format, or None when another or none is asked for."""
    given = body.get("response_format")
    inner = (
        given.get("json_schema") if isinstance(given, dict) and given.get("type") == "json_schema" else None
    )
    return inner if isinstance(inner, dict) and isinstance(inner.get("schema"), dict) else None


def attempt(
    part: Callable[[Mapping[str, Any], dict[str, Any]], None],
    body: Mapping[str, Any],
    out: dict[str, Any],
    *,
    drop: bool,
) -> None:
    """Run a part of a translation; what it refuses as unsupported is left out when `drop` allows that."""
    try:
        part(body, out)
    except Invalid as error:
        if not drop or error.details.get("code") != "unsupported_parameter":
            raise
