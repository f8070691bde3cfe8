import asyncio
import dataclasses
import datetime
import enum
import functools
import gc
import inspect
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

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


class _Service:
    @penstock.trace
    def plain(self, x: int) -> int:
        return x

    @penstock.trace
    @classmethod
    def above(cls, x: int) -> int:
        return x

    @classmethod
    @penstock.trace
    def below(cls, x: int) -> int:
        return x

    @penstock.trace(name="static")
    @staticmethod
    def fixed(x: int, *more: int, **named: int) -> int:
        return x

    @penstock.trace
    async def later(self, x: int) -> int:
        return x


def test_methods_of_every_sort_are_traced_without_self(traced: FakeServer) -> None:
    service = _Service()
    assert [service.plain(1), service.above(2), _Service.below(3), service.fixed(4, 5, z=6)] == [1, 2, 3, 4]
    assert asyncio.run(service.later(7)) == 7
    spans = _sent(traced)
    inputs = {name: span["attributes"]["input.value"] for name, span in spans.items()}
    assert inputs == {
        "_Service.plain": '{"x": 1}',
        "_Service.above": '{"x": 2}',
        "_Service.below": '{"x": 3}',
        "static": '{"x": 4, "more": [5], "z": 6}',
        "_Service.later": '{"x": 7}',
    }
    assert inspect.iscoroutinefunction(_Service.later)


def test_a_class_has_its_public_methods_traced_and_stays_a_class(traced: FakeServer) -> None:
    @penstock.trace(kind="tool")
    class Toolbox:
        size = 3

        def add(self, x: int) -> int:
            return self._hidden(x) + self.size

        def _hidden(self, x: int) -> int:
            return x

        @staticmethod
        def fixed() -> str:
            return "fixed"

        @property
        def weight(self) -> int:
            return 1

    box = Toolbox()
    assert isinstance(box, Toolbox)
    assert (box.add(1), box.fixed(), Toolbox.fixed(), box.weight) == (4, "fixed", "fixed", 1)
    names = [span["name"].rpartition(".")[2] for span in _sent(traced).values()]
    assert sorted(names) == ["add", "fixed"]


def test_callable_objects_partials_and_names(traced: FakeServer) -> None:
    class Model:
        async def __call__(self, x: int) -> int:
            return x + 1

    def add(a: int, b: int) -> int:
        return a + b

    assert asyncio.run(penstock.trace(Model())(1)) == 2
    assert penstock.trace(functools.partial(add, 1))(2) == 3
    assert penstock.trace("by position")(add)(1, 2) == 3
    assert penstock.trace(len)([1, 2]) == 2
    names = [name.rpartition(".")[2] for name in _sent(traced)]
    assert sorted(names) == ["Model", "add", "by position", "len"]


def test_functions_that_return_generators_or_coroutines_last_as_long(traced: FakeServer) -> None:
    def words() -> Iterator[str]:
        with penstock.span("inside words"):
            yield "a"
        yield "b"

    async def letters() -> AsyncIterator[str]:
        with penstock.span("inside letters"):
            yield "c"

    async def number() -> int:
        with penstock.span("inside number"):
            return 7

    async def main() -> Any:
        got = [letter async for letter in penstock.trace("letters")(lambda: letters())()]
        return got, await penstock.trace("number")(lambda: number())()

    assert list(penstock.trace("words")(lambda: words())()) == ["a", "b"]
    assert asyncio.run(main()) == (["c"], 7)
    spans = _sent(traced)
    for name, output in (("words", "ab"), ("letters", "c"), ("number", "7")):
        assert spans[name]["attributes"]["output.value"] == output
        assert spans[f"inside {name}"]["parentSpanId"] == spans[name]["spanId"]


