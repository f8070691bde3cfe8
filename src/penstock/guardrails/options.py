"""Reading a guard's options: every key known, every type right."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import re2

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean
from penstock.guardrails.ahead import beginnings
from penstock.guardrails.ports import Rule

MAX_PATTERN = 1_000
MAX_LIST = 1_000


class Options:
    """A guard's options as they are read; `done` refuses what nobody asked for."""

    def __init__(self, kind: str, given: Mapping[str, Any]) -> None:
        self._kind = kind
        self._given = given
        self._known: list[str] = []

    def _take(self, name: str) -> Any:
        self._known.append(name)
        return self._given.get(name)

    def bad(self, name: str, what: str) -> Invalid:
        """Return the error that option `name` must be `what`."""
        return Invalid(f"The option {name} of the guard {self._kind} must be {what}.")

    def texts(self, name: str, default: Sequence[str] = ()) -> tuple[str, ...]:
        """Return a list of non-empty strings."""
        found = self._take(name)
        if found is None:
            return tuple(default)
        good = isinstance(found, Sequence) and not isinstance(found, str) and len(found) <= MAX_LIST
        if not good or not all(isinstance(each, str) and 0 < len(each) <= MAX_PATTERN for each in found):
            raise self.bad(name, f"a list of at most {MAX_LIST} strings of 1 to {MAX_PATTERN} characters")
        return tuple(found)

    def text(self, name: str, default: str = "") -> str:
        """Return a string."""
        found = self._take(name)
        if found is not None and not isinstance(found, str):
            raise self.bad(name, "a string")
        return default if found is None else found

    def choice(self, name: str, among: Sequence[str]) -> str:
        """Return one of `among`; the first when it is not given."""
        found = self.text(name, among[0])
        if found not in among:
            raise self.bad(name, f"one of {', '.join(among)}")
        return found

    def flag(self, name: str, default: bool = False) -> bool:
        """Return true or false."""
        found = self._take(name)
        if found is not None and not isinstance(found, bool):
            raise self.bad(name, "true or false")
        return default if found is None else found

    def number(self, name: str, default: float, *, least: float = 0, most: float = 1e12) -> float:
        """Return a number within bounds."""
        found = self._take(name)
        if found is None:
            return default
        if not isinstance(found, int | float) or isinstance(found, bool) or not least <= found <= most:
            raise self.bad(name, f"a number from {least:g} to {most:g}")
        return found

    def table(self, name: str) -> dict[str, Any] | None:
        """Return a table, or None when it is not given."""
        found = self._take(name)
        if found is not None and not isinstance(found, Mapping):
            raise self.bad(name, "a table")
        return None if found is None else dict(found)

    def done(self) -> None:
        """Raise Invalid for options that were not read."""
        for name in self._given:
            if name not in self._known:
                raise Invalid(
                    f"The guard {self._kind} has no option {name!r}.", hint=did_you_mean(name, self._known)
                )


def user_pattern(text: str) -> Any:
    """Return a pattern that a person gave, in RE2: linear time, whatever it says. Raises Invalid."""
    if "[[:" in text:
        raise Invalid(f"{text[:80]!r}: write out character classes such as [[:alpha:]].", hint="[A-Za-z]")
    try:
        found = re2.compile(text, _quiet())
        beginnings(text)
        return found
    except (re2.error, re.error) as error:
        raise Invalid(
            f"{text[:80]!r} is not a pattern that RE2 takes: {_said(error)}.",
            hint="RE2 has no look-around and no back references: https://github.com/google/re2/wiki/Syntax",
        ) from error


def _quiet() -> Any:
    options = re2.Options()
    options.log_errors = False
    return options


def _said(error: Exception) -> str:
    told = error.args[0] if error.args else ""
    return told.decode(errors="replace") if isinstance(told, bytes) else str(told)


def user_rules(patterns: Sequence[str]) -> tuple[Rule, ...]:
    """Return rules for patterns that a person gave."""
    return tuple(
        Rule(f"pattern_{number}", pattern, user_pattern(pattern))
        for number, pattern in enumerate(patterns, 1)
    )
