"""The openai and anthropic clients through the gateway to Bedrock."""

from typing import Any
from urllib.parse import quote

import anthropic
import botocore.session
import openai
import pytest
from botocore.exceptions import EventStreamError

from penstock.core.errors import Invalid
from penstock.gateway.model import Operation
from penstock.gateway.ports import ProviderConfig
from penstock.gateway.providers.bedrock import BedrockProvider
from tests.fakes import bedrock as fake
from tests.gateway.conftest import Running
from tests.gateway.providers.conftest import BEDROCK_MODELS, CLAUDE

HELLO: Any = [{"role": "user", "content": "Hello"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
THEIR_TOOLS: Any = [{"name": "weather", "input_schema": SCHEMA}]
TEXT = "".join(fake.TEXTS)


@pytest.mark.parametrize("route", ["br-plain", "br-arn", "br-session", "br-bearer", "br-thinks"])
def test_chat(
    gateway: Running, chat: openai.OpenAI, bedrock_upstream: fake.BedrockUpstream, route: str
) -> None:
    answer = chat.chat.completions.create(model=route, messages=HELLO, max_tokens=5)
    message: Any = answer.choices[0].message
    assert message.content == TEXT and answer.model == route and answer.choices[0].finish_reason == "stop"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (28, 11)
    sent = bedrock_upstream.requests[-1]
    model = BEDROCK_MODELS.get(route.removeprefix("br-"), CLAUDE)
    assert sent.path == f"/model/{quote(model, safe='')}/converse"
    assert sent.json == {
        "messages": [{"role": "user", "content": [{"text": "Hello"}]}], "inferenceConfig": {"maxTokens": 5},
    }  # fmt: skip
    assert ("x-amz-security-token" in sent.headers) is (route == "br-session")
    span = gateway.recorder.last()
    assert (span.input_tokens, span.cached_tokens, span.output_tokens) == (28, 5, 11)
    assert span.model == model and fake.SECRET_KEY not in str((sent.headers, sent.body))
    if route == "br-thinks":
        assert (
            message.reasoning_content == "Let me think."
            and message.thinking_blocks[0]["signature"] == "c2lnbmVk"
        )


@pytest.mark.parametrize("route", ["br-plain", "br-bytewise", "br-thinks"])
def test_chat_stream_with_tools(
    gateway: Running, chat: openai.OpenAI, bedrock_upstream: fake.BedrockUpstream, route: str
) -> None:
    with chat.chat.completions.stream(model=route, messages=HELLO, tools=TOOLS) as stream:
        final = stream.get_final_completion()
    message = final.choices[0].message
    assert message.content == TEXT and final.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls[0].function.arguments == '{"city": "Oslo"}'
    assert message.tool_calls[0].id == "tooluse_1"
    assert bedrock_upstream.requests[-1].path.endswith("/converse-stream")
    span = gateway.recorder.last()
    assert (span.input_tokens, span.output_tokens) == (28, 11)
    assert b'"finish_reason":"tool_calls"' in span.output and span.ttft_ns


def test_a_conversation_with_a_tool(chat: openai.OpenAI, bedrock_upstream: fake.BedrockUpstream) -> None:
    first = chat.chat.completions.create(model="br-thinks", messages=HELLO, tools=TOOLS).choices[0].message
    more = [*HELLO, first.model_dump(), {"role": "tool", "tool_call_id": "tooluse_1", "content": "7 degrees"}]
    chat.chat.completions.create(model="br-plain", messages=more, tools=TOOLS)
    sent = bedrock_upstream.requests[-1].json["messages"]
    assert sent[1]["content"] == [
        {"reasoningContent": {"reasoningText": fake.THOUGHT}},
        {"text": TEXT},
        {"toolUse": {"toolUseId": "tooluse_1", "name": "weather", "input": {"city": "Oslo"}}},
    ]
    assert sent[2]["content"] == [
        {"toolResult": {"toolUseId": "tooluse_1", "content": [{"text": "7 degrees"}]}}
    ]


def test_usage_only_when_asked(chat: openai.OpenAI) -> None:
    plain = list(chat.chat.completions.create(model="br-plain", messages=HELLO, stream=True))
    assert all(each.choices for each in plain) and {each.model for each in plain} == {"br-plain"}
    options: Any = {"include_usage": True}
    asked = list(
        chat.chat.completions.create(model="br-plain", messages=HELLO, stream=True, stream_options=options)
    )
    assert asked[-1].choices == [] and asked[-1].usage.total_tokens == 39


@pytest.mark.parametrize("tools", [None, THEIR_TOOLS])
@pytest.mark.parametrize("stream", [False, True])
def test_messages(messages: anthropic.Anthropic, tools: Any, stream: bool) -> None:
    more: Any = {"tools": tools} if tools else {}
    if stream:
        with messages.messages.stream(model="br-plain", max_tokens=50, messages=HELLO, **more) as opened:
            answer = opened.get_final_message()
    else:
        answer = messages.messages.create(model="br-plain", max_tokens=50, messages=HELLO, **more)
    assert answer.content[0].text == TEXT and answer.model == "br-plain" and answer.usage.output_tokens == 11
    assert answer.usage.cache_read_input_tokens == 5
    if tools:
        assert answer.content[1].input == {"city": "Oslo"} and answer.stop_reason == "tool_use"
    else:
        assert answer.stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("route", "kind", "text"),
    [
        ("br-limited", openai.RateLimitError, "Too many requests"),
        ("br-invalid", openai.BadRequestError, "model identifier is invalid"),
        ("br-wrong", openai.InternalServerError, "refused Penstock's credentials: The request signature"),
        ("br-none", openai.InternalServerError, "has no AWS keys"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors(chat: openai.OpenAI, route: str, kind: type, text: str, stream: bool) -> None:
    with pytest.raises(kind, match=text):
        chat.chat.completions.create(model=route, messages=HELLO, stream=stream)


@pytest.mark.parametrize(
    ("route", "text"), [("br-breaks", "Too many tokens"), ("br-corrupt", "broken event stream")]
)
def test_a_stream_that_breaks(gateway: Running, chat: openai.OpenAI, route: str, text: str) -> None:
    seen = []
    with pytest.raises(openai.APIError, match=text):
        seen += iter(chat.chat.completions.create(model=route, messages=HELLO, stream=True))
    span = gateway.recorder.last()
    assert span.status == "error" and b"Hola" in span.output


def test_a_stream_that_never_begins(chat: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError, match="could not start"):
        chat.chat.completions.create(model="br-late", messages=HELLO, stream=True)


def test_what_cannot_be_said(chat: openai.OpenAI, bedrock_upstream: fake.BedrockUpstream) -> None:
    before = len(bedrock_upstream.requests)
    image: Any = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}
    with pytest.raises(openai.BadRequestError, match="fetches none: send the bytes"):
        chat.chat.completions.create(model="br-plain", messages=[{"role": "user", "content": [image]}])
    with pytest.raises(openai.BadRequestError, match="logit_bias cannot be sent") as caught:
        chat.chat.completions.create(model="br-plain", messages=HELLO, logit_bias={"1": 5})
    assert caught.value.param == "logit_bias" and len(bedrock_upstream.requests) == before
    with pytest.raises(openai.NotFoundError, match="has no moderations"):
        chat.moderations.create(model="br-plain", input="a")


def test_embeddings(gateway: Running, chat: openai.OpenAI, bedrock_upstream: fake.BedrockUpstream) -> None:
    answer = chat.embeddings.create(model="br-titan", input="abc", dimensions=256)
    assert answer.data[0].embedding == [0.5, -1.25] and answer.usage.prompt_tokens == 3
    assert bedrock_upstream.requests[-1].json == {"inputText": "abc", "dimensions": 256}
    assert bedrock_upstream.requests[-1].path.endswith("/invoke")
    raw: Any = chat.embeddings.create(model="br-embed", input=["a", "bc"], encoding_format="float")
    assert [row.embedding for row in raw.data] == [[1.0, 0.5], [2.0, 0.5]] and raw.model == "br-embed"
    assert gateway.recorder.last(2).kind == "embedding"
    with pytest.raises(openai.BadRequestError, match="one per call"):
        chat.embeddings.create(model="br-titan", input=["a", "b"])


def test_awss_own_client_finds_the_fake_faithful(bedrock_upstream: fake.BedrockUpstream) -> None:
    session = botocore.session.get_session()
    keys = {"aws_access_key_id": fake.ACCESS_KEY, "aws_secret_access_key": fake.SECRET_KEY}
    url, region = bedrock_upstream.url, fake.REGION
    client = session.create_client("bedrock-runtime", endpoint_url=url, region_name=region, **keys)
    asked = {"messages": [{"role": "user", "content": [{"text": "Hello"}]}], "modelId": CLAUDE}
    whole = client.converse(**asked)
    assert whole["output"]["message"]["content"] == [{"text": TEXT}] and whole["usage"] == fake.USAGE
    theirs = bedrock_upstream.requests[-1]
    config = ProviderConfig(
        name="br", base_url=url, api_key=fake.SECRET_KEY,
        options={"region": region, "access_key_id": fake.ACCESS_KEY},
    )  # fmt: skip
    assert BedrockProvider(config).request(Operation.CHAT, CLAUDE, b"").target.decode() == theirs.path
    events = list(client.converse_stream(**asked)["stream"])
    assert [next(iter(each)) for each in events] == [
        "messageStart", *["contentBlockDelta"] * 3, "contentBlockStop", "messageStop", "metadata",
    ]  # fmt: skip
    with pytest.raises(EventStreamError, match=r"throttlingException.*Too many tokens"):
        list(client.converse_stream(**asked | {"modelId": "x.breaks"})["stream"])
    with pytest.raises(client.exceptions.ValidationException, match="identifier is invalid"):
        client.converse(**asked | {"modelId": "x.invalid"})
    client.close()


def made(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], **config: Any) -> BedrockProvider:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return BedrockProvider(ProviderConfig(name="br", **config))


ENVIRONMENT = {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s"}


def test_keys_of_the_environment_go_to_aws_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = made(monkeypatch, ENVIRONMENT | {"AWS_SESSION_TOKEN": "t"})
    request = ours.request(Operation.CHAT, "m", b"{}", stream=True)
    assert (
        request.origin.host == "bedrock-runtime.us-east-1.amazonaws.com" and request.origin.scheme == "https"
    )
    assert request.target == b"/model/m/converse-stream"
    assert b"Credential=AKID/" in request.headers and b"x-amz-security-token: t\r\n" in request.headers
    probe = ours.probe()
    assert probe.origin.host == "bedrock.us-east-1.amazonaws.com" and probe.target == b"/foundation-models"
    bearer = made(monkeypatch, ENVIRONMENT | {"AWS_BEARER_TOKEN_BEDROCK": "abc"})
    assert b"authorization: Bearer abc\r\n" in bearer.request(Operation.CHAT, "m", b"{}").headers
    other = made(monkeypatch, ENVIRONMENT, base_url="https://elsewhere.example")
    assert other.probe() is None
    with pytest.raises(Exception, match="has no AWS keys"):
        other.request(Operation.CHAT, "m", b"{}")


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({}, "needs the option region"),
        ({"options": {"region": "mars/.."}}, "needs the option region"),
        ({"options": {"region": "us-east-1", "regoin": "x"}}, "unknown option 'regoin'"),
        (
            {"options": {"region": "us-east-1", "access_key_id": "A\r\nx: y"}, "api_key": "s"},
            "cannot be sent",
        ),
        ({"options": {"region": "us-east-1"}, "api_key": "a\nb"}, "cannot be sent"),
    ],
)
def test_configurations_that_are_refused(monkeypatch: pytest.MonkeyPatch, config: Any, text: str) -> None:
    with pytest.raises(Invalid, match=text):
        made(monkeypatch, {}, **config)


def test_a_guardrail_for_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    from penstock.gateway.dialects.envelope import Envelope

    guardrail = {"guardrailIdentifier": "gr1", "guardrailVersion": "DRAFT"}
    provider = made(monkeypatch, {}, options={"region": "us-east-1", "guardrail": guardrail})
    body = Envelope(b'{"model":"a","messages":[{"role":"user","content":"x"}]}')
    assert b'"guardrailConfig":{"guardrailIdentifier":"gr1"' in provider.dialect(Operation.CHAT).request(
        body, "m"
    )
