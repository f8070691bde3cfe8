"""The engine `external` before a server that somebody else runs: OpenAI-compatible, TGI and Triton."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import ChildFailed, Invalid
from penstock.serving import probe
from penstock.serving.engines.child import ask
from penstock.serving.engines.external import ExternalEngine
from penstock.serving.ports import EngineProcess, Launch

Start = Callable[..., EngineProcess]


class Elsewhere(ThreadingHTTPServer):
    """Remembers what it was asked and answers what it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any], dict[str, str]]] = []
        self.answer: tuple[int, str, bytes] = (200, "application/json", b"{}")
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Elsewhere

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, body, dict(self.headers)))
        status, kind, text = self.server.answer
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args: Any) -> None:
        return


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    made = Elsewhere()
    thread = threading.Thread(target=made.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    engine, running = ExternalEngine(), []

    def begin(**options: Any) -> EngineProcess:
        launch = Launch(
            name="chat@1",
            options=engine.check(options),
            log=tmp_path / "log",
            timeout=30,
            cancelled=lambda: False,
        )
        running.append(engine.start(tmp_path, launch))
        return running[-1]

    yield begin
    for process in running:
        process.stop()


CHAT = {
    "model": "chat@1",
    "messages": [{"role": "user", "content": "Hi"}],
    "stream": True,
    "tools": [{"x": 1}],
}


def test_requests_pass_as_they_are_but_for_the_models_name_and_the_key(
    elsewhere: Elsewhere, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THERE_KEY", "secret-9")
    process = start(url=f"{elsewhere.url}/deep/v1/", model="llama-70b", key_env="THERE_KEY")
    elsewhere.answer = (200, "text/event-stream", b'data: {"choices": []}\n\ndata: [DONE]\n\n')
    status, text = ask(process.url, "POST", "/v1/chat/completions", CHAT, timeout=10)
    assert (status, text) == (200, elsewhere.answer[2])
    path, body, headers = elsewhere.asked[0]
    assert path == "/deep/v1/chat/completions"
    assert body == {**CHAT, "model": "llama-70b"}
    assert headers["authorization"] == "Bearer secret-9"
    load = process.load()
    assert load is not None
    assert (load.running, load.done) == (0, 1)


def test_the_servers_own_errors_and_its_absence_are_told(elsewhere: Elsewhere, start: Start) -> None:
    process = start(url=elsewhere.url, api="tgi")
    elsewhere.answer = (429, "application/json", b'{"error": "slow down"}')
    assert ask(process.url, "POST", "/v1/chat/completions", CHAT) == (429, b'{"error": "slow down"}')
    assert elsewhere.asked[0][1]["model"] == "tgi"
    gone = start(url="http://127.0.0.1:1/v1", model="m")
    status, text = ask(gone.url, "POST", "/v1/chat/completions", CHAT)
    assert status == 502
    assert "does not answer" in json.loads(text)["error"]["message"]
    with pytest.raises(ChildFailed, match="502"):
        probe.generate_one(gone.url, "chat@1", 5)


def test_triton_is_asked_through_its_generate_extension(
    elsewhere: Elsewhere, start: Start, tmp_path: Path
) -> None:
    (tmp_path / "chat_template.jinja").write_text(
        "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    )
    elsewhere.answer = (200, "application/json", b'{"model_name": "m", "text_output": "Hello STOP more"}')
    process = start(url=elsewhere.url, api="triton-vllm", model="my model")
    body = {"messages": CHAT["messages"], "max_tokens": 9, "temperature": 0.5, "seed": 3, "stop": "STOP"}
    status, text = ask(process.url, "POST", "/v1/chat/completions", body, timeout=10)
    found = json.loads(text)
    assert status == 200, text
    assert found["choices"][0]["message"]["content"] == "Hello "
    assert found["usage"] is None, "Triton does not count tokens"
    path, asked, _ = elsewhere.asked[0]
    assert path == "/v2/models/my%20model/generate"
    assert asked["text_input"] == "<user>Hi"
    assert asked["parameters"] == {"stream": False, "max_tokens": 9, "temperature": 0.5, "seed": 3}
    elsewhere.answer = (400, "application/json", b'{"error": "unexpected inference input"}')
    status, text = ask(process.url, "POST", "/v1/completions", {"prompt": "x"}, timeout=10)
    assert status == 400
    assert "unexpected inference input" in text.decode()


def test_tensorrt_llm_behind_triton_has_its_own_names(elsewhere: Elsewhere, start: Start) -> None:
    elsewhere.answer = (200, "application/json", b'{"text_output": "Hi"}')
    process = start(url=elsewhere.url, api="triton-trtllm", model="ensemble")
    ask(process.url, "POST", "/v1/completions", {"prompt": "x", "max_tokens": 2, "stop": ["a"]}, timeout=10)
    asked = elsewhere.asked[0][1]
    assert (asked["text_input"], asked["max_tokens"], asked["stop_words"]) == ("x", 2, ["a"])


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"url": "ftp://x/y", "model": "m"}, "must be http"),
        ({"url": "http://user:pw@x/", "model": "m"}, "must be http"),
        ({"url": "http://x/v1"}, "model is missing"),
        ({"model": "m"}, "url"),
    ],
)
def test_wrong_options_say_what_is_right(options: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        ExternalEngine().check(options)
