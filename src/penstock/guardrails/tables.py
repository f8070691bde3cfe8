"""Policies as tables of TOML or JSON."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean
from penstock.guardrails.model import GuardConfig, Rules

RULES = ("description", "order", "routes", "keys", "record", "guards")
GUARD = ("kind", "name", "stage", "action", "on_error", "options")


def rules_from_table(name: str, table: Any) -> Rules:
    """Return the rules of a `[guardrails.NAME]` table; raises Invalid, naming what is wrong."""
    what = f"The policy {name!r}"
    _known(what, table, RULES)
    guards = table.get("guards")
    if not isinstance(guards, Sequence) or isinstance(guards, str):
        raise Invalid(f"{what} needs guards.", hint=f'[[guardrails.{name}.guards]] with kind = "pii"')
    for number, guard in enumerate(guards, 1):
        _known(f"{what}: guard {number}", guard, GUARD)
    try:
        return msgspec.convert(dict(table), Rules)
    except msgspec.ValidationError as error:
        raise Invalid(f"{what} is not right: {error}.") from error


def _known(what: str, table: Any, names: Sequence[str]) -> None:
    if not isinstance(table, Mapping):
        raise Invalid(f"{what} must be a table.")
    for name in table:
        if name not in names:
            raise Invalid(f"{what} has no member {name!r}.", hint=did_you_mean(str(name), names))


def table_of(rules: Rules) -> dict[str, Any]:
    """Return the table that `rules_from_table` reads back; what nobody chose is left out."""
    found: dict[str, Any] = msgspec.to_builtins(rules)
    found["guards"] = [_guard(guard) for guard in rules.guards]
    return found


def _guard(guard: GuardConfig) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(guard)
    return {name: value for name, value in found.items() if value not in ("", None, {})}
