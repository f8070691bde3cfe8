"""Queues that follow a query, on both databases."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from msgspec.structs import replace
from tests.feedback.queues.support import answer, calls, overview, person, queue, took
from tests.feedback.test_service import record_call

from penstock.core import clock
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.feedback import background
from penstock.feedback.queues import feeding, filling, service

FOLLOW = {"query": "route:ticket-triage", "follow": True}


def items(home: Home, actor: Actor) -> int:
    return overview(home, actor).progress.items


def test_new_traces_arrive_once(home: Home, actor: Actor) -> None:
    calls(home, actor, 2)
    queue(home, actor, source=FOLLOW)
    assert items(home, actor) == 2, "what the query finds already"
    assert feeding.feed_all(home) == 0
    calls(home, actor, 3)
    calls(home, actor, 2, route="other")
    assert feeding.feed_all(home) == 3
    assert feeding.feed_all(home) == 0
    assert items(home, actor) == 5


def test_only_the_share_arrives(home: Home, actor: Actor) -> None:
    queue(home, actor, source={**FOLLOW, "share": 0.4})
    traces = calls(home, actor, 30)
    wanted = sum(filling.sampled(one, 0.4) for one in traces)
    assert feeding.feed_all(home) == wanted
    assert 0 < wanted < 30


def test_a_queue_that_nobody_works_on_does_not_grow(home: Home, actor: Actor) -> None:
    queue(home, actor, source={**FOLLOW, "limit": 3})
    calls(home, actor, 5)
    assert feeding.feed_all(home) == 3
    assert feeding.feed_all(home) == 0
    ann = person("ann")
    answer(home, ann, took(home, ann).item.id, quality="good")
    assert feeding.feed_all(home) == 1


def test_traces_that_arrive_late_are_found(home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    queue(home, actor, source=FOLLOW)
    began = clock.now()
    for minutes in (20, 40):
        monkeypatch.setattr(clock, "now", lambda at=began + timedelta(minutes=minutes): at)
        assert feeding.feed_all(home) == 0
    late = clock.to_ns(began + timedelta(minutes=25))
    record_call(home, actor, "q", "a", start_ns=late, end_ns=late + 1000)
    assert feeding.feed_all(home) == 0, "it began long before what a pass looks at"
    monkeypatch.setattr(clock, "now", lambda: began + timedelta(minutes=51))
    assert feeding.feed_all(home) == 1, "but not before what is swept now and then"


def test_passes_at_once_add_nothing_twice(home: Home, actor: Actor) -> None:
    queue(home, actor, source=FOLLOW)
    calls(home, actor, 25)
    start = threading.Barrier(4)

    def work(_: int) -> int:
        start.wait()
        return feeding.feed_all(home)

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(work, range(4))) == 25
    assert items(home, actor) == 25


def test_one_queue_that_fails_does_not_stop_the_others(home: Home, actor: Actor) -> None:
    queue(home, actor, source=FOLLOW)
    stranger = person("eve", scope=Scope("other", "default"))
    queue(home, stranger, source=FOLLOW)
    with home.begin() as uow:
        broken = service.find(uow, actor, "review")
        assert broken.spec.source is not None
        source = replace(broken.spec.source, query="((")
        feeding.lists.change_queue(
            uow.conn, actor.scope, replace(broken, spec=replace(broken.spec, source=source))
        )
    record_call(home, stranger, "q", "a")
    assert feeding.feed_all(home) == 1
    assert items(home, stranger) == 1


def test_following_can_be_stopped(home: Home, actor: Actor) -> None:
    queue(home, actor, source=FOLLOW)
    with home.begin() as uow:
        service.change(uow, actor, name="review", changes={"source": {**FOLLOW, "follow": False}})
    calls(home, actor, 1)
    assert feeding.feed_all(home) == 0


def test_the_background_feeds(home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    queue(home, actor, source=FOLLOW)
    calls(home, actor, 2)
    monkeypatch.setattr(background, "SECONDS", 0.01)
    stop, fed, rounds = threading.Event(), threading.Event(), []
    feed_all = feeding.feed_all

    def failing_first(opened: Home) -> int:
        rounds.append(1)
        if len(rounds) == 1:
            raise RuntimeError("once")
        added = feed_all(opened)
        fed.set()
        return added

    monkeypatch.setattr(feeding, "feed_all", failing_first)
    thread = threading.Thread(target=background.run, args=(home, stop))
    thread.start()
    assert fed.wait(30)
    stop.set()
    thread.join()
    assert items(home, actor) == 2
