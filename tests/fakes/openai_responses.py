"""A provider with OpenAI's Responses API. The model's name chooses what it does; see `script`."""

from collections.abc import Iterable
from typing import Any

import msgspec

from tests.fakes.server import END, Received, ScriptedServer, Step, answer, chunk, stream_head

KEY = "sk-upstream"
WORDS = ["Once ", "upon ", "a ☃"]
USAGE = {
    "input_tokens": 36,
    "input_tokens_details": {"cached_tokens": 6, "cache_write_tokens": 4},
    "output_tokens": 87,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 123,
}
MESSAGE: dict[str, Any] = {
    "type": "message",
    "id": "msg_67ccd2bf17f0819081ff3bb2cf6508e6",
    "status": "completed",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "".join(WORDS), "annotations": []}],
}


def error(status: int, message: str, code: str | None) -> bytes:
    """Return an error as OpenAI words it."""
    body = {"error": {"message": message, "type": "invalid_request_error", "param": "input", "code": code}}
    return answer(body, status, reason="Error")


def response(
    request: dict[str, Any], status: str, output: list[dict[str, Any]], **more: Any
) -> dict[str, Any]:
    """Return a Response as the reference shows it."""
    body: dict[str, Any] = {
        "id": "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b",
        "object": "response",
        "created_at": 1741476542,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": request.get("instructions"),
        "max_output_tokens": None,
        "model": request["model"] + "-2025-04-14",
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": request.get("store", True),
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": request.get("tools", []),
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": USAGE if status == "completed" else None,
        "user": None,
        "metadata": {},
        "x_unknown": {"kept": True},
    }
    return body | more


def events(request: dict[str, Any], end: str = "completed") -> list[bytes]:
    """Return the events of a whole stream."""
    place = {"item_id": MESSAGE["id"], "output_index": 0}
    inside = place | {"content_index": 0}
    part = MESSAGE["content"][0]
    begun = {"response": response(request, "in_progress", [])}
    last = response(request, end, [MESSAGE])
    if end == "failed":
        last |= {"error": {"code": "server_error", "message": "The model crashed."}, "output": []}
    made: list[tuple[str, dict[str, Any]]] = [
        ("response.created", begun),
        ("response.in_progress", begun),
        (
            "response.output_item.added",
            {"output_index": 0, "item": MESSAGE | {"status": "in_progress", "content": []}},
        ),
        ("response.content_part.added", inside | {"part": part | {"text": ""}}),
        *(("response.output_text.delta", inside | {"delta": word, "logprobs": []}) for word in WORDS),
        ("response.output_text.done", inside | {"text": part["text"], "logprobs": []}),
        ("response.content_part.done", inside | {"part": part}),
        ("response.output_item.done", {"output_index": 0, "item": MESSAGE}),
        (f"response.{end}", {"response": last}),
    ]
    return [
        f"event: {kind}\n".encode()
        + b"data: "
        + msgspec.json.encode({"type": kind, "sequence_number": number, **members})
        + b"\n\n"
        for number, (kind, members) in enumerate(made)
    ]


def script(request: Received) -> Iterable[Step]:
    """Answer as the model's name says: `refused`, `crashed`, `cut`, else a good answer."""
    if request.headers.get("authorization") != f"Bearer {KEY}":
        yield error(401, "Incorrect API key provided.", "invalid_api_key")
        return
    body = request.json
    if not request.path.startswith(("/v1/responses", "/openai/")) or "input" not in body:
        yield error(404, "Not found.", None)
    elif body["model"] == "refused":
        yield error(400, "Bad input.", "invalid_value")
    elif body.get("stream"):
        made = events(body, "failed" if body["model"] == "crashed" else "completed")
        yield stream_head()
        if body["model"] in ("cut", "crashed"):
            yield from (chunk(each) for each in made[:6])
            yield 0.2
            yield "cut" if body["model"] == "cut" else chunk(made[-1])
        else:
            yield from (chunk(each) for each in made)
        yield END
    else:
        yield answer(msgspec.json.format(msgspec.json.encode(response(body, "completed", [MESSAGE]))))


class ResponsesUpstream(ScriptedServer):
    """A provider of the Responses API for any test; wants the key `KEY`."""

    def __init__(self) -> None:
        super().__init__(script)
