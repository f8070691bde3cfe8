"""Moderations, with OpenAI's unmodified client."""

from typing import Any

import openai
import pytest

from penstock.gateway.model import Operation
from penstock.gateway.ports import ProviderConfig
from penstock.gateway.providers.openai import OpenAIProvider
from tests.gateway.conftest import Running


def test_passed_through(gateway: Running, chat: openai.OpenAI, upstreams: dict[str, Any]) -> None:
    raw = chat.moderations.with_raw_response.create(input=["a", "b"])
    answer = raw.parse()
    assert len(answer.results) == 2 and answer.results[0].flagged and answer.results[0].categories.violence
    assert answer.model == "omni-moderation-latest"
    sent = upstreams["oa"].requests[-1]
    assert sent.path == "/v1/moderations" and sent.json == {"input": ["a", "b"], "model": "gpt-fake"}
    assert "x-penstock-cost-usd" not in raw.headers
    span = gateway.recorder.last()
    assert span.requested_model == "omni-moderation-latest" and not span.input_tokens
    assert not span.tokens_estimated and span.cost_usd is None
    image: Any = [{"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}]
    assert len(chat.moderations.create(model="oa", input=image).results) == 1
    assert upstreams["oa"].requests[-1].json == {"model": "gpt-fake", "input": image}


def test_refused_elsewhere(chat: openai.OpenAI, upstreams: dict[str, Any]) -> None:
    for model in ("plain", "an", "ge", "co", "br", "vx"):
        with pytest.raises(openai.NotFoundError, match=r"no moderations.*moderations = true") as caught:
            chat.moderations.create(model=model, input="a")
        assert caught.value.code == "unsupported_operation"
    with pytest.raises(openai.BadRequestError, match="needs the field input"):
        chat.post("/moderations", cast_to=object, body={"model": "oa"})
    assert not any(upstream.requests for upstream in upstreams.values())


def test_a_fallback_that_can(gateway: Running, chat: openai.OpenAI) -> None:
    targets = [{"provider": "an", "model": "claude-fake"}, {"provider": "oa", "model": "gpt-fake"}]
    gateway.configure({}, {"both": {"strategy": "fallback", "targets": targets}})
    assert chat.moderations.create(model="both", input="a").results[0].flagged


def test_openai_itself_needs_no_option() -> None:
    for url, options, there in (
        ("https://api.openai.com/v1", {}, True),
        ("https://api.openai.com/v1", {"moderations": False}, False),
        ("https://api.example.com/v1", {}, False),
        ("https://api.example.com/v1", {"moderations": True}, True),
    ):
        made = OpenAIProvider(ProviderConfig(name="x", base_url=url, options=options))
        assert (made.dialect(Operation.MODERATIONS) is not None) is there
