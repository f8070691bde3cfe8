"""The unmodified google-genai client, in front of an OpenAI, an Anthropic and a Gemini model."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from google import genai
from google.genai import errors, types

from penstock.core.home import Home
from penstock.gateway import service
from tests.conftest import owner_of
from tests.fakes import anthropic as fake_anthropic
from tests.fakes import gemini as fake_gemini
from tests.fakes import openai as fake_openai
from tests.gateway.conftest import Running, routes_for

TEXT = {
    "oa": "".join(fake_openai.WORDS),
    "an": "".join(fake_anthropic.TEXTS),
    "ge": "".join(fake_gemini.TEXTS),
}
INPUT = {"oa": 42, "an": 28, "ge": 30}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(name="weather", description="The weather.", parameters_json_schema=CITY)
    ]
)


@pytest.fixture
def gemini_upstream() -> Iterator[fake_gemini.GeminiUpstream]:
    with fake_gemini.GeminiUpstream() as server:
        yield server


@pytest.fixture
def gateway(
    sqlite_home: Home,
    openai_upstream: fake_openai.MockUpstream,
    anthropic_upstream: fake_anthropic.AnthropicUpstream,
    gemini_upstream: fake_gemini.GeminiUpstream,
) -> Iterator[Running]:
    providers = {
        "oa": {"kind": "openai", "base_url": openai_upstream.base_url, "api_key": fake_openai.KEY},
        "an": {"kind": "anthropic", "base_url": anthropic_upstream.url, "api_key": fake_anthropic.KEY},
        "ge": {"kind": "gemini", "base_url": gemini_upstream.url, "api_key": fake_gemini.KEY},
    }
    routes: dict[str, Any] = {}
    for provider, model in (("oa", "gpt-fake"), ("an", "claude-fake"), ("ge", "plain")):
        routes[provider] = routes_for(provider, "", [model])[model]
    routes |= routes_for("oa", "oa-", ["bytewise", "cut", "error-in-stream", "status-429", "status-400"])
    routes |= routes_for("an", "an-", ["overloaded", "limited"])
    routes |= routes_for("ge", "ge-", ["invalid", "limited", "overloaded", "image", "blocked"])
    actor = owner_of(sqlite_home)
    with sqlite_home.begin() as uow:
        service.apply(uow, actor, {"providers": providers, "routes": routes})
    running = Running(sqlite_home, actor)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def client(gateway: Running) -> Iterator[genai.Client]:
    made = genai.Client(api_key=gateway.key, http_options={"base_url": gateway.url})
    yield made
    made.close()


def test_generate(gateway: Running, client: genai.Client) -> None:
    config = types.GenerateContentConfig(
        system_instruction="Be brief.", max_output_tokens=50, temperature=0.5, stop_sequences=["END"]
    )
    for model, text in TEXT.items():
        answer = client.models.generate_content(model=model, contents="Hello", config=config)
        assert answer.text == text and answer.model_version == model and answer.response_id
        assert answer.candidates[0].finish_reason == types.FinishReason.STOP
        assert answer.usage_metadata.prompt_token_count == INPUT[model]
        headers = answer.sdk_http_response.headers
        assert headers["x-request-id"].startswith("req_") and headers["x-penstock-target"].startswith(model)
    assert gateway.recorder.last(len(TEXT)).key_id == gateway.key_id


def test_stream(gateway: Running, client: genai.Client) -> None:
    for model, text in (*TEXT.items(), ("oa-bytewise", TEXT["oa"])):
        chunks = list(client.models.generate_content_stream(model=model, contents="Hello"))
        assert "".join(chunk.text or "" for chunk in chunks) == text
        assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
        assert chunks[-1].usage_metadata.total_token_count > 0
    assert gateway.recorder.last(4).ttft_ns


def test_chat_of_several_turns(client: genai.Client, openai_upstream: fake_openai.MockUpstream) -> None:
    for model, text in TEXT.items():
        chat = client.chats.create(model=model)
        assert chat.send_message("Hello").text == text
        assert "".join(each.text or "" for each in chat.send_message_stream("And now?")) == text
    sent = openai_upstream.requests[-1].json["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]


def test_tools(client: genai.Client) -> None:
    config = types.GenerateContentConfig(tools=[WEATHER])
    question = types.Content(role="user", parts=[types.Part(text="The weather in Oslo?")])
    for model in TEXT:
        answer = client.models.generate_content(model=model, contents=[question], config=config)
        assert answer.function_calls[0].name == "weather"
        assert answer.function_calls[0].args == {"city": "Oslo"}
        streamed = list(
            client.models.generate_content_stream(model=model, contents=[question], config=config)
        )
        calls = [call for each in streamed for call in each.function_calls or ()]
        assert calls[0].name == "weather" and calls[0].args == {"city": "Oslo"}
        results = [
            types.Part(
                function_response=types.FunctionResponse(id=call.id, name=call.name, response={"sky": "blue"})
            )
            for call in answer.function_calls
        ]
        turns = [question, answer.candidates[0].content, types.Content(role="user", parts=results)]
        assert client.models.generate_content(model=model, contents=turns, config=config).candidates


def test_python_functions_as_tools(client: genai.Client) -> None:
    """The client calls the function itself and sends what it returns, until the model is done."""
    asked: list[str] = []

    def weather(city: str) -> str:
        """Return the weather of a city."""
        asked.append(city)
        return "sunny"

    config = types.GenerateContentConfig(tools=[weather])
    answer = client.models.generate_content(model="ge", contents="The weather?", config=config)
    assert asked == ["Oslo", "Rome"] and answer.text == TEXT["ge"]


def test_schemas(
    client: genai.Client,
    openai_upstream: fake_openai.MockUpstream,
    anthropic_upstream: fake_anthropic.AnthropicUpstream,
) -> None:
    config = types.GenerateContentConfig(
        response_mime_type="application/json", response_json_schema=CITY | {"additionalProperties": False}
    )
    assert client.models.generate_content(model="ge", contents="a", config=config).parsed == {"city": "Oslo"}
    for model in ("oa", "an"):
        assert client.models.generate_content(model=model, contents="a", config=config).text == TEXT[model]
    wanted = openai_upstream.requests[-1].json["response_format"]
    assert wanted["type"] == "json_schema" and wanted["json_schema"]["schema"]["required"] == ["city"]
    schema = anthropic_upstream.requests[-1].json["output_config"]["format"]["schema"]
    assert schema["properties"] == CITY["properties"]


def test_images(
    client: genai.Client,
    openai_upstream: fake_openai.MockUpstream,
    anthropic_upstream: fake_anthropic.AnthropicUpstream,
) -> None:
    image = types.Part.from_bytes(data=b"\x89PNG\r\n", mime_type="image/png")
    for model, text in TEXT.items():
        assert client.models.generate_content(model=model, contents=[image, "What is it?"]).text == text
    parts = openai_upstream.requests[-1].json["messages"][0]["content"]
    assert parts[0] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K"}}
    block = anthropic_upstream.requests[-1].json["messages"][0]["content"][0]
    assert block["source"] == {"type": "base64", "media_type": "image/png", "data": "iVBORw0K"}
    shown = client.models.generate_content(model="ge-image", contents="Draw.").parts
    assert shown[1].inline_data.mime_type == "image/png" and shown[1].inline_data.data


def test_counts_embeddings_models(client: genai.Client) -> None:
    counted = {
        model: client.models.count_tokens(model=model, contents="Hello there").total_tokens for model in TEXT
    }
    assert counted["an"] == 14 and counted["ge"] == 31 and 0 < counted["oa"] < 14
    for model in ("oa", "ge"):
        found = client.models.embed_content(model=model, contents=["a", "b"]).embeddings
        assert [each.values[:2] for each in found] == [[0.25, -1.5], [0.5, -1.5]]
    assert {"models/oa", "models/an", "models/ge"} <= {model.name for model in client.models.list()}


@pytest.mark.parametrize(
    ("model", "kind", "code", "status"),
    [
        ("oa-status-400", errors.ClientError, 400, "INVALID_ARGUMENT"),
        ("oa-status-429", errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
        ("an-limited", errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
        ("an-overloaded", errors.ServerError, 503, "UNAVAILABLE"),
        ("ge-invalid", errors.ClientError, 400, "INVALID_ARGUMENT"),
        ("ge-limited", errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
        ("ge-overloaded", errors.ServerError, 503, "UNAVAILABLE"),
        ("nope", errors.ClientError, 404, "NOT_FOUND"),
    ],
)
def test_errors(
    gateway: Running, client: genai.Client, model: str, kind: type, code: int, status: str
) -> None:
    for call in (client.models.generate_content, client.models.generate_content_stream):
        with pytest.raises(kind) as caught:
            list(call(model=model, contents="Hello"))
        assert isinstance(caught.value, errors.APIError)
        assert (caught.value.code, caught.value.status) == (code, status) and caught.value.message


def test_wrong_key(gateway: Running) -> None:
    client = genai.Client(api_key="psk_wrong", http_options={"base_url": gateway.url})
    with pytest.raises(errors.ClientError) as caught:
        client.models.generate_content(model="oa", contents="Hello")
    assert (caught.value.code, caught.value.status) == (401, "UNAUTHENTICATED")
    client.close()


def test_a_stream_that_breaks(gateway: Running, client: genai.Client) -> None:
    seen = []
    with pytest.raises((errors.APIError, httpx2.HTTPError)):
        for chunk in client.models.generate_content_stream(model="oa-error-in-stream", contents="Hello"):
            seen.append(chunk.text)
    assert seen == fake_openai.WORDS[:2] and gateway.recorder.last().status == "error"


def test_what_was_blocked(client: genai.Client) -> None:
    answer = client.models.generate_content(model="ge-blocked", contents="Hello")
    assert not answer.candidates and answer.prompt_feedback.block_reason.value == "PROHIBITED_CONTENT"
