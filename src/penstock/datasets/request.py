"""What an ingest is asked to do."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.datasets.model import Column, OnBadRows, Row, SplitPlan
from penstock.datasets.recipe import Recipe
from penstock.datasets.sources import Limits

Progress = Callable[[dict[str, Any]], None]
"""Told now and then what is happening; raising ends the ingest and leaves nothing behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The version that new rows are appended to."""

    columns: tuple[Column, ...]
    rows: Callable[[], Iterator[Row]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to ingest, and how."""

    source: Path | Iterable[Mapping[str, Any]]
    name: str
    """Name of the source for messages and the record."""
    format: str | None = None
    encoding: str | None = None
    on_bad_rows: OnBadRows = "fail"
    recipe: Recipe | None = None
    plan: SplitPlan | None = None
    key: str | None = None
    base: Base | None = None
    limits: Limits
    profile_rows: int = 20_000
    progress: Progress = lambda _report: None
