"""The outbox: an event commits with its change, and each subscriber handles it once."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

import pytest

from penstock.core import clock
from penstock.core.errors import Invalid
from penstock.core.events import Dispatcher, Envelope, Event, withdraw
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.core.uow import UnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Event):
    """Something was done."""

    name: ClassVar[str] = "test.done"
    number: int


def test_an_event_of_a_rolled_back_change_is_never_delivered(home: Home, actor: Actor) -> None:
    seen: list[int] = []

    def subscriber(_: UnitOfWork, envelope: Envelope) -> None:
        seen.append(envelope.data["number"])

    with pytest.raises(Invalid), home.begin() as uow:
        uow.publish(Done(number=1), actor.scope)
        raise Invalid("changed my mind")
    with home.begin() as uow:
        uow.publish(Done(number=2), actor.scope)
    dispatcher = Dispatcher(home, {"test.done": [subscriber]})
    assert dispatcher.tick() == 1
    assert (dispatcher.tick(), seen) == (0, [2])


def test_a_failing_subscriber_is_tried_again_and_the_others_are_not(home: Home, actor: Actor) -> None:
    seen: list[str] = []

    def steady(_: UnitOfWork, envelope: Envelope) -> None:
        seen.append(f"steady {envelope.data['number']}")

    def flaky(uow: UnitOfWork, _: Envelope) -> None:
        seen.append("flaky")
        uow.bump("flaky")
        if seen.count("flaky") == 1:
            raise Invalid("not yet")

    with home.begin() as uow:
        uow.publish(Done(number=1), actor.scope)
    dispatcher = Dispatcher(home, {"test.done": [steady, flaky]})
    dispatcher.tick()
    assert dispatcher.tick() == 0, "it waits before trying again"
    with clock.frozen(clock.now() + timedelta(minutes=1)):
        dispatcher.tick()
    assert seen == ["steady 1", "flaky", "flaky"]
    assert home.revision("flaky") == 1, "what a failed delivery wrote was rolled back"


def test_events_are_withdrawn_by_name_project_and_what_they_say(home: Home, actor: Actor) -> None:
    seen: list[int] = []

    def subscriber(_: UnitOfWork, envelope: Envelope) -> None:
        seen.append(envelope.data["number"])

    dispatcher = Dispatcher(home, {"test.done": [subscriber]})
    with home.begin() as uow:
        uow.publish(Done(number=1), actor.scope)
    dispatcher.tick()
    with home.begin() as uow:
        for number in (1, 2):
            uow.publish(Done(number=number), actor.scope)
        uow.publish(Done(number=1), Scope(actor.scope.tenant, "other"))
    with home.begin() as uow:
        assert withdraw(uow.conn, actor.scope, ["test.other"], lambda _: True) == 0
        assert withdraw(uow.conn, actor.scope, ["test.done"], lambda data: data["number"] == 1) == 2
    dispatcher.tick()
    assert sorted(seen) == [1, 1, 2]
