"""What an ingest is asked to do."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penstock.datasets.expectations import Expectations
from penstock.datasets.model import Column, OnBadRows, Row, SplitPlan
from penstock.datasets.recipe import Recipe
from penstock.datasets.sources import Limits

if TYPE_CHECKING:
    from penstock.datasets.tally import Means

Progress = Callable[[dict[str, Any]], None]
"""Told now and then what is happening; raising ends the ingest and leaves nothing behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The version that new rows are appended to."""

    columns: tuple[Column, ...]
    rows: Callable[[], Iterator[Row]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Rows from somewhere else: a database, a hub, a folder."""

    name: str
    """What to call it; holds no credentials."""
    format: str
    rows: Callable[[int], Iterator[Mapping[str, Any]]]
    """Gives the rows behind the first so many."""
    fingerprint: str = ""
    """Two feeds with the same one give the same rows in the same order; empty: nobody can say."""
    detail: Mapping[str, str] = field(default_factory=dict)
    """How to get the rows again, for the record; holds no credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to ingest, and how."""

    source: Path | Feed | Iterable[Mapping[str, Any]]
    name: str
    """Name of the source for messages and the record."""
    format: str | None = None
    encoding: str | None = None
    on_bad_rows: OnBadRows = "fail"
    recipe: Recipe | None = None
    plan: SplitPlan | None = None
    key: str | None = None
    base: Base | None = None
    split_of: Callable[[int], str] | None = None
    """Gives the split of the row that came from a line; None: the plan decides."""
    means: "Means | None" = None
    """What the recipe's steps may use besides the rows."""
    limits: Limits
    profile_rows: int = 20_000
    expectations: Expectations | None = None
    """What the rows have to meet before they are registered."""
    progress: Progress = lambda _report: None
