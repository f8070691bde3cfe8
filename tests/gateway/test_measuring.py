"""The cache measures texts with a provider's embedding model."""

import time
from typing import Any

import pytest

from penstock.gateway.cache import service as cache
from penstock.gateway.cache.model import CachePolicy, Embedder
from tests.fakes import openai as fake_openai
from tests.gateway.conftest import Running
from tests.gateway.test_http import call


def keep(gateway: Running, embedder: Embedder) -> None:
    """Let the route `chat` keep answers by meaning, and wait until the gateway knows."""
    policy = CachePolicy(mode="semantic", threshold=0.9, embedder=embedder)
    with gateway.home.begin() as uow:
        cache.put_policy(uow, gateway.actor, "chat", policy)
    scope = gateway.actor.scope
    deadline = time.monotonic() + 60
    while gateway.app.cache.policy(scope, "chat") != policy:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ask(gateway: Running, text: str) -> dict[str, str]:
    """Return the headers of an answer."""
    body: dict[str, Any] = {"model": "chat", "messages": [{"role": "user", "content": text}]}
    status, headers, _ = call(gateway, body)
    assert status == 200
    return headers


def measured(upstream: fake_openai.MockUpstream) -> list[str]:
    """Return the texts that the provider was asked to measure."""
    return [each.json["input"] for each in upstream.requests if each.path.endswith("/embeddings")]


def test_texts_are_measured_by_the_provider_and_each_measurement_is_traced(
    gateway: Running, openai_upstream: fake_openai.MockUpstream
) -> None:
    ask(gateway, "warm up")
    keep(gateway, Embedder(provider="oa", model="gpt-fake"))
    assert ask(gateway, "How do I reset my password?")["x-penstock-cache"] == "miss"
    found = ask(gateway, "Where can my password be reset?")  # the fake measures every text alike
    assert (found["x-penstock-cache"], found["x-penstock-cache-similarity"]) == ("hit", "1.0000")
    assert measured(openai_upstream) == ["How do I reset my password?", "Where can my password be reset?"]
    spans = [span for _, span in gateway.recorder.spans if span.kind == "embedding"]
    assert [(span.tags, span.model, span.key_id, span.status) for span in spans] == [
        (("cache",), "gpt-fake-2026", None, "ok")
    ] * 2


@pytest.mark.parametrize(
    "embedder", [Embedder(provider="oa", model="status-500"), Embedder(provider="nobody", model="x")]
)
def test_an_embedder_that_fails_leaves_exact_matches(gateway: Running, embedder: Embedder) -> None:
    ask(gateway, "warm up")
    keep(gateway, embedder)
    assert ask(gateway, "Hello there")["x-penstock-cache"] == "miss"
    assert ask(gateway, "Hello there")["x-penstock-cache"] == "hit"
    assert ask(gateway, "Hello, you there")["x-penstock-cache"] == "miss"


def test_nobody_waits_for_an_embedder_that_hangs(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("penstock.gateway.measuring.LONGEST_SECONDS", 0.3)
    ask(gateway, "warm up")
    keep(gateway, Embedder(provider="oa", model="hang"))
    assert ask(gateway, "Hello there")["x-penstock-cache"] == "miss"
    (span,) = (span for _, span in gateway.recorder.spans if span.kind == "embedding")
    assert span.status == "error" and "took too long" in str(span.error)
