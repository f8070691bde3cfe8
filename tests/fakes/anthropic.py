"""An Anthropic-family provider. The model's name chooses what it does; see `script`."""

from collections.abc import Iterable
from typing import Any

import msgspec

from tests.fakes.server import END, Received, ScriptedServer, Step, answer, chunk, stream_head

KEY = "sk-ant-upstream"
TEXTS = ["Bonjour", ", ", "le ", "monde ☃"]
USAGE = {
    "input_tokens": 20,
    "cache_creation_input_tokens": 3,
    "cache_read_input_tokens": 5,
    "output_tokens": 11,
    "service_tier": "standard",
}
THOUGHT = {"type": "thinking", "thinking": "Think of it…", "signature": "c2lnbmVk"}
"""What the model thinks when a request has `thinking`."""
TOOL = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}


def error(status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> bytes:
    """Return an error as Anthropic words it."""
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_011"}
    return answer(body, status, {"request-id": "req_011", **(headers or {})}, reason="Error")


def message(model: str, content: list[dict[str, Any]], stop: str) -> dict[str, Any]:
    """Return a message."""
    return {
        "id": "msg_01fake",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": USAGE,
    }


def event(kind: str, **members: Any) -> bytes:
    """Return one event."""
    return f"event: {kind}\n".encode() + b"data: " + msgspec.json.encode({"type": kind, **members}) + b"\n\n"


def events(request: dict[str, Any]) -> list[bytes]:
    """Return the events of a whole stream."""
    start = message(request["model"] + "-20260101", [], "")
    start |= {"stop_reason": None, "usage": USAGE | {"output_tokens": 1}}
    thought = _thought() if thinks(request) else []
    at = 1 if thought else 0
    out = [
        event("message_start", message=start),
        *thought,
        event("content_block_start", index=at, content_block={"type": "text", "text": ""}),
        event("ping"),
        *[
            event("content_block_delta", index=at, delta={"type": "text_delta", "text": text})
            for text in TEXTS
        ],
        event("content_block_stop", index=at),
    ]
    stop = "end_turn"
    at += 1
    if request.get("tools"):
        stop = "tool_use"
        out.append(event("content_block_start", index=at, content_block=TOOL | {"input": {}}))
        out += [
            event("content_block_delta", index=at, delta={"type": "input_json_delta", "partial_json": part})
            for part in ("", '{"city"', ': "Oslo"}')
        ]
        out.append(event("content_block_stop", index=at))
    out.append(
        event(
            "message_delta", delta={"stop_reason": stop, "stop_sequence": None}, usage={"output_tokens": 11}
        )
    )
    return [*out, event("message_stop")]


def thinks(request: dict[str, Any]) -> bool:
    """Return whether the model thinks."""
    return (request.get("thinking") or {}).get("type") in ("enabled", "adaptive")


def _thought() -> list[bytes]:
    deltas: list[dict[str, Any]] = [
        {"type": "thinking_delta", "thinking": part} for part in ("Think ", "of it…")
    ]
    deltas.append({"type": "signature_delta", "signature": THOUGHT["signature"]})
    begun = THOUGHT | {"thinking": "", "signature": ""}
    return [
        event("content_block_start", index=0, content_block=begun),
        *[event("content_block_delta", index=0, delta=delta) for delta in deltas],
        event("content_block_stop", index=0),
    ]


def count(body: dict[str, Any]) -> bytes:
    """Return the answer to a request to count tokens, which takes only what is counted."""
    extra = set(body) - {"model", "messages", "system", "tools", "tool_choice", "thinking"}
    if extra:
        return error(400, "invalid_request_error", f"{min(extra)}: Extra inputs are not permitted")
    return answer({"input_tokens": 14})


def script(request: Received) -> Iterable[Step]:
    """Answer as the model's name says: `overloaded`, `limited`, `error-in-stream`, else a good answer."""
    if request.headers.get("x-api-key") != KEY or "anthropic-version" not in request.headers:
        yield error(401, "authentication_error", "invalid x-api-key")
        return
    body = request.json
    name = body["model"]
    if request.path.endswith("/count_tokens"):
        yield count(body)
    elif "max_tokens" not in body:
        yield error(400, "invalid_request_error", "max_tokens: Field required")
    elif name == "overloaded":
        yield error(529, "overloaded_error", "Overloaded")
    elif name == "limited":
        yield error(429, "rate_limit_error", "Slow down", {"retry-after": "9"})
    elif body.get("stream"):
        yield stream_head({"request-id": "req_011"})
        made = events(body)
        if name == "error-in-stream":
            yield from (chunk(each) for each in made[:4])
            yield chunk(event("error", error={"type": "overloaded_error", "message": "Overloaded"}))
        elif name == "at-once":
            yield chunk(b"".join(made))
        else:
            yield from (chunk(each) for each in made)
        yield END
    else:
        content: list[dict[str, Any]] = [THOUGHT] if thinks(body) else []
        content.append({"type": "text", "text": "".join(TEXTS)})
        if body.get("tools"):
            content.append(TOOL)
        stop = "tool_use" if body.get("tools") else "end_turn"
        yield answer(message(name + "-20260101", content, stop), headers={"request-id": "req_011"})


class AnthropicUpstream(ScriptedServer):
    """An Anthropic-compatible provider for any test; wants the key `KEY`."""

    def __init__(self) -> None:
        super().__init__(script)
