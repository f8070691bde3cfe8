"""What nobody will ask the ledger for again goes; what people look at, or a process holds, stays."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from penstock.core import clock
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.gateway import metrics
from penstock.gateway.beside import cap_of
from penstock.gateway.limits import sweeping
from penstock.gateway.limits.limiter import Limiter
from penstock.gateway.limits.model import AccountKey, Aside, Period, Subject, SubjectKind
from penstock.gateway.limits.store import ledger
from tests.gateway.limits.conftest import CALLER, Make, ask, budget, limit, put, spend

pytestmark = pytest.mark.usefixtures("patient")


class Calendar:
    """The day, moved by hand."""

    def __init__(self) -> None:
        self.at = clock.now()

    def pass_days(self, days: int) -> None:
        self.at += timedelta(days=days)


@pytest.fixture
def calendar(monkeypatch: pytest.MonkeyPatch) -> Iterator[Calendar]:
    found = Calendar()
    monkeypatch.setattr(clock, "now", lambda: found.at)
    monkeypatch.setattr(clock, "now_ns", lambda: clock.to_ns(found.at))
    yield found


def use(limiter: Limiter, subject: Subject = CALLER, usd: float = 0.1) -> None:
    """Spend on an answer and as much beside it, bring all to the ledger and give all leases back."""

    async def both() -> None:
        (await limiter.admit(subject, ask(usd))).settle(0, 0, usd)
        (await limiter.aside(subject, ask(usd), Aside.RETRY)).settle(0, 0, usd)

    asyncio.run(both())
    for _ in range(2):
        limiter.lessor.flush()
        limiter._tidy()


def left(home: Home) -> list[AccountKey]:
    keys = ledger.accounts.c.rule, ledger.accounts.c.subject, ledger.accounts.c.period
    with home.read() as uow:
        return [AccountKey(*row) for row in uow.conn.execute(select(*keys))]


def count(home: Home, table: object) -> int:
    with home.read() as uow:
        return uow.conn.execute(select(func.count()).select_from(table)).scalar() or 0  # type: ignore[arg-type]


def test_spending_is_forgotten_after_more_than_a_year_and_never_what_counts_for_ever(
    home: Home, actor: Actor, make: Make, calendar: Calendar
) -> None:
    for name, period in (("daily", Period.DAY), ("monthly", Period.MONTH), ("ever", Period.TOTAL)):
        put(home, actor, budget(100.0, name, period=period))
    limiter = make(started=True)
    use(limiter)
    limiter.close()
    assert (len(left(home)), count(home, ledger.aside)) == (3, 3)
    calendar.pass_days(400)
    assert sweeping.sweep(home) == 0
    calendar.pass_days(32)
    assert sweeping.sweep(home) == 2
    assert [key.period for key in left(home)] == ["total"]
    assert count(home, ledger.aside) == 1
    assert spend(home, actor, "ever").spent == pytest.approx(0.2)
    assert sweeping.sweep(home) == 0


def test_what_is_over_goes_in_pieces(home: Home, actor: Actor, make: Make, calendar: Calendar) -> None:
    put(home, actor, budget(100.0, period=Period.DAY, kind=SubjectKind.USER, subject="*"))
    limiter = make(started=True)
    for name in ("ann", "bob", "cy"):
        use(limiter, CALLER._replace(user=name))
    limiter.close()
    calendar.pass_days(500)
    assert [sweeping.sweep(home, limit=2) for _ in range(3)] == [2, 1, 0]


def test_accounts_of_caps_are_kept_for_days_and_not_while_a_process_holds_them(
    home: Home, actor: Actor, make: Make, calendar: Calendar
) -> None:
    limiter = make(started=True)
    cap = cap_of(actor.scope, "r", 5.0)
    ticket = asyncio.run(limiter.within(cap, 1.0))
    calendar.pass_days(4)
    assert sweeping.sweep(home) == 0
    ticket.settle(0, 0, 1.0)
    limiter.close()
    assert len(left(home)) == 1
    assert sweeping.sweep(home) == 1
    assert not left(home)


def test_rows_of_rates_go_when_nobody_calls(
    home: Home, actor: Actor, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 10_000.0
    monkeypatch.setattr(ledger, "shared_seconds", lambda _: now)
    limit(home, actor, kind=SubjectKind.USER, subject="*", requests_per_minute=5, concurrent=3)
    limiter = make(started=True)
    ticket = asyncio.run(limiter.admit(CALLER, ask()))
    assert sweeping.sweep(home) == 0, "a call is in flight, and the bucket is not full"
    now += 2 * sweeping.FULL_SECONDS
    assert sweeping.sweep(home) == 1, "the bucket is full, the call is still in flight"
    ticket.settle(0, 0, 0.0)
    limiter.close()
    now += 2 * sweeping.FULL_SECONDS
    while sweeping.sweep(home):
        pass
    assert (left(home), count(home, ledger.buckets)) == ([], 0)
    again = make(started=True)
    held = [asyncio.run(again.admit(CALLER, ask())) for _ in range(3)]
    assert all(each.open for each in held), "and they are made anew"
    for each in held:
        each.cancel()


def test_a_process_that_goes_on_without_its_limits_shows_none_of_their_budgets(
    home: Home, actor: Actor, make: Make
) -> None:
    put(home, actor, budget(100.0, "seen"))
    labels = "default", "default", "seen", "default", "total"
    limiter = make(started=True)
    asyncio.run(limiter.admit(CALLER, ask(0.1))).settle(0, 0, 0.1)
    limiter.lessor.flush()
    assert metrics.BUDGET_SPENT.value(*labels) == pytest.approx(0.1)
    limiter.close()
    assert metrics.BUDGET_SPENT.value(*labels) is None
    assert metrics.BUDGET_LIMIT.value(*labels) is None
