"""Small pieces of Responses: counts, errors, calls of custom tools. Pure.

Shapes: https://platform.openai.com/docs/api-reference/responses/object.
"""

from typing import Any

import msgspec

from penstock.gateway.model import Usage

_encode = msgspec.json.Encoder().encode
Item = dict[str, Any]


def usage_json(usage: Usage) -> dict[str, Any]:
    """Return usage in the shape of a Response's."""
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.cache_write},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.input + usage.output,
    }


def error_event(body: bytes) -> bytes:
    """Return OpenAI's error body as the data of an `error` event: its members lie flat there, beside `error` itself.

    Readers want a number of the sequence; 0 says that nobody counted.
    """
    found: dict[str, Any] = msgspec.json.decode(body)
    inner = found["error"]
    flat = {name: inner.get(name) for name in ("code", "message", "param")}
    return _encode({"type": "error", "sequence_number": 0, **flat, "error": inner})


def custom_input(arguments: str) -> str:
    """Return the text for a custom tool; arguments that are not what was asked for are the text themselves."""
    try:
        found = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return arguments
    inner = found.get("input") if isinstance(found, dict) else None
    return inner if isinstance(inner, str) else arguments


def custom_call(item: Item) -> Item:
    """Return the function call `item` as the call of a custom tool."""
    made = {name: value for name, value in item.items() if name != "arguments"}
    identity = "ctc_" + str(item["id"]).removeprefix("fc_")
    return made | {"id": identity, "type": "custom_tool_call", "input": custom_input(item["arguments"])}
