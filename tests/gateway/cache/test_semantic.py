import asyncio
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from penstock.core.errors import Upstream
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.gateway.cache import embed, nearest, shared
from penstock.gateway.cache.cache import Cache
from penstock.gateway.cache.model import Embedder, Hit
from penstock.gateway.cache.nearest import Nearest
from penstock.gateway.dialects.envelope import Envelope
from tests.gateway.cache.build import answer, envelope, found, keep, planned
from tests.gateway.cache.test_cache import until

LONG = "Please explain to me in simple words how the water cycle of the earth works and why it rains"


def asking(text: str, **members: Any) -> Envelope:
    return envelope(messages=[{"role": "user", "content": text}], **members)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "POLL_SECONDS", 0.02)


@pytest.fixture
def cache(home: Home, actor: Actor) -> Iterator[Cache]:
    keep(home, actor, mode="semantic", threshold=0.9)
    with closing(Cache(home)) as made:
        made.start()
        yield made


def asked(cache: Cache, actor: Actor, request: Envelope, body: bytes | None = None) -> Hit | None:
    async def call() -> Hit | None:
        plan = planned(cache, actor, request)
        hit = await plan.find()
        if hit is None and body is not None:
            assert await plan.keep(body)
        return hit

    return asyncio.run(call())


def test_nearly_the_same_words_get_the_same_answer_and_say_how_near(cache: Cache, actor: Actor) -> None:
    assert asked(cache, actor, asking(LONG), answer("rain")) is None
    hit = asked(cache, actor, asking(LONG.lower() + "?"))
    assert hit is not None
    assert hit.kind == "semantic"
    assert 0.9 <= hit.similarity < 1
    plan = planned(cache, actor, asking(LONG.upper()))
    named = dict(plan.headers(found(plan)))
    assert named[b"x-penstock-cache"] == b"hit"
    assert float(named[b"x-penstock-cache-similarity"]) >= 0.9
    assert cache.semantic_hits == 2


def test_other_words_parameters_numbers_or_negations_do_not(cache: Cache, actor: Actor) -> None:
    asked(cache, actor, asking(f"{LONG} in 2025"), answer())
    for other in (
        asking("What is the capital of France?"),
        asking(f"{LONG} in 2026"),
        asking(f"{LONG} not in 2025"),
        asking(f"{LONG}, in 2025", temperature=1),
        asking(f"{LONG}, in 2025", tools=[{"type": "function", "function": {"name": "f"}}]),
    ):
        assert asked(cache, actor, other) is None
    assert asked(cache, actor, asking(f"{LONG}, in 2025")) is not None


def test_keys_do_not_share_by_meaning_either(cache: Cache, actor: Actor) -> None:
    asked(cache, actor, asking(LONG), answer())
    assert found(planned(cache, actor, asking(LONG + "!"), key="key_2")) is None
    assert found(planned(cache, actor, asking(LONG + "!"), key="key_1")) is not None


def test_the_threshold_decides(home: Home, actor: Actor, cache: Cache) -> None:
    asked(cache, actor, asking(LONG), answer())
    near = asking(LONG.replace("simple", "plain"))
    assert asked(cache, actor, near) is not None
    keep(home, actor, mode="semantic", threshold=0.99)
    until(lambda: cache.shared.policies[actor.scope]["chat"].threshold == 0.99)
    assert asked(cache, actor, near) is None


def test_vectors_reach_other_processes(home: Home, actor: Actor, cache: Cache) -> None:
    asked(cache, actor, asking(LONG), answer("shared"))
    with closing(Cache(home)) as other:
        other.start()
        until(lambda: asked(other, actor, asking(LONG + "!")))
        hit = asked(other, actor, asking(LONG + "!"))
        assert hit is not None
        assert hit.body == answer("shared")


def test_a_provider_s_model_measures_when_the_policy_says_so(home: Home, actor: Actor) -> None:
    keep(home, actor, mode="semantic", embedder=Embedder(provider="p", model="e"))
    calls: list[tuple[Scope, str, str]] = []

    async def measure(scope: Scope, _route: str, embedder: Embedder, text: str) -> list[float]:
        calls.append((scope, embedder.model, text))
        if "fail" in text:
            raise Upstream("No.")
        return [3.0, 4.0] if "car" in text or "auto" in text else [1.0, 0.0]

    with closing(Cache(home, embed=measure)) as cache:
        cache.start()
        asked(cache, actor, asking("my car"), answer("brum"))
        assert asked(cache, actor, asking("mein auto")) is not None
        assert asked(cache, actor, asking("bread")) is None
        assert asked(cache, actor, asking("fail")) is None
        assert calls[0] == (actor.scope, "e", "my car")
        assert asked(cache, actor, asking("my car")) is not None
        assert len(calls) == 4
    with closing(Cache(home)) as without:
        without.start()
        assert found(planned(without, actor, asking("mein auto"))) is None


def test_vectors_are_unit_alike_for_alike_texts_and_stable() -> None:
    one, same, other = (
        embed.embed("Hello  World"),
        embed.embed("hello world"),
        embed.embed("bread and butter"),
    )
    assert one.dtype == np.float32
    assert float(one @ one) == pytest.approx(1)
    assert np.array_equal(one, same)
    assert abs(float(one @ other)) < 0.4
    assert float(embed.embed("") @ embed.embed("")) in (0.0, pytest.approx(1))


def test_buckets_and_all_vectors_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nearest, "BUCKET_VECTORS", 10)
    monkeypatch.setattr(nearest, "ALL_VECTORS", 25)
    made = Nearest()
    for bucket in range(4):
        for number in range(15):
            angle = (bucket * 15 + number) / 100
            made.add(
                bytes([bucket]), bytes([number]), np.array([np.cos(angle), np.sin(angle)], dtype=np.float32)
            )
    assert len(made) <= 25
    assert made.find(bytes([0]), np.array([1, 0], dtype=np.float32), 0.5) == []
    angle = (3 * 15 + 14) / 100
    near = made.find(bytes([3]), np.array([np.cos(angle), np.sin(angle)], dtype=np.float32), 0.9999)
    assert near[0].digest == bytes([14])
    assert near[0].similarity == pytest.approx(1)
    assert all(each.digest >= bytes([5]) for each in near)
