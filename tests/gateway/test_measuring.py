"""The cache measures texts with a provider's embedding model."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from penstock.core import clock
from penstock.gateway import service
from penstock.gateway.cache import service as cache
from penstock.gateway.cache import standing
from penstock.gateway.cache.model import CachePolicy, Embedder
from penstock.gateway.model import LOCAL
from penstock.gateway.waiting import service as waiting
from tests.fakes import openai as fake_openai
from tests.fakes.server import ScriptedServer, answer
from tests.gateway.conftest import Running
from tests.gateway.test_http import call

VECTOR = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [1.0, 0.0]}],
    "model": "meaning@1",
    "usage": {"prompt_tokens": 1, "total_tokens": 1},
}


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


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_GATEWAY__CACHE_EMBEDDER_SECONDS", "0.3")


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], list[str]]]:
    """Return what tells the lines that the log has about embedders."""
    with caplog.at_level(logging.WARNING, "penstock.gateway"):
        yield lambda: [record.message for record in caplog.records if "embedder" in record.message]


def test_nobody_waits_for_an_embedder_that_hangs(hurried: None, gateway: Running) -> None:
    ask(gateway, "warm up")
    keep(gateway, Embedder(provider="oa", model="hang"))
    assert ask(gateway, "Hello there")["x-penstock-cache"] == "miss"
    (span,) = (span for _, span in gateway.recorder.spans if span.kind == "embedding")
    assert span.status == "error" and "took too long" in str(span.error)


def test_a_deployment_that_sleeps_is_woken_but_not_waited_for(
    hurried: None, gateway: Running, told: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(gateway, "warm up")
    with gateway.home.begin() as uow:
        service.set_endpoint(uow, "meaning@1", [], patience=600)
    keep(gateway, Embedder(provider=LOCAL, model="meaning@1"))
    monkeypatch.setattr(standing, "REST_SECONDS", 3600.0)
    assert ask(gateway, "Hello there")["x-penstock-cache"] == "miss"
    assert ask(gateway, "Hello there")["x-penstock-cache"] == "hit", "exact matches go on"
    assert ask(gateway, "Hello, you there")["x-penstock-cache"] == "miss"
    with gateway.home.read() as uow:
        assert {name for _, name in waiting.list_asked(uow, clock.from_ns(0))} == {"meaning@1"}
    asked = [span for _, span in gateway.recorder.spans if span.kind == "embedding"]
    assert len(asked) == 1, "one call has waited, and told the others"
    assert [line.split(",")[0] for line in told()] == [
        "the cache's embedder local/meaning@1 of default fails"
    ]


def test_an_embedder_is_asked_again_after_its_rest_and_the_log_tells_each_change_once(
    hurried: None,
    gateway: Running,
    told: Callable[[], list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ask(gateway, "warm up")
    monkeypatch.setattr(standing, "REST_SECONDS", 0.0)
    with gateway.home.begin() as uow:
        service.set_endpoint(uow, "meaning@1", [], patience=600)
    keep(gateway, Embedder(provider=LOCAL, model="meaning@1"))
    for text in ("one", "two"):
        assert ask(gateway, text)["x-penstock-cache"] == "miss"
    assert len(told()) == 1
    with ScriptedServer(lambda _: [answer(VECTOR)]) as replica:
        with gateway.home.begin() as uow:
            service.set_endpoint(uow, "meaning@1", [replica.url], patience=600)
        deadline, number = time.monotonic() + 60, 0
        while len(told()) == 1:
            assert time.monotonic() < deadline
            number += 1
            ask(gateway, f"three {number}")
    assert told()[1:] == ["the cache's embedder local/meaning@1 of default answers again"]
