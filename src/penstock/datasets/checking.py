"""Holding rows against expectations, one at a time and in bounded memory."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import re2

from penstock.core import clock
from penstock.core.errors import Invalid
from penstock.core.pii import Detector
from penstock.datasets import expectations as nouns
from penstock.datasets.expectations import AnyCheck, Expectations, Outcome, Verdict, columns_of, label
from penstock.datasets.keys import KeyFile, Repeats
from penstock.datasets.model import Column, ColumnType, Row
from penstock.datasets.splits import moment_of
from penstock.datasets.spool import canonical
from penstock.datasets.store.conditions import Expression

EXAMPLES = 5
_EXCERPT = 160
_TYPES: dict[ColumnType, tuple[type, ...]] = {
    ColumnType.STRING: (str,),
    ColumnType.INTEGER: (int,),
    ColumnType.NUMBER: (int, float),
    ColumnType.BOOLEAN: (bool,),
    ColumnType.JSON: (object,),
}

Meets = Callable[[Row], bool]


class Checker:
    """Looks at rows once, in order; `finish` tells what became of each check."""

    def __init__(self, given: Expectations, folder: Path, stack: ExitStack) -> None:
        self.given = given
        self.verdicts = [
            _Tally(given, check, folder / f"check-{n}", stack) for n, check in enumerate(given.checks)
        ]
        self.rows = self.quarantined = 0
        self._seen: set[str] = set()
        self._mask = Detector()

    def knows(self, position: int, row: Row) -> None:
        """Look at a row that is registered already: new rows may not repeat it, and it counts among all rows."""
        self.rows += 1
        self._seen.update(row)
        for tally in self.verdicts:
            tally.whole(row)
            tally.remember(position, row)

    def accepts(self, position: int, line: int, row: Row) -> str:
        """Look at a row that would get `position`; returns why it has to be quarantined, or an empty text."""
        self._seen.update(row)
        reasons = []
        for tally in self.verdicts:
            if not tally.row(row):
                tally.example(line, row, self._mask)
                if tally.action == "quarantine":
                    reasons.append(tally.label)
        if reasons:
            self.quarantined += 1
            return "; ".join(reasons)
        self.rows += 1
        for tally in self.verdicts:
            tally.whole(row)
            tally.remember(position, row)
        return ""

    def repeated(self) -> dict[str, Repeats]:
        """Return label → rows that repeat an earlier row where that is to be quarantined; counts all repetitions."""
        found = {}
        for tally in self.verdicts:
            repeats = tally.repeats()
            if repeats is not None and tally.action == "quarantine" and len(repeats):
                found[tally.label] = repeats
        dropped = {int(position) for repeats in found.values() for position in repeats.positions}
        self.quarantined += len(dropped)
        self.rows -= len(dropped)
        return found

    def finish(self, columns: Sequence[Column]) -> Verdict:
        """Return what became of the checks; `columns` are those of the rows that were kept."""
        known = {column.name for column in columns} | self._seen
        return Verdict(
            outcomes=tuple(tally.outcome(self.rows, known) for tally in self.verdicts),
            rows=self.rows,
            quarantined=self.quarantined,
        )


@contextmanager
def checker(given: Expectations | None, folder: Path) -> Iterator[Checker | None]:
    """Yield a checker, or None when nothing is expected; its files in `folder` go when the block ends."""
    if given is None or not given.checks:
        yield None
        return
    with ExitStack() as stack:
        yield Checker(given, folder, stack)


class _Tally:
    """One check, and what it found so far."""

    def __init__(self, given: Expectations, check: AnyCheck, path: Path, stack: ExitStack) -> None:
        self.check = check
        self.action = given.action_of(check)
        self.plain = {k: v for k, v in msgspec.to_builtins(check).items() if k != "action"}
        self.label = label(self.plain)
        self.failed = self.looked = self.gaps = 0
        self.newest: float | None = None
        self.examples: list[dict[str, Any]] = []
        self.needs = columns_of(check)
        self.meets = _compiled(check)
        self._keys = None
        if isinstance(check, nouns.Condition):
            expression = stack.enter_context(Expression(check.sql))
            self.needs, self.meets = expression.columns, expression.holds
        if isinstance(check, nouns.Unique):
            self._keys = stack.enter_context(KeyFile(path.parent, path.name))

    def row(self, row: Row) -> bool:
        """Return whether the row, by itself, meets the check."""
        self.looked += 1
        if self.meets is None or self.meets(row):
            return True
        self.failed += 1
        return False

    def whole(self, row: Row) -> None:
        """Count the row for what is asked of all rows together."""
        if isinstance(self.check, nouns.Missing):
            self.gaps += row.get(self.check.column) in (None, "")
        elif isinstance(self.check, nouns.Freshness):
            moment = moment_of(row.get(self.check.column))
            if moment is not None and (self.newest is None or moment > self.newest):
                self.newest = moment

    def remember(self, position: int, row: Row) -> None:
        """Note the row's values if they have to be unique; rows without any value need not be."""
        if self._keys is not None and isinstance(self.check, nouns.Unique):
            values = {name: row.get(name) for name in self.check.columns}
            if any(value is not None for value in values.values()):
                self._keys.add(position, canonical(values))

    def repeats(self) -> Repeats | None:
        if self._keys is None:
            return None
        found = self._keys.repeats()
        self.failed = len(found)
        self.examples = [
            {"line": position + 1, "value": f"the same as row {first + 1}"}
            for position, first, _ in islice(found, EXAMPLES)
        ]
        return found

    def example(self, line: int, row: Row, mask: Detector) -> None:
        if len(self.examples) < EXAMPLES:
            shown = row.get(self.needs[0]) if len(self.needs) == 1 else {n: row.get(n) for n in self.needs}
            text = shown if isinstance(shown, str) else msgspec.json.encode(shown).decode()
            self.examples.append({"line": line, "value": mask.redact(text[: 4 * _EXCERPT])[0][:_EXCERPT]})

    def outcome(self, rows: int, known: set[str]) -> Outcome:
        absent = [name for name in self.needs if name not in known]
        reason = f"there is no column {absent[0]!r}" if absent else self._reason(rows, known)
        return Outcome(
            check=self.plain,
            action=self.action,
            met=not reason,
            failed=self.failed or int(bool(reason)),
            of=self.looked,
            reason=reason,
            examples=tuple(self.examples),
        )

    def _reason(self, rows: int, known: set[str]) -> str:
        check = self.check
        if isinstance(check, nouns.Columns):
            return _columns(check, known)
        if isinstance(check, nouns.RowCount):
            few, many = rows < check.min, check.max is not None and rows > check.max
            return f"{rows:,} rows" if few or many else ""
        if isinstance(check, nouns.Missing):
            share = self.gaps / rows if rows else 0.0
            return f"{share:.2%} of the rows have no value" if share > check.max else ""
        if isinstance(check, nouns.Freshness):
            return _staleness(check, self.newest)
        return f"{self.failed:,} rows" if self.failed else ""


