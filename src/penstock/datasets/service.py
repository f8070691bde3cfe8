"""The verbs of datasets: the only door into this slice.

A version is named by its content: SHA-256 over its columns and its rows in order, each with key and
split. Order counts because training sees rows in order; the same content gives the same version.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from penstock.core import lineage, plugins
from penstock.core.deferred import deferred
from penstock.core.errors import Conflict, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.suggest import did_you_mean
from penstock.core.uow import UnitOfWork
from penstock.datasets import card, compare, export, redaction, store
from penstock.datasets.model import (
    Dataset,
    DatasetVersion,
    Difference,
    LeftOut,
    OnBadRows,
    Row,
    SourceFile,
    SplitPlan,
    StoredRow,
    check_name,
    parse_ref,
)
from penstock.datasets.recipe import Recipe
from penstock.datasets.register import KIND, ensure, folder_of, known_version, refuse, register, workplace
from penstock.datasets.request import Base, Feed, Progress, Request
from penstock.datasets.settings import DatasetsSettings
from penstock.datasets.sources import Limits
from penstock.datasets.split_plan import plan_of
from penstock.datasets.store import blobs_named as blobs_named
from penstock.datasets.store import contracts

if TYPE_CHECKING:
    from penstock.datasets import ingest as pipeline
    from penstock.datasets import table, tally
else:
    # They bring numpy and Delta Lake, about 30 MB, into processes of which most never touch rows.
    pipeline = deferred("penstock.datasets.ingest")
    table = deferred("penstock.datasets.table")
    tally = deferred("penstock.datasets.tally")


def silent(_report: dict[str, Any]) -> None:
    """Report progress to nobody."""
    return


def create(uow: UnitOfWork, actor: Actor, *, name: str, description: str = "") -> Dataset:
    """Make an empty dataset; raises Conflict when the name is taken."""
    uow.may(actor, "datasets.write", name)
    if not ensure(uow, actor, name, description):
        raise Conflict(f"There is a dataset {name!r} already.", hint="Add a version to it instead.")
    uow.audit(actor, "datasets.create", name)
    return find(uow, actor, name=name)


def find(uow: UnitOfWork, actor: Actor, *, name: str) -> Dataset:
    """Return the dataset; raises NotFound."""
    uow.may(actor, "datasets.read", name)
    found = store.get_dataset(uow.conn, actor.scope, name)
    if found is None:
        raise NotFound(f"There is no dataset {name!r} in the project {actor.scope.project!r}.")
    return found


def list_datasets(
    uow: UnitOfWork, actor: Actor, *, text: str = "", after: str = "", limit: int = 100
) -> list[Dataset]:
    """Return datasets by name, after the name `after`, whose name or description holds `text`."""
    uow.may(actor, "datasets.read")
    return store.list_datasets(uow.conn, actor.scope, search=text, after=after, limit=limit)


def list_versions(
    uow: UnitOfWork, actor: Actor, *, name: str, before: int | None = None, limit: int = 50
) -> list[DatasetVersion]:
    """Return versions, newest first, with numbers below `before`; raises NotFound."""
    find(uow, actor, name=name)
    return store.list_versions(uow.conn, actor.scope, name, before=before, limit=limit)


def resolve(uow: UnitOfWork, actor: Actor, ref: str) -> DatasetVersion:
    """Return the version `name@3`, `name@latest`, `name` (the newest) or `dsv_…`; raises NotFound, Invalid."""
    uow.may(actor, "datasets.read", ref)
    if ref.startswith("dsv_"):
        found = store.version_by_id(uow.conn, actor.scope, ref)
        name = ref
    else:
        name, number = _number(uow, actor, ref)
        found = store.get_version(uow.conn, actor.scope, name, number)
    if found is None:
        raise NotFound(
            f"There is no dataset version {ref!r} in the project {actor.scope.project!r}.",
            hint="penstock datasets list shows what there is.",
        )
    return found


def _number(uow: UnitOfWork, actor: Actor, ref: str) -> tuple[str, int | None]:
    """Return (name, number) of a ref; `name@tag` is where the tag is now."""
    name, _, tag = ref.partition("@")
    if tag and not tag.isdigit() and tag != "latest":
        for found in contracts.list_tags(uow.conn, actor.scope, check_name(name)):
            if found.tag == tag:
                return name, found.number
    return parse_ref(ref)


def ingest(  # noqa: PLR0913 - each is a noun of its own, all by keyword, most with a default
    home: Home,
    actor: Actor,
    *,
    name: str,
    source: Path | SourceFile | Feed | Iterable[Mapping[str, Any]],
    format: str | None = None,
    on_bad_rows: OnBadRows = "fail",
    recipe: Recipe | None = None,
    splits: Mapping[str, float] | SplitPlan | None = None,
    seed: int = 0,
    parents: Sequence[Link] = (),
    key: str | None = None,
    description: str = "",
    progress: Progress = silent,
) -> DatasetVersion:
    """Register the rows of a file or iterable as the dataset's next version, making the dataset if need be.

    The same content as an earlier version's returns that version. Killed at any point, nothing is
    registered. Raises Invalid for malformed rows (unless `quarantine`) and for a recipe, key or split
    plan that does not fit; NotFound for a missing file; StorageFull.
    """

    def plan(_folder: Path) -> tuple[Request, list[Link]]:
        request = request_for(
            home, source, format=format, on_bad_rows=on_bad_rows, recipe=recipe, progress=progress
        )
        return prepared_for(home, actor, replace(request, plan=plan_of(splits, seed), key=key), list(parents))

    return registered(home, actor, name, plan, description)


def append(
    home: Home,
    actor: Actor,
    *,
    name: str,
    source: Path | SourceFile | Feed | Iterable[Mapping[str, Any]],
    format: str | None = None,
    on_bad_rows: OnBadRows = "fail",
    recipe: Recipe | None = None,
    parents: Sequence[Link] = (),
    description: str = "",
    progress: Progress = silent,
) -> DatasetVersion:
    """Register a version of the newest version's rows and, behind them, those of `source`.

    Key and split plan are taken over; the recipe runs on the new rows alone. Raises NotFound when the
    dataset has no version, Invalid when the new rows' columns do not fit, and all that `ingest` raises.
    """

    def plan(folder: Path) -> tuple[Request, list[Link]]:
        request = request_for(
            home, source, format=format, on_bad_rows=on_bad_rows, recipe=recipe, progress=progress
        )
        with home.read() as uow:
            previous = resolve(uow, actor, name)
        base = Base(
            columns=previous.schema, rows=lambda: (stored.row for stored in _stored(folder, previous))
        )
        request = replace(request, plan=plan_of_version(previous), key=previous.key, base=base)
        return prepared_for(home, actor, request, [*parents, Link(KIND, previous.ref, "base")])

    return registered(home, actor, name, plan, description)


def prepared_for(home: Home, actor: Actor, request: Request, links: list[Link]) -> tuple[Request, list[Link]]:
    """Return the request with what its recipe needs: versions by number (linked), and the means of its steps."""
    if request.recipe is None:
        return request, links
    with home.read() as uow:
        pins = {ref: resolve(uow, actor, ref).ref for ref in request.recipe.references()}
    links = [*links, *(Link(KIND, ref, "protected") for ref in pins.values())]
    means = request.means or means_of(home, actor)
    return replace(request, recipe=request.recipe.pinned(pins.__getitem__), means=means), links


def means_of(home: Home, actor: Actor) -> "tally.Means":
    """Return what recipe steps may use in this home: its key and its versions, as `actor` may read them."""
    return tally.Means(
        key=lambda: redaction.key_in(home.path / "redaction.key"),
        reference=lambda ref: rows(home, actor, ref),
        model=lambda: plugins.load("models", "gateway")(home, actor),
        replies=lambda name: home.folder("labelling") / f"{name}.jsonl",
    )


def plan_of_version(version: DatasetVersion) -> SplitPlan | None:
    """Return how the version was divided; None without splits."""
    return None if version.split_plan is None else msgspec.convert(version.split_plan, SplitPlan)


def request_for(
    home: Home, source: Path | SourceFile | Feed | Iterable[Mapping[str, Any]], **options: Any
) -> Request:
    """Return what to ingest, within the limits of the settings."""
    settings = home.settings.section(DatasetsSettings)
    limits = Limits(line=settings.max_line_mb << 20, total=settings.max_source_mb << 20)
    if isinstance(source, SourceFile):
        options.update(name=source.name or source.path.name, encoding=source.encoding)
        source = source.path
    else:
        options["name"] = source.name if isinstance(source, Path | Feed) else "rows"
    return Request(source=source, limits=limits, profile_rows=settings.profile_rows, **options)


def registered(
    home: Home,
    actor: Actor,
    name: str,
    plan: Callable[[Path], tuple[Request, list[Link]]],
    description: str,
) -> DatasetVersion:
    """Register what `plan` asks for, given the dataset's folder, as the next version; see ingest."""
    with home.read() as uow:
        uow.may(actor, "datasets.write", check_name(name))
        contract = next(iter(contracts.contracts(uow.conn, actor.scope, name)), None)
    with workplace(home, actor, name) as (folder, work):
        request, links = plan(folder)
        if contract is not None:
            request = replace(request, expectations=contract.expectations)
        with pipeline.prepared(request, work) as prepared:
            if contract is not None and prepared.verdict is not None and prepared.verdict.refused:
                refuse(home, actor, contract, prepared)
            known = known_version(home, actor, name, prepared, links, contract)
            if known is not None:
                return known
            table_version = table.find(folder / "table", prepared.content)
            if table_version is None:
                table_version = table.write(
                    folder / "table", prepared.columns, prepared.stored(), prepared.content
                )
            return register(
                home,
                actor,
                name,
                prepared,
                table_version,
                links=links,
                description=description,
                contract=contract,
            )


