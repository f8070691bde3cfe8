"""Providers and routes as tables of a configuration file: every key known, every type right."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import msgspec

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean
from penstock.gateway.model import Arm, Breaker, Route, Shadow, Target

PROVIDER_KEYS = ("kind", "base_url", "api_key", "options")
TEXTS = frozenset({"kind", "base_url", "strategy", "provider", "model", "route", "name", "sticky_by"})
TABLES = frozenset({"options", "breaker", "shadow", "params"})


def _keys(noun: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(noun))


def check_table(where: str, table: Any, known: Sequence[str], *, required: str) -> None:
    """Raise Invalid, naming the table, unless it is one with known keys; `required` is a key it must have."""
    if not isinstance(table, Mapping):
        raise Invalid(f"{where} must be a table.")
    for key, value in table.items():
        if key not in known:
            raise Invalid(f"{where} has the unknown key {key!r}.", hint=did_you_mean(key, known))
        if key in TEXTS and not isinstance(value, str):
            raise Invalid(f"{where} {key} must be a string.")
        if key in TABLES and not isinstance(value, Mapping):
            raise Invalid(f"{where} {key} must be a table.")
    if required and required not in table:
        raise Invalid(f"{where} needs {required}.")


def route_from_table(name: str, table: Any) -> Route:
    """Return the route that a configuration table describes; raises Invalid naming the table."""
    where = f"[routes.{name}]"
    arms = isinstance(table, Mapping) and bool(table.get("arms"))
    check_table(where, table, _keys(Route), required="" if arms else "targets")
    _check_targets(where, table.get("targets", ()))
    for index, arm in enumerate(_list(f"{where} arms", table.get("arms", ()))):
        check_table(f"{where} arms[{index}]", arm, _keys(Arm), required="targets")
        _check_targets(f"{where} arms[{index}]", arm["targets"])
    if "breaker" in table:
        check_table(f"{where} breaker", table["breaker"], _keys(Breaker), required="")
    if "shadow" in table:
        check_table(f"{where} shadow", table["shadow"], _keys(Shadow), required="provider")
    try:
        return msgspec.convert({"strategy": "weighted", "targets": (), **table}, Route)
    except msgspec.ValidationError as error:
        raise Invalid(f"{where} is not right: {error}.") from error


def _list(where: str, given: Any) -> Sequence[Any]:
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise Invalid(f"{where} must be a list of tables.")
    return given


def _check_targets(where: str, given: Any) -> None:
    for index, target in enumerate(_list(f"{where} targets", given)):
        nested = isinstance(target, Mapping) and "route" in target
        check_table(f"{where} targets[{index}]", target, _keys(Target), required="" if nested else "provider")
