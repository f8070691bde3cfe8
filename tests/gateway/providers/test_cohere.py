"""The openai and anthropic clients through the gateway to Cohere."""

from typing import Any

import anthropic
import openai
import pytest

from tests.fakes import cohere as fake
from tests.gateway.conftest import Running

HELLO: Any = [{"role": "user", "content": "Hello"}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]
THEIR_TOOLS: Any = [{"name": "weather", "input_schema": SCHEMA}]
TEXT = "".join(fake.TEXTS)


def test_chat(gateway: Running, chat: openai.OpenAI, cohere_upstream: fake.CohereUpstream) -> None:
    more = {"documents": [{"data": {"text": "d"}}], "thinking": {"type": "enabled"}}
    answer = chat.chat.completions.create(model="co-command", messages=HELLO, top_p=0.5, extra_body=more)
    message: Any = answer.choices[0].message
    assert message.content == TEXT and message.reasoning_content == "Hm." and answer.model == "co-command"
    assert message.citations == [fake.CITATION] and answer.usage.prompt_tokens == 20
    assert cohere_upstream.requests[-1].json == {"model": "command", "messages": HELLO, "p": 0.5} | more
    span = gateway.recorder.last()
    assert (span.input_tokens, span.cached_tokens, span.output_tokens, span.model) == (20, 5, 11, "command")


@pytest.mark.parametrize("route", ["co-command", "co-bytewise"])
@pytest.mark.parametrize("tools", [None, TOOLS])
def test_chat_stream(gateway: Running, chat: openai.OpenAI, route: str, tools: Any) -> None:
    more: Any = {"tools": tools} if tools else {}
    with chat.chat.completions.stream(model=route, messages=HELLO, **more) as stream:
        final = stream.get_final_completion()
    message = final.choices[0].message
    if tools:
        assert message.tool_calls[0].function.arguments == '{"city": "Oslo"}'
        assert message.tool_calls[0].id == "weather_1" and final.choices[0].finish_reason == "tool_calls"
    else:
        assert message.content == TEXT and final.choices[0].finish_reason == "stop"
    span = gateway.recorder.last()
    assert (span.input_tokens, span.output_tokens) == (20, 11)


def test_a_conversation_with_a_tool(chat: openai.OpenAI, cohere_upstream: fake.CohereUpstream) -> None:
    first = chat.chat.completions.create(model="co-command", messages=HELLO, tools=TOOLS).choices[0].message
    more = [*HELLO, first.model_dump(), {"role": "tool", "tool_call_id": "weather_1", "content": "7 degrees"}]
    chat.chat.completions.create(model="co-command", messages=more, tools=TOOLS)
    assert cohere_upstream.requests[-1].json["messages"] == [
        *HELLO,
        {"role": "assistant", "tool_calls": [fake.CALL], "tool_plan": fake.PLAN},
        {"role": "tool", "tool_call_id": "weather_1", "content": "7 degrees"},
    ]


@pytest.mark.parametrize("tools", [None, THEIR_TOOLS])
@pytest.mark.parametrize("stream", [False, True])
def test_messages(messages: anthropic.Anthropic, tools: Any, stream: bool) -> None:
    more: Any = {"tools": tools} if tools else {}
    if stream:
        with messages.messages.stream(model="co-command", max_tokens=50, messages=HELLO, **more) as opened:
            answer = opened.get_final_message()
    else:
        answer = messages.messages.create(model="co-command", max_tokens=50, messages=HELLO, **more)
    assert answer.usage.output_tokens == 11
    if tools:
        assert answer.content[-1].input == {"city": "Oslo"} and answer.stop_reason == "tool_use"
    else:
        assert answer.content[-1].text == TEXT and answer.stop_reason == "end_turn"


@pytest.mark.parametrize(
    ("route", "kind", "text"),
    [
        ("co-limited", openai.RateLimitError, "trial key"),
        ("co-invalid", openai.BadRequestError, "at least 1 token"),
        ("co-timeout", openai.InternalServerError, "broke the answer off: TIMEOUT"),
    ],
)
def test_errors(chat: openai.OpenAI, route: str, kind: type, text: str) -> None:
    with pytest.raises(kind, match=text):
        chat.chat.completions.create(model=route, messages=HELLO)


@pytest.mark.parametrize(
    ("route", "text"), [("co-breaks", "crashed"), ("co-ends", "before the answer was complete")]
)
def test_a_stream_that_breaks(gateway: Running, chat: openai.OpenAI, route: str, text: str) -> None:
    with pytest.raises(openai.APIError, match=text):
        list(chat.chat.completions.create(model=route, messages=HELLO, stream=True))
    assert gateway.recorder.last().status == "error"


def test_embeddings(gateway: Running, chat: openai.OpenAI, cohere_upstream: fake.CohereUpstream) -> None:
    for more in ({}, {"encoding_format": "float"}):
        answer = chat.embeddings.create(model="co-embed", input=["a", "bc"], **more)
        assert [row.embedding for row in answer.data] == [[1.0, 0.5], [2.0, 0.5]]
        assert answer.usage.prompt_tokens == 4
    chat.embeddings.create(model="co-embed", input="a", extra_body={"input_type": "search_query"})
    assert cohere_upstream.requests[-1].json["input_type"] == "search_query"
    assert gateway.recorder.last(3).input_tokens == 4
