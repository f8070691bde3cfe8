"""A Gemini-family provider. The model's name chooses what it does; see `script`.

Requests are checked against the types of Google's own client, which know every member of the API.
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec
import pydantic
from google.genai import types

from tests.fakes.server import END, Received, ScriptedServer, Step, answer, chunk, stream_head

KEY = "AIza-upstream"
VERSION = "gemini-fake-001"
TEXTS = ["Hallo", ", ", "schöne ", "Welt ☃"]
THOUGHT = "The user greets."
SIGNATURE = "c2lnbmF0dXJl"
PNG = "iVBORw0KGgo="
USAGE = {
    "promptTokenCount": 30,
    "cachedContentTokenCount": 10,
    "candidatesTokenCount": 8,
    "thoughtsTokenCount": 5,
    "totalTokenCount": 43,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 30}],
}
CALLS = [
    {"functionCall": {"name": "weather", "args": {"city": "Oslo"}}, "thoughtSignature": SIGNATURE},
    {"functionCall": {"name": "weather", "args": {"city": "Rome"}, "id": "own-id"}},
]
_MEMBERS: dict[str, Any] = {
    "contents": list[types.Content],
    "systemInstruction": types.Content,
    "tools": list[types.Tool],
    "toolConfig": types.ToolConfig,
    "safetySettings": list[types.SafetySetting],
    "generationConfig": types.GenerationConfig,
    "cachedContent": str,
    "labels": dict[str, str],
}


def error(status: int, state: str, message: str, details: list[dict[str, Any]] | None = None) -> bytes:
    """Return an error as Google words it."""
    body: dict[str, Any] = {"error": {"code": status, "message": message, "status": state}}
    if details:
        body["error"]["details"] = details
    return answer(pretty(body), status, {"content-type": "application/json; charset=UTF-8"}, reason="Error")


def pretty(body: Any) -> bytes:
    """Return JSON as Google writes it."""
    return msgspec.json.format(msgspec.json.encode(body), indent=2)


def camel(name: str) -> str:
    """Return a member's name as proto JSON writes it."""
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)


def complaint(body: dict[str, Any]) -> str:
    """Return what Google would say of a generateContent request, or nothing."""
    for name, value in body.items():
        known = _MEMBERS.get(camel(name))
        if known is None:
            return f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.'
        try:
            pydantic.TypeAdapter(known).validate_python(value)
        except pydantic.ValidationError as found:
            return f"Invalid JSON payload received. {found.errors()[0]['loc']}: {found.errors()[0]['msg']}"
    if not body.get("contents"):
        return "* GenerateContentRequest.contents: contents is not specified"
    return _turns(body["contents"])


def _turns(contents: list[dict[str, Any]]) -> str:
    calls = 0
    for content in contents:
        parts = content["parts"]
        if content.get("role") not in (None, "user", "model"):
            return "Please use a valid role: user, model."
        results = sum("functionResponse" in part for part in parts)
        if results and results != calls:
            return (
                "Please ensure that the number of function response parts is equal to the number of function call "
                "parts of the function call turn."
            )
        made = [part for part in parts if "functionCall" in part]
        if made and "thoughtSignature" not in made[0]:
            return "Function call is missing a thought_signature in functionCall parts."
        calls = len(made)
    return ""


def response(parts: list[dict[str, Any]], finish: str | None = "STOP", **more: Any) -> dict[str, Any]:
    """Return an answer with one candidate."""
    candidate: dict[str, Any] = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {
        "candidates": [candidate | more],
        "usageMetadata": USAGE,
        "modelVersion": VERSION,
        "responseId": "resp-1",
    }


def blocked() -> dict[str, Any]:
    """Return the answer to a prompt that was refused."""
    usage = {"promptTokenCount": 30, "totalTokenCount": 30}
    feedback = {"blockReason": "PROHIBITED_CONTENT"}
    return {
        "promptFeedback": feedback,
        "usageMetadata": usage,
        "modelVersion": VERSION,
        "responseId": "resp-1",
    }


