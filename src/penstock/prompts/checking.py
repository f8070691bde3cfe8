"""What a version may say: messages, variables, tools, output schema and model settings."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean

ROLES = ("system", "developer", "user", "assistant", "tool")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
TOOL = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_IMAGE = re.compile(r"(https?://|data:image/[a-z0-9.+-]+;base64,)\S+", re.IGNORECASE)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def is_messages(value: Any) -> bool:
    """Whether `value` is a list of objects with a role."""
    return isinstance(value, list | tuple) and all(
        isinstance(item, dict) and item.get("role") in ROLES for item in value
    )


TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": _is_whole,
    "boolean": lambda value: isinstance(value, bool),
    "list": lambda value: isinstance(value, list | tuple),
    "object": lambda value: isinstance(value, dict),
    "image": lambda value: isinstance(value, str) and _IMAGE.fullmatch(value) is not None,
    "messages": is_messages,
}
"""Types of variables, and what fits them."""
ARTICLES = {
    "image": "an image: an https or data:image URL",
    "messages": "a list of messages with roles",
    "integer": "an integer",
    "object": "an object",
}


def check_value(name: str, kind: str, value: Any) -> None:
    """Raise Invalid unless `value` fits the type `kind` of the variable `name`."""
    if not TYPES[kind](value):
        wanted = ARTICLES.get(kind, f"a {kind}")
        given = "" if kind in ("image", "messages") else f", not {type(value).__name__}"
        raise Invalid(f"The variable {name!r} must be {wanted}{given}.")


def check_variables(variables: Sequence[tuple[str, str, Any]]) -> None:
    """Raise Invalid unless the (name, type, default) of variables make sense together."""
    seen: set[str] = set()
    for name, kind, default in variables:
        if not VARIABLE.fullmatch(name):
            raise Invalid(
                f"{name!r} cannot name a variable.", hint="Use letters, digits and _, not first a digit."
            )
        if name in seen:
            raise Invalid(f"Two variables have the same name: {name!r}.")
        seen.add(name)
        if kind not in TYPES:
            raise Invalid(f"{kind!r} is not a variable type.", hint=did_you_mean(kind, TYPES))
        if default is not None:
            check_value(name, kind, default)


def check_message(message: dict[str, Any], number: int) -> None:
    """Raise Invalid unless `message` is a role/content template, a placeholder or an include."""
    for name, example in (("placeholder", "NAME"), ("include", "NAME@LABEL")):
        if name in message:
            if set(message) != {name} or not isinstance(message[name], str):
                raise Invalid(f'Message {number}: write {{"{name}": "{example}"}} and nothing else in it.')
            return
    role, content = message.get("role"), message.get("content")
    if role not in ROLES:
        raise Invalid(f"Message {number} needs a role: one of {', '.join(ROLES)}.")
    if content is None and role == "assistant" and message.get("tool_calls"):
        return
    if not isinstance(content, str | list):
        raise Invalid(f"Message {number} needs a `content` of text or parts.")
    for place, part in enumerate(content if isinstance(content, list) else (), 1):
        if not isinstance(part, dict) or not isinstance(part.get("type"), str):
            raise Invalid(f"Part {place} of message {number} needs a `type`: text, image_url, …")


def check_tools(tools: Sequence[dict[str, Any]]) -> None:
    """Raise Invalid unless every tool is one in OpenAI's shape, and no function comes twice."""
    seen: set[str] = set()
    for number, tool in enumerate(tools, 1):
        if not isinstance(tool.get("type"), str):
            raise Invalid(f"Tool {number} needs a `type`, for example function.")
        if tool["type"] != "function":
            continue
        function = tool.get("function")
        name = function.get("name") if isinstance(function, dict) else None
        if not isinstance(function, dict) or not isinstance(name, str) or not TOOL.fullmatch(name):
            raise Invalid(
                f'Tool {number} needs {{"function": {{"name": …}}}} with a name of letters, digits, . _ -.'
            )
        if name in seen:
            raise Invalid(f"Two tools are named {name!r}.")
        seen.add(name)
        if not isinstance(function.get("parameters", {}), dict):
            raise Invalid(f"The parameters of the tool {name!r} must be a JSON schema.")


_SCHEMA_WORDS = ("type", "properties", "$ref", "anyOf", "oneOf", "allOf", "enum", "const", "items")


def check_schema(schema: dict[str, Any] | None) -> None:
    """Raise Invalid for what is no JSON schema of an answer."""
    if schema is None:
        return
    if not any(word in schema for word in _SCHEMA_WORDS):
        raise Invalid(
            "The output schema says nothing about the answer.", hint='Start with {"type": "object"}.'
        )
    kind = schema.get("type")
    if kind is not None and not isinstance(kind, str | list):
        raise Invalid("The `type` of the output schema must be text, or a list of it.")


def _between(low: float, high: float) -> tuple[Callable[[Any], bool], str]:
    return (lambda value: _is_number(value) and low <= value <= high), f"a number from {low:g} to {high:g}"


_POSITIVE = (lambda value: _is_whole(value) and value >= 1), "a whole number above 0"
_SETTINGS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "model": ((lambda value: isinstance(value, str) and bool(value)), "the name of a model"),
    "temperature": _between(0, 2),
    "top_p": _between(0, 1),
    "presence_penalty": _between(-2, 2),
    "frequency_penalty": _between(-2, 2),
    "max_tokens": _POSITIVE,
    "max_completion_tokens": _POSITIVE,
    "top_k": _POSITIVE,
    "n": _POSITIVE,
    "seed": (_is_whole, "a whole number"),
    "stop": ((lambda value: isinstance(value, str | list)), "text or a list of texts"),
    "parallel_tool_calls": ((lambda value: isinstance(value, bool)), "true or false"),
}
_NOT_SETTINGS = {
    "messages": "messages",
    "input": "messages",
    "prompt": "text",
    "tools": "tools",
    "response_format": "output_schema",
    "output_schema": "output_schema",
}


def check_settings(settings: dict[str, Any]) -> None:
    """Raise Invalid for a setting of the wrong kind; parameters that only a provider knows pass."""
    for name, value in settings.items():
        if name in _NOT_SETTINGS:
            raise Invalid(f"{name!r} is not a setting.", hint=f"Put it into `{_NOT_SETTINGS[name]}`.")
        if name == "stream":
            raise Invalid("Whether to stream is for the caller to say, not a setting of a prompt.")
        fits, wanted = _SETTINGS.get(name, (lambda _: True, ""))
        if value is not None and not fits(value):
            raise Invalid(f"The setting {name!r} must be {wanted}.")
