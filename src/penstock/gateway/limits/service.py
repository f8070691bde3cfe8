"""The verbs of limits and budgets. Every change bumps the revision topic `limits`; processes follow in a second."""

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

import msgspec

from penstock.core import clock, ids
from penstock.core.auth import service as auth
from penstock.core.changes import Change
from penstock.core.errors import Conflict, Denied, Invalid, NotFound
from penstock.core.scope import Actor
from penstock.core.suggest import did_you_mean
from penstock.core.uow import UnitOfWork
from penstock.gateway.limits import calendar
from penstock.gateway.limits.leasing import TOPIC
from penstock.gateway.limits.model import (
    EACH,
    AccountKey,
    Budget,
    NamedLimits,
    Period,
    RateLimits,
    Spend,
    SubjectKind,
    kind_of,
    period_of,
)
from penstock.gateway.limits.store import rules as store

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_LIMIT_KEYS = tuple(field.name for field in fields(RateLimits))
_BUDGET_KEYS = ("kind", "subject", "period", "usd", "soft", "hard")
T = TypeVar("T")


def _checked_subject(uow: UnitOfWork, actor: Actor, kind: SubjectKind, subject: str) -> tuple[str, str]:
    """Return (project the rule belongs to, subject); raises NotFound, Denied or Invalid."""
    scope = actor.scope
    if kind is SubjectKind.TENANT:
        _require_wide(actor, "the whole tenant")
        if subject not in ("", scope.tenant):
            raise NotFound(f"There is no tenant {subject!r} here.")
        return "", scope.tenant
    if kind is SubjectKind.PROJECT:
        if subject in ("", scope.project):
            return scope.project, scope.project
        _require_wide(actor, "another project")
        if subject != EACH:
            auth.enter_project(uow, actor, subject)
        return scope.project, subject
    if not 1 <= len(subject) <= 200 or not subject.isprintable():
        raise Invalid(f"A {kind} needs a name of 1 to 200 characters.", hint=f"{EACH} means each of them.")
    if kind is SubjectKind.KEY and subject != EACH:
        key = auth.get_key(uow, actor, key_id=subject)
        if key.any_project:
            _require_wide(actor, "a key of all projects")
    return scope.project, subject


def _require_wide(actor: Actor, what: str) -> None:
    if not actor.any_project:
        raise Denied(f"{actor.name} belongs to one project and cannot limit {what}.")


# -- rate limits -------------------------------------------------------------------------------------------


def put_limits(
    uow: UnitOfWork, actor: Actor, *, kind: SubjectKind, subject: str, limits: RateLimits
) -> NamedLimits | None:
    """Set the rate limits of a subject, all at once; limits without any figure remove them (and return None).

    Raises NotFound for an unknown key or project, Invalid for a wrong figure, Denied.
    """
    change, made = _planned_limits(uow, actor, kind, subject, limits)
    _write_limits(uow, actor, made, change)
    return None if made.limits.empty else made


def _planned_limits(
    uow: UnitOfWork, actor: Actor, kind: SubjectKind, subject: str, limits: RateLimits
) -> tuple[Change, NamedLimits]:
    uow.may(actor, "keys.admin" if kind is SubjectKind.KEY else "budgets.admin", subject)
    project, subject = _checked_subject(uow, actor, kind, subject)
    old = store.get_limits(uow.conn, actor.scope, kind, subject)
    made = NamedLimits(
        id=old.id if old else ids.new_id("lim"),
        tenant=actor.scope.tenant,
        project=old.project if old else project,
        kind=kind,
        subject=subject,
        limits=limits.checked(),
        updated_at=clock.now(),
    )
    if (old.limits if old else RateLimits()) == limits:
        action = "unchanged"
    else:
        action = "delete" if limits.empty else "update" if old else "create"
    shown = [f"{name} {getattr(limits, name)}" for name in _LIMIT_KEYS if getattr(limits, name) is not None]
    return Change(action=action, kind="limits", name=f"{kind} {subject}", detail=", ".join(shown)), made


def _write_limits(uow: UnitOfWork, actor: Actor, made: NamedLimits, change: Change) -> None:
    if change.action == "unchanged":
        return
    if made.limits.empty:
        store.delete_limits(uow.conn, made)
    else:
        store.put_limits(uow.conn, made)
    uow.audit(actor, f"limits.{change.action}", change.name, **msgspec.to_builtins(made.limits))
    uow.bump(TOPIC)