def parts_for(request: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return what the model says."""
    config = request.get("generationConfig") or {}
    thoughts: list[dict[str, Any]] = []
    if (config.get("thinkingConfig") or {}).get("includeThoughts"):
        thoughts = [{"text": THOUGHT, "thought": True}]
    last = request["contents"][-1]["parts"]
    if request.get("tools") and not any("functionResponse" in part for part in last):
        return [*thoughts, *CALLS]
    if config.get("responseMimeType") == "application/json":
        return [{"text": '{"city": '}, {"text": '"Oslo"}'}]
    if name == "image":
        return [{"text": "Here:"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}]
    texts: list[dict[str, Any]] = [{"text": text} for text in TEXTS]
    if thoughts:
        texts.append({"text": "", "thoughtSignature": SIGNATURE})
    return thoughts + texts


def events(request: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the events of a whole stream: every one counts, the last has the reason."""
    if name == "blocked":
        return [blocked()]
    parts = parts_for(request, name)
    made = [response([part], None) for part in parts]
    if name == "safety":
        made[-1]["candidates"] = [{"finishReason": "SAFETY", "index": 0}]
    elif name == "malformed":
        made[-1]["candidates"] = [
            {"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "Bad.", "index": 0}
        ]
    elif name == "limit":
        made[-1]["candidates"][0]["finishReason"] = "MAX_TOKENS"
    else:
        made[-1]["candidates"][0]["finishReason"] = "STOP"
    for each in made[:-1]:
        each["usageMetadata"] = {"promptTokenCount": 30, "totalTokenCount": 30}
    return made


def whole(request: dict[str, Any], name: str) -> dict[str, Any]:
    """Return an answer that is not streamed."""
    if name == "blocked":
        return blocked()
    if name == "safety":
        return response([], "SAFETY")
    if name == "malformed":
        return response([], "MALFORMED_FUNCTION_CALL", finishMessage="Bad.")
    made = response(parts_for(request, name), "MAX_TOKENS" if name == "limit" else "STOP")
    config = request.get("generationConfig") or {}
    if config.get("responseLogprobs"):
        token = {"token": "Hallo", "tokenId": 1, "logProbability": -0.5}
        made["candidates"][0]["logprobsResult"] = {
            "chosenCandidates": [token],
            "topCandidates": [{"candidates": [token, {"token": "Hi", "logProbability": -1.5}]}],
        }
    for index in range(1, config.get("candidateCount") or 1):
        made["candidates"].append(made["candidates"][0] | {"index": index})
    return made


def sse(event: dict[str, Any]) -> bytes:
    """Return one event as the API sends it."""
    return b"data: " + msgspec.json.encode(event) + b"\r\n\r\n"


def stream(request: dict[str, Any], name: str) -> Iterable[Step]:
    """Return a stream of events."""
    made = [sse(event) for event in events(request, name)]
    yield stream_head({"content-type": "text/event-stream"})
    if name == "breaks":
        yield chunk(made[0])
        yield 0.2
        yield chunk(
            sse({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}})
        )
    elif name == "cut":
        yield chunk(made[0])
        yield 0.2
        yield "cut"
    elif name == "ends":
        yield chunk(made[0])
    elif name == "bytewise":
        for byte in b"".join(made):
            yield chunk(bytes([byte]))
    elif name == "at-once":
        yield chunk(b"".join(made))
    else:
        for each in made:
            yield chunk(each)
    yield END


def _embedding(request: dict[str, Any], at: int) -> dict[str, Any]:
    size = request.get("outputDimensionality") or 3
    return {"values": [0.25 * (at + 1), -1.5, 3.0, 0.5][:size]}


def embed(body: dict[str, Any], name: str, verb: str) -> bytes:
    """Return the answer to a request for embeddings."""
    given = body["requests"] if verb == "batchEmbedContents" else [body]
    for request in given:
        if request.get("model", f"models/{name}") != f"models/{name}":
            return error(400, "INVALID_ARGUMENT", "Model in request must match the model in the path.")
        if set(request) - {"model", "content", "taskType", "title", "outputDimensionality"}:
            return error(400, "INVALID_ARGUMENT", f"Unknown name in {sorted(request)}.")
        types.Content.model_validate(request["content"])
    made = [_embedding(request, at) for at, request in enumerate(given)]
    return answer(pretty({"embeddings": made} if verb == "batchEmbedContents" else {"embedding": made[0]}))


FAILURES = {
    "invalid": lambda: error(400, "INVALID_ARGUMENT", "Too many tokens."),
    "missing": lambda: error(404, "NOT_FOUND", "models/missing is not found."),
    "limited": lambda: error(429, "RESOURCE_EXHAUSTED", "Quota exceeded."),
    "overloaded": lambda: error(503, "UNAVAILABLE", "The model is overloaded."),
    "html": lambda: answer(b"<html>502</html>", 502, {"content-type": "text/html"}, reason="Bad"),
}


def generate(request: Received, name: str, verb: str) -> Iterable[Step]:
    """Answer one of the verbs for a model."""
    body = request.json
    if name in FAILURES:
        yield FAILURES[name]()
    elif verb == "countTokens":
        yield answer(pretty({"totalTokens": 31, "promptTokensDetails": USAGE["promptTokensDetails"]}))
    elif verb in ("embedContent", "batchEmbedContents"):
        yield embed(body, name, verb)
    elif wrong := complaint(body):
        yield error(400, "INVALID_ARGUMENT", wrong)
    elif verb == "streamGenerateContent?alt=sse":
        yield from stream(body, name)
    elif verb == "generateContent":
        yield answer(pretty(whole(body, name)), headers={"content-type": "application/json; charset=UTF-8"})
    else:
        yield error(404, "NOT_FOUND", f"There is no {verb}.")


def script(request: Received) -> Iterable[Step]:
    """Answer as the model's name says: a failure, `blocked`, `safety`, `malformed`, `limit`, `image`, or well."""
    key = request.headers.get("x-goog-api-key")
    if key is None:
        yield error(403, "PERMISSION_DENIED", "Method doesn't allow unregistered callers.")
        return
    if key != KEY:
        reason = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
        yield error(400, "INVALID_ARGUMENT", "API key not valid. Please pass a valid API key.", reason)
        return
    if request.method == "GET" and request.path.startswith("/v1beta/models"):
        yield answer(pretty({"models": [{"name": "models/plain"}]}))
        return
    found = re.fullmatch(r"/v1beta/models/([^/:]+):(.+)", request.path)
    if found is None:
        yield error(404, "NOT_FOUND", f"There is nothing at {request.path}.")
        return
    yield from generate(request, found[1], found[2])


class GeminiUpstream(ScriptedServer):
    """A provider of Gemini's API for any test; wants the key `KEY`."""

    def __init__(self) -> None:
        super().__init__(script)
