"""What a message is made of, in one shape (see `messages`): text, reasoning, tools, files."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

_DATA = "data:"


def decoded(value: Any) -> Any:
    """Return a JSON text of an object or a list decoded; anything else as it is."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return value
    return value


def text(content: str) -> dict[str, Any]:
    """Return a part of text."""
    return {"type": "text", "content": content}


def of_content(content: Any) -> list[dict[str, Any]]:
    """Return the parts of a message's content: a text, or a list of parts of any dialect."""
    if content is None or content == "":
        return []
    if isinstance(content, Mapping):
        content = [content]
    if not isinstance(content, list):
        return [text(content if isinstance(content, str) else _said(content))]
    return [part(one) if isinstance(one, Mapping) else text(_said(one)) for one in content if one is not None]


def _said(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode("utf-8", "replace")


def taken(rest: dict[str, Any]) -> list[dict[str, Any]]:
    """Return all parts of a message, removing from `rest` the members they came from."""
    tool_id = rest.get("tool_call_id")
    found: list[dict[str, Any]] = []
    for name in ("reasoning_content", "reasoning"):
        if isinstance(rest.get(name), str) and rest[name]:
            found.append({"type": "reasoning", "content": rest.pop(name)})
    if "parts" in rest:
        found += of_content(decoded(rest.pop("parts")))
    content = [*_listed(rest.pop("content", None)), *_listed(rest.pop("contents", None))]
    if tool_id and (content or found):
        # The answer of a tool: its content, text or parts, is the response.
        rest.pop("tool_call_id")
        answer = content[0] if len(content) == 1 and isinstance(content[0], str) else content
        found.append({"type": "tool_call_response", "id": tool_id, "response": answer})
    else:
        found += of_content(content)
    calls = rest.pop("tool_calls", None)
    if isinstance(calls, list):
        found += [call(one) for one in calls if isinstance(one, Mapping)]
    single = rest.pop("function_call", None)
    if isinstance(single, Mapping) and single.get("name"):
        found.append(call(single))
    return found


def _listed(value: Any) -> list[Any]:
    value = decoded(value) if isinstance(value, str) and value[:2] in ("[{", "[\n", "[ ") else value
    if value is None or value == "":
        return []
    return value if isinstance(value, list) else [value]


def call(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call of a tool, from OpenAI's, Anthropic's, LangChain's, Gemini's or the Vercel AI SDK's form."""
    function = value.get("function") if isinstance(value.get("function"), Mapping) else value
    assert isinstance(function, Mapping)
    name = function.get("name") or function.get("toolName") or function.get("tool_name")
    arguments = _first(function, ("arguments", "args", "input", "parameters"))
    made: dict[str, Any] = {"type": "tool_call"}
    number = _first(value, ("id", "call_id", "toolCallId", "tool_call_id"))
    if number is not None:
        made["id"] = number
    made["name"] = name
    if arguments is not None:
        made["arguments"] = decoded(arguments)
    return made


def _first(value: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((value[name] for name in names if value.get(name) is not None), None)


def part(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return one part; a kind that nobody knows stays as it was sent, but that `type` is a text."""
    kind = value.get("type", value.get("kind"))
    if kind is not None and "type" in value and not isinstance(kind, str):
        value = {**value, "type": _said(kind)}
    reader = _READERS.get(str(kind).lower().replace("-", "_")) if kind is not None else _untyped(value)
    found = reader(value) if reader is not None else None
    return dict(value) if found is None else found


Reader = Callable[[Mapping[str, Any]], dict[str, Any] | None]


def _untyped(value: Mapping[str, Any]) -> Reader | None:
    for name, reader in (
        ("text", _text),
        ("function_call", lambda one: call(one["function_call"]) if _object(one, "function_call") else None),
        ("functionCall", lambda one: call(one["functionCall"]) if _object(one, "functionCall") else None),
        ("functionResponse", _gemini_answer),
        ("function_response", _gemini_answer),
        ("inlineData", _gemini_data),
        ("inline_data", _gemini_data),
        ("fileData", _gemini_file),
        ("file_data", _gemini_file),
        ("toolUse", lambda one: call(one["toolUse"]) if _object(one, "toolUse") else None),
    ):
        if name in value:
            return reader
    return None


def _object(value: Mapping[str, Any], name: str) -> bool:
    return isinstance(value.get(name), Mapping)


def _text(value: Mapping[str, Any]) -> dict[str, Any] | None:
    content = _first(value, ("content", "text", "value"))
    if content is None:
        return text("")
    if value.get("thought") is True:
        return {"type": "reasoning", "content": content}
    return text(content) if isinstance(content, str) else None


def _reasoning(value: Mapping[str, Any]) -> dict[str, Any] | None:
    content = _first(value, ("content", "thinking", "reasoning", "text", "summary"))
    if isinstance(content, list):
        content = "\n".join(_said(one.get("text", "")) for one in content if isinstance(one, Mapping))
    made: dict[str, Any] = {"type": "reasoning", "content": content if isinstance(content, str) else ""}
    made.update((name, value[name]) for name in ("signature", "encrypted_content", "id") if value.get(name))
    return made


def _tool_call(value: Mapping[str, Any]) -> dict[str, Any] | None:
    held = value.get("tool_call")
    return call(held if isinstance(held, Mapping) else value)


def _tool_answer(value: Mapping[str, Any]) -> dict[str, Any] | None:
    made: dict[str, Any] = {"type": "tool_call_response"}
    number = _first(value, ("id", "tool_use_id", "tool_call_id", "toolCallId", "call_id"))
    if number is not None:
        made["id"] = number
    if value.get("name") or value.get("toolName"):
        made["name"] = value.get("name") or value["toolName"]
    said = decoded(_first(value, ("response", "result", "content", "output")))
    if isinstance(said, Mapping) and set(said) == {"type", "value"}:
        said = said["value"]  # as the Vercel AI SDK wraps what tools say
    made["response"] = said
    if value.get("is_error"):
        made["is_error"] = True
    return made


def _gemini_answer(value: Mapping[str, Any]) -> dict[str, Any] | None:
    held = value.get("functionResponse", value.get("function_response"))
    return _tool_answer(held) if isinstance(held, Mapping) else None


def _gemini_data(value: Mapping[str, Any]) -> dict[str, Any] | None:
    held = value.get("inlineData", value.get("inline_data"))
    if not isinstance(held, Mapping):
        return None
    mime = held.get("mimeType", held.get("mime_type"))
    return _blob(mime, held.get("data"))


def _gemini_file(value: Mapping[str, Any]) -> dict[str, Any] | None:
    held = value.get("fileData", value.get("file_data"))
    if not isinstance(held, Mapping):
        return None
    return _uri(held.get("mimeType", held.get("mime_type")), held.get("fileUri", held.get("file_uri")))


def _modality(mime: Any) -> str:
    kind = str(mime or "").partition("/")[0]
    return kind if kind in ("image", "audio", "video", "text") else "document"


def _blob(mime: Any, content: Any, modality: str | None = None) -> dict[str, Any]:
    return {"type": "blob", "modality": modality or _modality(mime), "mime_type": mime, "content": content}


def _uri(mime: Any, uri: Any, modality: str | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "uri", "modality": modality or _modality(mime), "uri": uri}
    if mime:
        made["mime_type"] = mime
    return made


def _located(url: Any, modality: str, mime: Any = None) -> dict[str, Any] | None:
    """Return a file that is given by its address, which may hold it (`data:image/png;base64,…`)."""
    if not isinstance(url, str):
        return None
    if url.startswith(_DATA):
        head, comma, content = url[len(_DATA) :].partition(",")
        if comma:
            return _blob(head.partition(";")[0] or mime, content, modality)
    return _uri(mime, url, modality)


def _image(value: Mapping[str, Any]) -> dict[str, Any] | None:
    return _media(value, "image")


def _audio(value: Mapping[str, Any]) -> dict[str, Any] | None:
    held = value.get("input_audio")
    if isinstance(held, Mapping):
        return _blob(f"audio/{held.get('format', 'wav')}", held.get("data"), "audio")
    return _media(value, "audio")


def _video(value: Mapping[str, Any]) -> dict[str, Any] | None:
    return _media(value, "video")


def _document(value: Mapping[str, Any]) -> dict[str, Any] | None:
    return _media(value, "document")


def _sourced(source: Mapping[str, Any], modality: str) -> dict[str, Any] | None:
    """Return a file as Anthropic's API gives it."""
    if source.get("data") is not None:
        plain = "text/plain" if source.get("type") == "text" else None
        return _blob(source.get("media_type", plain), source["data"], modality)
    if source.get("file_id"):
        return {"type": "file", "modality": modality, "file_id": source["file_id"]}
    return _located(source.get("url"), modality)


def _media(value: Mapping[str, Any], modality: str) -> dict[str, Any] | None:
    modality = value.get("modality") or modality
    if isinstance(value.get("source"), Mapping):
        return _sourced(value["source"], modality)
    mime = _first(value, ("mime_type", "mimeType", "mediaType", "media_type"))
    for name in ("image_url", "image", "audio", "video", "document", "url", "uri", "file", "data"):
        held = value.get(name)
        while isinstance(held, Mapping):
            if held.get("file_id"):
                return {"type": "file", "modality": modality, "file_id": held["file_id"]}
            held = _first(held, ("url", name, "file_data", "data", "uri"))
        if isinstance(held, str) and held:
            if ":" in held[:12]:
                return _located(held, modality, mime)
            return _blob(mime, held, modality)
    if value.get("file_id"):
        return {"type": "file", "modality": modality, "file_id": value["file_id"]}
    return None


def _kept(value: Mapping[str, Any]) -> dict[str, Any] | None:
    return dict(value)


_READERS: dict[str, Reader] = {
    "text": _text,
    "input_text": _text,
    "output_text": _text,
    "refusal": lambda value: {"type": "text", "content": str(value.get("refusal", "")), "refusal": True},
    "reasoning": _reasoning,
    "thinking": _reasoning,
    "redacted_thinking": _reasoning,
    "tool_call": _tool_call,
    "tool_use": _tool_call,
    "server_tool_use": _tool_call,
    "function_call": _tool_call,
    "function": _tool_call,
    "custom_tool_call": _tool_call,
    "tool_call_response": _tool_answer,
    "tool_result": _tool_answer,
    "function_call_output": _tool_answer,
    "image": _image,
    "image_url": _image,
    "input_image": _image,
    "audio": _audio,
    "input_audio": _audio,
    "video": _video,
    "document": _document,
    "file": _document,
    "input_file": _document,
    "blob": _kept,
    "uri": _kept,
}
TYPES = frozenset(_READERS) | {"tool-call", "tool-result"}
"""Values of `type` that say that an object is a part of a message."""
