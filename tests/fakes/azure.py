"""Azure OpenAI, both its v1 API and the older one that names the deployment in the path; see `script`."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from tests.fakes import openai as fake_openai
from tests.fakes.server import END, Received, ScriptedServer, Step, answer, chunk, stream_head

KEY, ENTRA = "azure-key", "entra-token"
VERSION = "2024-10-21"
FILTERS = {
    "hate": {"filtered": False, "severity": "safe"},
    "violence": {"filtered": False, "severity": "safe"},
}
_DATED = re.compile(r"/openai/deployments/([^/]+)/(chat/completions|embeddings)\?api-version=" + VERSION)
_V1 = re.compile(r"/openai/v1/(chat/completions|embeddings)(\?api-version=preview)?")
REFUSAL = {
    "error": {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": FILTERS | {"hate": {"filtered": True, "severity": "high"}},
        },
    }
}


def error(status: int, code: str, message: str) -> bytes:
    """Return an error as Azure words it."""
    return answer({"error": {"code": code, "message": message}}, status, reason="Error")


def events(request: dict[str, Any]) -> list[bytes]:
    """Return the events of a whole stream: the first tells of the prompt's filters and names nothing."""
    prompt = {"prompt_index": 0, "content_filter_results": FILTERS}
    first = {
        "choices": [],
        "created": 0,
        "id": "",
        "model": "",
        "object": "",
        "prompt_filter_results": [prompt],
    }
    return [b"data: " + msgspec.json.encode(first) + b"\n\n", *fake_openai.chat_events(request)]


def script(request: Received) -> Iterable[Step]:
    """Answer as the deployment's name says: `filtered`, else a good answer."""
    bearer, key = request.headers.get("authorization"), request.headers.get("api-key")
    if key != KEY and bearer != f"Bearer {ENTRA}":
        yield error(401, "401", "Access denied due to invalid subscription key or wrong API endpoint.")
        return
    dated, v1 = _DATED.fullmatch(request.path), _V1.fullmatch(request.path)
    if dated is None and v1 is None:
        yield error(404, "404", "Resource not found")
        return
    asked = request.json
    name = dated[1] if dated else asked["model"]
    if name == "filtered":
        yield answer(REFUSAL, 400, reason="Bad Request")
    elif asked.get("stream"):
        yield stream_head()
        yield from (chunk(each) for each in events(asked | {"model": "gpt-4o"}))
        yield END
    else:
        message = {"role": "assistant", "content": "".join(fake_openai.WORDS), "refusal": None}
        yield answer(fake_openai.completion("gpt-4o-2024-11-20", message) | {"prompt_filter_results": []})


class AzureUpstream(ScriptedServer):
    """Azure OpenAI for any test; wants `KEY` as api-key or `ENTRA` as bearer."""

    def __init__(self) -> None:
        super().__init__(script)
