"""OTLP's values and attributes as plain Python, from protobuf objects and from JSON."""

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from penstock.core.errors import Invalid, TooLarge
from penstock.traces import wire

_INT64 = 1 << 63
_MAX_BRACKETS = 2_000_000
"""Objects and lists in one JSON request: each costs 60 bytes or more in memory, for three in the request."""


def attributes(pairs: Any) -> dict[str, Any]:
    """Return protobuf KeyValues as a dict; of a key that comes twice the last wins."""
    found: dict[str, Any] = {}
    for pair in pairs:
        held = pair.value
        kind = held.WhichOneof("value")
        # Text is by far the most common: it goes first.
        found[pair.key] = held.string_value if kind == "string_value" else _value(held, kind)
    return found


def value(held: Any) -> Any:
    """Return a protobuf AnyValue as plain Python; bytes as base64."""
    return _value(held, held.WhichOneof("value"))


def _value(held: Any, kind: str | None) -> Any:
    if kind is None:
        return None
    if kind in ("int_value", "double_value", "bool_value", "string_value"):
        return getattr(held, kind)
    if kind == "array_value":
        return [_value(item, item.WhichOneof("value")) for item in held.array_value.values]
    if kind == "kvlist_value":
        return attributes(held.kvlist_value.values)
    if kind == "bytes_value":
        return base64.b64encode(held.bytes_value).decode()
    return None


def scope(name: str, version: str) -> dict[str, str]:
    """Return an instrumentation scope, without what it leaves empty."""
    return {key: said for key, said in (("name", name), ("version", version)) if said}


def json_request(data: bytes) -> Mapping[str, Any]:
    """Return a request's JSON object; raises Invalid for other JSON, TooLarge for one too rich to be read."""
    if data.count(b"{") + data.count(b"[") > _MAX_BRACKETS:
        raise TooLarge(f"The request holds more than {_MAX_BRACKETS} objects.", hint="Send smaller batches.")
    try:
        found = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Invalid(f"The body is not valid JSON: {error}.") from error
    if not isinstance(found, dict):
        raise Invalid("The body is not an OTLP request: it is not a JSON object.", hint="Send OTLP JSON.")
    return found


def json_groups(
    request: Mapping[str, Any], outer: str, inner: str, items: str
) -> Iterator[tuple[dict[str, Any], dict[str, str], list[Any]]]:
    """Yield (resource attributes, scope, items) of a request; raises what broken JSON shapes raise, and TooLarge."""
    seen = 0
    for group in request.get(outer) or ():
        resource = json_attributes((group.get("resource") or {}).get("attributes"))
        for scoped in group.get(inner) or ():
            given = scoped.get("scope") or {}
            held = scoped.get(items) or []
            seen += len(held)
            if seen > wire.MAX_ITEMS:
                raise wire.too_many()
            yield resource, scope(str(given.get("name") or ""), str(given.get("version") or "")), held


def json_attributes(pairs: Any) -> dict[str, Any]:
    """Return JSON KeyValues as a dict."""
    return {str(pair.get("key") or ""): json_value(pair.get("value")) for pair in pairs or ()}


def json_value(held: Any) -> Any:
    """Return a JSON AnyValue as plain Python."""
    if not held:
        return None
    kind, inner = next(iter(held.items()))
    if kind == "stringValue":
        return str(inner)
    if kind == "intValue":
        number = int(inner)
        return number if -_INT64 <= number < _INT64 else str(number)
    if kind == "doubleValue":
        return float(inner)
    if kind == "arrayValue":
        return [json_value(item) for item in inner.get("values") or ()]
    if kind == "kvlistValue":
        return json_attributes(inner.get("values"))
    return bool(inner) if kind == "boolValue" else inner


BROKEN_JSON = (TypeError, ValueError, KeyError, AttributeError, OverflowError, RecursionError)
"""What reading JSON of another shape raises."""
