"""Chat completions and completions as chunks: https://platform.openai.com/docs/api-reference/chat/streaming."""

from collections.abc import Iterator
from typing import Any

from penstock.gateway.cache.pieces import data, pieces

DONE = b"data: [DONE]\n\n"
_TEXTS = ("reasoning_content", "content", "refusal")
_PLAIN = frozenset({*_TEXTS, "role", "tool_calls", "function_call"})
Body = dict[str, Any]


def chat(answer: Body, include_usage: bool) -> Iterator[bytes]:
    """Yield role, texts, tool calls, end, the counts if asked for, and `[DONE]`."""
    head = _head(answer, "chat.completion.chunk", include_usage)
    for choice in answer.get("choices", ()):
        index = choice.get("index", 0)
        for delta in _deltas(choice.get("message") or {}):
            yield _chunk(head, index, delta)
        yield _chunk(head, index, {}, choice.get("finish_reason"), choice.get("logprobs"))
    yield from _tail(answer, head, include_usage)


def _deltas(message: Body) -> Iterator[Body]:
    # What is not known to come in pieces (audio, annotations, signatures) goes whole with the role.
    more = {name: value for name, value in message.items() if name not in _PLAIN and value is not None}
    yield {"role": message.get("role", "assistant"), "content": "", **more}
    for name in _TEXTS:
        for piece in pieces(message.get(name) or ""):
            yield {name: piece}
    for index, call in enumerate(message.get("tool_calls") or ()):
        yield from _call(index, call)
    if message.get("function_call"):
        yield {"function_call": message["function_call"]}


def _call(index: int, call: Body) -> Iterator[Body]:
    function = call.get("function")
    if not isinstance(function, dict):
        yield {"tool_calls": [{"index": index, **call}]}
        return
    begun = {**call, "index": index, "function": {**function, "arguments": ""}}
    yield {"tool_calls": [begun]}
    for piece in pieces(function.get("arguments") or ""):
        yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def completion(answer: Body, include_usage: bool) -> Iterator[bytes]:
    """Yield the texts of a completion, its end, the counts if asked for, and `[DONE]`."""
    head = _head(answer, "text_completion", include_usage)
    for choice in answer.get("choices", ()):
        base = {"index": choice.get("index", 0), "logprobs": None, "finish_reason": None}
        for piece in pieces(choice.get("text") or ""):
            yield data({**head, "choices": [{**base, "text": piece}]})
        end = {
            **base,
            "text": "",
            "finish_reason": choice.get("finish_reason"),
            "logprobs": choice.get("logprobs"),
        }
        yield data({**head, "choices": [end]})
    yield from _tail(answer, head, include_usage)


def _head(answer: Body, kind: str, include_usage: bool) -> Body:
    kept = {name: value for name, value in answer.items() if name not in ("choices", "usage", "object")}
    head = {"id": "", **kept, "object": kind}
    return {**head, "usage": None} if include_usage else head


def _chunk(head: Body, index: int, delta: Body, finish: Any = None, logprobs: Any = None) -> bytes:
    choice: Body = {"index": index, "delta": delta, "finish_reason": finish}
    if logprobs is not None:
        choice["logprobs"] = logprobs
    return data({**head, "choices": [choice]})


def _tail(answer: Body, head: Body, include_usage: bool) -> Iterator[bytes]:
    if include_usage and answer.get("usage") is not None:
        yield data({**head, "choices": [], "usage": answer["usage"]})
    yield DONE
