import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import penstock
from penstock.sdk import runtime
from penstock.sdk.capture import LONGEST_VALUE, as_text
from tests.sdk.fake_server import FakeServer, serving


def _sent(server: FakeServer) -> dict[str, dict[str, Any]]:
    assert penstock.flush()
    return {span["name"]: span for span in server.spans()}


def test_nested_calls_share_a_trace_and_know_their_parent(traced: FakeServer) -> None:
    @penstock.trace(name="inner", kind="tool")
    def inner(x: int) -> int:
        return x + 1

    @penstock.trace(name="outer")
    def outer(x: int, *, y: int = 2) -> dict[str, int]:
        return {"sum": inner(x) + y}

    assert outer(1) == {"sum": 4}
    spans = _sent(traced)
    assert spans["inner"]["traceId"] == spans["outer"]["traceId"]
    assert spans["inner"]["parentSpanId"] == spans["outer"]["spanId"]
    assert "parentSpanId" not in spans["outer"]
    assert spans["outer"]["attributes"]["input.value"] == '{"x": 1}'
    assert spans["outer"]["attributes"]["output.value"] == '{"sum": 4}'
    assert spans["inner"]["attributes"]["openinference.span.kind"] == "TOOL"
    assert int(spans["inner"]["endTimeUnixNano"]) >= int(spans["inner"]["startTimeUnixNano"])


def test_exceptions_are_recorded_and_pass_through(traced: FakeServer) -> None:
    @penstock.trace(name="breaks")
    def breaks() -> None:
        raise ValueError("no good")

    with pytest.raises(ValueError, match="no good"):
        breaks()
    span = _sent(traced)["breaks"]
    assert span["status"] == {"code": 2, "message": "ValueError: no good"}
    assert span["events"][0]["name"] == "exception"


def test_wrong_arguments_raise_as_without_tracing(traced: FakeServer) -> None:
    @penstock.trace(name="one")
    def one(x: int) -> int:
        return x

    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        one()  # type: ignore[call-arg]
    assert _sent(traced)["one"]["status"]["code"] == 2


def test_coroutines_keep_their_own_parents(traced: FakeServer) -> None:
    @penstock.trace(name="leaf")
    async def leaf(n: int) -> int:
        await asyncio.sleep(0.001 * (3 - n))
        return n

    async def branch(n: int) -> None:
        async with penstock.span(f"branch-{n}"):
            assert await leaf(n) == n

    async def both() -> None:
        await asyncio.gather(branch(1), branch(2))

    asyncio.run(both())
    assert penstock.flush()
    by_id = {span["spanId"]: span for span in traced.spans()}
    leaves = [span for span in by_id.values() if span["name"] == "leaf"]
    parents = {by_id[leaf["parentSpanId"]]["name"]: leaf["attributes"]["output.value"] for leaf in leaves}
    assert parents == {"branch-1": "1", "branch-2": "2"}


def test_generators_last_until_they_end_and_join_their_text(traced: FakeServer) -> None:
    @penstock.trace(name="words")
    def words() -> Iterator[str]:
        with penstock.span("inside"):
            yield "a"
        yield "b"

    generator = words()
    assert next(generator) == "a"
    with penstock.span("between"):
        pass
    assert list(generator) == ["b"]
    spans = _sent(traced)
    assert spans["words"]["attributes"]["output.value"] == "ab"
    assert spans["inside"]["parentSpanId"] == spans["words"]["spanId"]
    assert spans["between"]["traceId"] != spans["words"]["traceId"]


def test_generators_pass_values_exceptions_and_results_through(traced: FakeServer) -> None:
    @penstock.trace(name="talk")
    def talk() -> Any:
        got = yield "first"
        try:
            yield got
        except KeyError:
            yield "caught"
        return "result"

    def drive() -> Any:
        return (yield from talk())

    generator = drive()
    assert next(generator) == "first"
    assert generator.send("sent") == "sent"
    assert generator.throw(KeyError("x")) == "caught"
    with pytest.raises(StopIteration) as stop:
        next(generator)
    assert stop.value.value == "result"
    assert _sent(traced)["talk"]["status"]["code"] == 1


