"""`penstock.wrap` around the real `google-genai` library."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

import penstock
from penstock.sdk import runtime
from penstock.sdk.wrapping.google import Generate
from tests.fakes.gemini import KEY, TEXTS, THOUGHT, GeminiUpstream
from tests.sdk.fake_server import FakeServer

SAID = "".join(TEXTS)


@pytest.fixture(scope="module")
def upstream() -> Iterator[GeminiUpstream]:
    with GeminiUpstream() as up:
        yield up


def _client(url: str, key: str = KEY) -> genai.Client:
    return penstock.wrap(
        genai.Client(api_key=key, http_options=types.HttpOptions(base_url=url, api_version="v1beta"))
    )


@pytest.fixture
def client(traced: FakeServer, upstream: GeminiUpstream) -> Iterator[genai.Client]:
    with _client(upstream.url) as wrapped:
        yield wrapped


def _check(span: dict[str, Any]) -> None:
    attributes = span["attributes"]
    assert attributes["openinference.span.kind"] == "LLM"
    assert attributes["gen_ai.provider.name"] == "gcp.gemini"
    assert attributes["gen_ai.request.model"] == "plain"
    assert attributes["gen_ai.response.model"] == "gemini-fake-001"
    (message,) = json.loads(attributes["gen_ai.output.messages"])
    assert message == {
        "role": "assistant",
        "parts": [{"type": "text", "content": SAID}],
        "finish_reason": "STOP",
    }
    counted = {
        name[13:]: int(count) for name, count in attributes.items() if name.startswith("gen_ai.usage.")
    }
    assert counted == {
        "input_tokens": 30,
        "output_tokens": 13,
        "cache_read.input_tokens": 10,
        "reasoning.output_tokens": 5,
    }, "thoughts are part of the output"


def test_content_whole_and_streamed(traced: FakeServer, client: genai.Client) -> None:
    config = types.GenerateContentConfig(system_instruction="Be short.", temperature=0.5)
    assert client.models.generate_content(model="plain", contents="Hello", config=config).text == SAID
    pieces = list(client.models.generate_content_stream(model="plain", contents=["Hello"]))
    assert "".join(piece.text or "" for piece in pieces) == SAID
    assert penstock.flush()
    spans = traced.spans()
    assert len(spans) == 2
    for span in spans:
        _check(span)
    attributes = spans[0]["attributes"]
    assert json.loads(attributes["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "Hello"}]}
    ]
    assert json.loads(attributes["gen_ai.system_instructions"]) == [{"type": "text", "content": "Be short."}]
    assert attributes["gen_ai.request.temperature"] == 0.5
    assert spans[1]["attributes"]["gen_ai.response.time_to_first_chunk"] > 0


def test_functions_that_are_called_are_spans_of_their_own_requests(
    traced: FakeServer, client: genai.Client
) -> None:
    def weather(city: str) -> str:
        """Say what the weather is."""
        return f"3 degrees in {city}"

    client.models.generate_content(
        model="plain",
        contents="Weather?",
        config=types.GenerateContentConfig(tools=[weather]),
    )
    assert penstock.flush()
    asked, told = (span["attributes"] for span in traced.spans())
    parts = json.loads(asked["gen_ai.output.messages"])[0]["parts"]
    assert parts[0] == {"type": "tool_call", "name": "weather", "arguments": {"city": "Oslo"}}
    last = json.loads(told["gen_ai.input.messages"])[-1]["parts"][0]
    assert last["type"] == "tool_call_response"
    assert "3 degrees" in json.dumps(last["response"])
    assert SAID in told["gen_ai.output.messages"]


def test_thoughts_pictures_and_code_are_parts() -> None:
    picture = types.Part(inline_data=types.Blob(mime_type="image/png", data=b"x" * 9_000))
    thought = types.Part(text=THOUGHT, thought=True)
    code = types.Part(executable_code=types.ExecutableCode(code="1", language=types.Language.PYTHON))
    content = types.Content(
        role="model", parts=[thought, types.Part(text="a"), types.Part(text="b"), picture, code]
    )
    answer = types.GenerateContentResponse(candidates=[types.Candidate(content=content)])
    (message,) = Generate().response(answer)["gen_ai.output.messages"]
    assert message["parts"][:2] == [
        {"type": "reasoning", "content": THOUGHT},
        {"type": "text", "content": "ab"},
    ]
    assert message["parts"][2]["content"] == "<9000 bytes>"
    assert message["parts"][3]["type"] == "executable_code"


def test_chats_embeddings_and_refusals(traced: FakeServer, client: genai.Client) -> None:
    client.chats.create(model="plain").send_message("Hello")
    client.models.embed_content(model="embed", contents="Hello")
    client.models.generate_content(model="blocked", contents="Hello")
    assert penstock.flush()
    chat, embedding, blocked = traced.spans()
    _check(chat)
    assert embedding["attributes"]["openinference.span.kind"] == "EMBEDDING"
    assert (
        json.loads(blocked["attributes"]["gen_ai.output.messages"])[0]["finish_reason"]
        == "PROHIBITED_CONTENT"
    )


def test_errors_are_recorded_and_stay_the_librarys(traced: FakeServer, upstream: GeminiUpstream) -> None:
    with _client(upstream.url, "wrong") as client, pytest.raises(errors.ClientError):
        client.models.generate_content(model="plain", contents="Hello")
    assert penstock.flush()
    (span,) = traced.spans()
    assert span["attributes"]["error.type"] == "ClientError"


def test_the_asynchronous_client(traced: FakeServer, client: genai.Client) -> None:
    async def main() -> None:
        await client.aio.models.generate_content(model="plain", contents="Hello")
        stream = await client.aio.models.generate_content_stream(model="plain", contents="Hello")
        assert "".join([piece.text or "" async for piece in stream]) == SAID
        await client.aio.aclose()
        await asyncio.sleep(0)

    asyncio.run(main())
    assert penstock.flush()
    spans = traced.spans()
    assert len(spans) == 2
    for span in spans:
        _check(span)


@pytest.mark.parametrize("config", [None, {"temperature": 0.1}, types.GenerateContentConfig(temperature=0.1)])
def test_behind_the_gateway_the_trace_goes_on(server: FakeServer, config: Any) -> None:
    server.answer("POST /v1/traces", {})
    runtime.configure(server.url, "psk_1")
    answer = {"candidates": [{"content": {"parts": [{"text": "Hi"}], "role": "model"}}]}
    server.answer("POST /v1beta/models/plain:generateContent", answer)
    with _client(server.url, "psk_1") as client:
        assert client.models.generate_content(model="plain", contents="Hello", config=config).text == "Hi"
    assert penstock.flush()
    (span,) = server.spans()
    assert server.asked[0].headers["traceparent"] == f"00-{span['traceId']}-{span['spanId']}-01"
    assert span["attributes"]["openinference.span.kind"] == "CHAIN"
    runtime.configure(tracing=False)
