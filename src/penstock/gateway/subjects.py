"""The gateway's part of erasing and exporting a person: alerts about a user's budgets, accounts of what was spent."""

from collections.abc import Iterator, Mapping

import msgspec

from penstock.core import clock
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.subjects import Handler, Record, Subject, SubjectKind, Thing
from penstock.gateway import forgetting
from penstock.gateway.limits import forgetting as accounts
from penstock.gateway.limits.model import NANO


def _erase(home: Home, actor: Actor, subject: Subject, dry_run: bool) -> Mapping[str, int]:
    user, told, gone = subject.named(SubjectKind.USER), 0, 0
    if user is not None and dry_run:
        with home.read() as uow:
            alerts, held = forgetting.found(uow, actor, user)
        told, gone = len(alerts), len(accounts.going(held, up_to=clock.now()))
    elif user is not None:
        told, gone = forgetting.forget(home, actor, user)
    return {"alerts": told, "accounts": gone}


def _export(home: Home, actor: Actor, subject: Subject) -> Iterator[Record]:
    user = subject.named(SubjectKind.USER)
    if user is None:
        return
    with home.read() as uow:
        alerts, held = forgetting.found(uow, actor, user)
    for alert in alerts:
        yield Record("alert", msgspec.to_builtins(alert))
    for one in held:
        if one.budget is not None:
            spent = {
                "budget": one.budget,
                "user": user,
                "period": one.key.period,
                "spent_usd": one.spent / NANO,
            }
            yield Record("account", spent)


def _things(home: Home, actor: Actor, subject: Subject) -> list[Thing]:  # noqa: ARG001 - a Handler's signature
    return []


HANDLER = Handler(name="gateway", erase=_erase, export=_export, things=_things)