def test_a_generator_left_early_ends_its_span_without_an_error(traced: FakeServer) -> None:
    @penstock.trace(name="endless")
    def endless() -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1

    for number in endless():
        if number == 3:
            break
    gc.collect()
    span = _sent(traced)["endless"]
    assert span["status"]["code"] == 1
    assert span["attributes"]["output.value"] == "[0, 1, 2, 3]"


def test_async_generators_are_traced(traced: FakeServer) -> None:
    @penstock.trace(name="stream", kind="llm")
    async def stream() -> AsyncIterator[str]:
        yield "a"
        await asyncio.sleep(0)
        yield "b"
        raise RuntimeError("cut")

    async def collect() -> list[str]:
        got = []
        with pytest.raises(RuntimeError, match="cut"):
            async for piece in stream():
                got.append(piece)
        return got

    assert asyncio.run(collect()) == ["a", "b"]
    span = _sent(traced)["stream"]
    assert span["attributes"]["output.value"] == "ab"
    assert span["status"]["message"] == "RuntimeError: cut"
    assert span["kind"] == 3


def test_details_models_and_events_reach_the_wire(traced: FakeServer) -> None:
    with penstock.span(
        "call", kind="llm", session="s1", user="u1", tags=("a", "b"), metadata={"k": 1}
    ) as span:
        span.set_model("gpt", provider="openai", input_tokens=3, output_tokens=5)
        span.event("first token", index=0)
        assert penstock.current_span() is span
        assert span.traceparent == f"00-{span.trace_id}-{span.span_id}-01"
    attributes = _sent(traced)["call"]["attributes"]
    assert attributes["session.id"] == "s1"
    assert attributes["user.id"] == "u1"
    assert attributes["tag.tags"] == {"values": [{"stringValue": "a"}, {"stringValue": "b"}]}
    assert attributes["metadata"] == '{"k": 1}'
    assert attributes["gen_ai.usage.input_tokens"] == "3"


def test_contents_stay_out_when_asked(traced: FakeServer) -> None:
    @penstock.trace(name="secret", capture_input=False, capture_output=False)
    def secret(password: str) -> str:
        return password

    secret("hunter2")
    assert b"hunter2" not in b"".join(asked.body for asked in traced.asked if penstock.flush())
    assert "input.value" not in _sent(traced)["secret"]["attributes"]


class _Stubborn:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def test_any_value_can_be_captured() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert as_text({"x": _Stubborn()})[0] == '{"x": "<_Stubborn: repr failed with RuntimeError>"}'
    assert as_text(loop)[0] == '["<circular>"]'
    assert as_text([b"abc"])[0] == '["<3 bytes>"]'
    long, kind = as_text(["x" * (LONGEST_VALUE + 10)])
    assert len(long) < LONGEST_VALUE + 50 and kind == "application/json"


def test_a_server_that_is_away_neither_breaks_nor_slows_the_program(free_port: int) -> None:
    runtime.configure(f"http://127.0.0.1:{free_port}", "psk_1")

    @penstock.trace
    def work() -> int:
        return 7

    assert [work() for _ in range(1000)] == [7] * 1000
    assert penstock.flush(timeout=0.3) is False
    with serving(free_port) as late:
        late.answer("POST /v1/traces", {})
        assert penstock.flush(timeout=10)
        assert len(late.spans()) == 1000
    runtime.configure(tracing=False)


def test_refused_spans_are_dropped_with_a_warning(
    server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer("POST /v1/traces", {"detail": "This key may not send traces."}, status=403)
    logging.getLogger("penstock.sdk").addHandler(
        caplog.handler
    )  # the server's logging does not propagate to the root
    runtime.configure(server.url, "psk_wrong")
    with penstock.span("x"):
        pass
    assert penstock.flush()
    logging.getLogger("penstock.sdk").removeHandler(caplog.handler)
    assert "This key may not send traces." in caplog.text
    runtime.configure(tracing=False)


def test_tracing_can_be_switched_off(server: FakeServer) -> None:
    runtime.configure(server.url, "psk_1", tracing=False)
    with penstock.span("x") as span:
        span.set_output("y")
    assert penstock.flush()
    assert server.asked == []
