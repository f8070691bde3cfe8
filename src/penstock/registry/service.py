"""The verbs of models: the only door into this slice."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from penstock.core import clock, ids
from penstock.core.errors import Conflict, Denied, Invalid, NotFound, Unavailable
from penstock.core.home import Home
from penstock.core.lineage import Edge, Link, neighbours
from penstock.core.scope import Actor
from penstock.core.suggest import did_you_mean
from penstock.core.uow import UnitOfWork
from penstock.registry import folders, scan, staging, store
from penstock.registry.events import AliasMoved, VersionRegistered
from penstock.registry.model import (
    LATEST,
    AliasMove,
    FileEntry,
    Kind,
    Model,
    ModelVersion,
    Papers,
    Stage,
    check_alias,
    check_name,
    check_new_name,
    digest_of,
    fingerprint,
    one_line,
    split_ref,
)
from penstock.registry.papers import manifest, signature, verifying
from penstock.registry.papers import store as papers_store
from penstock.registry.papers.inheriting import SOURCE as SOURCE
from penstock.registry.papers.inheriting import inherited
from penstock.registry.stages.model import StageMove
from penstock.registry.store import blobs_named as blobs_named

LINK_KIND = "model_version"
_ATTEMPTS = 5


def register(
    home: Home,
    actor: Actor,
    *,
    name: str,
    folder: Path,
    kind: Kind | str,
    base: str | None = None,
    lineage: list[Link] | tuple[Link, ...] = (),
    metrics: dict[str, Any] | None = None,
    card_extra: dict[str, Any] | None = None,
    allow_pickles: bool = False,
) -> ModelVersion:
    """Store the folder's files and add an immutable version, making the model if need be.

    Every file is scanned; the version gets papers: a signed manifest, the scan's report, and what `card_extra` or the
    files tell of licence, intended use and signature. The same files, kind, base and lineage as an earlier version's
    return that one, so it may be repeated after a crash. Opens its own short transaction. Raises Invalid for a folder
    or file that cannot be accepted (see `scan.check_folder`), an adapter without a base, or an unknown kind; NotFound
    for an unknown base.
    """
    checked = kind_named(kind)
    check_name(name)
    with home.read() as uow:
        uow.may(actor, "models.write", name)
        if checked is Kind.ADAPTER and base is None:
            raise Invalid("An adapter needs the base model it was made for.", hint="Give base='name@number'.")
        base_ref = get(uow, actor, ref=base).ref if base else None
    links = (*lineage, *([Link(LINK_KIND, base_ref, "base")] if base_ref else []))
    found, findings = scan.check_folder(folder, checked, allow_pickles=allow_pickles)
    told = card_extra or {}
    signed = told.get("signature") or signature.read(folder, checked)
    files = tuple(_stored(home, path, file) for path, file in found)
    draft = ModelVersion(
        id=ids.new_id("mdv"),
        model=name,
        number=0,
        kind=checked,
        base=base_ref,
        files=files,
        digest=digest_of(files),
        stage=Stage.DEVELOPMENT,
        metrics=metrics or {},
        card_extra=told,
        lineage=links,
        author=actor.name,
        created_at=clock.now(),
    )
    return _added(home, actor, draft, papers_told(told, signed, scan.report(findings)))


def papers_told(
    told: dict[str, Any], signed: dict[str, Any] | None, scanned: dict[str, Any] | None
) -> Papers:
    """Return the papers that what the maker told amounts to; raises Invalid for a malformed signature."""
    return Papers(
        licence=one_line(told.get("licence")),
        intended_use=str(told.get("intended_use") or ""),
        signature=None if signed is None else signature.check(signed),
        scan=scanned,
    )


def register_stored(
    home: Home,
    actor: Actor,
    *,
    name: str,
    files: tuple[FileEntry, ...],
    lineage: tuple[Link, ...],
    card_extra: dict[str, Any],
    scanned: dict[str, Any] | None = None,
) -> ModelVersion:
    """Add a version of kind mlflow from files that are blobs already; none when they are kept elsewhere.

    `scanned` is the report of a scan, if there was one; `paper_service.rescan` makes up for it. The same files and
    lineage as an earlier version's return that one. Raises Invalid for a bad name.
    """
    check_name(name)
    with home.read() as uow:
        uow.may(actor, "models.write", name)
    draft = ModelVersion(
        id=ids.new_id("mdv"),
        model=name,
        number=0,
        kind=Kind.MLFLOW,
        base=None,
        files=files,
        digest=digest_of(files),
        stage=Stage.DEVELOPMENT,
        metrics={},
        card_extra=card_extra,
        lineage=lineage,
        author=actor.name,
        created_at=clock.now(),
    )
    return _added(home, actor, draft, papers_told(card_extra, card_extra.get("signature"), scanned))


def create(uow: UnitOfWork, actor: Actor, *, name: str, description: str = "") -> Model:
    """Return the model of that name, made without versions if need be."""
    uow.may(actor, "models.write", name)
    held = store.get_model(uow.conn, actor.scope, check_new_name(name))
    return held or _create(uow, actor, name, {"description": description})


def _added(home: Home, actor: Actor, draft: ModelVersion, papers: Papers) -> ModelVersion:
    check_new_name(draft.model)
    for _ in range(_ATTEMPTS):
        with home.begin() as uow:
            added = _add(uow, actor, draft, papers)
        if added is not None:
            return added
    raise Conflict(f"Others keep adding versions to {draft.model!r}.", hint="Try again.")


def _add(uow: UnitOfWork, actor: Actor, draft: ModelVersion, papers: Papers) -> ModelVersion | None:
    """Return the stored version, the equal one that was there, or None when another writer took the number."""
    model = store.get_model(uow.conn, actor.scope, draft.model) or _create(
        uow, actor, draft.model, draft.card_extra
    )
    made_of = fingerprint(draft.digest, draft.kind, draft.base, draft.lineage)
    existing = store.find_fingerprint(uow.conn, model, made_of)
    if existing is not None:
        return existing
    version = replace(draft, number=model.versions + 1)
    if not store.insert_version(uow.conn, model, version, made_of):
        return None
    signed = manifest.sign(uow, actor.scope, manifest.statement(version, version.files))
    papers = inherited(uow, actor, papers, LINK_KIND, version.lineage)
    papers_store.put_papers(uow.conn, version, replace(papers, manifest=signed))
    _announce(uow, actor, version)
    return version


def kind_named(kind: Kind | str) -> Kind:
    """Return the kind of that name, or raise Invalid."""
    try:
        return Kind(kind)
    except ValueError:
        raise Invalid(f"{kind!r} is not a kind of model.", hint=did_you_mean(str(kind), list(Kind))) from None


def _stored(home: Home, path: str, file: Path) -> FileEntry:
    ref = home.blobs.put_file(file)
    return FileEntry(path=path, sha256=ref.sha256, size=ref.size)


def _create(uow: UnitOfWork, actor: Actor, name: str, card_extra: dict[str, Any]) -> Model:
    model = Model(
        id=ids.new_id("mdl"),
        name=name,
        description=str(card_extra.get("description", "")),
        created_at=clock.now(),
        versions=0,
        aliases={},
    )
    store.insert_model(uow.conn, actor.scope, model)
    return store.get_model(uow.conn, actor.scope, name) or model


def _announce(uow: UnitOfWork, actor: Actor, version: ModelVersion) -> None:
    uow.link(actor.scope, (LINK_KIND, version.ref), list(version.lineage))
    uow.audit(actor, "models.register", version.ref, digest=version.digest, kind=str(version.kind))
    event = VersionRegistered(model=version.model, number=version.number, kind=str(version.kind))
    uow.publish(event, actor.scope)


def find(uow: UnitOfWork, actor: Actor, *, name: str) -> Model:
    """Return the model with its aliases; raises NotFound."""
    uow.may(actor, "models.read", name)
    model = store.get_model(uow.conn, actor.scope, check_name(name))
    if model is None:
        raise NotFound(f"There is no model {name!r} in the project {actor.scope.project!r}.")
    return model


def list_models(
    uow: UnitOfWork,
    actor: Actor,
    *,
    text: str = "",
    kind: Kind | None = None,
    stage: Stage | None = None,
    tags: tuple[str, ...] = (),
    after: str = "",
    limit: int = 100,
) -> list[Model]:
    """Return models by name, after the name `after`.

    `text` must be in the name, description or a tag; `kind` and `stage` must be those of some version; all `tags`.
    """
    uow.may(actor, "models.read")
    wanted = store.Wanted(text=text, kind=kind, stage=stage, tags=tags)
    return store.list_models(uow.conn, actor.scope, wanted, after=after, limit=limit)


def count(uow: UnitOfWork, actor: Actor) -> int:
    """Return how many versions of models the project has."""
    uow.may(actor, "models.read")
    return store.count_versions(uow.conn, actor.scope)


def newest(uow: UnitOfWork, actor: Actor) -> ModelVersion | None:
    """Return the version of the project that was registered last, of whatever model."""
    uow.may(actor, "models.read")
    return store.newest_version(uow.conn, actor.scope)


def get(uow: UnitOfWork, actor: Actor, *, ref: str) -> ModelVersion:
    """Return the version that `name@3`, `name@production` or `name@latest` means; plain `name` is the newest.

    Raises NotFound for what does not exist, with what does.
    """
    name, selector = split_ref(ref)
    model = find(uow, actor, name=name)
    if selector.isdecimal():
        number = int(selector)
    else:
        known = ", ".join(sorted(model.aliases)) or "none yet"
        if (selector or LATEST) not in model.aliases:
            raise NotFound(f"The model {name!r} has no alias {selector!r}.", hint=f"Aliases: {known}.")
        number = model.aliases[selector or LATEST]
    found = store.get_version(uow.conn, model, number)
    if found is None:
        raise NotFound(f"The model {name!r} has no version {number}.", hint=f"It has {model.versions}.")
    return found


def list_versions(
    uow: UnitOfWork, actor: Actor, *, name: str, before: int | None = None, limit: int = 50
) -> list[ModelVersion]:
    """Return the versions, newest first, with numbers below `before`."""
    return store.list_versions(uow.conn, find(uow, actor, name=name), before=before, limit=limit)


def set_alias(uow: UnitOfWork, actor: Actor, *, name: str, alias: str, version: int) -> Model:
    """Point `alias` at `version`; doing it twice changes nothing.

    Raises NotFound, Invalid, Denied where it is called like a stage whose rule wants what is not there.
    """
    uow.may(actor, "models.alias.write", f"{name}:{alias}")
    check_alias(alias)
    model = find(uow, actor, name=name)
    staging.require_for_alias(uow, actor, get(uow, actor, ref=f"{name}@{version}"), alias)
    previous = model.aliases.get(alias)
    if previous == version:
        return model
    move = AliasMove(alias=alias, version=version, previous=previous, actor=actor.name, at=clock.now())
    store.move_alias(uow.conn, model, move, ids.new_id("mov"))
    uow.audit(actor, "models.set_alias", f"{name}:{alias}", version=version, previous=previous)
    uow.publish(AliasMoved(model=name, alias=alias, number=version, previous=previous), actor.scope)
    return find(uow, actor, name=name)


def remove_alias(uow: UnitOfWork, actor: Actor, *, name: str, alias: str) -> Model:
    """Take an alias away; raises NotFound when there is none."""
    uow.may(actor, "models.alias.write", f"{name}:{alias}")
    model = find(uow, actor, name=name)
    if not store.remove_alias(uow.conn, model, check_alias(alias)):
        raise NotFound(f"The model {name!r} has no alias {alias!r}.")
    uow.audit(actor, "models.remove_alias", f"{name}:{alias}", previous=model.aliases.get(alias))
    return find(uow, actor, name=name)


def alias_history(uow: UnitOfWork, actor: Actor, *, name: str, limit: int = 100) -> list[AliasMove]:
    """Return the moves of the model's aliases, newest first."""
    return store.alias_history(uow.conn, find(uow, actor, name=name), limit)


