"""Fills in the simplest templates without the server: text with `{{ name }}` places, scalar values, nothing else.

The server renders with Jinja. What is filled in here comes out equal, which a test checks against the server's
renderer; whatever could differ (filters, blocks, whitespace control, lists, names Jinja knows) is left to the server.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

from penstock.sdk.errors import RenderError

_PLACE = re.compile(r"\{\{ *([A-Za-z_][A-Za-z0-9_]*) *\}\}")
_JINJA = re.compile(r"\{\{|\{%|\{#|\r")
_JINJA_NAMES = re.compile(
    r"and|or|not|in|is|if|else|elif|[tT]rue|[fF]alse|[nN]one|loop|self|super|caller|varargs|kwargs"
    r"|range|dict|lipsum|cycler|joiner|namespace"
)
_TYPES: dict[str, tuple[type, ...]] = {"string": (str,), "number": (int, float), "boolean": (bool,)}

Filled = tuple[str, list[dict[str, Any]]]


def fill(body: Mapping[str, Any], variables: Mapping[str, Any]) -> Filled | None:
    """Return (text, messages) of a prompt's `body`, or None where only the server may render it.

    Raises RenderError for variables that are missing, unknown or of the wrong type.
    """
    sources = _sources(body)
    if sources is None or not all(_is_simple(source) for source in sources):
        return None
    names = {name for source in sources for name in _PLACE.findall(source)}
    values = _values(body.get("variables") or [], names, variables)
    if values is None:
        return None
    if body["kind"] == "text":
        return _fill(body["text"], values), []
    return "", [{**message, "content": _fill(message["content"], values)} for message in body["messages"]]


def _sources(body: Mapping[str, Any]) -> list[str] | None:
    """Return the templates of a body, or None when it has parts that are not plain text."""
    if body["kind"] == "text":
        return [body["text"]]
    contents = [message.get("content") for message in body["messages"]]
    return contents if all(isinstance(content, str) for content in contents) else None


def _is_simple(source: str) -> bool:
    names = _PLACE.findall(source)
    return not _JINJA.search(_PLACE.sub("", source)) and not any(map(_JINJA_NAMES.fullmatch, names))


def _values(
    declared: list[Mapping[str, Any]], names: set[str], given: Mapping[str, Any]
) -> dict[str, Any] | None:
    specs: dict[str, Mapping[str, Any]] = {name: {} for name in names}
    specs.update({spec["name"]: spec for spec in declared})
    for name in given:
        if name not in specs:
            known = ", ".join(sorted(specs)) or "none"
            raise RenderError(f"The prompt has no variable {name!r}; it has: {known}.")
    values: dict[str, Any] = {}
    for name, spec in specs.items():
        value = given.get(name, spec.get("default"))
        kinds = _TYPES.get(spec.get("type", "string"))
        if value is None and spec.get("required", True):
            raise RenderError(f"The variable {name!r} needs a value ({spec.get('type', 'string')}).")
        if kinds is None or value is None:
            return None
        wrong = not isinstance(value, kinds) or (kinds == (int, float) and isinstance(value, bool))
        if wrong:
            raise RenderError(
                f"The variable {name!r} must be a {spec.get('type', 'string')}, not {type(value).__name__}."
            )
        if isinstance(value, float) and not math.isfinite(value):
            return None
        values[name] = value
    return values


def _fill(source: str, values: Mapping[str, Any]) -> str:
    return _PLACE.sub(lambda place: str(values[place.group(1)]), source)
