"""Permissions: what each role may do, and checks that upper slices add.

An action is `<noun>.<verb>`, for example `prompts.write`. The verbs `read`, `write`, `admin` and `call`
map to the lowest role that may do them; a registered check may refuse what a role would allow
(an approval that is missing, say), never allow what it forbids.
"""

from collections.abc import Callable
from typing import Any

from penstock.core.errors import Denied
from penstock.core.scope import Actor, Role

LOWEST_ROLE = {"call": Role.GATEWAY, "read": Role.VIEWER, "write": Role.MEMBER, "admin": Role.ADMIN}

Check = Callable[[Any, Actor, str, str], str | None]
"""(unit of work, actor, action, resource) → why not, or None."""

_checks: dict[str, list[Check]] = {}


def register(action: str, check: Check) -> None:
    """Ask `check` whenever `action` is about to happen, once however often it is registered; see app/policies.py."""
    checks = _checks.setdefault(action, [])
    if check not in checks:
        checks.append(check)


def asked(action: str) -> bool:
    """Whether any check is registered for `action`: who depends on one refuses when nobody answers."""
    return bool(_checks.get(action))


def refusals(uow: Any, actor: Actor, action: str, resource: str = "") -> list[str]:
    """Return every registered check's reason against `action` on `resource`, whatever the role; none: nobody minds."""
    reasons = (check(uow, actor, action, resource) for check in _checks.get(action, ()))
    return [reason for reason in reasons if reason is not None]


def clear() -> None:
    """Forget all registered checks: for tests and for building a second app in one process."""
    _checks.clear()


def require(uow: Any, actor: Actor, action: str, resource: str = "") -> None:
    """Raise Denied unless `actor` may do `action` on `resource`."""
    needed = LOWEST_ROLE[action.rpartition(".")[2]]
    if actor.role.rank < needed.rank:
        raise Denied(
            f"{actor.name} ({actor.role}) may not do {action}; it needs the role {needed} or above.",
            hint="Ask an owner for a key or role that allows it.",
        )
    for reason in refusals(uow, actor, action, resource):
        raise Denied(reason)