def get_limits(uow: UnitOfWork, actor: Actor, *, kind: SubjectKind, subject: str) -> RateLimits:
    """Return the rate limits of a subject, all None where there are none; raises NotFound for an unknown key."""
    uow.may(actor, "keys.read" if kind is SubjectKind.KEY else "budgets.read", subject)
    if kind is SubjectKind.KEY and subject != EACH:
        auth.get_key(uow, actor, key_id=subject)
    found = store.get_limits(uow.conn, actor.scope, kind, subject)
    return RateLimits() if found is None else found.limits


def list_limits(uow: UnitOfWork, actor: Actor) -> list[NamedLimits]:
    """Return the rate limits the project sees."""
    uow.may(actor, "budgets.read")
    return store.list_limits(uow.conn, actor.scope)


# -- budgets -----------------------------------------------------------------------------------------------


def put_budget(uow: UnitOfWork, actor: Actor, budget: Budget) -> Budget:
    """Make or change a budget by its name. What was spent in the period stays spent.

    `tenant`, `project` and `id` are filled in. Raises Invalid, NotFound for an unknown key or project, Conflict when
    the name belongs to a budget of another kind or subject, Denied.
    """
    change, made = _planned_budget(uow, actor, budget)
    _write_budget(uow, actor, made, change)
    return made


def _planned_budget(uow: UnitOfWork, actor: Actor, budget: Budget) -> tuple[Change, Budget]:
    uow.may(actor, "budgets.admin", budget.name)
    if not _NAME.fullmatch(budget.name):
        raise Invalid(
            f"{budget.name!r} is not a budget name.",
            hint="Use lower-case letters, digits, - and _, at most 63.",
        )
    project, subject = _checked_subject(uow, actor, budget.kind, budget.subject)
    old = store.get_budget(uow.conn, actor.scope, budget.name)
    if old is not None and (old.kind, old.subject) != (budget.kind, subject):
        raise Conflict(
            f"The budget {budget.name!r} is for {old.kind} {old.subject}.",
            hint="Delete it first, or choose a name.",
        )
    made = replace(
        budget,
        id=old.id if old else ids.new_id("bdg"),
        tenant=actor.scope.tenant,
        project=project if old is None else old.project,
        subject=subject,
        soft=tuple(sorted(set(budget.soft))),
        usd=float(budget.usd),
        updated_at=clock.now(),
    ).checked()
    same = old is not None and replace(made, updated_at=old.updated_at) == old
    action = "unchanged" if same else "update" if old else "create"
    detail = f"${made.usd:g} per {made.period} for {made.kind} {made.subject}"
    if made.period is Period.TOTAL:
        detail = f"${made.usd:g} in total for {made.kind} {made.subject}"
    return Change(action=action, kind="budget", name=made.name, detail=detail), made


def _write_budget(uow: UnitOfWork, actor: Actor, made: Budget, change: Change) -> None:
    if change.action == "unchanged":
        return
    old = store.get_budget(uow.conn, actor.scope, made.name)
    store.put_budget(uow.conn, made)
    if old is not None and made.usd > old.usd:
        store.rearm(uow.conn, made)
    uow.audit(actor, f"budgets.{change.action}", made.name, detail=change.detail, hard=made.hard)
    uow.bump(TOPIC)


def get_budget(uow: UnitOfWork, actor: Actor, name: str) -> Budget:
    """Return a budget; raises NotFound with a suggestion."""
    uow.may(actor, "budgets.read", name)
    found = store.get_budget(uow.conn, actor.scope, name)
    if found is None:
        known = [budget.name for budget in store.list_budgets(uow.conn, actor.scope)]
        raise NotFound(f"There is no budget {name!r}.", hint=did_you_mean(name, known))
    return found


def list_budgets(uow: UnitOfWork, actor: Actor) -> list[Spend]:
    """Return the budgets the project sees with what is spent, reserved and left in the present period.

    Of a budget for each (`*`) the figures are those of the subject that spent most; `spends` has them all.
    """
    uow.may(actor, "budgets.read")
    return [_state(uow, budget) for budget in store.list_budgets(uow.conn, actor.scope)]


