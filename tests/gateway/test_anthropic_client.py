"""The unmodified anthropic client against the gateway, and OpenAI callers in front of Anthropic models."""

import anthropic
import openai
import pytest

from tests.fakes import anthropic as fake
from tests.fakes import openai as fake_openai
from tests.gateway.conftest import Running

MESSAGES = [{"role": "user", "content": "Bonjour"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [{"name": "weather", "input_schema": SCHEMA}]
CHAT_TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
TEXT = "".join(fake.TEXTS)


@pytest.fixture
def client(gateway: Running):
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as made:
        yield made


@pytest.fixture
def chat(gateway: Running):
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as made:
        yield made


def test_message(
    gateway: Running, client: anthropic.Anthropic, anthropic_upstream: fake.AnthropicUpstream
) -> None:
    answer = client.messages.create(model="an-claude-fake", max_tokens=50, messages=MESSAGES)
    assert answer.content[0].text == TEXT and answer.model == "an-claude-fake"
    assert answer._request_id.startswith("req_")
    assert anthropic_upstream.requests[-1].json["model"] == "claude-fake"
    span = gateway.recorder.last()
    assert (span.input_tokens, span.cached_tokens, span.cache_write_tokens, span.output_tokens) == (
        28,
        5,
        3,
        11,
    )


@pytest.mark.parametrize("model", ["an-claude-fake", "an-at-once"])
def test_message_stream(gateway: Running, client: anthropic.Anthropic, model: str) -> None:
    with client.messages.stream(model=model, max_tokens=50, messages=MESSAGES, tools=TOOLS) as stream:
        final = stream.get_final_message()
    assert final.model == model
    assert final.content[0].text == TEXT and final.content[1].input == {"city": "Oslo"}
    assert final.usage.output_tokens == 11
    span = gateway.recorder.last()
    assert (span.input_tokens, span.output_tokens) == (28, 11)
    assert b'"input":{"city":"Oslo"}' in span.output


@pytest.mark.parametrize("tools", [None, TOOLS])
@pytest.mark.parametrize("stream", [False, True])
def test_message_from_an_openai_model(client: anthropic.Anthropic, tools: list | None, stream: bool) -> None:
    more = {"tools": tools} if tools else {}
    if stream:
        with client.messages.stream(model="chat", max_tokens=50, messages=MESSAGES, **more) as opened:
            answer = opened.get_final_message()
    else:
        answer = client.messages.create(model="chat", max_tokens=50, messages=MESSAGES, **more)
    assert answer.model == "chat"
    assert (answer.usage.input_tokens, answer.usage.cache_read_input_tokens) == (32, 10)
    assert answer.usage.output_tokens == 7
    if tools:
        assert answer.content[-1].input == {"city": "Oslo"} and answer.stop_reason == "tool_use"
    else:
        assert answer.content[0].text == "".join(fake_openai.WORDS) and answer.stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        ("an-overloaded", anthropic.InternalServerError),
        ("an-limited", anthropic.RateLimitError),
        ("nope", anthropic.NotFoundError),
        ("oa-status-400", anthropic.BadRequestError),
    ],
)
def test_message_errors(client: anthropic.Anthropic, model: str, kind: type) -> None:
    with pytest.raises(kind) as caught:
        client.messages.create(model=model, max_tokens=50, messages=MESSAGES)
    assert caught.value.body["type"] == "error"
    assert caught.value.request_id == caught.value.response.headers["request-id"]


def test_error_in_a_message_stream(client: anthropic.Anthropic) -> None:
    opened = client.messages.stream(model="an-error-in-stream", max_tokens=5, messages=MESSAGES)
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"), opened as stream:
        stream.get_final_message()


def test_wrong_key(gateway: Running) -> None:
    client = anthropic.Anthropic(base_url=gateway.url, api_key="psk_wrong", max_retries=0)
    with client, pytest.raises(anthropic.AuthenticationError):
        client.messages.create(model="chat", max_tokens=5, messages=MESSAGES)


def test_models(client: anthropic.Anthropic) -> None:
    assert "chat" in [model.id for model in client.models.list()]
    assert client.models.retrieve("chat").display_name == "chat"


def test_chat_over_anthropic(
    gateway: Running, chat: openai.OpenAI, anthropic_upstream: fake.AnthropicUpstream
) -> None:
    answer = chat.chat.completions.create(
        model="an-claude-fake",
        messages=[{"role": "system", "content": "Be brief."}, *MESSAGES],
        user="ada",
        stop="x",
    )
    assert answer.choices[0].message.content == TEXT and answer.choices[0].finish_reason == "stop"
    assert answer.model == "an-claude-fake"
    assert (answer.usage.prompt_tokens, answer.usage.prompt_tokens_details.cached_tokens) == (28, 5)
    sent = anthropic_upstream.requests[-1].json
    assert sent["system"] == "Be brief." and sent["max_tokens"] == 4096
    assert sent["stop_sequences"] == ["x"] and sent["metadata"] == {"user_id": "ada"}
    assert gateway.recorder.last().output_tokens == 11