def stage_named(stage: Stage | str) -> Stage:
    """Return the stage of that name, or raise Invalid."""
    try:
        return Stage(stage)
    except ValueError:
        raise Invalid(f"{stage!r} is not a stage.", hint=did_you_mean(str(stage), list(Stage))) from None


def set_stage(
    uow: UnitOfWork, actor: Actor, *, ref: str, stage: Stage | str, comment: str = ""
) -> ModelVersion:
    """Move a version to another stage at once; to the one it is in changes nothing.

    Raises Invalid for an unknown stage, Denied when the stage's rule stands against it or wants approvals:
    `stage_service.move` asks for those.
    """
    wanted = stage_named(stage)
    version = get(uow, actor, ref=ref)
    uow.may(actor, staging.MOVE, f"{version.ref}:{wanted}")
    if version.stage is wanted:
        return version
    rule = staging.rule_of(uow, actor, version, wanted)
    staging.require(uow, actor, version, wanted, rule)
    if rule is not None and rule.approvals:
        raise Denied(
            f"Moving {version.ref} to {wanted} needs the approval of {rule.approvals} other people.",
            hint=f"Ask for it: penstock models stage {version.ref} {wanted}",
        )
    move = StageMove(
        number=version.number,
        stage=wanted,
        previous=version.stage,
        actor=actor.name,
        at=clock.now(),
        comment=comment,
    )
    model = find(uow, actor, name=version.model)
    staging.carry_out(uow, actor, model, version, move, alone=rule is not None and rule.alone)
    return get(uow, actor, ref=version.ref)


