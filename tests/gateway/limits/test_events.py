"""Alerts: once per fraction and period, however many processes spend."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from penstock.core.errors import LimitExceeded
from penstock.core.events.outbox import outbox
from penstock.core.home import Home
from penstock.core.scope import Actor
from tests.gateway.limits.conftest import CALLER, Make, ask, budget, put


def told(home: Home) -> list[tuple[str, Any]]:
    query = select(outbox).where(outbox.c.name.like("gateway.budget%")).order_by(outbox.c.id)
    with home.db.read() as conn:
        return [(row.name.rpartition(".")[2], row.data) for row in conn.execute(query)]


def test_soft_limits_and_the_end_are_told_once(home: Home, actor: Actor, make: Make) -> None:
    put(home, actor, budget(1.0, soft=(0.5, 0.8)))
    limiters = [make(started=True), make(started=True)]
    for index in range(9):
        ticket = asyncio.run(limiters[index % 2].admit(CALLER, ask(0.1)))
        ticket.settle(0, 0, 0.1)
        assert limiters[index % 2].lessor.flush()
    assert [(name, data["fraction"]) for name, data in told(home)] == [
        ("budget_alerted", 0.5),
        ("budget_alerted", 0.8),
    ]
    for limiter in limiters * 2:
        with pytest.raises(LimitExceeded):
            asyncio.run(limiter.admit(CALLER, ask(0.2)))
    name, data = told(home)[2]
    assert (len(told(home)), name, data["budget"], data["limit_usd"]) == (3, "budget_exhausted", "cap", 1.0)
    assert data["spent_usd"] == pytest.approx(0.9)


def test_a_raised_budget_may_alert_again(home: Home, actor: Actor, make: Make) -> None:
    put(home, actor, budget(1.0, hard=False))
    limiter = make(started=True)
    asyncio.run(limiter.admit(CALLER, ask(0.9))).settle(0, 0, 0.9)
    limiter.lessor.flush()
    put(home, actor, budget(2.0, hard=False))
    limiter.lessor.flush()
    for _ in range(2):
        asyncio.run(limiter.admit(CALLER, ask(0.8))).settle(0, 0, 0.8)
        limiter.lessor.flush()
    assert [name for name, _ in told(home)] == ["budget_alerted", "budget_alerted", "budget_exhausted"]