@pytest.mark.parametrize("model", ["an-claude-fake", "an-at-once"])
def test_chat_stream_over_anthropic(gateway: Running, chat: openai.OpenAI, model: str) -> None:
    with chat.chat.completions.stream(model=model, messages=MESSAGES, tools=CHAT_TOOLS) as stream:
        final = stream.get_final_completion()
    message = final.choices[0].message
    assert message.content == TEXT and final.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls[0].function.arguments == '{"city": "Oslo"}'
    assert message.tool_calls[0].id == "toolu_1"
    span = gateway.recorder.last()
    assert (span.input_tokens, span.output_tokens) == (28, 11)
    assert b'"finish_reason":"tool_calls"' in span.output


def test_chat_stream_usage_only_when_asked(chat: openai.OpenAI) -> None:
    plain = list(chat.chat.completions.create(model="an-claude-fake", messages=MESSAGES, stream=True))
    assert all(chunk.choices for chunk in plain)
    asked = list(
        chat.chat.completions.create(
            model="an-claude-fake", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
    )
    assert asked[-1].choices == [] and asked[-1].usage.total_tokens == 39


@pytest.mark.parametrize(
    ("model", "kind"), [("an-overloaded", openai.InternalServerError), ("an-limited", openai.RateLimitError)]
)
def test_chat_errors_over_anthropic(chat: openai.OpenAI, model: str, kind: type) -> None:
    with pytest.raises(kind) as caught:
        chat.chat.completions.create(model=model, messages=MESSAGES)
    assert caught.value.message and "error" not in (caught.value.body or {})


def test_chat_stream_error_over_anthropic(chat: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError, match="Overloaded"):
        list(chat.chat.completions.create(model="an-error-in-stream", messages=MESSAGES, stream=True))


def test_unsupported_members_are_refused(chat: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="logit_bias cannot be sent") as caught:
        chat.chat.completions.create(model="an-claude-fake", messages=MESSAGES, logit_bias={"1": 5})
    assert caught.value.param == "logit_bias"
    with pytest.raises(openai.NotFoundError, match="has no embeddings"):
        chat.embeddings.create(model="an-claude-fake", input="a")


@pytest.mark.parametrize("stream", [False, True])
def test_thoughts_of_an_openai_model(
    client: anthropic.Anthropic, openai_upstream: fake_openai.MockUpstream, stream: bool
) -> None:
    asked = {
        "model": "chat",
        "max_tokens": 9000,
        "messages": MESSAGES,
        "thinking": {"type": "enabled", "budget_tokens": 5000},
        "tools": [TOOLS[0] | {"cache_control": {"type": "ephemeral"}}],
    }
    if stream:
        with client.messages.stream(**asked) as opened:
            answer = opened.get_final_message()
    else:
        answer = client.messages.create(**asked)
    thought, call = answer.content
    assert (thought.type, thought.thinking) == ("thinking", "".join(fake_openai.THOUGHTS))
    assert answer.usage.output_tokens_details.thinking_tokens == 2
    sent = openai_upstream.requests[-1].json
    assert sent["reasoning_effort"] == "medium" and not {"thinking", "cache_control"} & set(sent)
    assert "cache_control" not in sent["tools"][0]
    # The next turn carries all of it back, as Anthropic's callers do.
    turn = [*MESSAGES, {"role": "assistant", "content": [thought.model_dump(), call.model_dump()]}]
    failed = {"type": "tool_result", "tool_use_id": call.id, "content": "no such city", "is_error": True}
    again = asked | {"messages": [*turn, {"role": "user", "content": [failed]}]}
    client.messages.create(**again)
    _, said, result = openai_upstream.requests[-1].json["messages"]
    assert set(said) == {"role", "content", "tool_calls"} and said["tool_calls"][0]["id"] == call.id
    assert result == {"role": "tool", "tool_call_id": call.id, "content": "Error: no such city"}


@pytest.mark.parametrize("stream", [False, True])
def test_thoughts_of_an_anthropic_model(
    gateway: Running, chat: openai.OpenAI, anthropic_upstream: fake.AnthropicUpstream, stream: bool
) -> None:
    asked = {"model": "an-claude-fake", "messages": MESSAGES, "tools": CHAT_TOOLS, "reasoning_effort": "high"}
    if stream:
        chunks = list(chat.chat.completions.create(stream=True, **asked))
        deltas = [chunk.choices[0].delta for chunk in chunks]
        told = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
        signed = [block for delta in deltas for block in getattr(delta, "thinking_blocks", None) or ()]
        assert told == fake.THOUGHT["thinking"] and signed[0]["signature"] == fake.THOUGHT["signature"]
        assert b'"thinking_blocks":[{"type":"thinking","thinking":"Think' in gateway.recorder.last().output
        return
    message = chat.chat.completions.create(**asked).choices[0].message
    assert message.reasoning_content == fake.THOUGHT["thinking"]
    sent = anthropic_upstream.requests[-1].json
    assert sent["thinking"] == {"type": "adaptive"} and sent["output_config"] == {"effort": "high"}
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "12 °C"}
    history = [*MESSAGES, message.model_dump(exclude_none=True), result]
    chat.chat.completions.create(**asked | {"messages": history})
    sent = anthropic_upstream.requests[-1].json["messages"]
    assert [block["type"] for block in sent[1]["content"]] == ["thinking", "text", "tool_use"]
    assert sent[1]["content"][0] == fake.THOUGHT