def _stored(
    folder: Path,
    version: DatasetVersion,
    *,
    split: str | None = None,
    limit: int | None = None,
    offset: int = 0,
) -> Iterator[StoredRow]:
    return table.read(
        folder / "table",
        version.table_version,
        version.schema,
        total=version.rows,
        split=split,
        limit=limit,
        offset=offset,
    )


def stored_rows(
    home: Home, actor: Actor, ref: str, *, split: str | None = None, limit: int | None = None, offset: int = 0
) -> Iterator[StoredRow]:
    """Yield rows in order, each with its position, key and split; raises NotFound, Invalid at once."""
    with home.read() as uow:
        version = resolve(uow, actor, ref)
    if split is not None and split not in version.splits:
        raise Invalid(f"{version.ref} has no split {split!r}.", hint=did_you_mean(split, version.splits))
    if offset < 0 or (limit is not None and limit < 0):
        raise Invalid("limit and offset cannot be negative.")
    folder = folder_of(home, actor, version.dataset)
    return _stored(folder, version, split=split, limit=limit, offset=offset)


def rows(
    home: Home, actor: Actor, ref: str, *, split: str | None = None, limit: int | None = None, offset: int = 0
) -> Iterator[Row]:
    """Yield the rows of a version (or of one split) in order, every column present, nested values decoded.

    Raises NotFound and Invalid at once, not at the first row. Memory does not grow with the version.
    """
    found = stored_rows(home, actor, ref, split=split, limit=limit, offset=offset)
    return (stored.row for stored in found)


