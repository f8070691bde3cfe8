"""An end user is forgotten: alerts and what is over at once, running periods at their end, `total` by hand."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient

from penstock.app.subjects import HANDLERS as SUBJECTS
from penstock.app.work import JOB_HANDLERS, SUBSCRIBERS
from penstock.core import clock, subjects
from penstock.core.errors import Conflict, Denied, NotFound
from penstock.core.events import Dispatcher
from penstock.core.events.outbox import outbox
from penstock.core.home import Home
from penstock.core.jobs import Worker
from penstock.core.scope import Actor, Role
from penstock.core.subjects import Subject, SubjectKind
from penstock.gateway import forgetting
from penstock.gateway.alerting import service as alerts
from penstock.gateway.limits import forgetting as accounts
from penstock.gateway.limits import service
from penstock.gateway.limits.events import BudgetAlerted
from penstock.gateway.limits.limiter import Limiter
from penstock.gateway.limits.model import Period
from penstock.gateway.limits.model import SubjectKind as Kind
from penstock.gateway.limits.store import ledger
from penstock.gateway.limits.ticket import Ticket
from tests.gateway.limits.conftest import CALLER, Make, ask, budget, limit, make, patient, put

__all__ = ["make", "patient"]
pytestmark = pytest.mark.usefixtures("patient")
ANNI = Subject(SubjectKind.USER, "anni")


class Calendar:
    """The moment, moved by hand."""

    def __init__(self) -> None:
        self.at = clock.now().replace(day=10, hour=12)

    def go_on(self, **by: float) -> None:
        self.at += timedelta(**by)


@pytest.fixture
def calendar(monkeypatch: pytest.MonkeyPatch) -> Calendar:
    found = Calendar()
    monkeypatch.setattr(clock, "now", lambda: found.at)
    monkeypatch.setattr(clock, "now_ns", lambda: clock.to_ns(found.at))
    return found


def use(limiter: Limiter, user: str, usd: float = 0.9) -> None:
    """Spend 90 cents, bring that to the ledger and give all leases back."""
    reserve(limiter, user, usd).settle(0, 0, usd)
    give_back(limiter)


def reserve(limiter: Limiter, user: str, usd: float) -> Ticket:
    return asyncio.run(limiter.admit(CALLER._replace(user=user), ask(usd)))


def give_back(limiter: Limiter) -> None:
    for _ in range(2):
        limiter.lessor.flush()
        limiter._tidy()
    limiter.lessor.flush()


def work(home: Home) -> None:
    """Do what the background process does, until nothing is due."""
    while Dispatcher(home, SUBSCRIBERS).tick():
        pass
    while Worker(home, JOB_HANDLERS).tick():
        pass


def periods(home: Home, user: str = "anni") -> list[str]:
    query = select(ledger.accounts.c.period).where(ledger.accounts.c.subject == user)
    with home.read() as uow:
        return sorted(uow.conn.execute(query).scalars())


def told(home: Home, actor: Actor) -> list[str]:
    with home.read() as uow:
        return sorted(alert.subject for alert in alerts.list_alerts(uow, actor))


@pytest.fixture
def spent(home: Home, actor: Actor, make: Make, calendar: Calendar) -> Limiter:
    """Anni and Bob have spent of budgets by day, by month and in total, on two days."""
    for name, period in (("daily", Period.DAY), ("monthly", Period.MONTH), ("ever", Period.TOTAL)):
        put(home, actor, budget(10.0, name, soft=(0.05,), period=period, kind=Kind.USER, subject="*"))
    limiter = make(started=True)
    for _ in range(2):
        for user in ("anni", "bob"):
            use(limiter, user)
        calendar.go_on(days=1)
    calendar.go_on(days=-1)
    work(home)
    return limiter


def test_alerts_and_what_is_over_go_at_once_and_the_rest_when_its_period_ends(
    home: Home, actor: Actor, spent: Limiter, calendar: Calendar
) -> None:
    today, month = calendar.at.date().isoformat(), calendar.at.date().isoformat()[:7]
    before = told(home, actor)
    assert before.count("anni") == before.count("bob") == 4
    dry = subjects.erase(home, actor, SUBJECTS, ANNI, dry_run=True)
    assert dry.removed["gateway"] == {"alerts": 4, "accounts": 1} and told(home, actor) == before
    done = subjects.erase(home, actor, SUBJECTS, ANNI)
    assert done.removed["gateway"] == {"alerts": 4, "accounts": 1}
    assert (told(home, actor), periods(home)) == (["bob"] * 4, [month, today, "total"])
    with home.read() as uow:
        kept = repr(
            [
                *uow.conn.execute(select(outbox.c.data)),
                *uow.conn.exec_driver_sql("SELECT spec FROM core_jobs"),
            ]
        )
        audited = repr(uow.conn.exec_driver_sql("SELECT detail FROM core_audit").all())
    assert "bob" in kept and "anni" not in kept and "anni" not in audited
    work(home)
    assert periods(home) == [month, today, "total"], "deleting them would give a new allowance"
    calendar.go_on(days=1)
    work(home)
    assert periods(home) == [month, "total"]
    calendar.go_on(days=30)
    work(home)
    assert periods(home) == ["total"] and len(periods(home, "bob")) == 4
    again = subjects.erase(home, actor, SUBJECTS, ANNI)
    assert again.removed["gateway"] == {"alerts": 0, "accounts": 0}


def test_what_the_user_spends_later_is_new(
    home: Home, actor: Actor, spent: Limiter, calendar: Calendar
) -> None:
    subjects.erase(home, actor, SUBJECTS, ANNI)
    calendar.go_on(days=1)
    use(spent, "anni")
    work(home)
    later = calendar.at.date().isoformat()
    assert later in periods(home) and told(home, actor).count("anni") == 1
    calendar.go_on(days=40)
    work(home)
    assert periods(home) == [later, "total"] and told(home, actor).count("anni") == 1


def test_what_a_process_holds_waits_for_it(home: Home, actor: Actor, make: Make, calendar: Calendar) -> None:
    put(home, actor, budget(10.0, period=Period.DAY, kind=Kind.USER, subject="*"))
    limit(home, actor, kind=Kind.USER, subject="*", concurrent=3)
    limiter = make(started=True)
    use(limiter, "anni")
    calendar.go_on(days=1)
    use(limiter, "bob")
    first = calendar.at.date().isoformat()
    ticket = reserve(limiter, "anni", 0.1)
    limiter.lessor.flush()
    assert forgetting.forget(home, actor, "anni") == (0, 1)
    assert sorted(periods(home)) == [first, "slots"]
    calendar.go_on(days=1)
    work(home)
    assert first in periods(home), "a call over midnight is spent where it was reserved"
    ticket.settle(0, 0, 0.1)
    give_back(limiter)
    calendar.go_on(seconds=forgetting.AGAIN_SECONDS + 1)
    work(home)
    assert first not in periods(home)


def test_an_alert_that_was_being_told_goes_a_little_later(
    home: Home, actor: Actor, spent: Limiter, calendar: Calendar
) -> None:
    told_of = {"budget": "daily", "kind": "user", "subject": "anni", "period": "2020-01-01"}
    with home.begin() as uow:
        uow.publish(BudgetAlerted(**told_of, fraction=0.5, spent_usd=5.0, limit_usd=10.0), actor.scope)
    with home.read() as uow:
        (row,) = uow.conn.execute(select(outbox).where(outbox.c.state == "new")).all()
    forgetting.forget(home, actor, "anni")
    Dispatcher(home, SUBSCRIBERS)._deliver(row)
    assert told(home, actor).count("anni") == 1, "it was on its way"
    calendar.go_on(seconds=forgetting.SETTLED_SECONDS + 1)
    work(home)
    assert told(home, actor).count("anni") == 0


def test_an_erasure_that_is_cut_short_leaves_nothing_half_done(
    home: Home, actor: Actor, spent: Limiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object) -> int:
        raise RuntimeError("killed")

    before, held = told(home, actor), periods(home)
    with monkeypatch.context() as patched:
        patched.setattr(accounts, "forget", cut)
        with pytest.raises(RuntimeError):
            forgetting.forget(home, actor, "anni")
    assert (told(home, actor), periods(home)) == (before, held)
    assert forgetting.forget(home, actor, "anni") == (4, 1)


def test_one_account_is_forgotten_by_hand(
    home: Home, actor: Actor, spent: Limiter, calendar: Calendar
) -> None:
    with home.begin() as uow:
        service.delete_budget(uow, actor, "daily")
        service.delete_budget(uow, actor, "monthly")
    use(spent, "anni", usd=7.0)

    def forget(name: str = "ever", user: str = "anni", by: Actor = actor) -> int:
        with home.begin() as uow:
            return accounts.forget_account(uow, by, name, user)

    with pytest.raises(Denied):
        forget(by=Actor(id="m", name="m", role=Role.MEMBER))
    with pytest.raises(NotFound, match="no account"):
        forget(user="eve")
    put(home, actor, budget(10.0, "whole"))
    with pytest.raises(Conflict, match="not for users"):
        forget("whole", "default")
    assert forget() == 1 and "total" not in periods(home)
    use(spent, "anni", usd=9.0)
    with home.read() as uow:
        (mine,) = [each for each in service.spends(uow, actor, "ever") if each.subject == "anni"]
        audited = repr(uow.conn.exec_driver_sql("SELECT action, detail FROM core_audit").all())
    assert mine.spent == pytest.approx(9.0), "all of it was there again"
    assert "budgets.forget" in audited and "anni" not in audited


def test_what_a_process_holds_is_not_forgotten_by_hand(home: Home, actor: Actor, make: Make) -> None:
    put(home, actor, budget(10.0, kind=Kind.USER, subject="*"))
    limiter = make(started=True)
    ticket = reserve(limiter, "anni", 0.1)
    with home.begin() as uow, pytest.raises(Conflict, match="holds something"):
        accounts.forget_account(uow, actor, "cap", "anni")
    ticket.cancel()


def test_forgetting_over_http(client: TestClient, home: Home, actor: Actor, make: Make) -> None:
    put(home, actor, budget(10.0, kind=Kind.USER, subject="*"))
    limiter = make(started=True)
    use(limiter, "a/b@c")
    url = "/api/v1/budgets/cap/subjects/a%2Fb@c"
    assert client.delete(url).status_code == 204
    assert client.delete(url).status_code == 404
    assert periods(home, "a/b@c") == []
