"""The unmodified openai client against the gateway."""

import http.client
import json
import threading
import time

import openai
import pytest

from tests.fakes import openai as fake
from tests.gateway.conftest import Running, Waiter

MESSAGES = [{"role": "user", "content": "Hello"}]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]


@pytest.fixture
def client(gateway: Running):
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as made:
        yield made


def test_chat(gateway: Running, client: openai.OpenAI, openai_upstream: fake.MockUpstream) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="chat", messages=MESSAGES, user="ada", extra_body={"x_new": {"a": 1}}, metadata={"team": "red"},
        extra_headers={"x-penstock-session": "s1", "x-penstock-metadata": '{"run": 7}', "x-penstock-tags": "a, b"},
    )  # fmt: skip
    answer = raw.parse()
    assert answer.choices[0].message.content == "".join(fake.WORDS)
    assert answer.model == "chat"
    assert answer.usage.prompt_tokens_details.cached_tokens == 10
    assert answer.x_unknown == {"kept": True}
    sent = openai_upstream.requests[-1]
    assert sent.json["model"] == "gpt-fake" and sent.json["x_new"] == {"a": 1} and sent.json["user"] == "ada"
    assert gateway.key not in str(sent.headers)
    assert raw.headers["x-penstock-target"] == "oa/gpt-fake"
    assert answer._request_id.startswith("req_")
    span = gateway.recorder.last()
    assert raw.headers["x-penstock-trace-id"] == span.trace_id
    assert (span.input_tokens, span.output_tokens, span.cached_tokens, span.reasoning_tokens) == (
        42,
        7,
        10,
        2,
    )
    assert (span.requested_model, span.model, span.provider) == ("chat", "gpt-fake-2026", "oa")
    assert (span.user, span.session, span.tags, span.route) == ("ada", "s1", ("a", "b"), "chat")
    assert span.metadata == {"team": "red", "run": "7"}
    assert span.key_id == gateway.key_id and span.status == "ok" and span.kind == "llm"
    assert b"Hello" in span.input and "☃".encode() in span.output


@pytest.mark.parametrize("model", ["chat", "oa-bytewise", "oa-at-once"])
def test_stream(gateway: Running, client: openai.OpenAI, model: str) -> None:
    stream = client.chat.completions.create(model=model, messages=MESSAGES, stream=True)
    assert stream.response.headers["content-type"].startswith("text/event-stream")
    chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "".join(fake.WORDS)
    assert {c.model for c in chunks} == {model}
    assert all(c.usage is None for c in chunks), "usage that nobody asked for was passed on"
    span = gateway.recorder.last()
    assert (span.input_tokens, span.output_tokens) == (42, 7)
    assert stream.response.headers["x-penstock-trace-id"] == span.trace_id
    assert span.ttft_ns and span.ttft_ns > 0
    assert "".join(fake.WORDS).encode() in span.output


def test_stream_with_usage(client: openai.OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="chat", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
    )
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens == 49


def test_tools(gateway: Running, client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="chat", messages=MESSAGES, tools=TOOLS)
    assert answer.choices[0].message.tool_calls[0].function.arguments == '{"city": "Oslo"}'
    with client.chat.completions.stream(model="chat", messages=MESSAGES, tools=TOOLS) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.tool_calls[0].function.arguments == '{"city": "Oslo"}'
    assert b'"name":"weather","arguments":"{\\"city\\": \\"Oslo\\"}"' in gateway.recorder.last(2).output


def test_embeddings(gateway: Running, client: openai.OpenAI, openai_upstream: fake.MockUpstream) -> None:
    answer = client.embeddings.create(model="chat", input=["a", "b"])
    assert openai_upstream.requests[-1].json["encoding_format"] == "base64"
    assert [row.embedding for row in answer.data] == [[0.25, -1.5, 3.0], [0.5, -1.5, 3.0]]
    assert (
        client.embeddings.create(model="chat", input="a", encoding_format="float").data[0].embedding[1]
        == -1.5
    )
    span = gateway.recorder.last(2)
    assert span.kind == "embedding" and span.input_tokens == 5 and span.output is None


