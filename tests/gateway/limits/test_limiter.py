"""Admitting and settling: what is refused, what is counted, what other processes see."""

import asyncio
from datetime import UTC, datetime

import pytest

from penstock.core import clock
from penstock.core.errors import Denied, LimitExceeded
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.gateway.limits.limiter import Limiter
from penstock.gateway.limits.model import Period, Subject, SubjectKind
from penstock.gateway.limits.ticket import FREE, Ticket
from tests.gateway.limits.conftest import CALLER, Make, ask, budget, limit, put, spend

pytestmark = pytest.mark.usefixtures("patient")


def admit(limiter: Limiter, usd: float | None, subject: Subject = CALLER) -> Ticket:
    return asyncio.run(limiter.admit(subject, ask(usd)))


def test_nobody_is_limited_where_there_are_no_rules(home: Home, actor: Actor, make: Make) -> None:
    assert make().try_admit(CALLER, ask(5.0)) is FREE
    put(home, actor, budget(1.0, kind=SubjectKind.ROUTE, subject="other"))
    limiter = make()
    assert limiter.any
    assert limiter.try_admit(CALLER, ask(None)) is FREE


def test_a_budget_is_reserved_then_settled(home: Home, actor: Actor, make: Make) -> None:
    put(home, actor, budget(1.0))
    limiter = make(started=True)
    assert limiter.try_admit(CALLER, ask(0.4)) is None
    ticket = admit(limiter, 0.4)
    assert spend(home, actor).reserved >= 0.4
    ticket.settle(10, 10, 0.25)
    ticket.settle(10, 10, 0.25)
    ticket.cancel()
    assert limiter.lessor.flush()
    assert spend(home, actor).spent == 0.25
    limiter.close()
    state = spend(home, actor)
    assert (state.spent, state.reserved, state.left) == (0.25, 0.0, 0.75)


def test_a_spent_budget_refuses_and_says_how_to_raise_it(home: Home, actor: Actor, make: Make) -> None:
    put(home, actor, budget(1.0))
    limiter = make(started=True)
    admit(limiter, 0.9).settle(0, 0, 0.95)
    with pytest.raises(LimitExceeded, match="budgets set cap --usd") as refused:
        admit(limiter, 0.1)
    assert refused.value.details["code"] == "insufficient_quota"
    with pytest.raises(LimitExceeded):
        limiter.try_admit(CALLER, ask(0.1))
    admit(limiter, 0.04).cancel()
    put(home, actor, budget(2.0))
    limiter.lessor.flush()
    admit(limiter, 0.5).settle(0, 0, 0.5)
    limiter.lessor.flush()
    assert spend(home, actor).spent == pytest.approx(1.45)


def test_what_a_call_cost_beyond_its_reservation_is_counted(home: Home, actor: Actor, make: Make) -> None:
    put(home, actor, budget(1.0))
    limiter = make(started=True)
    admit(limiter, 0.1).settle(0, 0, 1.2)
    limiter.lessor.flush()
    assert spend(home, actor).spent == pytest.approx(1.2)
    with pytest.raises(LimitExceeded):
        admit(limiter, 0.000001)


def test_an_unknown_cost_counts_as_what_was_reserved(home: Home, actor: Actor, make: Make) -> None:
    put(home, actor, budget(1.0))
    limiter = make(started=True)
    admit(limiter, 0.3).settle(0, 0, None)
    limiter.lessor.flush()
    assert spend(home, actor).spent == pytest.approx(0.3)


def test_every_budget_of_a_call_is_charged(home: Home, actor: Actor, make: Make) -> None:
    put(home, actor, budget(5.0, name="project", period=Period.DAY))
    put(home, actor, budget(4.0, name="tenant", kind=SubjectKind.TENANT, period=Period.MONTH))
    put(home, actor, budget(3.0, name="users", kind=SubjectKind.USER, subject="*"))
    put(home, actor, budget(2.0, name="route", kind=SubjectKind.ROUTE, subject="chat"))
    limiter = make(started=True)
    admit(limiter, 0.5).settle(0, 0, 0.5)
    limiter.lessor.flush()
    names = ("project", "tenant", "users", "route")
    assert [spend(home, actor, name).spent for name in names] == [0.5] * 4
    bob = CALLER._replace(user="bob")
    admit(limiter, 1.4, bob).settle(0, 0, 1.4)
    with pytest.raises(LimitExceeded, match="'route'"):
        admit(limiter, 0.2, bob)
    admit(limiter, 0.2, bob._replace(route="other")).cancel()
    assert spend(home, actor, "users").subject == "bob"


def test_tenants_and_projects_do_not_touch_each_other(home: Home, actor: Actor, make: Make) -> None:
    put(home, actor, budget(1.0))
    put(home, actor, budget(1.0, name="ann", kind=SubjectKind.USER, subject="ann"))
    limit(home, actor, kind=SubjectKind.ROUTE, subject="chat", requests_per_minute=1)
    limiter = make(started=True)
    assert limiter.try_admit(CALLER._replace(tenant="other"), ask(9.0)) is FREE
    assert limiter.try_admit(CALLER._replace(project="other"), ask(9.0)) is FREE
    assert limiter.try_admit(CALLER, ask(0.1)) is None


def test_a_soft_budget_never_refuses(home: Home, actor: Actor, make: Make) -> None:
    put(home, actor, budget(1.0, hard=False))
    limiter = make(started=True)
    for _ in range(3):
        ticket = limiter.try_admit(CALLER, ask(None))
        assert ticket is not None
        ticket.settle(0, 0, 0.6)
    limiter.lessor.flush()
    assert spend(home, actor).spent == pytest.approx(1.8)


