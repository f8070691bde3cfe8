"""`penstock.wrap` around the real `openai` library, against providers that speak its protocol."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pydantic
import pytest

import penstock
from penstock.sdk import runtime
from tests.fakes import openai_responses
from tests.fakes.openai import KEY, TOOL, USAGE, WORDS, MockUpstream
from tests.fakes.openai_responses import ResponsesUpstream
from tests.sdk.fake_server import FakeServer

SAID = "".join(WORDS)
HELLO: list[Any] = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hello"}]
WEATHER: list[Any] = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]


@pytest.fixture(scope="module")
def upstream() -> Iterator[MockUpstream]:
    with MockUpstream() as up:
        yield up


@pytest.fixture
def client(traced: FakeServer, upstream: MockUpstream) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=KEY, base_url=upstream.base_url, max_retries=0) as plain:
        yield penstock.wrap(plain)


def _only(server: FakeServer) -> dict[str, Any]:
    assert penstock.flush()
    (span,) = server.spans()
    return {**span, **span["attributes"]}


def _json(span: dict[str, Any], name: str) -> Any:
    return json.loads(span[f"gen_ai.{name}"])


def test_a_chat_is_a_span_with_messages_tokens_and_parameters(
    traced: FakeServer, client: openai.OpenAI, upstream: MockUpstream
) -> None:
    answer = client.chat.completions.create(model="plain", messages=HELLO, temperature=0.2, stop="END")
    assert answer.choices[0].message.content == SAID
    span = _only(traced)
    assert span["name"] == "chat plain"
    assert span["openinference.span.kind"] == "LLM"
    assert span["gen_ai.provider.name"] == "openai"
    assert _json(span, "input.messages") == [
        {"role": "system", "parts": [{"type": "text", "content": "Be short."}]},
        {"role": "user", "parts": [{"type": "text", "content": "Hello"}]},
    ]
    assert _json(span, "output.messages") == [
        {"role": "assistant", "parts": [{"type": "text", "content": SAID}], "finish_reason": "stop"}
    ]
    assert span["gen_ai.request.temperature"] == 0.2
    assert span["gen_ai.response.model"] == "plain-2026"
    assert span["gen_ai.response.id"] == "chatcmpl-fake1"
    assert span["server.port"] == str(upstream.port)
    counts = {name: int(span[f"gen_ai.usage.{name}"]) for name in ("input_tokens", "output_tokens")}
    assert counts == {"input_tokens": USAGE["prompt_tokens"], "output_tokens": USAGE["completion_tokens"]}
    assert span["gen_ai.usage.cache_read.input_tokens"] == "10"
    assert span["gen_ai.usage.reasoning.output_tokens"] == "2"
    assert "traceparent" not in upstream.requests[-1].headers


def test_tools_called_and_answered_are_parts(traced: FakeServer, client: openai.OpenAI) -> None:
    told: list[Any] = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [TOOL]},
        {"role": "tool", "tool_call_id": "call_1", "content": '{"degrees": 3}'},
    ]
    client.chat.completions.create(model="plain", messages=told, tools=WEATHER)
    span = _only(traced)
    call = {"type": "tool_call", "name": "weather", "arguments": {"city": "Oslo"}, "id": "call_1"}
    result = {"type": "tool_call_response", "response": {"degrees": 3}, "id": "call_1"}
    assert [message["parts"] for message in _json(span, "input.messages")[2:]] == [[call], [result]]
    assert _json(span, "output.messages")[0]["parts"] == [call]
    assert _json(span, "tool.definitions") == WEATHER


@pytest.mark.parametrize("tools", [False, True])
def test_a_stream_is_recorded_as_it_is_read(traced: FakeServer, client: openai.OpenAI, tools: bool) -> None:
    more: dict[str, Any] = {"tools": WEATHER} if tools else {}
    with penstock.span("outer"):
        stream = client.chat.completions.create(
            model="plain", messages=HELLO, stream=True, stream_options={"include_usage": True}, **more
        )
        assert isinstance(stream, openai.Stream)
        pieces = list(stream)
        with penstock.span("after"):
            pass
    assert len(pieces) > 3
    assert penstock.flush()
    spans = {span["name"]: span for span in traced.spans()}
    assert spans["chat plain"]["parentSpanId"] == spans["outer"]["spanId"]
    assert spans["after"]["parentSpanId"] == spans["outer"]["spanId"]
    attributes = spans["chat plain"]["attributes"]
    (message,) = json.loads(attributes["gen_ai.output.messages"])
    if tools:
        assert message["parts"] == [
            {"type": "tool_call", "name": "weather", "arguments": {"city": "Oslo"}, "id": "call_1"}
        ]
        assert message["finish_reason"] == "tool_calls"
    else:
        assert message["parts"] == [{"type": "text", "content": SAID}]
    assert attributes["gen_ai.usage.input_tokens"] == "42"
    assert 0 < attributes["gen_ai.response.time_to_first_chunk"] < 5


def test_a_stream_left_early_or_never_read_ends_its_span(traced: FakeServer, client: openai.OpenAI) -> None:
    with client.chat.completions.create(model="plain", messages=HELLO, stream=True) as stream:
        for piece in stream:
            if piece.choices[0].delta.content:
                break
    unread = client.chat.completions.create(model="plain", messages=HELLO, stream=True)
    unread.close()
    dropped = client.chat.completions.create(model="plain", messages=HELLO, stream=True)
    dropped.response.close()
    del dropped
    gc.collect()
    assert penstock.flush()
    first, second, third = (span["attributes"] for span in traced.spans())
    assert json.loads(first["gen_ai.output.messages"])[0]["parts"] == [{"type": "text", "content": WORDS[0]}]
    assert "gen_ai.output.messages" not in second
    assert "gen_ai.output.messages" not in third


def test_a_stream_that_breaks_keeps_what_came_and_the_error(
    traced: FakeServer, client: openai.OpenAI
) -> None:
    stream = client.chat.completions.create(model="error-in-stream", messages=HELLO, stream=True)
    with pytest.raises(openai.APIError, match="The model crashed"):
        list(stream)
    span = _only(traced)
    assert span["status"]["code"] == 2
    assert "The model crashed" in span["status"]["message"]
    assert span["error.type"] == "APIError"
    assert _json(span, "output.messages")[0]["parts"][0]["content"].startswith(WORDS[0])


def test_errors_are_recorded_and_stay_the_librarys(traced: FakeServer, client: openai.OpenAI) -> None:
    with pytest.raises(openai.RateLimitError):
        client.chat.completions.create(model="status-429", messages=HELLO)
    span = _only(traced)
    assert span["error.type"] == "RateLimitError"
    assert _json(span, "input.messages")[1]["parts"][0]["content"] == "Hello"


class City(pydantic.BaseModel):
    city: str


def test_parsed_answers_and_their_failures(traced: FakeServer, client: openai.OpenAI) -> None:
    with pytest.raises(pydantic.ValidationError):
        client.chat.completions.parse(model="plain", messages=HELLO, response_format=City)
    span = _only(traced)
    assert span["error.type"] == "ValidationError"
    assert span["gen_ai.output.type"] == "json"


def test_the_stream_helper_is_one_span(traced: FakeServer, client: openai.OpenAI) -> None:
    with client.chat.completions.stream(model="plain", messages=HELLO) as stream:
        stream.until_done()
        assert stream.get_final_completion().choices[0].message.content == SAID
    span = _only(traced)
    assert _json(span, "output.messages")[0]["parts"] == [{"type": "text", "content": SAID}]


def test_raw_responses_are_recorded_too(traced: FakeServer, client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="plain", messages=HELLO)
    assert raw.headers["x-request-id"] == "req_upstream"
    assert raw.parse().choices[0].message.content == SAID
    span = _only(traced)
    assert span["gen_ai.usage.output_tokens"] == "7"


def test_responses_read_by_hand_are_left_alone(traced: FakeServer, client: openai.OpenAI) -> None:
    with client.chat.completions.with_streaming_response.create(model="plain", messages=HELLO) as response:
        assert SAID[:5] in "".join(response.iter_text())
    span = _only(traced)
    assert span["name"] == "chat plain"
    assert "gen_ai.output.messages" not in span


def test_copies_of_the_client_are_recorded(traced: FakeServer, client: openai.OpenAI) -> None:
    copy = client.with_options(timeout=5)
    copy.chat.completions.create(model="plain", messages=HELLO)
    assert penstock.wrap(copy) is copy
    _only(traced)


def test_a_client_used_before_is_recorded_from_now_on(traced: FakeServer, upstream: MockUpstream) -> None:
    with openai.OpenAI(api_key=KEY, base_url=upstream.base_url) as plain:
        plain.chat.completions.create(model="plain", messages=HELLO)
        penstock.wrap(penstock.wrap(plain))
        plain.chat.completions.create(model="plain", messages=HELLO)
    assert _only(traced)["name"] == "chat plain"


def test_embeddings_and_completions(traced: FakeServer, client: openai.OpenAI) -> None:
    client.embeddings.create(model="embed", input=["one", "two"])
    client.completions.create(model="plain", prompt="Once upon")
    assert penstock.flush()
    embedding, completion = traced.spans()
    assert embedding["attributes"]["openinference.span.kind"] == "EMBEDDING"
    assert embedding["attributes"]["gen_ai.usage.input_tokens"] == "5"
    assert embedding["attributes"]["gen_ai.embeddings.count"] == "2"
    assert "0.25" not in json.dumps(embedding)
    assert "a time" in completion["attributes"]["gen_ai.output.messages"]


def test_pictures_are_described_not_copied(traced: FakeServer, client: openai.OpenAI) -> None:
    picture = "data:image/png;base64," + "A" * 50_000
    content: list[Any] = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": picture}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
    ]
    client.chat.completions.create(model="plain", messages=[{"role": "user", "content": content}])
    span = _only(traced)
    parts = _json(span, "input.messages")[0]["parts"]
    assert parts[1] == {
        "type": "blob",
        "modality": "image",
        "mime_type": "image/png",
        "content": "<50000 bytes>",
    }
    assert parts[2]["uri"] == "https://example.com/a.png"


@pytest.fixture(scope="module")
def responses_upstream() -> Iterator[ResponsesUpstream]:
    with ResponsesUpstream() as up:
        yield up


def _responses(up: ResponsesUpstream) -> openai.OpenAI:
    return penstock.wrap(openai.OpenAI(api_key=KEY, base_url=f"{up.url}/v1", max_retries=0))


def test_responses_whole_and_streamed(traced: FakeServer, responses_upstream: ResponsesUpstream) -> None:
    with _responses(responses_upstream) as client:
        client.responses.create(model="m", instructions="Be short.", input="Tell me")
        list(client.responses.create(model="m", input="Tell me", stream=True))
        with client.responses.stream(model="m", input="Tell me") as stream:
            stream.until_done()
    assert penstock.flush()
    spans = traced.spans()
    assert len(spans) == 3
    for span in spans:
        attributes = span["attributes"]
        (message,) = json.loads(attributes["gen_ai.output.messages"])
        assert message["parts"] == [{"type": "text", "content": "".join(openai_responses.WORDS)}]
        counted = {name: attributes[f"gen_ai.usage.{name}"] for name in ("input_tokens", "output_tokens")}
        assert counted == {"input_tokens": "36", "output_tokens": "87"}
        assert attributes["gen_ai.usage.cache_read.input_tokens"] == "6"
        assert attributes["gen_ai.usage.cache_write.input_tokens"] == "4"
    assert json.loads(spans[0]["attributes"]["gen_ai.system_instructions"])[0]["content"] == "Be short."
    assert spans[1]["attributes"]["gen_ai.response.time_to_first_chunk"] > 0


def test_a_response_that_fails_or_is_cut_says_so(
    traced: FakeServer, responses_upstream: ResponsesUpstream
) -> None:
    with _responses(responses_upstream) as client:
        list(client.responses.create(model="crashed", input="Tell me", stream=True))
        with pytest.raises(openai.OpenAIError):
            list(client.responses.create(model="cut", input="Tell me", stream=True))
    assert penstock.flush()
    crashed, cut = traced.spans()
    assert crashed["status"] == {"code": 2, "message": "The model crashed."}
    assert cut["status"]["code"] == 2
    assert json.loads(cut["attributes"]["gen_ai.output.messages"])[0]["parts"][0]["content"]


def test_items_of_a_responses_conversation_become_messages(
    traced: FakeServer, responses_upstream: ResponsesUpstream
) -> None:
    items: list[Any] = [
        {"role": "user", "content": [{"type": "input_text", "text": "Weather?"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Ask the tool."}]},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city": "Oslo"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "3 degrees"},
    ]
    with _responses(responses_upstream) as client:
        client.responses.create(model="m", input=items)
    span = _only(traced)
    roles = [(m["role"], [part["type"] for part in m["parts"]]) for m in _json(span, "input.messages")]
    assert roles == [
        ("user", ["text"]),
        ("assistant", ["reasoning", "tool_call"]),
        ("tool", ["tool_call_response"]),
    ]


@asynccontextmanager
async def _async_client(upstream: MockUpstream) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key=KEY, base_url=upstream.base_url, max_retries=0) as plain:
        yield penstock.wrap(plain)
    await asyncio.sleep(0)


def test_the_asynchronous_client(traced: FakeServer, upstream: MockUpstream) -> None:
    async def main() -> None:
        async with _async_client(upstream) as client:
            async with penstock.span("outer"):
                calls = [client.chat.completions.create(model="plain", messages=HELLO) for _ in range(3)]
                await asyncio.gather(*calls)
            stream = await client.chat.completions.create(
                model="plain", messages=HELLO, stream=True, stream_options={"include_usage": True}
            )
            assert [piece async for piece in stream]
            async with client.chat.completions.stream(model="plain", messages=HELLO) as helper:
                await helper.until_done()
            left = await client.chat.completions.create(model="plain", messages=HELLO, stream=True)
            async for _ in left:
                break
            await left.close()
            with pytest.raises(openai.RateLimitError):
                await client.chat.completions.create(model="status-429", messages=HELLO)

    asyncio.run(main())
    assert penstock.flush()
    spans = traced.spans()
    outer = next(span for span in spans if span["name"] == "outer")
    inside = [span for span in spans if span.get("parentSpanId") == outer["spanId"]]
    assert len(inside) == 3 and len(spans) == 8
    answered = [span for span in spans if SAID in span["attributes"].get("gen_ai.output.messages", "")]
    assert len(answered) == 5
    assert [span["status"]["code"] for span in spans].count(2) == 1


def test_behind_the_gateway_nothing_is_counted_twice(upstream: MockUpstream, server: FakeServer) -> None:
    """The provider plays the gateway: same address as the Penstock server."""
    server.answer("POST /v1/traces", {})
    runtime.configure(server.url, "psk_1")
    answer = {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m-2026",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
        "usage": USAGE,
    }
    server.answer("POST /v1/chat/completions", answer)
    with openai.OpenAI(api_key="psk_1", base_url=f"{server.url}/v1") as client:
        penstock.wrap(client)
        with penstock.span("outer"):
            client.chat.completions.create(model="m", messages=HELLO, extra_headers={"x-own": "kept"})
    assert penstock.flush()
    call, _ = server.spans()
    asked = next(one for one in server.asked if one.path == "/v1/chat/completions")
    assert asked.headers["traceparent"] == f"00-{call['traceId']}-{call['spanId']}-01"
    assert asked.headers["x-own"] == "kept"
    attributes = call["attributes"]
    assert attributes["openinference.span.kind"] == "CHAIN"
    assert not [name for name in attributes if "usage" in name]
    assert attributes["penstock.gateway"] is True
    runtime.configure(tracing=False)


def test_contents_stay_out_when_asked(server: FakeServer, upstream: MockUpstream) -> None:
    server.answer("POST /v1/traces", {})
    runtime.configure(server.url, "psk_1", capture=False)
    with openai.OpenAI(api_key=KEY, base_url=upstream.base_url) as client:
        penstock.wrap(client).chat.completions.create(model="plain", messages=HELLO, tools=WEATHER)
    assert penstock.flush()
    assert b"Hello" not in server.asked[0].body
    assert b"weather" not in server.asked[0].body
    assert server.spans()[0]["attributes"]["gen_ai.usage.input_tokens"] == "42"
    runtime.configure(tracing=False)


def test_what_is_no_client_is_refused_at_once() -> None:
    with pytest.raises(penstock.ConfigError, match=r"builtins\.dict is no client"):
        penstock.wrap({})


def test_a_fault_of_tracing_leaves_the_call_alone(
    traced: FakeServer, client: openai.OpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("a bug")

    for name in ("request", "response", "gathering"):
        with monkeypatch.context() as patched:
            patched.setattr(f"penstock.sdk.wrapping.openai.Chat.{name}", broken)
            answer = client.chat.completions.create(model="plain", messages=HELLO)
            assert answer.choices[0].message.content == SAID
            assert len(list(client.chat.completions.create(model="plain", messages=HELLO, stream=True))) > 3
    assert penstock.flush()
