"""`generate_content`, its streams and `embed_content` of the `google-genai` library.

Source of the shapes: https://ai.google.dev/api/generate-content. Recorded is the call below automatic function calling
and continuation, so that each of several requests is one span with its own tokens.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from penstock.sdk.quiet import fault
from penstock.sdk.spans import Kind
from penstock.sdk.wrapping.calls import Call, Endpoint, Gathering, Server, open_call
from penstock.sdk.wrapping.reading import (
    Attributes,
    Part,
    call_part,
    each,
    filled,
    get,
    media_part,
    number,
    parameters,
    reasoning_part,
    result_part,
    text_of,
    text_part,
    usage,
)
from penstock.sdk.wrapping.streams import AsyncWatched, Watched

MARK = "_penstock_wrapped"
PARAMETERS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "max_output_tokens": "max_tokens",
    "stop_sequences": "stop_sequences",
    "candidate_count": "choice.count",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}


class Generate:
    """`generate_content`, whole or streamed."""

    operation = "generate_content"
    kind: Kind = "llm"

    def request(self, body: Any) -> Attributes:
        """Return the attributes of a request."""
        config = get(body, "config")
        system = get(config, "system_instruction")
        return filled(
            request__model=text_of(get(body, "model")).removeprefix("models/"),
            input__messages=_contents(get(body, "contents")),
            system_instructions=[part for content in _contents(system) for part in content["parts"]],
            tool__definitions=[_tool(tool) for tool in each(get(config, "tools"))],
            output__type="json" if get(config, "response_mime_type") == "application/json" else None,
        ) | parameters(config, PARAMETERS)

    def response(self, answer: Any) -> Attributes:
        """Return the attributes of a whole answer."""
        pieces = _Pieces()
        pieces.add(answer)
        return pieces.attributes()

    def gathering(self) -> Gathering:
        """Return what takes the pieces of a streamed answer."""
        return _Pieces()


class _Pieces:
    """An answer from one piece or many: texts that follow each other become one part."""

    def __init__(self) -> None:
        self._known: Attributes = {}
        self._parts: dict[int, list[Part]] = {}
        self._finish: dict[int, str] = {}

    def add(self, piece: Any) -> bool:
        used = get(piece, "usage_metadata")
        thought = number(used, "thoughts_token_count")
        self._known |= filled(
            response__id=get(piece, "response_id"), response__model=get(piece, "model_version")
        ) | usage(
            input_tokens=number(used, "prompt_token_count") + number(used, "tool_use_prompt_token_count"),
            output_tokens=number(used, "candidates_token_count") + thought,
            cached=number(used, "cached_content_token_count"),
            reasoning=thought,
        )
        if blocked := get(piece, "prompt_feedback", "block_reason"):
            self._finish[0] = _word(blocked)
        began = False
        for place, candidate in enumerate(each(get(piece, "candidates"))):
            at = number(candidate, "index") or place
            if reason := get(candidate, "finish_reason"):
                self._finish[at] = _word(reason)
            for part in each(get(candidate, "content", "parts")):
                _append(self._parts.setdefault(at, []), _part(part))
                began = True
        return began

    def attributes(self) -> Attributes:
        messages: list[dict[str, Any]] = []
        for at in sorted({*self._parts, *self._finish}):
            message: dict[str, Any] = {"role": "assistant", "parts": self._parts.get(at, [])}
            messages.append({**message, "finish_reason": self._finish[at]} if at in self._finish else message)
        reasons = [reason for _, reason in sorted(self._finish.items())]
        return self._known | filled(output__messages=messages, response__finish_reasons=reasons)


class Embed:
    """`embed_content`."""

    operation = "embeddings"
    kind: Kind = "embedding"

    def request(self, body: Any) -> Attributes:
        """Return the attributes of a request."""
        return filled(
            request__model=text_of(get(body, "model")).removeprefix("models/"),
            input__messages=_contents(get(body, "contents")),
            request__embedding__dimensions=get(body, "config", "output_dimensionality"),
        )

    def response(self, answer: Any) -> Attributes:
        """Return the attributes of a whole answer; the vectors are counted, not kept."""
        vectors = list(each(get(answer, "embeddings")))
        tokens = sum(int(get(vector, "statistics", "token_count") or 0) for vector in vectors)
        return filled(embeddings__count=len(vectors) or None) | usage(input_tokens=tokens)

    def gathering(self) -> Gathering:
        """Return what takes the pieces of an answer, which embeddings do not have."""
        return _Pieces()


def wrap(client: Any, server: Server) -> None:
    """Record the calls of a client, and those of its asynchronous half."""
    for models in (client.models, get(client, "aio", "models")):
        if models is None or hasattr(models, MARK):
            continue
        for inner, outer, endpoint in _METHODS:
            name = inner if hasattr(models, inner) else outer
            if hasattr(models, name):
                setattr(models, name, _recorded(getattr(models, name), server, endpoint, "stream" in name))
        setattr(models, MARK, True)


_METHODS: tuple[tuple[str, str, Endpoint], ...] = (
    ("_generate_content", "generate_content", Generate()),
    ("_generate_content_stream", "generate_content_stream", Generate()),
    ("embed_content", "embed_content", Embed()),
)


def _recorded(
    original: Callable[..., Any], server: Server, endpoint: Endpoint, streaming: bool
) -> Callable[..., Any]:
    @functools.wraps(original)
    def plain(**kwargs: Any) -> Any:
        call = open_call(endpoint, server, kwargs)
        if call is None:
            return original(**kwargs)
        with call.running():
            result = original(**_told(call, kwargs))
        if streaming:
            call.span.update({"gen_ai.request.stream": True})
            return Watched(result, call)
        call.answer(result)
        return result

    @functools.wraps(original)
    async def asynchronous(**kwargs: Any) -> Any:
        call = open_call(endpoint, server, kwargs)
        if call is None:
            return await original(**kwargs)
        with call.running():
            result = await original(**_told(call, kwargs))
        if streaming:
            call.span.update({"gen_ai.request.stream": True})
            return AsyncWatched(result, call)
        call.answer(result)
        return result

    return asynchronous if inspect.iscoroutinefunction(original) else plain


def _told(call: Call, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments, with the trace's headers where the gateway reads them."""
    if not call.gateway:
        return kwargs
    try:
        config = kwargs.get("config")
        options = get(config, "http_options")
        headers = call.headers(get(options, "headers"))
        changed = _with(options, headers=headers)
        return {**kwargs, "config": _with(config, http_options=changed)}
    except Exception as error:  # noqa: BLE001 - tracing never raises into the traced program
        fault("headers", error)
        return kwargs


