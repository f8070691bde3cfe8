"""Cleaning a version by a recipe: trying it on some rows, or making the next version; here or as a durable job."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.core import ids
from penstock.core.deferred import deferred
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.jobs import Job, enqueue
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.datasets import service
from penstock.datasets.label_steps import LabelByModel, Synthesise
from penstock.datasets.model import (
    Column,
    DatasetVersion,
    LeftOut,
    Row,
    SplitPlan,
    StepReport,
    check_name,
)
from penstock.datasets.programs import with_hashes
from penstock.datasets.recipe import Recipe, parse
from penstock.datasets.register import KIND
from penstock.datasets.request import Progress, Request
from penstock.datasets.schema import SchemaBuilder
from penstock.datasets.settings import DatasetsSettings
from penstock.datasets.spool import Spool
from penstock.datasets.steps import Python
from penstock.datasets.tally import Function, Means

if TYPE_CHECKING:
    from penstock.datasets import curate, profile
else:
    # They bring numpy and Delta Lake into processes of which most never clean.
    curate = deferred("penstock.datasets.curate")
    profile = deferred("penstock.datasets.profile")

CLEAN = "datasets.clean"
"""Kind of the job."""
INLINE_ROWS = 20_000
"""Versions of more rows are cleaned by a job."""
DRY_ROWS = 5_000
"""Rows that a dry run looks at unless told otherwise."""
TRIAL_CALLS = 20
"""Calls of a model that each step of a dry run makes at most."""
_LEFT_OUT = 100
_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a recipe would do to a version, found on its first rows; nothing was registered."""

    ref: str
    rows_in: int
    """Rows looked at."""
    rows_out: int
    complete: bool
    """Whether these were all rows of the version."""
    columns: tuple[Column, ...]
    reports: tuple[StepReport, ...]
    left_out: tuple[LeftOut, ...]
    """The first rows that would be left out."""
    changes: Mapping[str, Any]
    """Figures before and after (see profile.compare)."""
    rows: tuple[Row, ...]
    """The first rows as they would be."""