def test_threads_belong_to_the_span_that_sent_them(traced: FakeServer) -> None:
    @penstock.trace
    def work(n: int) -> int:
        return n

    with penstock.span("outer", session="s-1"):
        with penstock.ThreadPoolExecutor(4) as pool:
            assert list(pool.map(work, range(8))) == list(range(8))
        carried = penstock.with_context(work)
        threads = [threading.Thread(target=carried, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    threading.Thread(target=work, args=(99,)).run()
    assert penstock.flush()
    spans = traced.spans()
    outer = next(span for span in spans if span["name"] == "outer")
    inside = [span for span in spans if span.get("parentSpanId") == outer["spanId"]]
    assert len(inside) == 11
    assert {span["attributes"]["session.id"] for span in inside} == {"s-1"}


def test_the_current_span_takes_everything_from_anywhere(traced: FakeServer) -> None:
    def deep_inside() -> None:
        span = penstock.current_span()
        assert span
        span.set_user("ada").set_session("s-1").set_tags("a").set_tags("b", "a")
        span.set_metadata({"tier": "gold"}).set_metadata(region="eu")
        span.set_usage(input_tokens=10, output_tokens=5, cached_tokens=4, reasoning_tokens=2, cost_usd=0.01)
        span.set_prompt("triage@3").score("grounded", 0.75, comment="one claim open").score("safe", True)

    with penstock.span("call", kind="llm"):
        deep_inside()
        with penstock.span("child"):
            pass
    spans = _sent(traced)
    attributes = spans["call"]["attributes"]
    assert attributes["tag.tags"] == {"values": [{"stringValue": "a"}, {"stringValue": "b"}]}
    assert json.loads(attributes["metadata"]) == {"tier": "gold", "region": "eu"}
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == "4"
    assert attributes["gen_ai.usage.cost"] == 0.01
    assert (attributes["gen_ai.prompt.name"], attributes["gen_ai.prompt.version"]) == ("triage", "3")
    assert (
        spans["child"]["attributes"] | {"session.id": "s-1", "user.id": "ada"} == spans["child"]["attributes"]
    )
    first, second = (event["attributes"] for event in spans["call"]["events"])
    assert {"key": "gen_ai.evaluation.score.value", "value": {"doubleValue": 0.75}} in first
    assert {"key": "gen_ai.evaluation.score.label", "value": {"stringValue": "true"}} in second


def test_without_a_span_the_current_one_is_false_and_takes_everything_in_vain(traced: FakeServer) -> None:
    span = penstock.current_span()
    assert not span
    with span.set_user("ada").set_output("x") as same:
        assert same is span
    assert penstock.inject() == {}
    assert penstock.flush()
    assert traced.asked == []


def test_traces_go_on_in_another_service(traced: FakeServer) -> None:
    with penstock.span("client") as client:
        client.tracestate = "vendor=1"
        headers = penstock.inject({"x-own": "1"})
    assert headers == {"x-own": "1", "traceparent": client.traceparent, "tracestate": "vendor=1"}
    bytes_ = {name.title().encode(): value.encode() for name, value in headers.items()}
    for number, arriving in enumerate((headers, bytes_, client.traceparent)):
        with penstock.extract(arriving), penstock.span(f"server {number}"):
            assert penstock.current_span().tracestate == ("" if isinstance(arriving, str) else "vendor=1")
    spans = _sent(traced)
    for number in range(3):
        assert spans[f"server {number}"]["traceId"] == spans["client"]["traceId"]
        assert spans[f"server {number}"]["parentSpanId"] == spans["client"]["spanId"]


@pytest.mark.parametrize(
    "headers",
    [
        None,
        {},
        "",
        "nonsense",
        {"traceparent": "00-" + "0" * 32 + "-" + "1" * 16 + "-01"},
        {"traceparent": "ff-" + "1" * 32 + "-" + "1" * 16 + "-01"},
        {"traceparent": "00-" + "1" * 32 + "-" + "1" * 16 + "-01-more"},
        {"traceparent": None, 7: object()},
        42,
    ],
)
def test_headers_that_say_nothing_start_a_trace(traced: FakeServer, headers: Any) -> None:
    with penstock.extract(headers), penstock.span("server"):
        pass
    assert "parentSpanId" not in _sent(traced)["server"]


def test_whole_traces_are_sampled(server: FakeServer) -> None:
    server.answer("POST /v1/traces", {})
    runtime.configure(server.url, "psk_1", sample_rate=0.5)
    for _ in range(200):
        with penstock.span("root"), penstock.span("child") as child:
            assert child.traceparent.endswith("01" if child.sampled else "00")
    assert penstock.flush()
    names = [span["name"] for span in server.spans()]
    assert names.count("root") == names.count("child")
    assert 60 < names.count("root") < 140
    with penstock.extract("00-" + "1" * 32 + "-" + "1" * 16 + "-00"), penstock.span("unsampled") as span:
        assert not span.sampled
    runtime.configure(tracing=False)


class _Hostile:
    """An object that breaks whatever is done with it."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __repr__(self) -> str:
        raise RuntimeError("repr")

    def __str__(self) -> str:
        raise RuntimeError("str")

    def __hash__(self) -> int:
        raise RuntimeError("hash")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    def __bool__(self) -> bool:
        raise RuntimeError("bool")


class _HostileError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("str")


def test_nothing_the_program_hands_over_breaks_it(traced: FakeServer) -> None:
    hostile: Any = _Hostile()

    @penstock.trace
    def echo(value: Any) -> Any:
        return value

    class Endless(dict[str, Any]):
        def items(self) -> Any:
            return ((str(n), n) for n in range(10**12))

    for value in (hostile, [hostile], {"k": hostile}, {_Hostile: 1}, Endless(), object, lambda: 1):
        assert echo(value) is value
    with penstock.span(hostile, session=hostile, user=hostile, tags=hostile, metadata=hostile) as span:
        span.set_input(hostile).set_output(hostile).set_user(hostile).set_session(hostile).set_tags(hostile)
        span.set_metadata(hostile).set_usage(input_tokens=hostile).score(hostile, hostile).set_prompt(hostile)
        span.set(x=hostile).event("e", x=hostile).set_model(hostile, provider=hostile)
        span.update(hostile).update({_Hostile: 1})  # type: ignore[dict-item]
    with pytest.raises(_HostileError), penstock.span("failing"):
        raise _HostileError
    span.end()
    span.__exit__(None, None, None)
    assert penstock.flush()
    assert penstock.dropped() == 0
    assert [span["name"] for span in traced.spans()].count("failing") == 1


def test_huge_values_cost_a_bounded_time_and_space(traced: FakeServer) -> None:
    huge = [{"text": "x" * 1000, "numbers": list(range(100))}] * 1_000_000
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    span = penstock.span("huge")
    started = time.thread_time()
    span.set_input(huge).set_output(deep)
    assert time.thread_time() - started < 0.5
    assert span.size < 3_000_000
    span.end()
    attributes = _sent(traced)["huge"]["attributes"]
    assert "more" in json.loads(attributes["input.value"])[-1]
    assert json.loads(attributes["output.value"])


def test_a_wrong_address_switches_tracing_off_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_URL", "localhost:8600")
    monkeypatch.setattr(runtime, "_runtime", runtime._Runtime())

    @penstock.trace
    def work() -> int:
        with penstock.span("inner"):
            return 7

    assert work() == 7
    assert penstock.flush()


def test_the_environment_decides_where_the_program_does_not(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_ENVIRONMENT", "staging")
    monkeypatch.setenv("PENSTOCK_CAPTURE", "off")
    server.answer("POST /v1/traces", {})
    runtime.configure(server.url, "psk_1")

    @penstock.trace
    def work(secret: str) -> str:
        return secret

    work("hunter2")
    assert penstock.flush()
    assert b"hunter2" not in server.asked[0].body
    assert b"staging" in server.asked[0].body
    monkeypatch.setenv("PENSTOCK_TRACING", "false")
    runtime.configure(server.url, "psk_1")
    work("x")
    assert penstock.flush()
    assert len(server.asked) == 1
    runtime.configure(tracing=False)


@dataclasses.dataclass
class _Card:
    holder: str
    number: str = dataclasses.field(repr=False, default="4111")


def test_objects_show_their_fields(traced: FakeServer) -> None:
    class Point(NamedTuple):
        x: int

    class Colour(enum.Enum):
        RED = "red"

    told = as_text(
        {
            "card": _Card("Ada"),
            "point": Point(1),
            "colour": Colour.RED,
            "at": datetime.datetime(2026, 11, 1),
            "set": {1},
            "path": Path("/a"),
            1: True,
        }
    )
    assert json.loads(told[0]) == {
        "card": {"holder": "Ada"},
        "point": {"x": 1},
        "colour": "red",
        "at": "2026-11-01 00:00:00",
        "set": [1],
        "path": "/a",
        "1": True,
    }


def test_what_the_program_changes_later_is_not_seen(traced: FakeServer) -> None:
    messages = [{"role": "user", "content": "before"}]
    with penstock.span("s") as span:
        span.set_input(messages)
        messages[0]["content"] = "after"
    span.set_output("too late")
    attributes = _sent(traced)["s"]["attributes"]
    assert "before" in attributes["input.value"]
    assert "output.value" not in attributes
