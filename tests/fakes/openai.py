"""An OpenAI-family provider. The model's name chooses what it does; see `script`."""

import base64
import struct
from collections.abc import Iterable
from typing import Any

import msgspec

from tests.fakes.server import END, Received, ScriptedServer, Step, answer, chunk, stream_head

KEY = "sk-upstream"
THOUGHTS = ["Think ", "of it…"]
"""What the model thinks, and tells as reasoning_content, when a request has `reasoning_effort`."""
WORDS = ["The ", "quick ", "brown ", "fox", ".", " naïve ☃"]
USAGE = {
    "prompt_tokens": 42,
    "completion_tokens": 7,
    "total_tokens": 49,
    "prompt_tokens_details": {"cached_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
TOOL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}


def error(status: int, message: str, code: str | None = None, headers: dict[str, str] | None = None) -> bytes:
    """Return an error as OpenAI words it."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return answer(body, status, headers, reason="Error")


def completion(model: str, message: dict[str, Any], finish: str = "stop") -> dict[str, Any]:
    """Return a chat completion."""
    return {
        "id": "chatcmpl-fake1",
        "object": "chat.completion",
        "created": 1763596800,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": USAGE,
        "system_fingerprint": "fp_0",
        "x_unknown": {"kept": True},
    }


def event(model: str, delta: dict[str, Any] | None, finish: str | None = None, **more: Any) -> bytes:
    """Return one event of a chat stream; a delta of None makes the usage event."""
    choices = (
        [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    )
    body = {
        "id": "chatcmpl-fake1",
        "object": "chat.completion.chunk",
        "created": 1763596800,
        "model": model,
        "choices": choices,
        **more,
    }
    return b"data: " + msgspec.json.encode(body) + b"\n\n"


def chat_events(request: dict[str, Any]) -> list[bytes]:
    """Return the events of a whole stream."""
    model = request["model"] + "-2026"
    out = [event(model, {"role": "assistant", "content": "", "refusal": None})]
    if request.get("reasoning_effort"):
        out += [event(model, {"reasoning_content": text}) for text in THOUGHTS]
    if request.get("tools"):
        function = TOOL["function"]
        out.append(
            event(
                model,
                {"tool_calls": [{"index": 0, **TOOL, "function": {"name": "weather", "arguments": ""}}]},
            )
        )
        text = function["arguments"]
        out += [
            event(model, {"tool_calls": [{"index": 0, "function": {"arguments": part}}]})
            for part in (text[:5], text[5:])
        ]
        out.append(event(model, {}, "tool_calls"))
    else:
        out += [event(model, {"content": word}) for word in WORDS]
        out.append(event(model, {}, "stop"))
    if (request.get("stream_options") or {}).get("include_usage"):
        out.append(event(model, None, usage=USAGE))
    return [*out, b"data: [DONE]\n\n"]


def _stream(request: dict[str, Any], name: str) -> Iterable[Step]:
    events = chat_events(request)
    yield stream_head({"x-request-id": "req_upstream"})
    if name == "cut":
        yield from (chunk(each) for each in events[:3])
        yield 0.2
        yield "cut"
    elif name == "error-in-stream":
        yield from (chunk(each) for each in events[:3])
        yield 0.2
        yield chunk(b'data: {"error":{"message":"The model crashed.","type":"server_error","code":null}}\n\n')
        yield END
    elif name == "error-first":
        yield chunk(b'data: {"error":{"message":"The model crashed.","type":"server_error","code":null}}\n\n')
        yield END
    elif name == "bytewise":
        for byte in b"".join(events).replace(b"\n", b"\r\n"):
            yield chunk(bytes([byte]))
        yield END
    elif name == "at-once":
        yield chunk(b"".join(events)) + END
    else:
        yield from _paced(events, name)


def _paced(events: list[bytes], name: str) -> Iterable[Step]:
    yield chunk(events[0])
    if name == "silent":
        yield 1.2
    if name == "slow":
        for each in events[1:-1] * 50:
            yield chunk(each)
            yield 0.2
    yield from (chunk(each) for each in events[1:])
    yield END


def _thought(request: dict[str, Any]) -> dict[str, Any]:
    return {"reasoning_content": "".join(THOUGHTS)} if request.get("reasoning_effort") else {}


def _chat(request: Received, name: str) -> Iterable[Step]:
    body = request.json
    if body.get("stream"):
        yield from _stream(body, name)
    elif body.get("tools"):
        message = {"role": "assistant", "content": None, "tool_calls": [TOOL], "refusal": None} | _thought(
            body
        )
        yield answer(completion(body["model"] + "-2026", message, "tool_calls"))
    else:
        message = {"role": "assistant", "content": "".join(WORDS), "refusal": None} | _thought(body)
        yield answer(completion(body["model"] + "-2026", message), headers={"x-request-id": "req_upstream"})


FORMS = {"embed-floats": "float", "embed-base64": "base64"}
"""Models that give their vectors in one form, whatever is asked."""


def _completions(request: Received) -> Iterable[Step]:
    body = request.json
    made = {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1763596800,
        "model": body["model"] + "-2026",
    }
    choice = {"text": " a time", "index": 0, "logprobs": None, "finish_reason": "stop"}
    if not body.get("stream"):
        yield answer(made | {"choices": [choice], "usage": USAGE})
        return
    yield stream_head()
    yield chunk(b"data: " + msgspec.json.encode(made | {"choices": [choice]}) + b"\n\n")
    if (body.get("stream_options") or {}).get("include_usage"):
        yield chunk(b"data: " + msgspec.json.encode(made | {"choices": [], "usage": USAGE}) + b"\n\n")
    yield chunk(b"data: [DONE]\n\n")
    yield END


def _moderation(request: Received) -> bytes:
    inputs = request.json["input"]
    flagged = {"flagged": True, "categories": {"violence": True}, "category_scores": {"violence": 0.9}}
    results = [flagged | {"category_applied_input_types": {"violence": ["text"]}}]
    if isinstance(inputs, list) and isinstance(inputs[0], str):
        results *= len(inputs)
    return answer({"id": "modr-1", "model": request.json["model"] + "-2024-09-26", "results": results})


def _embeddings(request: Received) -> Iterable[Step]:
    body = request.json
    inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
    rows = []
    for index, _ in enumerate(inputs):
        vector = [0.25 * (index + 1), -1.5, 3.0]
        packed: Any = vector
        if body["model"] == "embed-sized" and body.get("dimensions"):
            vector = packed = vector[: body["dimensions"]]
        wanted = FORMS.get(body["model"], body.get("encoding_format"))
        if wanted == "base64":
            packed = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
        rows.append({"object": "embedding", "index": index, "embedding": packed})
    if body["model"] == "embed-shuffled":
        rows.reverse()
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    yield answer({"object": "list", "data": rows, "model": body["model"] + "-2026", "usage": usage})


FAILURES = {
    "status-400": lambda: error(400, "Too long.", "context_length_exceeded"),
    "status-401": lambda: error(401, "Incorrect API key provided.", "invalid_api_key"),
    "status-404": lambda: error(404, "The model does not exist.", "model_not_found"),
    "status-422": lambda: error(422, "Unprocessable."),
    "status-429": lambda: error(429, "Slow down.", "rate_limit_exceeded", {"retry-after": "7"}),
    "status-500": lambda: error(500, "Boom."),
    "status-503": lambda: error(503, "Overloaded.", None, {"retry-after": "3"}),
    "html-502": lambda: answer(b"<html>Bad gateway</html>", 502, {"content-type": "text/html"}, reason="Bad"),
    "not-json": lambda: answer(b"<html>hello</html>"),
}


def script(request: Received) -> Iterable[Step]:
    """Answer as the model's name says: a failure by name, `cut`, `slow`, `hang`, `no-length`, else a good answer."""
    if request.headers.get("authorization") != f"Bearer {KEY}":
        yield error(401, "Incorrect API key provided.", "invalid_api_key")
        return
    if request.method == "GET":
        yield answer({"object": "list", "data": [{"id": "gpt-fake", "object": "model"}]})
        return
    name = request.json["model"]
    if name in FAILURES:
        yield FAILURES[name]()
    elif name == "hang":
        yield 30.0
    elif name == "cut-head":
        yield "cut"
    elif name == "no-length":
        good = next(iter(_chat(request, name)))
        assert isinstance(good, bytes)
        yield b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n" + good.partition(b"\r\n\r\n")[2]
        yield "close"
    elif request.path.endswith("/moderations"):
        yield _moderation(request)
    elif request.path.endswith("/v1/completions"):
        yield from _completions(request)
    elif request.path.endswith("/embeddings"):
        yield from _embeddings(request)
    else:
        yield from _chat(request, name)


class MockUpstream(ScriptedServer):
    """An OpenAI-compatible provider for any test: `with MockUpstream() as up: up.base_url, up.requests`.

    Wants the key `KEY`; token counts are always those of `USAGE`.
    """

    def __init__(self) -> None:
        super().__init__(script)

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"
