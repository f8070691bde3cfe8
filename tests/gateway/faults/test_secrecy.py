"""Neither keys nor what people write appear in logs, errors or metrics, whatever goes wrong."""

import io
import json
import logging
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from penstock.core import metrics
from penstock.core.home import Home
from penstock.core.log import JsonFormatter
from penstock.gateway import service
from tests.conftest import owner_of
from tests.fakes.server import END, Received, ScriptedServer, Step, answer, chunk, stream_head
from tests.gateway.conftest import Running, routes_for
from tests.gateway.test_http import call

PROVIDER_KEY = "sk-canary-of-the-provider"
PROMPT = "canary-of-a-prompt"
OUTPUT = "canary-of-an-answer"
WRONG_KEY = "psk_canary-of-a-wrong-key"
MODELS = ["good", "echo", "html", "cut", "half", "odd", "late-error", "not-json", "wrong-length", "many"]


def echo(request: Received, status: int) -> bytes:
    """Return an error that repeats everything it was sent, as some providers do."""
    told = f"Bad: {request.headers} {request.body!r}"
    return answer({"error": {"message": told, "type": "x", "code": "y", "param": None}}, status, reason="Bad")


def event(text: str) -> bytes:
    """Return a chunk of a stream."""
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return b"data: " + json.dumps({"id": "c", "model": "m", "choices": [choice]}).encode() + b"\n\n"


def good(request: Received) -> list[Step]:
    """Answer, whole or streamed."""
    if request.json.get("stream"):
        return [stream_head(), chunk(event(OUTPUT) + b"data: [DONE]\n\n"), END]
    message = {"role": "assistant", "content": OUTPUT}
    return [answer({"id": "c", "model": "m", "choices": [{"index": 0, "message": message}], "usage": None})]


HEAD = b"HTTP/1.1 200 OK\r\n"
BROKEN: dict[str, list[Step]] = {
    "odd": [answer({"error": {"message": {"deep": [OUTPUT, PROMPT]}}}, 400, reason="Bad")],
    "html": [answer(f"<html>{PROMPT} {OUTPUT}</html>".encode(), 502, {"content-type": "text/html"}, reason="Bad")],
    "cut": ["cut"],
    "half": [
        stream_head(), chunk(event(OUTPUT)), chunk(b'data: {"choices": [{"delta": {"content": "' + OUTPUT.encode()),
        "cut",
    ],
    "late-error": [
        stream_head(), chunk(event(OUTPUT)),
        chunk(b'data: {"error": {"message": "failed at ' + PROMPT.encode() + b'"}}\n\n'), END,
    ],
    "not-json": [answer(f"{OUTPUT} {PROMPT}".encode())],
    "wrong-length": [HEAD + b"content-length: 5000\r\n\r\n" + OUTPUT.encode(), "close"],
    "many": [HEAD + b"x-canary: " + OUTPUT.encode() * 8000 + b"\r\n\r\n"],
}  # fmt: skip


def script(request: Received) -> Iterable[Step]:
    """Misbehave as the model's name says, always with the prompt and the answer in it."""
    name = request.json.get("model", "good")
    return [echo(request, 500)] if name == "echo" else BROKEN.get(name) or good(request)


@pytest.fixture
def told() -> Iterator[io.StringIO]:
    """Everything that is logged at any level, as production writes it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def gateway(sqlite_home: Home) -> Iterator[Running]:
    actor = owner_of(sqlite_home)
    with ScriptedServer(script) as upstream:
        providers = {
            "up": {"kind": "openai", "base_url": f"{upstream.url}/v1", "api_key": PROVIDER_KEY},
            "an": {"kind": "anthropic", "base_url": upstream.url, "api_key": PROVIDER_KEY},
            "ge": {"kind": "gemini", "base_url": upstream.url, "api_key": PROVIDER_KEY},
            "down": {"kind": "openai", "base_url": "http://127.0.0.1:9/v1", "api_key": PROVIDER_KEY},
        }
        routes = (
            routes_for("up", "", MODELS) | routes_for("an", "an-", MODELS) | routes_for("ge", "ge-", MODELS)
        )
        routes |= routes_for("down", "", ["down"])
        with sqlite_home.begin() as uow:
            tables = {"providers": providers, "routes": routes}
            service.apply(uow, actor, tables)
        running = Running(sqlite_home, actor)
        running.start()
        yield running
        running.stop()


def bodies(model: str) -> list[tuple[str, Any]]:
    """Return (path, body) of calls that carry the canaries in every place."""
    chat = {"model": model, "messages": [{"role": "user", "content": PROMPT}], "user": PROMPT}
    generate = {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}
    return [
        ("/v1/chat/completions", chat),
        ("/v1/chat/completions", chat | {"stream": True}),
        ("/v1/messages", chat | {"max_tokens": 5, "metadata": {"user_id": PROMPT}}),
        ("/v1/messages", chat | {"max_tokens": 5, "stream": True}),
        (f"/v1beta/models/{model}:generateContent", generate),
        ("/v1/embeddings", {"model": model, "input": PROMPT}),
        ("/v1/chat/completions", chat | {"messages": PROMPT}),
        ("/v1/chat/completions", b'{"model": "good", "messages": "' + PROMPT.encode()),
        ("/v1/messages", chat | {"max_tokens": PROMPT, "tools": [PROMPT], "tool_choice": PROMPT}),
    ]


def test_canaries_stay_out_of_logs_and_metrics(gateway: Running, told: io.StringIO) -> None:
    errors = 0
    names = [
        *MODELS,
        *(f"an-{m}" for m in MODELS),
        *(f"ge-{m}" for m in MODELS),
        "down",
        "nothing-called-this",
    ]
    for model in names:
        for path, body in bodies(model):
            status, headers, found = call(gateway, body, path=path)
            errors += status >= 400
            said = f"{headers} {found}"
            assert PROVIDER_KEY not in said or "echo" in model, (model, path)
            assert gateway.key not in said
    call(gateway, authorization=f"Bearer {WRONG_KEY}")
    call(gateway, authorization="", x_api_key=WRONG_KEY)
    call(gateway, path=f"/v1/chat/completions?key={WRONG_KEY}", authorization="")
    assert errors > 50, "most of these calls must fail for this test to mean anything"
    logged = told.getvalue()
    assert logged
    counted = str([family.series for family in metrics.REGISTRY.families()])
    for canary in (PROVIDER_KEY, gateway.key, WRONG_KEY, PROMPT, OUTPUT):
        assert canary not in logged, [line for line in logged.splitlines() if canary in line][:2]
        assert canary not in counted


def test_a_providers_error_never_hands_its_key_to_a_caller(gateway: Running) -> None:
    for model in ("echo", "an-echo", "ge-echo"):
        for path, body in bodies(model)[:5]:
            _, headers, found = call(gateway, body, path=path)
            assert PROVIDER_KEY not in f"{headers} {found}"
