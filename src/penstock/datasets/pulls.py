"""Rows pulled from a database, the Hugging Face hub or a folder: what to pull, and how to do it as a job.

Whoever may do this makes the server read what they name, so it takes an owner; the database is one that
the settings know by name, and the folder lies in one that the settings allow.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.core import plugins
from penstock.core.deferred import deferred
from penstock.core.errors import Denied, Invalid
from penstock.core.home import Home
from penstock.core.jobs import Job, enqueue
from penstock.core.scope import Actor, Role
from penstock.core.suggest import did_you_mean
from penstock.core.uow import UnitOfWork
from penstock.datasets import recipe, service
from penstock.datasets.model import OnBadRows, SplitPlan, check_name
from penstock.datasets.request import Feed, Progress
from penstock.datasets.settings import DatasetsSettings
from penstock.datasets.sources import Limits
from penstock.datasets.store import foreign

if TYPE_CHECKING:
    from penstock.datasets import documents
else:
    documents = deferred("penstock.datasets.documents")

PULL = "datasets.pull"
"""Kind of the job."""
_FROM_ENVIRONMENT = "env:"


class FromSql(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows of a query."""

    connection: str
    """Name in `[datasets] connections`."""
    query: str
    key: str | None = None
    """Column of the result that identifies a row: rows come in its order, and a pull can go on where it was."""


class FromHub(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A data set of the Hugging Face hub."""

    repository: str
    config: str | None = None
    split: str = "train"
    revision: str | None = None
    """Commit, tag or branch; with one, a pull can go on where it was."""


class FromFolder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Documents in a folder of the server."""

    path: str
    pattern: str = "**/*"


class Pull(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to pull, and how to ingest it; the spec of a job."""

    dataset: str
    sql: FromSql | None = None
    hf: FromHub | None = None
    folder: FromFolder | None = None
    on_bad_rows: OnBadRows = "fail"
    recipe: list[dict[str, Any]] | dict[str, Any] | None = None
    splits: dict[str, float] | None = None
    stratify_by: str | None = None
    group_by: str | None = None
    time_by: str | None = None
    seed: int = 0
    key: str | None = None
    append: bool = False
    description: str = ""


def parse(plain: dict[str, Any]) -> Pull:
    """Return the pull that JSON describes; raises Invalid."""
    try:
        pull = msgspec.convert(plain, Pull)
    except msgspec.ValidationError as error:
        raise Invalid(f"The pull is not valid: {error}.") from error
    check_name(pull.dataset)
    if sum(source is not None for source in (pull.sql, pull.hf, pull.folder)) != 1:
        raise Invalid("A pull has exactly one of sql, hf and folder.")
    if isinstance(pull.recipe, dict):
        pull = msgspec.structs.replace(pull, recipe=pull.recipe.get("steps", []))
    if pull.recipe is not None:
        recipe.parse(pull.recipe)
    return pull


def may(uow: UnitOfWork, actor: Actor, pull: Pull) -> None:
    """Raise Denied unless the actor is an owner."""
    uow.may(actor, "datasets.admin", pull.dataset)
    if actor.role.rank < Role.OWNER.rank:
        raise Denied(
            f"{actor.name} ({actor.role}) may not pull; it needs the role owner.",
            hint="Upload a file instead, or ask an owner.",
        )


def start(home: Home, actor: Actor, pull: Pull) -> Job:
    """Queue a pull; what can be checked is checked at once. Raises Denied, Invalid, NotFound, MissingExtra."""
    with home.begin() as uow:
        may(uow, actor, pull)
        feed_of(home, pull)
        spec = msgspec.to_builtins(pull)
        uow.audit(actor, "datasets.pull", pull.dataset)
        return enqueue(uow, actor, PULL, spec)


def run(
    home: Home, actor: Actor, pull: Pull, *, feed: Feed | None = None, progress: Progress = service.silent
) -> str:
    """Pull here and now; returns the version's ref. `feed` takes the place of the source that `pull` names."""
    with home.read() as uow:
        may(uow, actor, pull)
    common: dict[str, Any] = {
        "name": pull.dataset,
        "source": feed or feed_of(home, pull),
        "on_bad_rows": pull.on_bad_rows,
        "recipe": None if pull.recipe is None else recipe.parse(pull.recipe),
        "description": pull.description,
        "progress": progress,
    }
    if pull.append:
        return service.append(home, actor, **common).ref
    return service.ingest(home, actor, splits=_plan(pull), key=pull.key, **common).ref


def _plan(pull: Pull) -> SplitPlan | None:
    if not pull.splits:
        return None
    return SplitPlan(
        fractions=pull.splits,
        seed=pull.seed,
        stratify_by=pull.stratify_by,
        group_by=pull.group_by,
        time_by=pull.time_by,
        order=tuple(pull.splits) if pull.time_by else (),
    )


def feed_of(home: Home, pull: Pull) -> Feed:
    """Return the rows that `pull` names; raises Invalid, NotFound, Denied, MissingExtra."""
    settings = home.settings.section(DatasetsSettings)
    if pull.sql is not None:
        url = connection_url(settings, pull.sql.connection)
        found = foreign.feed(url, pull.sql.query, key=pull.sql.key)
        return replace(found, detail={**found.detail, "connection": pull.sql.connection})
    if pull.hf is not None:
        return hub_feed(pull.hf)
    if pull.folder is None:
        raise Invalid("A pull has exactly one of sql, hf and folder.")
    folder = Path(pull.folder.path).resolve()
    if not any(folder.is_relative_to(Path(root).resolve()) for root in settings.pull_folders):
        raise Denied(
            f"The folder {folder} is not one that may be pulled.",
            hint="Add it to [datasets] pull_folders, or use penstock datasets pull --folder on the server.",
        )
    return folder_feed(home, folder, pull.folder.pattern)


def folder_feed(home: Home, folder: Path, pattern: str) -> Feed:
    """Return the documents of any folder; for callers who may read it anyway."""
    settings = home.settings.section(DatasetsSettings)
    limits = Limits(line=settings.max_line_mb << 20, total=settings.max_source_mb << 20)
    return documents.feed(folder, limits, pattern=pattern)


def hub_feed(source: FromHub) -> Feed:
    """Return the rows of a data set on the Hugging Face hub; raises MissingExtra."""
    load = plugins.load("importers", "huggingface")
    plain = {name: value for name, value in msgspec.to_builtins(source).items() if value is not None}
    return Feed(
        name=f"hf://{source.repository}",
        format="huggingface",
        rows=lambda skip: load(plain, skip),
        fingerprint=msgspec.json.encode(plain).decode() if source.revision else "",
        detail=plain,
    )


def connection_url(settings: DatasetsSettings, name: str) -> str:
    """Return the address of a connection; `env:NAME` in the settings stands for an environment variable."""
    if name not in settings.connections:
        raise Invalid(
            f"There is no connection {name!r} in [datasets] connections.",
            hint=did_you_mean(name, settings.connections),
        )
    url = str(settings.connections[name])
    return environment_url(url.removeprefix(_FROM_ENVIRONMENT)) if url.startswith(_FROM_ENVIRONMENT) else url


def environment_url(name: str) -> str:
    """Return the database address in the environment variable `name`; raises Invalid when it is not set."""
    url = os.environ.get(name, "")
    if not url:
        raise Invalid(
            f"The environment variable {name} is not set.", hint="Set it to the database's address."
        )
    return url
