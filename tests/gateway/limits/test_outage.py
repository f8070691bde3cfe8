"""The database locked or gone: traffic goes on within leases, then the setting decides; nothing is lost."""

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from penstock.core.errors import LimitExceeded, Unavailable
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.gateway.limits.limiter import Limiter
from penstock.gateway.limits.meter import Errand, Sharing
from penstock.gateway.limits.purse import Purse
from penstock.gateway.limits.ticket import Ticket
from tests.conftest import owner_of
from tests.gateway.limits.conftest import CALLER, Make, ask, budget, limit, put, spend


class Gone:
    """A home whose database can go away."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.gone = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._home, name)

    @contextmanager
    def begin(self) -> Iterator[Any]:
        self._check()
        with self._home.begin() as uow:
            yield uow

    def revision(self, topic: str) -> int:
        self._check()
        return self._home.revision(topic)

    def revisions(self, *topics: str) -> tuple[int, ...]:
        self._check()
        return self._home.revisions(*topics)

    def _check(self) -> None:
        if self.gone:
            raise Unavailable("The database cannot be reached.")


def admit(limiter: Limiter, usd: float) -> Ticket:
    return asyncio.run(limiter.admit(CALLER, ask(usd)))


def test_a_locked_database_stops_nothing_within_the_lease(sqlite_home: Home, make: Make) -> None:
    actor = owner_of(sqlite_home)
    put(sqlite_home, actor, budget(1.0))
    limiter = make(on=sqlite_home, started=True, slice_fraction=0.2)
    admit(limiter, 0.02).settle(0, 0, 0.02)
    limiter.lessor.flush()
    leased = spend(sqlite_home, actor).reserved
    assert 0.02 <= leased <= 0.2
    other = sqlite3.connect(sqlite_home.path / "penstock.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    spent = 0.02
    try:
        began = time.monotonic()
        while (ticket := limiter.try_admit(CALLER, ask(0.02))) is not None:
            ticket.settle(0, 0, 0.02)
            spent += 0.02
        assert spent == pytest.approx(leased + 0.02, abs=0.021)
        assert time.monotonic() - began < 1
        with pytest.raises((Unavailable, LimitExceeded)) as refused:
            admit(limiter, 0.02)
        assert refused.value.retry_after is not None
        with pytest.raises(Unavailable, match="cannot be checked"):
            admit(limiter, 0.02)
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert limiter.lessor.flush()
    assert spend(sqlite_home, actor).spent == pytest.approx(spent)
    admit(limiter, 0.02).cancel()


def test_money_beyond_the_lease_may_be_allowed(home: Home, actor: Actor, make: Make) -> None:
    put(home, actor, budget(1.0))
    gone = Gone(home)
    limiter = make(on=gone, started=True, when_unreachable="allow")
    admit(limiter, 0.05).settle(0, 0, 0.05)
    gone.gone = True
    limiter.lessor.turn()
    for _ in range(5):
        admit(limiter, 0.3).settle(0, 0, 0.3)
    gone.gone = False
    assert limiter.lessor.flush()
    assert spend(home, actor).spent == pytest.approx(1.55)
    with pytest.raises(LimitExceeded):
        admit(limiter, 0.01)


def test_rates_go_on_at_an_equal_share(home: Home, actor: Actor, make: Make) -> None:
    limit(home, actor, requests_per_minute=120, concurrent=2)
    gone = Gone(home)
    limiter = make(on=gone, started=True)
    admit(limiter, 0.0).settle(0, 0, 0.0)
    gone.gone = True
    limiter.lessor.turn()
    admitted = 0
    with pytest.raises(LimitExceeded):
        for _ in range(200):
            admit(limiter, 0.0).settle(0, 0, 0.0)
            admitted += 1
    assert 10 <= admitted <= 120
    gone.gone = False
    assert limiter.lessor.flush()
    admit(limiter, 0.0).cancel()


def test_calls_during_a_round_do_not_prolong_it(
    home: Home, actor: Actor, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round that goes on as long as calls are settled is taken for a database that does not answer."""
    put(home, actor, budget(1.0))
    limiter = make(started=True, flush_ms=3_600_000)
    admit(limiter, 0.01).settle(0, 0, 0.01)
    assert limiter.lessor.flush()
    trade, trades = Purse.trade, []

    def busy(purse: Purse, uow: UnitOfWork, sharing: Sharing, errand: Errand) -> object:
        trades.append(errand)
        found = trade(purse, uow, sharing, errand)
        assert len(trades) < 50, "the round does not end"
        spend_at_once(0.0001)
        return found

    def spend_at_once(usd: float) -> None:
        ticket = limiter.try_admit(CALLER, ask(usd))
        assert ticket is not None
        ticket.settle(0, 0, usd)

    spend_at_once(0.001)
    monkeypatch.setattr(Purse, "trade", busy)
    assert limiter.lessor.turn()
    assert len(trades) == 1
    monkeypatch.undo()
    assert limiter.lessor.flush()
    assert spend(home, actor).spent == pytest.approx(0.0111)
