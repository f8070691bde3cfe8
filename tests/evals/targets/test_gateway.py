"""The HTTP target against a scripted server."""

import asyncio
import time
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
from penstock.evals.ports import AsyncTarget, TargetContext
from penstock.evals.targets.gateway import GatewayTarget
from penstock.traces import service as traces

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
        assert isinstance(target, AsyncTarget)

        async def every() -> list[Output]:
            slots = asyncio.Semaphore(concurrency)

            async def one(sample: Sample) -> Output:
                async with slots:
                    return await target.answer(sample, f"key-{sample.id}")

            try:
                return list(await asyncio.gather(*(one(sample) for sample in samples(count))))
            finally:
                await target.close()

        outputs = asyncio.run(every())
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
    assert {r.headers["idempotency-key"] for r in server.requests} == {f"key-s{i}" for i in range(40)}
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
        (lambda _r: ["cut"], "Dropped"),
        (lambda _r: [2.0, "close"], "no answer within 0.2 s"),
    ],
)
def test_what_fails_is_the_samples_error(
    sqlite_home: Home, tmp_path: Path, script: Script, error: str
) -> None:
    (output,), _ = ask(sqlite_home, tmp_path, script, retries=0, timeout_s=0.2)
    assert output.text == ""
    assert any(part in str(output.error) for part in error.split("|")), output.error


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


def test_a_whole_endpoint_waits_as_long_as_it_asks_for(sqlite_home: Home, tmp_path: Path) -> None:
    times: list[float] = []

    def script(request: Received) -> Iterable[bytes]:
        times.append(time.monotonic())
        if len(times) <= 8:
            return [http("429 Too Many Requests", b"{}", "retry-after: 0.3")]
        return [answer_to(request)]

    outputs, _ = ask(sqlite_home, tmp_path, script, 12, concurrency=4, retries=1)
    assert [output.error for output in outputs] == [None] * 12, (
        "waiting for an overloaded server is no failure"
    )
    assert times[4] - times[3] >= 0.25, "nobody asks while the server wants a pause"


def test_patience_with_overload_ends(sqlite_home: Home, tmp_path: Path) -> None:
    busy = http("503 Service Unavailable", b"later", "retry-after: 0.02")
    (output,), server = ask(sqlite_home, tmp_path, lambda _r: [busy], retries=1, patience_s=0.1)
    assert output.error == "HTTP 503: later"
    assert 5 <= len(server.requests) <= 9


def test_calls_are_spaced_to_the_rate(sqlite_home: Home, tmp_path: Path) -> None:
    began = time.monotonic()
    ask(sqlite_home, tmp_path, lambda r: [answer_to(r)], 6, per_minute=1200)
    assert time.monotonic() - began >= 5 * 0.05


def test_the_price_is_the_gateways_or_the_books(sqlite_home: Home, tmp_path: Path) -> None:
    def told(request: Received) -> Iterable[bytes]:
        body = answer_to(request).partition(b"\r\n\r\n")[2]
        return [http("200 OK", body, "x-penstock-cost-usd: 0.000123")]

    (output,), _ = ask(sqlite_home, tmp_path, told)
    assert output.cost_usd == 0.000123
    (output,), _ = ask(sqlite_home, tmp_path, lambda r: [answer_to(r)], model="gpt-4o-mini")
    assert output.cost_usd == pytest.approx(7 * 0.15e-6 + 3 * 0.6e-6)
    (output,), _ = ask(sqlite_home, tmp_path, lambda r: [answer_to(r)], model="nobody-knows-this")
    assert output.cost_usd is None
    with sqlite_home.begin() as uow:
        traces.put_price(uow, system_actor(), model="nobody-*", input_per_mtok=1.0, output_per_mtok=2.0)
    (output,), _ = ask(sqlite_home, tmp_path, lambda r: [answer_to(r)], model="nobody-knows-this")
    assert output.cost_usd == pytest.approx(13e-6), "a price of one's own counts"


def test_cloud_metadata_addresses_are_refused(sqlite_home: Home, tmp_path: Path) -> None:
    context = TargetContext(home=sqlite_home, actor=system_actor(), workdir=tmp_path)
    with pytest.raises(Denied):
        GatewayTarget({"model": "m", "base_url": "http://169.254.169.254/v1"}, context)
