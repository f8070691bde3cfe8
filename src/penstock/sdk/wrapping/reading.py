"""Reading of foreign values without knowing their classes: wire JSON, pydantic objects and streams' pieces alike."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

Attributes = dict[str, Any]
Part = dict[str, Any]

_NOTHING = object()
LONGEST_BLOB = 4_096
"""Characters of base64 content that are kept; pictures and sound are described instead."""


def get(thing: Any, *path: str | int) -> Any:
    """Return what lies at `path` below `thing`, through mappings, lists and attributes; None where it ends."""
    for step in path:
        if thing is None:
            return None
        if type(thing) is dict:
            thing = thing.get(step)
        elif isinstance(step, str):
            found = getattr(thing, step, _NOTHING)
            # A mapping of another class last: asking for that is what costs most, on every piece of every stream.
            thing = (thing.get(step) if isinstance(thing, Mapping) else None) if found is _NOTHING else found
        else:
            thing = thing[step] if isinstance(thing, list | tuple) and len(thing) > step else None
    return thing


def fields(thing: Any) -> Mapping[str, Any]:
    """Return all fields of a mapping or pydantic object at once, which is cheaper than asking for missing ones."""
    if isinstance(thing, dict):
        return thing
    extra = getattr(thing, "__pydantic_extra__", None)
    held = getattr(thing, "__dict__", {})
    return {**held, **extra} if extra else held


def each(thing: Any) -> Iterable[Any]:
    """Return the items of a list or tuple; nothing of anything else."""
    return thing if isinstance(thing, list | tuple) else ()


def number(thing: Any, *path: str | int) -> int:
    """Return the count at `path`, or 0."""
    found = get(thing, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) and found > 0 else 0


def text_of(value: Any) -> str:
    """Return `value` when it is text, else nothing."""
    return value if isinstance(value, str) else ""


def filled(**values: Any) -> Attributes:
    """Return those values that say something, with `__` in their names read as a dot, below `gen_ai.`."""
    return {
        f"gen_ai.{name.replace('__', '.')}": value
        for name, value in values.items()
        if value is not None and value != [] and value != ""
    }


def parameters(body: Any, names: Mapping[str, str]) -> Attributes:
    """Return the request's parameters, their names translated by `names`; what is no plain value is left out."""
    found = {}
    plain = type(body) is dict
    for theirs, ours in names.items():
        if plain and theirs not in body:
            continue
        value = get(body, theirs)
        if isinstance(value, str) and ours == "stop_sequences":
            value = [value]
        if isinstance(value, int | float | str | list) and value != []:
            found[f"gen_ai.request.{ours}"] = value
    return found


def usage(
    *,
    input_tokens: int = 0,
    output_tokens: int = 0,
    cached: int = 0,
    cache_write: int = 0,
    reasoning: int = 0,
) -> Attributes:
    """Return token counts; `input_tokens` includes the cache, `output_tokens` the reasoning."""
    counts = {
        "gen_ai.usage.input_tokens": input_tokens,
        "gen_ai.usage.output_tokens": output_tokens,
        "gen_ai.usage.cache_read.input_tokens": cached,
        "gen_ai.usage.cache_write.input_tokens": cache_write,
        "gen_ai.usage.reasoning.output_tokens": reasoning,
    }
    return {name: count for name, count in counts.items() if count}


def text_part(content: str) -> Part:
    """Return what was said."""
    return {"type": "text", "content": content}


def reasoning_part(content: str) -> Part:
    """Return what was thought."""
    return {"type": "reasoning", "content": content}


def call_part(name: Any, arguments: Any, identity: Any = None) -> Part:
    """Return a tool call, its arguments decoded where they are JSON."""
    part = {"type": "tool_call", "name": name, "arguments": decoded(arguments)}
    return part if identity is None else {**part, "id": identity}


def result_part(response: Any, identity: Any = None) -> Part:
    """Return a tool's answer."""
    part = {"type": "tool_call_response", "response": decoded(response)}
    return part if identity is None else {**part, "id": identity}


def media_part(kind: str, *, url: Any = None, data: Any = None, mime_type: Any = None) -> Part:
    """Return a picture, sound or file: where it lies, or its content when that is short."""
    if isinstance(url, str) and url.startswith("data:"):
        mime_type, _, data = url[5:].partition(";base64,")
        url = None
    if url is not None:
        return {
            "type": "uri",
            "modality": kind,
            "uri": url,
            **({"mime_type": mime_type} if mime_type else {}),
        }
    size = len(data) if isinstance(data, str | bytes) else 0
    content = data if isinstance(data, str) and size <= LONGEST_BLOB else f"<{size} bytes>"
    return {"type": "blob", "modality": kind, "mime_type": mime_type, "content": content}


def decoded(value: Any) -> Any:
    """Return a JSON object or list that is written as text, decoded; everything else as it is."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value