def _columns(check: nouns.Columns, known: set[str]) -> str:
    absent = sorted(set(check.columns) - known)
    more = [] if check.extra else sorted(known - set(check.columns))
    told = [f"without {', '.join(absent)}"] if absent else []
    return "; ".join(told + ([f"with {', '.join(more)} besides"] if more else []))


def _staleness(check: nouns.Freshness, newest: float | None) -> str:
    if newest is None:
        return "no row has a moment"
    hours = (clock.now().timestamp() - newest) / 3600
    return f"the newest row is {hours:.1f} hours old" if hours > check.hours else ""


def _compiled(check: AnyCheck) -> Meets | None:
    """Return what tells whether a row meets the check; None where single rows are not asked."""
    match check:
        case nouns.Required(column=name):
            return lambda row: row.get(name) not in (None, "")
        case nouns.OfType(column=name, type=kind):
            return _present(name, lambda value: _is_of(value, kind))
        case nouns.Range(column=name, min=low, max=high):
            return _present(name, lambda value: _between(value, low, high))
        case nouns.Length(column=name, min=least, max=most):
            return _present(name, lambda value: _long_enough(value, least, most))
        case nouns.Regex(column=name, pattern=pattern):
            search = _pattern(pattern).search
            return _present(name, lambda value: isinstance(value, str) and search(value) is not None)
        case nouns.Allowed(column=name, values=values):
            # True and 1 are equal in Python and are not here.
            wanted = {(type(value) is bool, value) for value in values}
            return _present(name, lambda value: _plain_in(value, wanted))
    return None


def _present(name: str, meets: Callable[[Any], bool]) -> Meets:
    def look(row: Row) -> bool:
        value = row.get(name)
        return value is None or meets(value)

    return look


def _is_of(value: Any, kind: ColumnType) -> bool:
    if isinstance(value, bool):
        return kind in (ColumnType.BOOLEAN, ColumnType.JSON)
    return isinstance(value, _TYPES[kind])


def _between(value: Any, low: Any, high: Any) -> bool:
    bound = high if low is None else low
    if isinstance(value, bool) or isinstance(value, str) is not isinstance(bound, str):
        return False
    if not isinstance(value, str | int | float):
        return False
    return (low is None or value >= low) and (high is None or value <= high)


def _long_enough(value: Any, least: int, most: int | None) -> bool:
    if not isinstance(value, str | list | dict):
        return False
    return len(value) >= least and (most is None or len(value) <= most)


def _plain_in(value: Any, wanted: set[tuple[bool, Any]]) -> bool:
    return isinstance(value, str | int | float) and (type(value) is bool, value) in wanted


def _pattern(pattern: str) -> Any:
    try:
        return re2.compile(pattern)
    except re2.error as error:
        raise Invalid(
            f"The pattern {pattern!r} is not valid: {error}.", hint="Patterns are RE2's."
        ) from error


def validate(given: Expectations) -> None:
    """Raise Invalid when a pattern or condition cannot be compiled."""
    for check in given.checks:
        _compiled(check)
        if isinstance(check, nouns.Condition):
            Expression(check.sql).close()


def unwanted(found: dict[str, Repeats]) -> Any:
    """Return the positions of all rows that repeat another, growing, each once."""
    return np.unique(np.concatenate([repeats.positions for repeats in found.values()]))
