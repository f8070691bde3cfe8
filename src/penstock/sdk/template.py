"""Fills in simple templates without the server: `{{ name }}` places, includes, placeholders, images, nothing else.

The server renders with Jinja. What is filled in here comes out equal, which a test checks against the server's
renderer; whatever could differ (filters, blocks, whitespace control, lists, names Jinja knows) is left to the server.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from penstock.sdk.errors import RenderError

_PLACE = re.compile(r"\{\{ *([A-Za-z_][A-Za-z0-9_]*) *\}\}")
_JINJA = re.compile(r"\{\{|\{%|\{#|\r")
_JINJA_NAMES = re.compile(
    r"and|or|not|in|is|if|else|elif|[tT]rue|[fF]alse|[nN]one|loop|self|super|caller|varargs|kwargs"
    r"|range|dict|lipsum|cycler|joiner|namespace"
)
_INCLUDE = re.compile(r"""\{% *include +(?:"([^"'\n]+)"|'([^"'\n]+)') *%\}""")
_IMAGE = re.compile(r"(https?://|data:image/[a-z0-9.+-]+;base64,)\S+", re.IGNORECASE)
_ROLES = ("system", "developer", "user", "assistant", "tool")
MAX_DEPTH = 8


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_messages(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(item, dict) and item.get("role") in _ROLES for item in value
    )


_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": lambda value: _is_number(value) and isinstance(value, int),
    "boolean": lambda value: isinstance(value, bool),
    "image": lambda value: isinstance(value, str) and _IMAGE.fullmatch(value) is not None,
    "messages": _is_messages,
}

Body = Mapping[str, Any]
Filled = tuple[str, list[dict[str, Any]]]


class _Elsewhere(Exception):
    """Only the server may render this."""


def fill(
    body: Body, variables: Mapping[str, Any], included: Mapping[str, Body] = MappingProxyType({})
) -> Filled | None:
    """Return (text, messages) of a prompt's `body`, or None where only the server may render it.

    `included` has the bodies of the prompts it includes, by the name it has for each. Raises RenderError for variables
    that are missing, unknown or of the wrong type.
    """
    try:
        text = _with_included(body["text"], included) if body["kind"] == "text" else ""
        messages = list(_spread(body.get("messages") or (), included))
        sources = [text, *(source for message in messages for source in _sources(message.get("content")))]
        if not all(_is_simple(source) for source in sources):
            return None
        names = {name for source in sources for name in _PLACE.findall(source)}
        holders = [message["placeholder"] for message in messages if "placeholder" in message]
        declared = [spec for each in (body, *included.values()) for spec in each.get("variables") or ()]
        values = _values(declared, names, holders, variables)
        found = [filled for message in messages for filled in _message(message, values)]
    except _Elsewhere:
        return None
    if body["kind"] == "text":
        return _fill(text, values), []
    return ("", found) if found else None


def _with_included(source: str, included: Mapping[str, Body], depth: int = 0) -> str:
    """Return a template with what it includes in place of the includes, which is what Jinja does with them."""

    def text_of(place: re.Match[str]) -> str:
        other = included.get(place[1] or place[2])
        if other is None or other["kind"] != "text" or depth == MAX_DEPTH:
            raise _Elsewhere
        return _with_included(other["text"], included, depth + 1)

    return _INCLUDE.sub(text_of, source)


def _spread(
    messages: Iterable[Mapping[str, Any]], included: Mapping[str, Body], depth: int = 0
) -> Iterator[Mapping[str, Any]]:
    for message in messages:
        if "include" in message:
            other = included.get(message["include"])
            if other is None or other["kind"] != "chat" or depth == MAX_DEPTH:
                raise _Elsewhere
            yield from _spread(other["messages"], included, depth + 1)
        elif "content" in message:
            yield {**message, "content": _content(message["content"], lambda s: _with_included(s, included))}
        else:
            yield message


def _content(content: Any, change: Callable[[str], str]) -> Any:
    """Return the content of a message with `change` made to every text that is a template."""
    if isinstance(content, str):
        return change(content)
    if isinstance(content, Mapping):
        return {key: each if key == "type" else _content(each, change) for key, each in content.items()}
    if isinstance(content, list | tuple):
        return [_content(each, change) for each in content]
    return content


def _sources(content: Any) -> list[str]:
    found: list[str] = []

    def note(source: str) -> str:
        found.append(source)
        return source

    _content(content, note)
    return found


def _message(message: Mapping[str, Any], values: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "placeholder" in message:
        return [dict(each) for each in values[message["placeholder"]]]
    if "content" not in message:
        return [dict(message)]
    return [{**message, "content": _content(message["content"], lambda source: _fill(source, values))}]


def _is_simple(source: str) -> bool:
    names = _PLACE.findall(source)
    return not _JINJA.search(_PLACE.sub("", source)) and not any(map(_JINJA_NAMES.fullmatch, names))


def _values(
    declared: Iterable[Mapping[str, Any]], names: set[str], holders: Iterable[str], given: Mapping[str, Any]
) -> dict[str, Any]:
    specs: dict[str, Mapping[str, Any]] = {}
    for spec in declared:
        specs.setdefault(spec["name"], spec)
    for name in (*names, *holders):
        specs.setdefault(name, {"type": "messages" if name in holders else "string"})
    for name in given:
        if name not in specs:
            known = ", ".join(sorted(specs)) or "none"
            raise RenderError(f"The prompt has no variable {name!r}; it has: {known}.")
    held = set(holders)
    if names & held:
        raise _Elsewhere
    return {name: _value(name, spec, given, held=name in held) for name, spec in specs.items()}


def _value(name: str, spec: Mapping[str, Any], given: Mapping[str, Any], *, held: bool) -> Any:
    kind, value = spec.get("type", "string"), given.get(name, spec.get("default"))
    if value is None and spec.get("required", True):
        raise RenderError(f"The variable {name!r} needs a value ({kind}).")
    fits = _TYPES.get(kind)
    if fits is None or (kind == "messages") != held or (value is None and not held):
        raise _Elsewhere
    value = [] if value is None else value
    if not fits(value):
        raise RenderError(f"The variable {name!r} must be a {kind}, not {type(value).__name__}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise _Elsewhere
    return value


def _fill(source: str, values: Mapping[str, Any]) -> str:
    return _PLACE.sub(lambda place: str(values[place.group(1)]), source)