class Cleaning(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The spec of a job."""

    ref: str
    recipe: dict[str, Any]
    to: str | None = None
    key: bool = True
    description: str = ""


def recorded(home: Home, actor: Actor, ref: str) -> Recipe:
    """Return the recipe that made the version `ref`, to run it again; raises Invalid when none did."""
    with home.read() as uow:
        version = service.resolve(uow, actor, ref)
    if version.recipe is None:
        raise Invalid(f"{version.ref} was made without a recipe.", hint="Name a version that has one.")
    return parse(version.recipe)


def profiled(uow: UnitOfWork, actor: Actor, ref: str, *, than: str | None = None) -> dict[str, Any]:
    """Return the version's profile; with `than`, its `before` compares it with that version's."""
    found = dict(service.profile(uow, actor, ref))
    if than is not None:
        found["before"] = profile.compare(service.profile(uow, actor, than), found)
    return found


def attempt(
    home: Home,
    actor: Actor,
    ref: str,
    recipe: Recipe,
    *,
    limit: int = DRY_ROWS,
    functions: Mapping[str, Function] | None = None,
) -> Trial:
    """Run `recipe` over the first `limit` rows of the version (0: all) and register nothing.

    Steps that compare rows with each other see only those rows; steps that ask a model ask it 20 times at
    most, and the replies are used again later. Raises NotFound, Invalid.
    """
    with home.read() as uow:
        version = service.resolve(uow, actor, ref)
    recipe = _thrifty(with_hashes(recipe, functions or {}))
    recipe.check([column.name for column in version.schema])
    folder = home.folder("trials", ids.new_id("try"))
    try:
        with Spool(folder, "raw") as raw, Spool(folder, "rows") as made:
            raw.extend(enumerate(service.rows(home, actor, version.ref, limit=limit or None), start=1))
            return _tried(home, version, recipe, raw, made, means=_means(home, actor, functions))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _thrifty(recipe: Recipe) -> Recipe:
    return Recipe(
        tuple(
            msgspec.structs.replace(step, max_calls=min(step.max_calls, TRIAL_CALLS))
            if isinstance(step, LabelByModel | Synthesise)
            else step
            for step in recipe.steps
        )
    )


def asks(recipe: Recipe) -> bool:
    """Return whether the recipe asks a model, and so takes its time."""
    return any(isinstance(step, LabelByModel | Synthesise) for step in recipe.steps)


def _tried(
    home: Home, version: DatasetVersion, recipe: Recipe, raw: Spool, made: Spool, *, means: Means
) -> Trial:
    out: list[LeftOut] = []

    def note(row: LeftOut) -> None:
        if len(out) < _LEFT_OUT:
            out.append(row)

    found, tallies = curate.start(recipe, iter(raw), folder=raw.folder, left_out=note, means=means)
    schema = SchemaBuilder()
    for number, row in found:
        schema.observe(row)
        made.append(number, row)
    sample = home.settings.section(DatasetsSettings).profile_rows
    before = profile.profile(raw, version.schema, sample=sample)
    after = profile.profile(made, schema.columns(), sample=sample)
    return Trial(
        ref=version.ref,
        rows_in=raw.count,
        rows_out=made.count,
        complete=raw.count == version.rows,
        columns=schema.columns(),
        reports=tuple(tally.report() for tally in tallies),
        left_out=tuple(out),
        changes=profile.compare(before, after),
        rows=tuple(row for _, row in islice(iter(made), _SHOWN)),
    )


def _means(home: Home, actor: Actor, functions: Mapping[str, Function] | None) -> Means:
    return replace(service.means_of(home, actor), functions=functions or {})


def derive(
    home: Home,
    actor: Actor,
    ref: str,
    recipe: Recipe,
    *,
    to: str | None = None,
    key: bool = True,
    means: Means | None = None,
    description: str = "",
    progress: Progress = service.silent,
) -> DatasetVersion:
    """Register the version that `recipe` makes of the version `ref`, in the same dataset or in `to`.

    Every row keeps its split, copies of it too. The key is taken over unless `key` is false or steps repeat
    rows. Raises NotFound, and Invalid for all that `ingest` does and for rows that belong to no line of a
    version with splits.
    """
    with home.read() as uow:
        version = service.resolve(uow, actor, ref)
    given = [row.split for row in service.stored_rows(home, actor, version.ref)] if version.splits else None
    kept = key and not any(step.repeats for step in recipe.steps)

    def plan(_folder: Path) -> tuple[Request, list[Link]]:
        request = service.request_for(
            home, service.rows(home, actor, version.ref), recipe=recipe, progress=progress
        )
        request = replace(
            request,
            name=version.ref,
            key=version.key if kept else None,
            plan=_carried(version, recipe),
            split_of=None if given is None else partial(_split_of, given, version.ref),
            means=means,
        )
        return service.prepared_for(home, actor, request, [Link(KIND, version.ref, "source")])

    return service.registered(home, actor, to or version.dataset, plan, description)


def _split_of(given: list[str], ref: str, number: int) -> str:
    if not number:
        raise Invalid(
            f"The recipe makes rows that belong to no row of {ref}, so their split is unknown.",
            hint='Select "__key" in its SQL too, or clean into a dataset without splits.',
        )
    return given[number - 1]


def _carried(version: DatasetVersion, recipe: Recipe) -> SplitPlan | None:
    """Return the version's plan without the columns that the recipe removes."""
    plan = service.plan_of_version(version)
    if plan is None:
        return None
    left = recipe.check([column.name for column in version.schema])
    named = (plan.stratify_by, plan.group_by, plan.near_duplicates_of, plan.column, plan.time_by)
    if all(name is None or name in left for name in named):
        return plan
    shares = {name: rows / version.rows for name, rows in version.splits.items()}
    return SplitPlan(fractions=shares, seed=plan.seed)


def clean(
    home: Home,
    actor: Actor,
    ref: str,
    recipe: Recipe,
    *,
    to: str | None = None,
    key: bool = True,
    functions: Mapping[str, Function] | None = None,
    description: str = "",
    progress: Progress = service.silent,
) -> DatasetVersion:
    """Make the next version of the dataset (or of `to`) from the version `ref`; see derive."""
    return derive(
        home,
        actor,
        ref,
        with_hashes(recipe, functions or {}),
        to=to,
        key=key,
        means=_means(home, actor, functions),
        description=description,
        progress=progress,
    )


def start(home: Home, actor: Actor, cleaning: Cleaning) -> Job:
    """Queue the cleaning of a large version; raises Invalid for steps that only run where the user is."""
    given = parse(cleaning.recipe)
    named = next((step.function for step in given.steps if isinstance(step, Python)), None)
    if named is not None:
        raise Invalid(
            f"The recipe calls the Python function {named!r}; the server runs no code of yours.",
            hint="penstock datasets clean --code FILE.py runs it where you are.",
        )
    with home.begin() as uow:
        version = service.resolve(uow, actor, cleaning.ref)
        uow.may(actor, "datasets.write", check_name(cleaning.to or version.dataset))
        given.check([column.name for column in version.schema])
        return enqueue(uow, actor, CLEAN, msgspec.to_builtins(cleaning))


def run(home: Home, actor: Actor, cleaning: Cleaning, progress: Progress) -> str:
    """Do what a job asks for; returns the new version's ref."""
    version = clean(
        home,
        actor,
        cleaning.ref,
        parse(cleaning.recipe),
        to=cleaning.to,
        key=cleaning.key,
        description=cleaning.description,
        progress=progress,
    )
    return version.ref
