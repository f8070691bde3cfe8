"""Nouns of datasets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, TypeAlias

from penstock.core.errors import Invalid
from penstock.core.lineage import Link

Row: TypeAlias = dict[str, Any]
"""One record: column name → JSON value."""
OnBadRows: TypeAlias = Literal["fail", "quarantine"]

RESERVED = ("__row", "__key", "__split")
"""Columns that Penstock adds to the stored table: position, key and split of each row."""
MAX_COLUMNS = 1000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class ColumnType(StrEnum):
    """What a column holds; `json` is anything nested or mixed, stored as JSON text."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name and type; every column may be null."""

    name: str
    type: ColumnType


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRow:
    """A record that could not be read: where, why, and the beginning of it."""

    line: int
    reason: str
    excerpt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A source row that is not in the version, and the step that left it out (`read`: it was malformed)."""

    line: int
    step: str
    reason: str
    excerpt: str = ""
    kept_line: int | None = None
    """For duplicates: the line of the copy that was kept."""
    similarity: float | None = None
    """For near duplicates: Jaccard similarity to the kept copy, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitPlan:
    """How rows are divided: every row goes to exactly one split, decided by a hash of its key and `seed`."""

    fractions: Mapping[str, float] = field(default_factory=dict)
    """Split name → share; the shares add up to 1."""
    seed: int = 0
    stratify_by: str | None = None
    """Column whose values get the same shares in each split (exact up to rounding)."""
    group_by: str | None = None
    """Column whose equal values stay together in one split."""
    near_duplicates_of: str | None = None
    """Text column whose near duplicates stay together in one split."""
    column: str | None = None
    """Column that already names each row's split; excludes everything above."""
    time_by: str | None = None
    """Column of moments: the oldest rows go to the first split of `order`, the newest to the last; no seed."""
    order: tuple[str, ...] = ()
    """The splits from old to new, for `time_by`; empty: as the fractions were given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file to read, when its path alone does not say everything."""

    path: Path
    name: str = ""
    """What to call it, for example the name it had before an upload; empty: the path's."""
    encoding: str | None = None
    """Python's name of its text encoding; None: detect it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a version's rows came from."""

    name: str
    """File name, or `rows` for rows given by a program."""
    format: str
    sha256: str = ""
    """Of the file as it was read (compressed if it was); empty for rows given by a program."""
    size: int = 0
    """Bytes of that file."""
    encoding: str = ""
    rows: int = 0
    """Records read, without the malformed ones."""
    detail: Mapping[str, str] = field(default_factory=dict)
    """For rows from a database, hub or folder: how to get them again, without credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepReport:
    """What one recipe step did."""

    step: str
    rows_in: int
    rows_out: int
    changed: int = 0
    """Rows whose values changed."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """By kind: why rows were dropped, what was redacted, which labels were mapped …"""
    examples: tuple[Mapping[str, Any], ...] = ()
    """A few changes or removals, personal data masked."""
    version: int = 1
    """Of the step's rules: the same version and options give the same rows."""
    engine: str = ""
    """The library and version, or the hash of the source, that did the work, when it is not Penstock itself."""
    figures: Mapping[str, Any] = field(default_factory=dict)
    """What the step measured, such as agreement and cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A named series of versions."""

    id: str
    name: str
    description: str
    created_at: datetime
    latest: int
    """Number of the newest version; 0 when there is none."""
    rows: int
    """Rows of the newest version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetVersion:
    """An immutable set of rows; `hash` names its content."""

    id: str
    dataset: str
    number: int
    hash: str
    """SHA-256 over the rows in order, each with its key and split (see service.ingest)."""
    rows: int
    splits: Mapping[str, int]
    """Split name → rows; empty when the version has no splits."""
    schema: tuple[Column, ...]
    profile: Mapping[str, Any]
    quarantined: int
    """Records left out because they were malformed or did not meet an expectation."""
    removed: int
    """Rows that recipe steps left out."""
    recipe: Mapping[str, Any] | None
    recipe_report: tuple[Mapping[str, Any], ...]
    source: Source
    key: str | None
    """Column that identifies a row; None: the row's content does."""
    split_plan: Mapping[str, Any] | None
    lineage: tuple[Link, ...]
    description: str
    created_at: datetime
    created_by: str
    table_version: int
    """Version of the Delta table that holds the rows."""
    left_out_blob: str = ""
    """SHA-256 of the blob that lists the rows left out; empty when there are none."""

    @property
    def ref(self) -> str:
        """Return `name@number`."""
        return f"{self.dataset}@{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How version `after` differs from version `before`, by row key."""

    before: str
    after: str
    added: int
    removed: int
    changed: int
    unchanged: int
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]
    columns_retyped: tuple[str, ...]
    fields: Mapping[str, int]
    """Column → changed rows that differ in it; `__split` for rows that moved to another split."""
    examples: tuple[Mapping[str, Any], ...]
    """A few `{change, key, fields, before, after}`, by key."""


def check_name(name: str) -> str:
    """Return `name` if a dataset may have it; raises Invalid."""
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"{name!r} is not a dataset name.",
            hint="Use letters, digits, dot, dash and underscore, at most 100, starting with a letter or digit.",
        )
    return name


def parse_ref(ref: str) -> tuple[str, int | None]:
    """Return (name, number) of `name`, `name@latest` or `name@3`; None means the newest. Raises Invalid."""
    name, _, number = ref.partition("@")
    check_name(name)
    if number in ("", "latest"):
        return name, None
    if not number.isascii() or not number.isdigit() or int(number) < 1 or len(number) > 9:
        raise Invalid(f"{ref!r} is not a dataset version.", hint=f"Write {name}@3 or {name}@latest.")
    return name, int(number)


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row with its key, split ("" when there are no splits), place, and about how many bytes it has."""

    key: str
    split: str
    row: Row
    position: int = 0
    size: int = 0
