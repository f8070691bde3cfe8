"""Counting tokens, with the unmodified clients of Anthropic and Google, at providers of every kind."""

from typing import Any

import anthropic
import pytest
from google import genai
from google.genai import errors

from tests.gateway.conftest import Running

HELLO: Any = [{"role": "user", "content": "Bonjour tout le monde"}]
TOOLS: Any = [
    {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
]
COUNTED = {"an": 14, "vc": 14, "ge": 31, "vx": 31, "bc": 17}
ESTIMATED = ["oa", "co", "br"]


def test_messages_where_the_provider_counts(
    gateway: Running, messages: anthropic.Anthropic, upstreams: dict[str, Any]
) -> None:
    for model, tokens in COUNTED.items():
        raw = messages.messages.with_raw_response.count_tokens(
            model=model, messages=HELLO, system="Be brief.", tools=TOOLS
        )
        assert raw.parse().input_tokens == tokens
        assert "x-penstock-estimated" not in raw.headers and "x-penstock-cost-usd" not in raw.headers
    assert upstreams["an"].requests[-1].path == "/v1/messages/count_tokens"
    assert upstreams["an"].requests[-1].json["model"] == "claude-fake"
    assert upstreams["vx"].requests[0].path.endswith("/publishers/anthropic/models/count-tokens:rawPredict")
    assert set(upstreams["vx"].requests[-1].json) == {"contents", "systemInstruction", "tools"}
    sent = upstreams["ge"].requests[-1].json["generateContentRequest"]
    assert sent["model"] == "models/plain" and sent["contents"][0]["parts"] == [{"text": HELLO[0]["content"]}]
    assert sent["tools"] and sent["systemInstruction"]
    converse = upstreams["br"].requests[-1].json["input"]["converse"]
    assert converse["messages"] == [{"role": "user", "content": [{"text": HELLO[0]["content"]}]}]
    span = gateway.recorder.last(len(COUNTED))
    assert (span.input_tokens or 0, span.output_tokens or 0) == (0, 0) and not span.tokens_estimated


def test_messages_where_nobody_counts(
    gateway: Running, messages: anthropic.Anthropic, upstreams: dict[str, Any]
) -> None:
    for model in ESTIMATED:
        raw = messages.messages.with_raw_response.count_tokens(model=model, messages=HELLO)
        few = raw.parse().input_tokens
        assert 5 <= few <= 15 and raw.headers["x-penstock-estimated"] == "true"
        many = messages.messages.count_tokens(model=model, messages=HELLO, system="word " * 100, tools=TOOLS)
        assert many.input_tokens > few + 100
    assert not any(upstreams[name].requests for name in ("oa", "co", "br"))
    span = gateway.recorder.last(2 * len(ESTIMATED))
    assert span.cost_usd is None and span.attributes["gateway.estimated"] is True


def test_blocks_in_an_estimate(messages: anthropic.Anthropic) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 90_000}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "x" * 400}]}
    use = {"type": "tool_use", "id": "t", "name": "weather", "input": {"city": "Oslo"}}
    given: Any = [
        {"role": "user", "content": [image]},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result]},
    ]
    assert 360 < messages.messages.count_tokens(model="oa", messages=given).input_tokens < 420


@pytest.mark.parametrize("bad", [[], "text", [{"role": "user", "content": 5}], ["x"]])
def test_bad_messages(messages: anthropic.Anthropic, bad: Any) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        messages.post("/v1/messages/count_tokens", cast_to=object, body={"model": "oa", "messages": bad})
    assert caught.value.body["type"] == "error" and "messages" in caught.value.body["error"]["message"]


def test_errors(messages: anthropic.Anthropic, gateway: Running) -> None:
    with pytest.raises(anthropic.NotFoundError, match="'nope' does not exist"):
        messages.messages.count_tokens(model="nope", messages=HELLO)
    with pytest.raises(anthropic.BadRequestError, match="needs the field messages"):
        messages.post("/v1/messages/count_tokens", cast_to=object, body={"model": "oa"})
    with pytest.raises(anthropic.BadRequestError, match="metadata: Extra inputs"):
        messages.messages.count_tokens(model="an", messages=HELLO, extra_body={"metadata": {}})
    gateway.configure({}, {"gone": {"targets": [{"provider": "ge", "model": "limited"}], "retries": 0}})
    with pytest.raises(anthropic.RateLimitError, match="Quota exceeded"):
        messages.messages.count_tokens(model="gone", messages=HELLO)


def test_gemini_callers(google: genai.Client, upstreams: dict[str, Any]) -> None:
    for model, tokens in COUNTED.items():
        assert google.models.count_tokens(model=model, contents="Bonjour").total_tokens == tokens
    sent = upstreams["an"].requests[-1]
    assert sent.path == "/v1/messages/count_tokens" and set(sent.json) == {"model", "messages"}
    for model in ESTIMATED:
        found = google.models.count_tokens(model=model, contents="Bonjour tout le monde")
        assert found.total_tokens is not None and 5 <= found.total_tokens <= 15
    with pytest.raises(errors.ClientError, match="'nope' does not exist"):
        google.models.count_tokens(model="nope", contents="a")


def test_gemini_requests_as_a_whole(google: genai.Client, upstreams: dict[str, Any]) -> None:
    """Google's REST API also takes the request that would be answered."""
    inner = {
        "model": "models/an",
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "generationConfig": {"maxOutputTokens": 7},
    }
    path = "models/an:countTokens"
    google._api_client.request("post", path, {"generateContentRequest": inner})
    assert set(upstreams["an"].requests[-1].json) == {"model", "messages", "system"}
    with pytest.raises(errors.ClientError):
        google._api_client.request("post", path, {"generateContentRequest": 5})