def test_models(client: openai.OpenAI) -> None:
    assert "chat" in [model.id for model in client.models.list()]
    assert client.models.retrieve("chat").owned_by == "penstock"
    with pytest.raises(openai.NotFoundError, match=r"model 'chatt'.*Did you mean 'chat'"):
        client.models.retrieve("chatt")


@pytest.mark.parametrize(
    ("model", "kind", "code"),
    [
        ("oa-status-400", openai.BadRequestError, "context_length_exceeded"),
        ("oa-status-401", openai.InternalServerError, "upstream_error"),
        ("oa-status-404", openai.NotFoundError, "model_not_found"),
        ("oa-status-422", openai.UnprocessableEntityError, "unprocessable"),
        ("oa-status-429", openai.RateLimitError, "rate_limit_exceeded"),
        ("oa-status-500", openai.InternalServerError, "upstream_error"),
        ("oa-status-503", openai.InternalServerError, "unavailable"),
        ("oa-html-502", openai.InternalServerError, "upstream_error"),
        ("oa-not-json", openai.InternalServerError, "upstream_error"),
        ("oa-cut-head", openai.InternalServerError, "upstream_dropped"),
        ("down", openai.InternalServerError, "upstream_unreachable"),
        ("nope", openai.NotFoundError, "model_not_found"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors(
    gateway: Running, client: openai.OpenAI, model: str, kind: type, code: str, stream: bool
) -> None:
    if model == "oa-not-json" and stream:
        code = "upstream_error"
    with pytest.raises(kind) as caught:
        client.chat.completions.create(model=model, messages=MESSAGES, stream=stream)
    error = caught.value
    assert isinstance(error, openai.APIStatusError)
    assert error.code == code
    assert error.response.headers["x-request-id"].startswith("req_")
    assert error.response.headers["x-penstock-trace-id"] == gateway.recorder.last().trace_id
    assert gateway.recorder.last().status == "error"
    if code == "rate_limit_exceeded":
        assert error.response.headers["retry-after"] == "7"
    if code == "unavailable":
        assert error.response.headers["retry-after"] == "3"


def test_no_length_answer(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="oa-no-length", messages=MESSAGES)
    assert answer.choices[0].message.content == "".join(fake.WORDS)


def test_wrong_key(gateway: Running) -> None:
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="psk_wrong", max_retries=0)
    with client, pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(model="chat", messages=MESSAGES)
    assert caught.value.code == "invalid_api_key"


@pytest.mark.parametrize("model", ["oa-cut", "oa-error-in-stream"])
def test_stream_that_breaks(gateway: Running, client: openai.OpenAI, model: str) -> None:
    seen = []
    with pytest.raises(openai.APIError) as caught:
        for chunk in client.chat.completions.create(model=model, messages=MESSAGES, stream=True):
            seen.append(chunk)
    assert len(seen) == 3
    assert caught.value.type == "server_error"
    span = gateway.recorder.last()
    assert span.status == "error" and b"The quick" in span.output


def test_stream_error_before_anything(client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError, match="crashed"):
        client.chat.completions.create(model="oa-error-first", messages=MESSAGES, stream=True)


@pytest.mark.parametrize(("model", "stream"), [("oa-slow", True), ("oa-hang", False)])
def test_leaving_cancels_the_provider(
    gateway: Running, openai_upstream: fake.MockUpstream, eventually: Waiter, model: str, stream: bool
) -> None:
    connection = http.client.HTTPConnection(gateway.url.removeprefix("http://"), timeout=10)
    body = json.dumps({"model": model, "messages": MESSAGES, "stream": stream})
    connection.request("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {gateway.key}"})
    if stream:
        assert connection.getresponse().read1(10)
    else:
        eventually(lambda: bool(openai_upstream.requests))
        time.sleep(0.3)
    connection.close()
    assert openai_upstream.requests[-1].left.wait(60)
    span = gateway.recorder.last()
    assert span.status == "error" and span.attributes["gateway.caller_left"] is True
    eventually(lambda: gateway.app.in_flight == 0)


def test_many_at_once(gateway: Running) -> None:
    failures = []

    def work() -> None:
        with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:
            for _ in range(5):
                answer = client.chat.completions.create(model="chat", messages=MESSAGES)
                if answer.model != "chat":
                    failures.append(answer)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(gateway.recorder.spans) == 30
