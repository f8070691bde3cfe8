import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from penstock.core import clock
from penstock.core.errors import Unavailable
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.gateway.cache import service, shared, store
from penstock.gateway.cache.cache import Cache, CachePlan
from penstock.gateway.cache.model import CachePolicy
from penstock.gateway.model import Operation
from tests.gateway.cache.build import answer, envelope, found, keep, planned


class Hands:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.ns = 1_800_000_000_000_000_000

    def move(self, seconds: float) -> None:
        self.ns += int(seconds * 1e9)


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    made = Hands()
    monkeypatch.setattr(clock, "now_ns", lambda: made.ns)
    return made


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "POLL_SECONDS", 0.02)


@pytest.fixture
def cache(home: Home, actor: Actor) -> Iterator[Cache]:
    keep(home, actor, ttl=100)
    with closing(Cache(home)) as made:
        made.start()
        yield made


def until(reached: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_route_without_a_policy_has_no_plan(home: Home, actor: Actor) -> None:
    with closing(Cache(home)) as cache:
        cache.start()
        assert cache.plan(actor.scope, "chat", "k", Operation.CHAT, {}, envelope()) is None
        keep(home, actor, "other")
        until(lambda: cache.shared.policies)
        assert cache.plan(actor.scope, "chat", "k", Operation.CHAT, {}, envelope()) is None
        keep(home, actor, "*")
        until(lambda: cache.plan(actor.scope, "chat", "k", Operation.CHAT, {}, envelope()))


def test_an_answer_is_given_again_with_its_age_until_it_expires(
    cache: Cache, actor: Actor, hands: Hands
) -> None:
    plan = planned(cache, actor)
    assert found(plan) is None
    assert plan.headers(None) == [(b"x-penstock-cache", b"miss")]
    assert plan.store(answer())
    hands.move(42)
    again = planned(cache, actor, envelope(stream=True))
    hit = again.find_now()
    assert hit is not None
    assert (hit.body, hit.age, hit.kind) == (answer(), 42, "exact")
    assert again.headers(hit) == [(b"x-penstock-cache", b"hit"), (b"age", b"42")]
    hands.move(59)
    assert planned(cache, actor).find_now() is None
    assert (cache.hits, cache.misses, cache.stored) == (1, 1, 1)


def test_headers_rule_over_looking_and_keeping(cache: Cache, actor: Actor, hands: Hands) -> None:
    assert planned(cache, actor).store(answer("old"))
    hands.move(10)
    off = planned(cache, actor, cache_control="no-store")
    assert found(off) is None
    assert off.state == "bypass"
    assert not off.store(answer("never"))
    refreshing = planned(cache, actor, x_penstock_cache="refresh")
    assert found(refreshing) is None
    assert planned(cache, actor, cache_control="max-age=9").find_now() is None
    assert planned(cache, actor, cache_control="max-age=10").find_now() is not None
    assert refreshing.store(answer("new"))
    hit = planned(cache, actor, cache_control="max-age=9").find_now()
    assert hit is not None
    assert hit.body == answer("new")


def test_keys_and_tenants_are_apart_unless_the_project_shares(home: Home, actor: Actor, cache: Cache) -> None:
    assert planned(cache, actor, key="key_1").store(answer())
    assert found(planned(cache, actor, key="key_2")) is None
    keep(home, actor, scope="project")
    until(lambda: cache.shared.policies[actor.scope]["chat"].scope == "project")
    assert found(planned(cache, actor, key="key_1")) is None
    assert planned(cache, actor, key="key_1").store(answer())
    assert found(planned(cache, actor, key="key_2")) is not None
    other = replace(actor, scope=Scope("other"))
    keep(home, other, scope="project")
    until(lambda: other.scope in cache.shared.policies)
    assert found(planned(cache, other, key="key_1")) is None
    elsewhere = actor.within("other")
    assert found(planned(cache, elsewhere, key="key_1")) is None


def test_answers_that_passed_other_guards_are_not_given(home: Home, actor: Actor) -> None:
    keep(home, actor, scope="project")
    with closing(Cache(home)) as cache:
        cache.start()

        def plan(variant: str) -> CachePlan:
            made = cache.plan(actor.scope, "chat", "k", Operation.CHAT, {}, envelope(), variant=variant)
            assert made is not None
            return made

        assert plan("lax").store(answer())
        assert found(plan("strict")) is None
        assert found(plan("lax")) is not None


def test_a_caller_without_a_key_does_not_get_what_the_project_shares(
    cache: Cache, home: Home, actor: Actor
) -> None:
    assert cache.plan(actor.scope, "chat", None, Operation.CHAT, {}, envelope()) is not None
    keep(home, actor, scope="project")
    until(lambda: cache.shared.policies[actor.scope]["chat"].scope == "project")
    assert planned(cache, actor).store(answer("shared"))
    keep(home, actor, scope="key")
    until(lambda: cache.shared.policies[actor.scope]["chat"].scope == "key")
    alone = cache.plan(actor.scope, "chat", None, Operation.CHAT, {}, envelope())
    assert alone is not None
    assert found(alone) is None


def test_two_processes_share_what_either_keeps(home: Home, actor: Actor, cache: Cache) -> None:
    with closing(Cache(home)) as other:
        other.start()
        request = envelope(seed=7)
        assert planned(cache, actor, request).store(answer("shared"))
        until(lambda: found(planned(other, actor, request)))
        hit = planned(other, actor, request).find_now()
        assert hit is not None
        assert hit.body == answer("shared")
        assert planned(cache, actor, request, x_penstock_cache="refresh").store(answer("newer"))

        def newer() -> bool:
            hit = found(planned(other, actor, request))
            return hit is not None and hit.body == answer("newer")

        until(newer)


def test_a_new_process_finds_what_earlier_ones_kept(home: Home, actor: Actor) -> None:
    keep(home, actor)
    with closing(Cache(home)) as first:
        first.start()
        assert planned(first, actor).store(answer())
    with closing(Cache(home)) as second:
        second.start()
        assert planned(second, actor).find_now() is None
        assert found(planned(second, actor)) is not None
        stats = second.stats(actor.scope)
        assert (stats.entries, stats.memory_entries, stats.hits) == (1, 1, 1)


def test_the_database_is_asked_only_for_what_it_is_known_to_have(
    cache: Cache, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []
    load = cache.shared.load

    def spy(scope: Scope, digest: bytes) -> Any:
        asked.append(digest)
        return load(scope, digest)

    monkeypatch.setattr(cache.shared, "load", spy)
    for seed in range(5):
        assert found(planned(cache, actor, envelope(seed=seed))) is None
    assert asked == []
    assert planned(cache, actor).store(answer())
    cache.shared.write()
    cache.shared.look()
    cache.memory.clear()
    assert found(planned(cache, actor)) is not None
    assert len(asked) == 1


def test_purging_reaches_every_process_and_one_route_or_all(home: Home, actor: Actor, cache: Cache) -> None:
    assert planned(cache, actor).store(answer())
    cache.shared.write()
    with home.begin() as uow:
        assert service.purge(uow, actor.within("other")) == 0
        assert service.purge(uow, actor, "else") == 0
        assert service.purge(uow, actor, "chat") == 1
    until(lambda: found(planned(cache, actor)) is None)
    assert cache.stats(actor.scope).entries == 0


def test_the_table_is_bounded_and_keeps_what_is_used(home: Home, actor: Actor, hands: Hands) -> None:
    rows = [
        store.Row(bytes([number]) * 32, actor.scope, "chat", b"x" * 800, None, None, number, 10**15)
        for number in range(1, 101)
    ]
    with home.begin() as uow:
        store.write(uow.conn, rows)
        store.touch(uow.conn, [bytes([1]) * 32], 10**6)
        assert store.totals(uow.conn, actor.scope) == (100, 100_000)
        assert store.evict(uow.conn, hands.ns // 10**6 % 10**12, 100_000) == 0
        assert store.evict(uow.conn, 5, 50_000) == 55
        assert store.totals(uow.conn, actor.scope) == (45, 45_000)
        assert store.find(uow.conn, actor.scope, bytes([1]) * 32) is not None
        assert store.find(uow.conn, actor.scope, bytes([2]) * 32) is None
        assert store.evict(uow.conn, 10**15, 50_000) == 45


def test_what_answers_take_is_summed_without_reading_them(sqlite_home: Home) -> None:
    with sqlite_home.read() as uow:
        total = "SELECT sum(size) FROM gateway_cache_entries"
        oldest = "SELECT id, size FROM gateway_cache_entries ORDER BY used_ms, size, id LIMIT 9"
        for query in (total, oldest):
            [step] = uow.conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").all()
            assert "USING COVERING INDEX ix_gateway_cache_entries_used" in step[3]


def test_old_answers_leave_the_table(cache: Cache, actor: Actor, hands: Hands) -> None:
    assert planned(cache, actor).store(answer())
    cache.shared.write()
    hands.move(101)
    assert cache.shared.evict() == 1
    assert cache.stats(actor.scope).entries == 0


def test_a_database_that_is_away_costs_nothing_but_sharing(
    cache: Cache, actor: Actor, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> Any:
        raise Unavailable("The database is away.")

    with monkeypatch.context() as broken:
        broken.setattr(home, "begin", away)
        broken.setattr(home, "read", away)
        assert planned(cache, actor).store(answer())
        time.sleep(0.1)
        assert planned(cache, actor).find_now() is not None
        cache.memory.clear()
        assert found(planned(cache, actor)) is None
    until(lambda: found(planned(cache, actor)))


def test_the_queue_is_bounded(cache: Cache, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "QUEUE_BYTES", 10)
    assert planned(cache, actor).store(answer())
    assert cache.shared.dropped == 1
    assert planned(cache, actor).find_now() is not None


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"[]",
        b'{"error":{"message":"no"}}',
        answer(truncated=True),
        answer(choices=[]),
        answer(choices=[{"index": 0, "message": {"content": "cut"}, "finish_reason": "length"}]),
        answer("x" * 300_000),
    ],
)
def test_answers_that_are_not_whole_are_not_kept(cache: Cache, actor: Actor, body: bytes) -> None:
    assert not planned(cache, actor).store(body)
    assert found(planned(cache, actor)) is None
    assert cache.refused == 1


def test_an_answer_put_together_from_a_stream_becomes_a_whole_one(cache: Cache, actor: Actor) -> None:
    message = {"role": "assistant", "content": "Hi"}
    built = {"id": "c", "object": "chat.completion", "model": "gpt-x", "choices": []}
    built["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
    assert planned(cache, actor).store(msgspec.json.encode(built), streamed=True)
    hit = planned(cache, actor).find_now()
    assert hit is not None
    kept = msgspec.json.decode(hit.body)
    assert kept["model"] == "chat"
    assert kept["created"] > 1_700_000_000
    asked = envelope(logprobs=True)
    assert not planned(cache, actor, asked).store(msgspec.json.encode(built), streamed=True)


def test_requests_that_depend_on_more_are_passed_by(cache: Cache, actor: Actor) -> None:
    plan = planned(cache, actor, envelope(previous_response_id="r"))
    assert plan.state == "bypass"
    assert found(plan) is None
    assert not plan.store(answer())


def test_a_policy_that_is_deleted_takes_its_answers_along(home: Home, actor: Actor, cache: Cache) -> None:
    assert planned(cache, actor).store(answer())
    cache.shared.write()
    with home.begin() as uow:
        service.delete_policy(uow, actor, "chat")
    until(lambda: not cache.shared.policies)
    keep(home, actor, ttl=100)
    until(lambda: cache.shared.policies)
    assert found(planned(cache, actor)) is None
    assert cache.policy(actor.scope, "chat") == CachePolicy(ttl=100)


def test_two_processes_may_store_the_same_answer_at_once(home: Home, actor: Actor) -> None:
    row = store.Row(b"d" * 32, actor.scope, "chat", b"x" * 800, None, None, 1, 10**15)

    def store_it(_: int) -> None:
        with home.begin() as uow:
            store.write(uow.conn, [row])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(store_it, range(80)))
    with home.read() as uow:
        assert store.totals(uow.conn, actor.scope)[0] == 1
