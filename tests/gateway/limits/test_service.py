"""Setting limits and budgets: who may, what is refused, what configuration files do."""

from typing import Any

import pytest

from penstock.core.auth import service as auth
from penstock.core.errors import Conflict, Denied, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor, Role, Scope
from penstock.gateway.limits import service
from penstock.gateway.limits.model import Period, RateLimits, SubjectKind
from tests.gateway.limits.conftest import budget, put, spend

KEY = SubjectKind.KEY


def test_a_keys_limits_are_set_changed_and_removed(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        key, _ = auth.create_key(uow, actor, name="k")
        figures = RateLimits(requests_per_minute=5, concurrent=2)
        made = service.put_limits(uow, actor, kind=KEY, subject=key.id, limits=figures)
        assert made is not None
        again = service.put_limits(uow, actor, kind=KEY, subject=key.id, limits=RateLimits(concurrent=1))
        assert again is not None and again.id == made.id
        assert service.get_limits(uow, actor, kind=KEY, subject=key.id) == RateLimits(concurrent=1)
        assert [named.subject for named in service.list_limits(uow, actor)] == [key.id]
        assert service.put_limits(uow, actor, kind=KEY, subject=key.id, limits=RateLimits()) is None
        assert service.get_limits(uow, actor, kind=KEY, subject=key.id).empty
        with pytest.raises(NotFound):
            service.put_limits(uow, actor, kind=KEY, subject="key_none", limits=figures)
        with pytest.raises(Invalid, match="from 1"):
            service.put_limits(uow, actor, kind=KEY, subject=key.id, limits=RateLimits(concurrent=0))


def test_a_budget_keeps_its_id_and_its_subject(home: Home, actor: Actor) -> None:
    first = put(home, actor, budget(1.0))
    assert put(home, actor, budget(2.0, period=Period.DAY)).id == first.id
    with pytest.raises(Conflict, match="is for project"):
        put(home, actor, budget(1.0, kind=SubjectKind.USER, subject="ann"))
    with home.begin() as uow:
        assert [s.budget.usd for s in service.list_budgets(uow, actor)] == [2.0]
        service.delete_budget(uow, actor, "cap")
        with pytest.raises(NotFound):
            service.delete_budget(uow, actor, "cap")


@pytest.mark.parametrize(
    "wrong",
    [
        {"usd": 0.0},
        {"usd": float("nan")},
        {"soft": (1.5,)},
        {"name": "Bad Name"},
        {"kind": SubjectKind.USER, "subject": ""},
    ],
)
def test_wrong_budgets_are_refused(home: Home, actor: Actor, wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        put(home, actor, budget(**{"usd": 1.0, **wrong}))


def test_one_project_never_reaches_into_another(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        auth.create_project(uow, actor, name="other")
        key, _ = auth.create_key(uow, actor, name="mine")
        wide, _ = auth.create_key(uow, actor, name="wide", any_project=True)
    put(home, actor, budget(1.0))
    put(home, actor, budget(9.0, name="all", kind=SubjectKind.TENANT))
    bound = Actor(id="key_b", name="b", role=Role.ADMIN, scope=Scope("default", "other"))
    stranger = Actor(id="key_s", name="s", role=Role.OWNER, scope=Scope("else"), any_project=True)
    with home.begin() as uow:
        assert [s.budget.name for s in service.list_budgets(uow, bound)] == ["all"]
        assert service.list_budgets(uow, stranger) == []
        for who in (bound, stranger):
            with pytest.raises(NotFound):
                service.put_limits(uow, who, kind=KEY, subject=key.id, limits=RateLimits(concurrent=1))
            with pytest.raises(NotFound):
                service.get_limits(uow, who, kind=KEY, subject=key.id)
            with pytest.raises(NotFound):
                service.delete_budget(uow, who, "cap")
        for kind, subject in ((KEY, wide.id), (SubjectKind.PROJECT, "default"), (SubjectKind.TENANT, "")):
            with pytest.raises(Denied, match="cannot limit"):
                service.put_limits(uow, bound, kind=kind, subject=subject, limits=RateLimits(concurrent=1))
        with pytest.raises(Denied):
            service.delete_budget(uow, bound, "all")
        with pytest.raises(Denied):
            service.put_budget(uow, Actor(id="m", name="m", role=Role.MEMBER), budget(5.0))


TABLES = {
    "limits": {"everyone": {"kind": "key", "subject": "*", "requests_per_minute": 60}},
    "budgets": {
        "cap": {"usd": 5, "period": "day", "soft": [0.5, 0.9]},
        "ann": {"usd": 1, "kind": "user", "subject": "ann"},
    },
}


def test_a_file_is_applied_once_and_as_a_whole(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        assert [c.action for c in service.plan(uow, actor, TABLES)] == ["create"] * 3
        assert service.list_budgets(uow, actor) == []
        service.apply(uow, actor, TABLES)
        assert [c.action for c in service.apply(uow, actor, TABLES)] == ["unchanged"] * 3
    assert spend(home, actor).budget.period is Period.DAY
    broken: dict[str, Any] = {"budgets": {"fresh": {"usd": 1}, "cap": {"usd": 7, "perod": "day"}}}
    with home.begin() as uow, pytest.raises(Invalid, match="period"):
        service.apply(uow, actor, broken)
    with home.begin() as uow:
        assert {s.budget.name: s.budget.usd for s in service.list_budgets(uow, actor)} == {
            "ann": 1.0,
            "cap": 5.0,
        }


@pytest.mark.parametrize(
    "tables",
    [
        {"limits": {"x": {"kind": "keys", "subject": "*"}}},
        {"limits": {"x": {"kind": "key", "subject": "*", "requests_per_minute": "many"}}},
        {"limits": {"x": 1}},
        {"budgets": {"x": {"period": "week", "usd": 1}}},
        {"budgets": {"x": {"period": "day"}}},
        {"budgets": {"x": {"usd": "much"}}},
    ],
)
def test_wrong_tables_are_refused(home: Home, actor: Actor, tables: dict[str, Any]) -> None:
    with home.begin() as uow, pytest.raises(Invalid):
        service.apply(uow, actor, tables)