def test_a_model_without_a_price_meets_a_hard_budget(home: Home, actor: Actor, make: Make) -> None:
    put(home, actor, budget(1.0))
    with pytest.raises(Denied, match="no price"):
        make().try_admit(CALLER, ask(None))
    limiter = make(started=True, unpriced="allow")
    admit(limiter, None).settle(5, 5, None)
    limiter.lessor.flush()
    assert spend(home, actor).spent == 0


def test_restarting_never_resets_and_gives_nothing_away(home: Home, actor: Actor, make: Make) -> None:
    put(home, actor, budget(1.0))
    for spent in (0.4, 0.4):
        limiter = make(started=True)
        admit(limiter, 0.4).settle(0, 0, spent)
        limiter.close()
    with pytest.raises(LimitExceeded):
        admit(make(started=True), 0.3)
    assert spend(home, actor).spent == pytest.approx(0.8)


def test_a_clock_that_goes_back_gives_no_second_allowance(sqlite_home: Home, make: Make) -> None:
    from tests.conftest import owner_of

    actor = owner_of(sqlite_home)
    put(sqlite_home, actor, budget(1.0, period=Period.DAY))
    limiter = make(started=True, on=sqlite_home)
    monday, tuesday = datetime(2027, 3, 1, 12, tzinfo=UTC), datetime(2027, 3, 2, 12, tzinfo=UTC)
    for moment in (monday, tuesday):
        with clock.frozen(moment):
            admit(limiter, 0.9).settle(0, 0, 0.9)
    for moment in (monday, tuesday):
        with clock.frozen(moment), pytest.raises(LimitExceeded):
            admit(limiter, 0.2)
        with clock.frozen(moment):
            assert spend(sqlite_home, actor).spent == pytest.approx(0.9)


def test_a_call_over_midnight_is_spent_where_it_was_reserved(home: Home, actor: Actor, make: Make) -> None:
    put(home, actor, budget(1.0, period=Period.DAY))
    limiter = make(started=True)
    before = datetime(2027, 3, 1, 23, 59, tzinfo=UTC)
    after = datetime(2027, 3, 2, 0, 1, tzinfo=UTC)
    with clock.frozen(before):
        ticket = admit(limiter, 0.5)
    with clock.frozen(after):
        ticket.settle(0, 0, 0.5)
        assert limiter.lessor.flush()
        assert spend(home, actor).spent == 0
    with clock.frozen(before):
        assert spend(home, actor).spent == 0.5


def test_a_new_rule_is_followed_by_a_running_process(home: Home, actor: Actor, make: Make) -> None:
    limiter = make()
    assert limiter.try_admit(CALLER, ask(1.0)) is FREE
    put(home, actor, budget(0.5))
    limiter.lessor.flush()
    limiter.start()
    with pytest.raises(LimitExceeded):
        admit(limiter, 1.0)
    limiter.close()


def test_concurrent_calls_are_held_across_processes(home: Home, actor: Actor, make: Make) -> None:
    limit(home, actor, concurrent=3)
    one, two = make(started=True, flush_ms=20), make(started=True, flush_ms=20)
    tickets = [admit(one, 0.0), admit(two, 0.0), admit(one, 0.0)]
    for limiter in (one, two):
        with pytest.raises(LimitExceeded, match="calls at once"):
            for _ in range(3):
                tickets.append(admit(limiter, 0.0))
    assert len(tickets) == 3
    tickets[0].settle(1, 1, 0.0)
    freed = [limiter for limiter in (two, one) if _eventually(limiter)]
    assert len(freed) == 1


def _eventually(limiter: Limiter) -> bool:
    for _ in range(30):
        try:
            admit(limiter, 0.0)
            return True
        except LimitExceeded:
            asyncio.run(asyncio.sleep(0.05))
    return False


def test_requests_per_minute_are_held_across_processes(home: Home, actor: Actor, make: Make) -> None:
    limit(home, actor, requests_per_minute=20)
    limiters = [make(started=True), make(started=True)]
    admitted = 0
    for index in range(60):
        try:
            admit(limiters[index % 2], 0.0).settle(1, 1, 0.0)
            admitted += 1
        except LimitExceeded as error:
            assert error.details["code"] == "rate_limit_exceeded"
            assert error.retry_after is not None and 0 < error.retry_after <= 60
    assert 19 <= admitted <= 22


def test_tokens_are_counted_as_they_turn_out(home: Home, actor: Actor, make: Make) -> None:
    limit(home, actor, input_tokens_per_minute=1000, output_tokens_per_minute=500)
    limiter = make(started=True)
    big = ask(0.0, input_tokens=900, output_tokens=9000)
    ticket = asyncio.run(limiter.admit(CALLER, big))
    with pytest.raises(LimitExceeded, match="tokens per minute"):
        asyncio.run(limiter.admit(CALLER, big))
    ticket.settle(10, 10, 0.0)
    again = asyncio.run(limiter.admit(CALLER, ask(0.0, input_tokens=900, output_tokens=400)))
    again.settle(3000, 10, 0.0)
    with pytest.raises(LimitExceeded, match="input tokens"):
        asyncio.run(limiter.admit(CALLER, ask(0.0, input_tokens=1)))


def test_cancelling_gives_the_request_back(home: Home, actor: Actor, make: Make) -> None:
    limit(home, actor, requests_per_minute=1)
    limiter = make(started=True)
    admit(limiter, 0.0).cancel()
    admit(limiter, 0.0).settle(1, 1, 0.0)
    with pytest.raises(LimitExceeded):
        admit(limiter, 0.0)