def spend_of(uow: UnitOfWork, actor: Actor, name: str) -> Spend:
    """Return the state of one budget, as `list_budgets` does."""
    return _state(uow, get_budget(uow, actor, name))


def spends(uow: UnitOfWork, actor: Actor, name: str) -> list[Spend]:
    """Return what each subject of a budget has spent in the present period, the largest first (at most 1000)."""
    budget = get_budget(uow, actor, name)
    return store.spends(uow.conn, budget, calendar.period_key(budget.period, clock.now_ns()))


def _state(uow: UnitOfWork, budget: Budget) -> Spend:
    period = calendar.period_key(budget.period, clock.now_ns())
    if budget.subject == EACH:
        found = store.spends(uow.conn, budget, period, limit=1)
        if found:
            return found[0]
    return store.spend_of(uow.conn, [budget], [AccountKey(budget.id, budget.subject, period)])[0]


def delete_budget(uow: UnitOfWork, actor: Actor, name: str) -> None:
    """Delete a budget and what was counted for it; raises NotFound."""
    uow.may(actor, "budgets.admin", name)
    budget = get_budget(uow, actor, name)
    if not budget.project:
        _require_wide(actor, "the whole tenant")
    store.delete_budget(uow.conn, budget)
    uow.audit(actor, "budgets.delete", name, usd=budget.usd)
    uow.bump(TOPIC)


# -- configuration as code ---------------------------------------------------------------------------------


def plan(uow: UnitOfWork, actor: Actor, tables: Mapping[str, Any]) -> list[Change]:
    """Return what `apply` would do, having validated everything and written nothing."""
    return [change for change, _ in _planned(uow, actor, tables)]


def apply(uow: UnitOfWork, actor: Actor, tables: Mapping[str, Any]) -> list[Change]:
    """Bring limits and budgets to the tables `{"limits": {NAME: …}, "budgets": {NAME: …}}` of a configuration file.

    A table `[limits.NAME]` holds `kind`, `subject` and figures; its name is for people. Validates everything before
    it writes anything; what the file does not name stays. Raises Invalid naming the table.
    """
    planned = _planned(uow, actor, tables)
    for change, made in planned:
        if isinstance(made, Budget):
            _write_budget(uow, actor, made, change)
        else:
            _write_limits(uow, actor, made, change)
    return [change for change, _ in planned]


def _planned(
    uow: UnitOfWork, actor: Actor, tables: Mapping[str, Any]
) -> list[tuple[Change, NamedLimits | Budget]]:
    out: list[tuple[Change, NamedLimits | Budget]] = []
    for name, table in tables.get("limits", {}).items():
        where = f"[limits.{name}]"
        kind, subject = _head(where, table, ("kind", "subject", *_LIMIT_KEYS))
        limits = _read(where, {key: table[key] for key in _LIMIT_KEYS if key in table}, RateLimits)
        out.append(_planned_limits(uow, actor, kind, subject, limits))
    for name, table in tables.get("budgets", {}).items():
        where = f"[budgets.{name}]"
        kind, subject = _head(where, table, _BUDGET_KEYS)
        if "usd" not in table:
            raise Invalid(f"{where} needs usd.")
        rest = {key: value for key, value in table.items() if key not in ("kind", "subject")}
        period = period_of(str(rest.pop("period", "month")))
        fixed = {"name": name, "kind": kind, "subject": subject, "period": period}
        out.append(_planned_budget(uow, actor, _read(where, {**rest, **fixed}, Budget)))
    return out


def _head(where: str, table: Any, known: tuple[str, ...]) -> tuple[SubjectKind, str]:
    if not isinstance(table, Mapping):
        raise Invalid(f"{where} must be a table.")
    for key in table:
        if key not in known:
            raise Invalid(f"{where} has the unknown key {key!r}.", hint=did_you_mean(key, known))
    kind = kind_of(str(table.get("kind", "project")))
    subject = table.get("subject", "")
    if not isinstance(subject, str):
        raise Invalid(f"{where} subject must be a string.")
    return kind, subject


def _read(where: str, table: Mapping[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(dict(table), kind)
    except msgspec.ValidationError as error:
        raise Invalid(f"{where} is not right: {error}.") from error
