"""Cohere's API (v2). The model's name chooses what it does; see `script`."""

from collections.abc import Iterable
from typing import Any

import msgspec

from tests.fakes.server import END, Received, ScriptedServer, Step, answer, chunk, stream_head

KEY = "co-upstream"
TEXTS = ["Ciao", ", ", "mondo ☃"]
USAGE = {
    "billed_units": {"input_tokens": 20.0, "output_tokens": 11.0},
    "tokens": {"input_tokens": 92.0, "output_tokens": 11.0},
    "cached_tokens": 5.0,
}
CALL = {
    "id": "weather_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
}
PLAN = "I will look the weather up."
CITATION = {
    "start": 0,
    "end": 4,
    "text": "Ciao",
    "sources": [{"type": "document", "id": "doc:1"}],
    "type": "TEXT_CONTENT",
}


def event(kind: str, **members: Any) -> bytes:
    """Return one event."""
    return f"event: {kind}\n".encode() + b"data: " + msgspec.json.encode({"type": kind, **members}) + b"\n\n"


def _of(**message: Any) -> dict[str, Any]:
    return {"message": message}


def events(request: dict[str, Any]) -> list[bytes]:
    """Return the events of a whole stream."""
    empty = _of(role="assistant", content=[], tool_plan="", tool_calls=[], citations=[])
    out = [event("message-start", id="c-1", delta=empty)]
    finish = "COMPLETE"
    at = 0
    if request.get("tools"):
        finish = "TOOL_CALL"
        out += [
            event("tool-plan-delta", delta=_of(tool_plan=part))
            for part in ("I will look ", "the weather up.")
        ]
        opened = CALL | {"function": {"name": "weather", "arguments": ""}}
        out.append(event("tool-call-start", index=0, delta=_of(tool_calls=opened)))
        out += [
            event("tool-call-delta", index=0, delta=_of(tool_calls={"function": {"arguments": part}}))
            for part in ('{"city"', ': "Oslo"}')
        ]
        out.append(event("tool-call-end", index=0))
    else:
        if request.get("thinking", {}).get("type") == "enabled":
            out.append(
                event("content-start", index=0, delta=_of(content={"type": "thinking", "thinking": ""}))
            )
            out.append(event("content-delta", index=0, delta=_of(content={"thinking": "Hm."})))
            out.append(event("content-end", index=0))
            at = 1
        out.append(event("content-start", index=at, delta=_of(content={"type": "text", "text": ""})))
        out += [event("content-delta", index=at, delta=_of(content={"text": text})) for text in TEXTS]
        out.append(event("content-end", index=at))
        if request.get("documents"):
            out.append(event("citation-start", index=0, delta=_of(citations=CITATION)))
            out.append(event("citation-end", index=0))
    return [*out, event("message-end", id="c-1", delta={"finish_reason": finish, "usage": USAGE})]


def whole(request: dict[str, Any]) -> dict[str, Any]:
    """Return a whole answer."""
    message: dict[str, Any] = {"role": "assistant"}
    finish = "COMPLETE"
    if request.get("tools"):
        finish = "TOOL_CALL"
        message |= {"tool_plan": PLAN, "tool_calls": [CALL]}
    else:
        thinks = request.get("thinking", {}).get("type") == "enabled"
        message["content"] = [{"type": "thinking", "thinking": "Hm."}] if thinks else []
        message["content"].append({"type": "text", "text": "".join(TEXTS)})
        if request.get("documents"):
            message["citations"] = [CITATION]
    return {"id": "c-1", "finish_reason": finish, "message": message, "usage": USAGE, "logprobs": None}


def error(status: int, message: str) -> bytes:
    """Return an error as Cohere words it."""
    return answer({"id": "e-1", "message": message}, status, reason="Error")


def script(request: Received) -> Iterable[Step]:
    """Answer as the model's name says: `limited`, `invalid`, `breaks`, `ends`, `timeout`, else a good answer."""
    if request.headers.get("authorization") != f"Bearer {KEY}":
        yield error(401, "invalid api token")
        return
    asked = request.json
    name = asked["model"]
    if request.path == "/v2/embed":
        vectors = [[float(len(text)), 0.5] for text in asked["texts"]]
        yield answer(
            {
                "id": "e-1",
                "embeddings": dict.fromkeys(asked["embedding_types"], vectors),
                "texts": asked["texts"],
                "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 4}},
                "response_type": "embeddings_by_type",
            }
        )
    elif request.path != "/v2/chat":
        yield error(404, "not found")
    elif name == "limited":
        yield error(429, "You are using a trial key, which is limited to 20 calls a minute.")
    elif name == "invalid":
        yield error(400, "invalid request: message must be at least 1 token long.")
    elif not asked.get("stream"):
        yield answer(whole(asked) | ({"finish_reason": "TIMEOUT"} if name == "timeout" else {}))
    else:
        yield from _stream(name, events(asked))


def _stream(name: str, made: list[bytes]) -> Iterable[Step]:
    yield stream_head()
    if name == "breaks":
        yield from (chunk(each) for each in made[:3])
        yield chunk(event("message-end", delta={"finish_reason": "ERROR", "error": "The model crashed."}))
    elif name == "ends":
        yield from (chunk(each) for each in made[:3])
    elif name == "bytewise":
        yield from (chunk(bytes([byte])) for byte in b"".join(made))
    else:
        yield from (chunk(each) for each in made)
    yield END


class CohereUpstream(ScriptedServer):
    """Cohere for any test; wants the key `KEY`."""

    def __init__(self) -> None:
        super().__init__(script)
