"""Gemini's own kind of schema as JSON Schema. Pure.

It is a part of OpenAPI 3.0's, with types in capitals and numbers as strings where they are 64 bits wide:
https://ai.google.dev/api/caching#Schema.
"""

from collections.abc import Mapping
from typing import Any

from penstock.gateway.dialects.gemini import snake

_NUMBERS = frozenset({"minItems", "maxItems", "minProperties", "maxProperties", "minLength", "maxLength"})
_LEFT_OUT = frozenset({"nullable", "propertyOrdering", "example", "type"})
"""What JSON Schema writes otherwise, or has no word for; none of it decides whether an answer is valid."""
_NAMES = {
    snake(name): name
    for name in (*_NUMBERS, "anyOf", "propertyOrdering", "additionalProperties", "prefixItems")
}
_RENAMED = {"defs": "$defs", "ref": "$ref"}


def json_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema that allows what `schema` allows."""
    given = {_NAMES.get(name, name): value for name, value in schema.items()}
    out: dict[str, Any] = {}
    kind = given.get("type")
    if isinstance(kind, str) and kind != "TYPE_UNSPECIFIED":
        out["type"] = [kind.lower(), "null"] if given.get("nullable") is True else kind.lower()
    elif isinstance(kind, list):
        out["type"] = kind
    for name, value in given.items():
        if name not in _LEFT_OUT and value is not None:
            out[_RENAMED.get(name, name)] = _value(name, value)
    if "null" in out.get("type", ()) and isinstance(out.get("enum"), list) and None not in out["enum"]:
        out["enum"] = [*out["enum"], None]
    return out


def _value(name: str, value: Any) -> Any:
    if name in _NUMBERS and isinstance(value, str) and value.isdigit():
        return int(value)
    if name in ("items", "additionalProperties") and isinstance(value, dict):
        return json_schema(value)
    if name in ("anyOf", "prefixItems") and isinstance(value, list):
        return [json_schema(each) if isinstance(each, dict) else each for each in value]
    if name in ("properties", "defs", "$defs") and isinstance(value, dict):
        return {key: json_schema(each) if isinstance(each, dict) else each for key, each in value.items()}
    return value
