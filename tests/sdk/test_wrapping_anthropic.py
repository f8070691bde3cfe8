"""`penstock.wrap` around the real `anthropic` library."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

import penstock
from tests.fakes.anthropic import KEY, TEXTS, TOOL, AnthropicUpstream
from tests.sdk.fake_server import FakeServer

SAID = "".join(TEXTS)
HEADERS = {"x-api-key": KEY}
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
WEATHER: list[Any] = [{"name": "weather", "input_schema": {"type": "object"}}]
CALL = {"type": "tool_call", "name": "weather", "arguments": {"city": "Oslo"}, "id": "toolu_1"}


@pytest.fixture(scope="module")
def upstream() -> Iterator[AnthropicUpstream]:
    with AnthropicUpstream() as up:
        yield up


@pytest.fixture
def client(traced: FakeServer, upstream: AnthropicUpstream) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        api_key=KEY, default_headers=HEADERS, base_url=upstream.url, max_retries=0
    ) as plain:
        yield penstock.wrap(plain)


def _check(span: dict[str, Any], *, tool: bool = False) -> None:
    attributes = span["attributes"]
    assert attributes["gen_ai.provider.name"] == "anthropic"
    (message,) = json.loads(attributes["gen_ai.output.messages"])
    assert message["parts"] == [{"type": "text", "content": SAID}, *([CALL] if tool else [])]
    assert message["finish_reason"] == ("tool_use" if tool else "end_turn")
    counted = {
        name[13:]: int(count) for name, count in attributes.items() if name.startswith("gen_ai.usage.")
    }
    assert counted == {
        "input_tokens": 28,
        "output_tokens": 11,
        "cache_read.input_tokens": 5,
        "cache_write.input_tokens": 3,
    }, "the cache is part of the input"
    assert attributes["gen_ai.response.model"] == "plain-20260101"


def test_messages_whole_and_streamed(traced: FakeServer, client: anthropic.Anthropic) -> None:
    asked: dict[str, Any] = {"model": "plain", "max_tokens": 100, "messages": HELLO, "tools": WEATHER}
    client.messages.create(**asked, system="Be short.")
    list(client.messages.create(**asked, stream=True))
    with client.messages.stream(**asked) as stream:
        assert "".join(stream.text_stream) == SAID
    with client.messages.stream(**asked) as stream:
        assert stream.get_final_message().content[1].type == "tool_use"
    client.beta.messages.create(**asked)
    assert penstock.flush()
    spans = traced.spans()
    assert len(spans) == 5
    for span in spans:
        _check(span, tool=True)
    first, second = spans[0]["attributes"], spans[1]["attributes"]
    assert json.loads(first["gen_ai.system_instructions"]) == [{"type": "text", "content": "Be short."}]
    assert first["gen_ai.request.max_tokens"] == "100"
    assert second["gen_ai.response.time_to_first_chunk"] > 0


def test_thoughts_tools_and_pictures_are_parts(traced: FakeServer, client: anthropic.Anthropic) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "A" * 9_000}
    told: list[Any] = [
        {"role": "user", "content": [{"type": "image", "source": source}, {"type": "text", "text": "Look"}]},
        {"role": "assistant", "content": [TOOL]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "3 degrees"}],
        },
    ]
    thinking: Any = {"type": "enabled", "budget_tokens": 1024}
    client.messages.create(model="plain", max_tokens=2000, messages=told, thinking=thinking)
    assert penstock.flush()
    attributes = traced.spans()[0]["attributes"]
    parts = [message["parts"] for message in json.loads(attributes["gen_ai.input.messages"])]
    assert parts[0][0]["content"] == "<9000 bytes>"
    assert parts[1] == [CALL]
    assert parts[2] == [{"type": "tool_call_response", "response": "3 degrees", "id": "toolu_1"}]
    assert json.loads(attributes["gen_ai.output.messages"])[0]["parts"][0]["type"] == "reasoning"


def test_errors_before_and_inside_a_stream(traced: FakeServer, client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.APIStatusError):
        client.messages.create(model="overloaded", max_tokens=1, messages=HELLO)
    with pytest.raises(anthropic.APIStatusError):
        list(client.messages.create(model="error-in-stream", max_tokens=1, messages=HELLO, stream=True))
    assert penstock.flush()
    assert [span["status"]["code"] for span in traced.spans()] == [2, 2]


def test_counting_tokens_is_no_model_call(traced: FakeServer, client: anthropic.Anthropic) -> None:
    assert client.messages.count_tokens(model="plain", messages=HELLO).input_tokens == 14
    assert penstock.flush()
    assert traced.spans() == []


def test_the_asynchronous_client(traced: FakeServer, upstream: AnthropicUpstream) -> None:
    asked: dict[str, Any] = {"model": "plain", "max_tokens": 100, "messages": HELLO}

    async def main() -> None:
        async with anthropic.AsyncAnthropic(
            api_key=KEY, default_headers=HEADERS, base_url=upstream.url
        ) as plain:
            client = penstock.wrap(plain)
            await client.messages.create(**asked)
            async for _ in await client.messages.create(**asked, stream=True):
                pass
            async with client.messages.stream(**asked) as stream:
                assert await stream.get_final_text() == SAID
        await asyncio.sleep(0)

    asyncio.run(main())
    assert penstock.flush()
    spans = traced.spans()
    assert len(spans) == 3
    for span in spans:
        _check(span)
