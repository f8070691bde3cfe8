"""The HTTP target against a scripted server."""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.fakes.server import Received, ScriptedServer

from penstock.core.errors import Denied, Invalid
from penstock.core.home import Home
from penstock.core.scope import system_actor
from penstock.evals.model import Output, Sample
from penstock.evals.ports import Target, TargetContext
from penstock.evals.targets.gateway import GatewayTarget

Script = Callable[[Received], Iterable[bytes | float | str]]


def samples(count: int) -> list[Sample]:
    return [
        Sample(id=f"s{i}", ordinal=i, messages=({"role": "user", "content": f"question {i}"},))
        for i in range(count)
    ]


def http(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def answer_to(request: Received) -> bytes:
    said = request.json["messages"][-1]["content"].upper()
    body = {
        "choices": [{"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
    }
    return http("200 OK", msgspec.json.encode(body), "x-penstock-trace-id: " + "ab" * 16)


def ask(
    home: Home, tmp_path: Path, script: Script, count: int = 1, concurrency: int = 4, **options: Any
) -> tuple[list[Output], ScriptedServer]:
    with ScriptedServer(script) as server:
        context = TargetContext(home=home, actor=system_actor(), workdir=tmp_path, concurrency=concurrency)
        target = GatewayTarget({"model": "m", "base_url": f"{server.url}/v1", **options}, context)
        assert isinstance(target, Target)
        outputs = [output for batch in target.generate(samples(count)) for output in batch]
    return sorted(outputs, key=lambda output: output.sample_id), server


def test_every_sample_is_answered_once(sqlite_home: Home, tmp_path: Path) -> None:
    outputs, server = ask(
        sqlite_home,
        tmp_path,
        lambda r: [answer_to(r)],
        40,
        api_key="psk_x",
        extra={"top_p": 0.5},
        max_tokens=9,
    )
    assert {o.sample_id: o.text for o in outputs} == {f"s{i}": f"QUESTION {i}" for i in range(40)}
    first = outputs[0]
    assert (first.input_tokens, first.output_tokens, first.finish_reason, first.trace_id) == (
        7,
        3,
        "stop",
        "ab" * 16,
    )
    assert first.latency_s is not None
    assert first.latency_s > 0
    assert server.connections <= 4, "connections are kept alive"
    request = server.requests[0]
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer psk_x"
    sent = request.json
    assert (sent["model"], sent["max_tokens"], sent["temperature"], sent["top_p"]) == ("m", 9, 0, 0.5)


def test_streams_give_the_time_to_the_first_token(sqlite_home: Home, tmp_path: Path) -> None:
    def script(_request: Received) -> Iterable[bytes | float | str]:
        yield b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        parts = [
            b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n',
            b'data: {"choices":[{"delta":{"content":"Hel"}}]}\n\nda',
            b'ta: {"choices":[{"delta":{"content":"lo"},"finish_reason":"stop"}]}\n\n',
            b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}\n\ndata: [DONE]\n\n',
        ]
        for part in parts:
            yield f"{len(part):x}\r\n".encode() + part + b"\r\n"
            yield 0.03
        yield b"0\r\n\r\n"

    (output,), server = ask(sqlite_home, tmp_path, script, stream=True)
    assert (output.text, output.finish_reason, output.output_tokens, output.error) == (
        "Hello",
        "stop",
        2,
        None,
    )
    assert output.ttft_s is not None
    assert output.latency_s is not None
    assert 0.02 < output.ttft_s < output.latency_s
    assert server.requests[0].json["stream_options"] == {"include_usage": True}


def test_a_stream_that_breaks_off_is_an_error(sqlite_home: Home, tmp_path: Path) -> None:
    part = b'data: {"choices":[{"delta":{"content":"Hel"}}]}\n\n'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(part)
    (output,), _ = ask(sqlite_home, tmp_path, lambda _r: [head + part], stream=True)
    assert (output.text, output.error) == ("", "the stream ended early")


def test_busy_and_broken_servers_are_tried_again(sqlite_home: Home, tmp_path: Path) -> None:
    seen: list[int] = []

    def script(request: Received) -> Iterable[bytes | str]:
        seen.append(len(seen))
        if len(seen) == 1:
            return [http("429 Too Many Requests", b"{}", "retry-after: 0.01")]
        if len(seen) == 2:
            return ["cut"]
        return [answer_to(request)]

    (output,), _ = ask(sqlite_home, tmp_path, script, retries=2)
    assert (output.text, output.error, len(seen)) == ("QUESTION 0", None, 3)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (
            lambda _r: [http("400 Bad Request", b'{"error":{"message":"no such model"}}')],
            "HTTP 400: no such model",
        ),
        (lambda _r: [http("503 Unavailable", b"busy")], "HTTP 503: busy"),
        (lambda _r: [http("200 OK", b"<html>")], "unreadable answer"),
        (lambda _r: [http("200 OK", b'{"choices":[]}')], "unreadable answer"),
        (lambda _r: ["cut"], "ConnectionResetError|RemoteDisconnected"),
        (lambda _r: [2.0, "close"], "no answer within 0.2 s"),
    ],
)
def test_what_fails_is_the_samples_error(
    sqlite_home: Home, tmp_path: Path, script: Script, error: str
) -> None:
    (output,), _ = ask(sqlite_home, tmp_path, script, retries=0, timeout_s=0.2)
    assert output.text == ""
    assert any(part in str(output.error) for part in error.split("|")), output.error


def test_leaving_early_stops_the_workers(sqlite_home: Home, tmp_path: Path) -> None:
    with ScriptedServer(lambda r: [0.01, answer_to(r)]) as server:
        context = TargetContext(home=sqlite_home, actor=system_actor(), workdir=tmp_path, concurrency=2)
        before = threading.active_count()
        answers = GatewayTarget({"model": "m", "base_url": f"{server.url}/v1"}, context).generate(
            samples(100)
        )
        next(answers)
        answers.close()  # type: ignore[attr-defined]
        assert threading.active_count() == before
        assert len(server.requests) < 20


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"base_url": "http://127.0.0.1:1/v1"}, "needs a model"),
        ({"model": "m", "base_url": "ftp://x"}, "http"),
        ({"model": "m", "base_url": "http://127.0.0.1:1", "temprature": 1}, "temprature"),
        (
            {"model": "m", "base_url": "http://127.0.0.1:1", "api_key": {"env": "NOT_SET_ANYWHERE"}},
            "NOT_SET_ANYWHERE",
        ),
    ],
)
def test_wrong_options_are_refused(
    sqlite_home: Home, tmp_path: Path, options: dict[str, Any], error: str
) -> None:
    context = TargetContext(home=sqlite_home, actor=system_actor(), workdir=tmp_path)
    with pytest.raises(Invalid, match=error):
        GatewayTarget(options, context)


def test_cloud_metadata_addresses_are_refused(sqlite_home: Home, tmp_path: Path) -> None:
    context = TargetContext(home=sqlite_home, actor=system_actor(), workdir=tmp_path)
    with pytest.raises(Denied):
        GatewayTarget({"model": "m", "base_url": "http://169.254.169.254/v1"}, context)
