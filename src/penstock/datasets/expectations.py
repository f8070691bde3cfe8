"""What the rows of a dataset have to meet: a short list of checks, each with what happens when it is not met."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from penstock.core.errors import Invalid
from penstock.datasets.model import ColumnType

Action: TypeAlias = Literal["fail", "quarantine", "warn"]
"""`fail` registers nothing, `quarantine` leaves out the rows concerned, `warn` only tells."""
MAX_CHECKS = 200
MAX_UNIQUE = 5


class Check(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A check; `action` overrides what the list says."""

    action: Action | None = None


class OfType(Check, tag_field="check", tag="type", frozen=True, kw_only=True):
    """Values are of a type; whole numbers count as numbers, everything as json."""

    column: str
    type: ColumnType


class Required(Check, tag_field="check", tag="required", frozen=True, kw_only=True):
    """The column has a value in every row: neither null nor an empty text."""

    column: str


class Unique(Check, tag_field="check", tag="unique", frozen=True, kw_only=True):
    """No two rows have the same values in these columns; the first row with them is right."""

    columns: tuple[str, ...]


class Range(Check, tag_field="check", tag="range", frozen=True, kw_only=True):
    """Numbers (or texts, such as ISO dates) lie between `min` and `max`, both included."""

    column: str
    min: int | float | str | None = None
    max: int | float | str | None = None


class Length(Check, tag_field="check", tag="length", frozen=True, kw_only=True):
    """Texts have so many characters, lists so many entries."""

    column: str
    min: int = 0
    max: int | None = None


class Regex(Check, tag_field="check", tag="regex", frozen=True, kw_only=True):
    """The pattern (RE2) is found in every text; `^…$` ties it to the whole text."""

    column: str
    pattern: str


class Allowed(Check, tag_field="check", tag="allowed", frozen=True, kw_only=True):
    """Values are among these."""

    column: str
    values: tuple[str | int | float | bool, ...]


class Condition(Check, tag_field="check", tag="condition", frozen=True, kw_only=True):
    """An SQL expression (SQLite's dialect) over the columns is not false for any row; unknown (null) is met."""

    sql: str


class Columns(Check, tag_field="check", tag="columns", frozen=True, kw_only=True):
    """These columns are there, and no others unless `extra`."""

    columns: tuple[str, ...]
    extra: bool = True


class Missing(Check, tag_field="check", tag="missing", frozen=True, kw_only=True):
    """At most this share of rows, 0 to 1, has no value in the column."""

    column: str
    max: float


class RowCount(Check, tag_field="check", tag="rows", frozen=True, kw_only=True):
    """There are so many rows."""

    min: int = 0
    max: int | None = None


class Freshness(Check, tag_field="check", tag="freshness", frozen=True, kw_only=True):
    """The newest moment in the column (ISO 8601, or seconds since 1970) is at most `hours` ago."""

    column: str
    hours: float


RowCheck: TypeAlias = OfType | Required | Unique | Range | Length | Regex | Allowed | Condition
"""Checks that single rows can fail."""
TableCheck: TypeAlias = Columns | Missing | RowCount | Freshness
"""Checks of all rows together."""
AnyCheck: TypeAlias = RowCheck | TableCheck


class Expectations(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The checks of a dataset."""

    checks: tuple[AnyCheck, ...] = ()
    enforce: Action = "fail"
    """What happens when a check is not met that does not say so itself."""
    every_hours: float = 0
    """How often the newest version is checked again in the background; 0: never."""

    def action_of(self, check: AnyCheck) -> Action:
        """Return what happens when `check` is not met; quarantine means failing where no row is to blame."""
        action = check.action or self.enforce
        return "fail" if action == "quarantine" and isinstance(check, TableCheck) else action


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one check."""

    check: dict[str, Any]
    action: Action
    met: bool
    failed: int = 0
    """Rows that do not meet it; for checks of all rows together 0 or 1."""
    of: int = 0
    """Rows it looked at."""
    reason: str = ""
    examples: tuple[dict[str, Any], ...] = ()
    """A few `{line, value}`, personal data masked; lines of the source at ingest, positions of rows later."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of all checks."""

    outcomes: tuple[Outcome, ...]
    rows: int
    quarantined: int = 0

    @property
    def refused(self) -> tuple[Outcome, ...]:
        """Return the outcomes that forbid the rows to be registered."""
        return tuple(one for one in self.outcomes if not one.met and one.action == "fail")

    @property
    def state(self) -> Literal["met", "warned", "quarantined", "failed"]:
        """Return the gravest thing that happened."""
        if self.refused:
            return "failed"
        unmet = {one.action for one in self.outcomes if not one.met}
        return "quarantined" if "quarantine" in unmet else "warned" if unmet else "met"


def parse(plain: Mapping[str, Any]) -> Expectations:
    """Return the expectations that JSON describes; raises Invalid, naming what is wrong."""
    try:
        found = msgspec.convert(plain, Expectations)
    except msgspec.ValidationError as error:
        raise Invalid(
            f"The expectations are not valid: {error}.",
            hint='A check looks like {"check": "range", "column": "age", "min": 0}.',
        ) from error
    if len(found.checks) > MAX_CHECKS:
        raise Invalid(f"There are {len(found.checks)} checks; at most {MAX_CHECKS} are possible.")
    if sum(isinstance(check, Unique) for check in found.checks) > MAX_UNIQUE:
        raise Invalid(f"At most {MAX_UNIQUE} checks may be of the kind unique.")
    if found.every_hours < 0:
        raise Invalid("every_hours cannot be negative.", hint="0 means never.")
    for check in found.checks:
        _sensible(check)
    return found


def _sensible(check: AnyCheck) -> None:
    name = check.__struct_config__.tag
    if check.action == "quarantine" and isinstance(check, TableCheck):
        raise Invalid(f"The check {name} is about all rows together, so there is none to quarantine.")
    bounds = [getattr(check, side, None) for side in ("min", "max")]
    if None not in bounds and not isinstance(check, Missing):
        low, high = bounds
        if isinstance(low, str) is not isinstance(high, str) or low > high:  # type: ignore[operator]  # both are of one kind by now
            raise Invalid(f"The check {name} has a min of {low!r} above its max of {high!r}.")
    if isinstance(check, Range) and bounds == [None, None]:
        raise Invalid("The check range needs min, max or both.")
    if isinstance(check, Missing) and not 0 <= check.max <= 1:
        raise Invalid("The check missing needs a max between 0 and 1.")
    if isinstance(check, Unique | Columns) and not check.columns:
        raise Invalid(f"The check {name} needs columns.")
    if isinstance(check, Allowed) and not check.values:
        raise Invalid("The check allowed needs values.")


def columns_of(check: AnyCheck) -> tuple[str, ...]:
    """Return the columns a check names outright."""
    if isinstance(check, Unique):
        return check.columns
    return (check.column,) if hasattr(check, "column") else ()


def label(plain: Mapping[str, Any]) -> str:
    """Return what a check is called in messages: its kind and what it looks at."""
    about = next((plain[name] for name in ("column", "columns", "sql") if name in plain), "")
    return f"{plain['check']} {', '.join(about) if isinstance(about, list | tuple) else about}".strip()
