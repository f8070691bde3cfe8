"""Chat completions and embeddings in OpenAI's form, from JSON to outputs."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from penstock.evals.calls.sender import Reply
from penstock.evals.model import Output
from penstock.traces import prices
from penstock.traces.prices import OwnPrice, Usage

Own = Sequence[OwnPrice]


def error_text(body: str) -> str:
    """Return the message of an OpenAI-style error body, else the body's first 500 characters."""
    try:
        decoded = msgspec.json.decode(body.encode())
    except (msgspec.DecodeError, UnicodeError):
        return body[:500]
    error = decoded.get("error") if isinstance(decoded, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return str(message)[:500] if message else body[:500]


def failure(reply: Reply) -> str | None:
    """Return why the reply is no answer, or None when it is one."""
    if reply.error is not None:
        return reply.error
    if reply.status != 200:
        return f"HTTP {reply.status}: {error_text(reply.body.decode(errors='replace'))}"
    return None


def header(reply: Reply, name: bytes) -> str | None:
    """Return a header as text, or None."""
    value = reply.headers.get(name)
    return value.decode("latin-1") if value else None


def price(reply: Reply, model: str, usage: Mapping[str, Any], own: Own) -> float | None:
    """Return what the call cost: as the gateway says, else by own prices and the book; None when nobody knows."""
    told = header(reply, b"x-penstock-cost-usd")
    if told is not None:
        try:
            return float(told)
        except ValueError:
            return None
    if not usage:
        return None
    cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    tokens = Usage(
        input=usage.get("prompt_tokens") or 0, output=usage.get("completion_tokens") or 0, cached=cached
    )
    found = prices.cost(model, None, tokens, own)
    return found.usd if found is not None else None


def tool_calls(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the tools a message calls as {name, arguments}; arguments are JSON where they can be read."""
    found = []
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        arguments = function.get("arguments") or "{}"
        with suppress(msgspec.DecodeError, TypeError):
            arguments = msgspec.json.decode(arguments)
        found.append({"name": function.get("name") or "", "arguments": arguments})
    return found


def _output(
    reply: Reply, model: str, own: Own, data: Mapping[str, Any], message: Mapping[str, Any]
) -> Output:
    usage = data.get("usage") or {}
    called = tool_calls(message)
    return Output(
        sample_id="",
        text=message.get("content") or "",
        latency_s=reply.seconds,
        ttft_s=data.get("ttft_s"),
        finish_reason=data.get("finish_reason") or "",
        trace_id=header(reply, b"x-penstock-trace-id"),
        input_tokens=usage.get("prompt_tokens"),
        output_tokens=usage.get("completion_tokens"),
        cost_usd=price(reply, str(data.get("model") or model), usage, own),
        extra={"tool_calls": called} if called else {},
    )


def read_answer(reply: Reply, model: str, own: Own = ()) -> Output:
    """Return the output of a chat completion; a failure or an unreadable body is its error."""
    trace_id = header(reply, b"x-penstock-trace-id")
    if (failed := failure(reply)) is not None:
        return Output(sample_id="", error=failed, trace_id=trace_id)
    try:
        decoded = msgspec.json.decode(reply.body)
        choice = decoded["choices"][0]
        data = {**decoded, "finish_reason": choice.get("finish_reason")}
        return _output(reply, model, own, data, choice["message"])
    except (msgspec.DecodeError, KeyError, IndexError, TypeError, AttributeError) as error:
        return Output(sample_id="", error=f"unreadable answer ({error!r})", trace_id=trace_id)


def read_stream(reply: Reply, model: str, own: Own = ()) -> Output:
    """Return the output of a stream of chunks; one that ends without `[DONE]` is an error."""
    trace_id = header(reply, b"x-penstock-trace-id")

    def wrong(error: str) -> Output:
        return Output(sample_id="", error=error, trace_id=trace_id)

    if (failed := failure(reply)) is not None:
        return wrong(failed)
    parts: list[str] = []
    data: dict[str, Any] = {"ttft_s": reply.first_s}
    complete = False
    for line in reply.body.splitlines():
        if not line.startswith(b"data:"):
            continue
        text = line[5:].strip()
        if text == b"[DONE]":
            complete = True
            continue
        try:
            chunk = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            return wrong(f"unreadable chunk ({error})")
        if chunk.get("error"):
            return wrong(error_text(text.decode()))
        _gather(chunk, data, parts)
    if not complete:
        return wrong("the stream ended early")
    return _output(reply, model, own, data, {"content": "".join(parts)})


class FirstToken:
    """Says of pieces of a stream whether the first piece of text has come; pieces may end anywhere."""

    def __init__(self) -> None:
        self._rest = b""

    def __call__(self, part: bytes) -> bool:
        """Return whether a chunk with text is complete in what came so far."""
        *lines, self._rest = (self._rest + part).split(b"\n")
        return any(self._has_text(line) for line in lines)

    def _has_text(self, line: bytes) -> bool:
        if not line.startswith(b"data:") or b'"content"' not in line:
            return False
        parts: list[str] = []
        with suppress(msgspec.DecodeError, AttributeError, TypeError):
            _gather(msgspec.json.decode(line[5:]), {}, parts)
        return bool(parts)


def _gather(chunk: Mapping[str, Any], data: dict[str, Any], parts: list[str]) -> None:
    for name in ("usage", "model"):
        if chunk.get(name):
            data[name] = chunk[name]
    for choice in chunk.get("choices", ()):
        data["finish_reason"] = choice.get("finish_reason") or data.get("finish_reason")
        if text := (choice.get("delta") or {}).get("content"):
            parts.append(text)


def read_embeddings(reply: Reply, model: str, own: Own = ()) -> Output:
    """Return an output whose `extra["vectors"]` are the embeddings, in the order they were asked for."""
    if (failed := failure(reply)) is not None:
        return Output(sample_id="", error=failed)
    try:
        decoded = msgspec.json.decode(reply.body)
        items = sorted(decoded["data"], key=lambda item: int(item["index"]))
        vectors = [list(map(float, item["embedding"])) for item in items]
    except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        return Output(sample_id="", error=f"unreadable answer ({error!r})")
    usage = decoded.get("usage") or {}
    return Output(
        sample_id="",
        input_tokens=usage.get("prompt_tokens"),
        cost_usd=price(reply, str(decoded.get("model") or model), usage, own),
        latency_s=reply.seconds,
        extra={"vectors": vectors},
    )