requirements = staging.requirements


def record_metrics(uow: UnitOfWork, actor: Actor, *, ref: str, metrics: dict[str, Any]) -> ModelVersion:
    """Add measured metrics (a number, or `{value, low, high, n}`) to a version; equal names are replaced."""
    uow.may(actor, "models.write", ref)
    version = get(uow, actor, ref=ref)
    store.set_metrics(uow.conn, version, {**version.metrics, **metrics})
    uow.audit(actor, "models.record_metrics", version.ref, names=sorted(metrics))
    return get(uow, actor, ref=version.ref)


def lineage(uow: UnitOfWork, actor: Actor, *, ref: str, direction: str = "up", depth: int = 12) -> list[Edge]:
    """Return what the version was made from (`up`) or what was made from it (`down`), nearest first."""
    version = get(uow, actor, ref=ref)
    return neighbours(uow.conn, actor.scope, LINK_KIND, version.ref, direction=direction, depth=depth)


def materialize(home: Home, actor: Actor, *, ref: str, to: Path | None = None) -> Path:
    """Return a folder with the version's files, every checksum verified.

    Without `to` it is a read-only folder in the home's cache, shared by all who ask; with `to`, a new folder there.
    Raises NotFound, Unavailable when a stored file is missing or damaged or the signed
    manifest does not hold, Conflict when `to` is not empty, Invalid for
    a version of kind mlflow without `to`.
    """
    with home.read() as uow:
        version = get(uow, actor, ref=ref)
        held = papers_store.get_papers(uow.conn, version) or Papers()
        checked = verifying.verdict(uow, actor, version, held)
    if checked.signed and not checked.holds:
        raise Unavailable(
            f"{version.ref} is not what was signed when it was registered: {' '.join(checked.problems)}",
            hint="Somebody changed the database. Restore a backup, or register the model again.",
        )
    if version.kind is Kind.MLFLOW and to is None:
        raise Invalid(
            f"{version.ref} was logged by MLflow and may hold code; Penstock does not load it.",
            hint="Load it with MLflow's client.",
        )
    return folders.cached(home, version) if to is None else folders.copied(home, version, to)