def _with(thing: Any, **fields: Any) -> Any:
    if thing is None or isinstance(thing, Mapping):
        return {**(thing or {}), **fields}
    return thing.model_copy(update=fields)


def _word(value: Any) -> str:
    return str(getattr(value, "value", value))


def _contents(contents: Any) -> list[dict[str, Any]]:
    """Return the messages of what may be a text, a part, a content, or a list of these."""
    if contents is None:
        return []
    items = contents if isinstance(contents, list | tuple) else [contents]
    messages: list[dict[str, Any]] = []
    for item in items:
        parts = get(item, "parts")
        if parts is not None:
            role = {"model": "assistant"}.get(text_of(get(item, "role")), get(item, "role") or "user")
            messages.append({"role": role, "parts": [_part(part) for part in each(parts)]})
        elif messages and messages[-1].get("loose"):
            messages[-1]["parts"].append(_part(item))
        else:
            messages.append({"role": "user", "parts": [_part(item)], "loose": True})
    for message in messages:
        message.pop("loose", None)
    return messages


def _part(part: Any) -> Part:
    if isinstance(part, str):
        return text_part(part)
    if isinstance(said := get(part, "text"), str):
        return reasoning_part(said) if get(part, "thought") else text_part(said)
    if (asked := get(part, "function_call")) is not None:
        return call_part(get(asked, "name"), get(asked, "args"), get(asked, "id"))
    if (told := get(part, "function_response")) is not None:
        return result_part(get(told, "response"), get(told, "id") or get(told, "name"))
    for name in ("inline_data", "file_data"):
        if (blob := get(part, name)) is not None:
            kind = text_of(get(blob, "mime_type"))
            modality = kind.partition("/")[0] or "file"
            return media_part(modality, url=get(blob, "file_uri"), data=get(blob, "data"), mime_type=kind)
    if (uri := get(part, "uri")) is not None:
        return media_part("file", url=uri, mime_type=get(part, "mime_type"))
    for name in ("executable_code", "code_execution_result"):
        if (found := get(part, name)) is not None:
            return {"type": name, "content": found}
    return {"type": "unknown", "content": part}


def _append(parts: list[Part], part: Part) -> None:
    last = parts[-1] if parts else None
    if last is not None and last["type"] == part["type"] and part["type"] in ("text", "reasoning"):
        last["content"] += part["content"]
    else:
        parts.append(part)


def _tool(tool: Any) -> Any:
    if callable(tool):
        return {"type": "function", "name": getattr(tool, "__name__", "?"), "description": tool.__doc__}
    return tool