def consumers(uow: UnitOfWork, actor: Actor, version: DatasetVersion) -> list[Link]:
    """Return what was made from the version, however far down, nearest first, at most 500 things."""
    uow.may(actor, "datasets.read", version.ref)
    found = lineage.neighbours(uow.conn, actor.scope, KIND, version.ref, direction="down")
    return [Link(edge.child_kind, edge.child_ref, edge.role) for edge in found]


def profile(uow: UnitOfWork, actor: Actor, ref: str) -> Mapping[str, Any]:
    """Return the version's profile (see profile.profile); with a recipe it has `before`."""
    return resolve(uow, actor, ref).profile


def data_card(uow: UnitOfWork, actor: Actor, ref: str) -> str:
    """Return the version's data card as Markdown."""
    return card.render(resolve(uow, actor, ref))


def left_out(
    home: Home, actor: Actor, ref: str, *, step: str | None = None, limit: int | None = None, offset: int = 0
) -> Iterator[LeftOut]:
    """Yield the source rows that are not in the version; `step="read"` gives the quarantined, malformed ones."""
    with home.read() as uow:
        version = resolve(uow, actor, ref)
    return export.left_out(home.blobs, version.left_out_blob, step=step, limit=limit, offset=offset)


def diff(
    home: Home,
    actor: Actor,
    before: str,
    after: str,
    *,
    key: str | None = None,
    wanted: compare.Wanted | None = None,
) -> Difference:
    """Compare two versions by row key, or by the column `key`.

    Without a key column a changed row counts as removed and added. Raises NotFound, Invalid when `key`
    does not identify rows.
    """
    with home.read() as uow:
        old, new = resolve(uow, actor, before), resolve(uow, actor, after)
    for version in (old, new):
        names = [column.name for column in version.schema]
        if key is not None and key not in names:
            raise Invalid(f"{version.ref} has no column {key!r}.", hint=did_you_mean(key, names))
    sides = [
        table.keys(
            folder_of(home, actor, version.dataset) / "table",
            version.table_version,
            version.schema,
            key=key,
        )
        for version in (old, new)
    ]
    return compare.difference(old, new, *sides, wanted=wanted or compare.Wanted())


def export_file(
    home: Home,
    actor: Actor,
    ref: str,
    to: Path,
    *,
    format: Literal["jsonl", "csv"] = "jsonl",
    split: str | None = None,
) -> int:
    """Write the rows of a version (or split) to the file `to`, which appears only when whole; returns how many.

    Raises StorageFull, Conflict when `to` exists.
    """
    with home.read() as uow:
        version = resolve(uow, actor, ref)
    names = [column.name for column in version.schema]
    return export.write(rows(home, actor, version.ref, split=split), names, to, format=format)
