"""Chat completions, responses, embeddings and completions of the `openai` library.

Source of the shapes: https://platform.openai.com/docs/api-reference.
"""

from typing import Any

from penstock.sdk.spans import Kind
from penstock.sdk.wrapping.calls import Endpoint, Gathering
from penstock.sdk.wrapping.reading import (
    Attributes,
    Part,
    call_part,
    each,
    fields,
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

PARAMETERS = {
    "model": "model",
    "temperature": "temperature",
    "top_p": "top_p",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "max_output_tokens": "max_tokens",
    "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty",
    "stop": "stop_sequences",
    "seed": "seed",
    "n": "choice.count",
    "stream": "stream",
    "reasoning_effort": "reasoning.level",
    "previous_response_id": "previous_response.id",
    "service_tier": "service_tier",
    "dimensions": "embedding.dimensions",
}


class Chat:
    """`/chat/completions`."""

    operation = "chat"
    kind: Kind = "llm"

    def request(self, body: Any) -> Attributes:
        """Return the attributes of a request."""
        return parameters(body, PARAMETERS) | filled(
            input__messages=[_message(message) for message in each(get(body, "messages"))],
            tool__definitions=get(body, "tools"),
            output__type=_output_type(get(body, "response_format", "type")),
        )

    def response(self, answer: Any) -> Attributes:
        """Return the attributes of a whole answer."""
        choices = [fields(choice) for choice in each(get(answer, "choices"))]
        messages = [
            _message(choice.get("message")) | filled_finish(choice.get("finish_reason")) for choice in choices
        ]
        return _identity(answer) | filled(
            output__messages=messages,
            response__finish_reasons=[
                reason for choice in choices if (reason := choice.get("finish_reason"))
            ],
        )

    def gathering(self) -> Gathering:
        """Return what takes the pieces of a streamed answer."""
        return _ChatPieces()


def filled_finish(reason: Any) -> dict[str, Any]:
    """Return why a message ended, if that is known."""
    return {"finish_reason": str(reason)} if reason else {}


class _Choice:
    """One choice of a streamed chat completion."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {
            "content": [],
            "reasoning_content": [],
            "reasoning": [],
            "refusal": [],
        }
        self.calls: dict[int, dict[str, Any]] = {}
        self.finish = ""

    def add(self, choice: Any) -> bool:
        delta, began = fields(get(choice, "delta")), False
        for name, texts in self.texts.items():
            if piece := text_of(delta.get(name)):
                texts.append(piece)
                began = True
        for call in each(delta.get("tool_calls")):
            held = self.calls.setdefault(number(call, "index"), {"id": None, "name": "", "arguments": []})
            held["id"] = get(call, "id") or held["id"]
            held["name"] += text_of(get(call, "function", "name"))
            held["arguments"].append(text_of(get(call, "function", "arguments")))
            began = True
        self.finish = get(choice, "finish_reason") or self.finish
        return began

    def message(self) -> dict[str, Any]:
        thought = "".join(self.texts["reasoning_content"]) or "".join(self.texts["reasoning"])
        parts: list[Part] = [reasoning_part(thought)] if thought else []
        if said := "".join(self.texts["content"]) or "".join(self.texts["refusal"]):
            parts.append(text_part(said))
        for _, call in sorted(self.calls.items()):
            parts.append(call_part(call["name"], "".join(call["arguments"]), call["id"]))
        return {"role": "assistant", "parts": parts} | filled_finish(self.finish)


class _ChatPieces:
    """A streamed chat completion."""

    def __init__(self) -> None:
        self._choices: dict[int, _Choice] = {}
        self._known: Attributes = {}

    def add(self, piece: Any) -> bool:
        if "gen_ai.response.id" not in self._known or get(piece, "usage") is not None:
            self._known |= _identity(piece)
        began = False
        for choice in each(get(piece, "choices")):
            began |= self._choices.setdefault(number(choice, "index"), _Choice()).add(choice)
        return began

    def attributes(self) -> Attributes:
        choices = [choice for _, choice in sorted(self._choices.items())]
        return self._known | filled(
            output__messages=[choice.message() for choice in choices],
            response__finish_reasons=[choice.finish for choice in choices if choice.finish],
        )


class Responses:
    """`/responses`."""

    operation = "chat"
    kind: Kind = "llm"

    def request(self, body: Any) -> Attributes:
        """Return the attributes of a request."""
        given = get(body, "input")
        messages = (
            [{"role": "user", "parts": [text_part(given)]}] if isinstance(given, str) else _items(given)
        )
        instructions = text_of(get(body, "instructions"))
        return parameters(body, PARAMETERS) | filled(
            input__messages=messages,
            system_instructions=[text_part(instructions)] if instructions else None,
            tool__definitions=get(body, "tools"),
            conversation__id=get(body, "conversation", "id") or text_of(get(body, "conversation")),
            request__reasoning__level=get(body, "reasoning", "effort"),
            output__type=_output_type(get(body, "text", "format", "type")),
        )

    def response(self, answer: Any) -> Attributes:
        """Return the attributes of a whole answer."""
        parts = [part for item in each(get(answer, "output")) for part in _item(item)[1]]
        reason = get(answer, "incomplete_details", "reason") or get(answer, "status")
        message = {"role": "assistant", "parts": parts} | filled_finish(reason)
        failed = get(answer, "error", "message")
        return (
            _identity(answer)
            | filled(
                output__messages=[message] if parts else [],
                response__finish_reasons=[str(reason)] if reason else None,
            )
            | ({"error": failed} if isinstance(failed, str) else {})
        )

    def gathering(self) -> Gathering:
        """Return what takes the pieces of a streamed answer."""
        return _ResponsePieces()


class _ResponsePieces:
    """A streamed response: its last event holds the whole; the text is kept for streams that are cut."""

    def __init__(self) -> None:
        self._whole: Any = None
        self._text: list[str] = []

    def add(self, piece: Any) -> bool:
        kind = text_of(get(piece, "type"))
        if (whole := get(piece, "response")) is not None:
            self._whole = whole
        if kind == "response.output_text.delta":
            self._text.append(text_of(get(piece, "delta")))
        return kind.endswith(".delta")

    def attributes(self) -> Attributes:
        known = Responses().response(self._whole)
        if "gen_ai.output.messages" not in known and self._text:
            message = {"role": "assistant", "parts": [text_part("".join(self._text))]}
            known |= filled(output__messages=[message])
        return known


class Embeddings:
    """`/embeddings`."""

    operation = "embeddings"
    kind: Kind = "embedding"

    def request(self, body: Any) -> Attributes:
        """Return the attributes of a request."""
        given = get(body, "input")
        texts = [given] if isinstance(given, str) else [item for item in each(given) if isinstance(item, str)]
        messages = [{"role": "user", "parts": [text_part(text)]} for text in texts]
        return parameters(body, PARAMETERS) | filled(input__messages=messages)

    def response(self, answer: Any) -> Attributes:
        """Return the attributes of a whole answer; the vectors are counted, not kept."""
        return _identity(answer) | filled(embeddings__count=len(list(each(get(answer, "data")))) or None)

    def gathering(self) -> Gathering:
        """Return what takes the pieces of an answer, which embeddings do not have."""
        return _ChatPieces()


class Completions:
    """`/completions`, the older text endpoint."""

    operation = "text_completion"
    kind: Kind = "llm"

    def request(self, body: Any) -> Attributes:
        """Return the attributes of a request."""
        given = get(body, "prompt")
        texts = [given] if isinstance(given, str) else [item for item in each(given) if isinstance(item, str)]
        messages = [{"role": "user", "parts": [text_part(text)]} for text in texts]
        return parameters(body, PARAMETERS) | filled(input__messages=messages)

    def response(self, answer: Any) -> Attributes:
        """Return the attributes of a whole answer."""
        texts = {
            number(choice, "index"): text_of(get(choice, "text")) for choice in each(get(answer, "choices"))
        }
        return _identity(answer) | _completed(texts)

    def gathering(self) -> Gathering:
        """Return what takes the pieces of a streamed answer."""
        return _CompletionPieces()


class _CompletionPieces:
    """A streamed completion."""

    def __init__(self) -> None:
        self._texts: dict[int, str] = {}
        self._known: Attributes = {}

    def add(self, piece: Any) -> bool:
        self._known |= _identity(piece)
        began = False
        for choice in each(get(piece, "choices")):
            text, at = text_of(get(choice, "text")), number(choice, "index")
            self._texts[at] = self._texts.get(at, "") + text
            began |= bool(text)
        return began

    def attributes(self) -> Attributes:
        return self._known | _completed(self._texts)


def _completed(texts: dict[int, str]) -> Attributes:
    return filled(
        output__messages=[
            {"role": "assistant", "parts": [text_part(text)]} for _, text in sorted(texts.items())
        ]
    )


def _identity(answer: Any) -> Attributes:
    """Return what every answer tells of itself: id, model, tier and tokens, under the names of either interface."""
    whole = fields(answer)
    used = fields(whole.get("usage"))
    read = fields(used.get("prompt_tokens_details") or used.get("input_tokens_details"))
    wrote = fields(used.get("completion_tokens_details") or used.get("output_tokens_details"))
    tier = whole.get("service_tier")
    return filled(
        response__id=whole.get("id"),
        response__model=whole.get("model"),
        response__service_tier=tier if isinstance(tier, str) else None,
    ) | usage(
        input_tokens=number(used, "prompt_tokens") or number(used, "input_tokens"),
        output_tokens=number(used, "completion_tokens") or number(used, "output_tokens"),
        cached=number(read, "cached_tokens"),
        cache_write=number(read, "cache_write_tokens"),
        reasoning=number(wrote, "reasoning_tokens"),
    )


def _output_type(format_: Any) -> str | None:
    return {"json_object": "json", "json_schema": "json", "text": "text"}.get(format_) if format_ else None


def _message(message: Any) -> dict[str, Any]:
    held = fields(message)  # of missing fields a library's object is slow to say that they are missing
    role, content = held.get("role") or "assistant", held.get("content")
    if role == "tool":
        return {"role": role, "parts": [result_part(content, held.get("tool_call_id"))]}
    parts: list[Part] = []
    if thought := text_of(held.get("reasoning_content")) or text_of(held.get("reasoning")):
        parts.append(reasoning_part(thought))
    parts += [text_part(content)] if isinstance(content, str) and content else _contents(content)
    if refusal := text_of(held.get("refusal")):
        parts.append(text_part(refusal))
    for call in each(held.get("tool_calls")):
        function = get(call, "function") or get(call, "custom")
        arguments = get(function, "arguments") or get(function, "input")
        parts.append(call_part(get(function, "name"), arguments, get(call, "id")))
    return {"role": role, "parts": parts}


def _contents(contents: Any) -> list[Part]:
    return [_content(content) for content in each(contents)]


def _content(content: Any) -> Part:
    kind = text_of(get(content, "type"))
    match kind:
        case "text" | "input_text" | "output_text" | "summary_text" | "reasoning_text":
            return text_part(text_of(get(content, "text")))
        case "refusal":
            return text_part(text_of(get(content, "refusal")))
        case "image_url" | "input_image":
            url = get(content, "image_url", "url") or get(content, "image_url") or get(content, "file_id")
            return media_part("image", url=url)
        case "input_audio":
            sound = get(content, "input_audio")
            return media_part("audio", data=get(sound, "data"), mime_type=f"audio/{get(sound, 'format')}")
        case "file" | "input_file":
            file = get(content, "file") or content
            return media_part(
                "file", url=get(file, "file_id") or get(file, "file_url") or get(file, "file_data")
            )
        case _:
            return {"type": kind or "unknown", "content": content}


def _items(items: Any) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for item in each(items):
        role, parts = _item(item)
        if messages and messages[-1]["role"] == role == "assistant":
            messages[-1]["parts"] += parts
        else:
            messages.append({"role": role, "parts": parts})
    return messages


def _item(item: Any) -> tuple[str, list[Part]]:
    """Return an item of a response's input or output as the role it speaks for and its parts."""
    kind = get(item, "type") or "message"
    match kind:
        case "message":
            content = get(item, "content")
            parts = [text_part(content)] if isinstance(content, str) else _contents(content)
            return get(item, "role") or "user", parts
        case "function_call" | "custom_tool_call":
            arguments = get(item, "arguments") or get(item, "input")
            return "assistant", [call_part(get(item, "name"), arguments, get(item, "call_id"))]
        case "function_call_output" | "custom_tool_call_output":
            return "tool", [result_part(get(item, "output"), get(item, "call_id"))]
        case "reasoning":
            told = [text_of(get(one, "text")) for one in each(get(item, "summary") or get(item, "content"))]
            return "assistant", [reasoning_part("\n".join(told))] if any(told) else []
        case _:
            return "assistant", [{"type": str(kind), "content": item}]


ENDPOINTS: dict[str, Endpoint] = {
    "/chat/completions": Chat(),
    "/responses": Responses(),
    "/embeddings": Embeddings(),
    "/completions": Completions(),
}
