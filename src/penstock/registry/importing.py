"""Bringing models in: from a folder, from the Hugging Face hub, from MLflow. Nothing counts before it is registered."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import yaml

from penstock.core.children import run_child
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.lineage import Link, children
from penstock.core.net import check_url
from penstock.core.scope import Actor
from penstock.core.settings import CoreSettings
from penstock.core.uow import UnitOfWork
from penstock.registry import folders, scan, service, store
from penstock.registry.model import FileEntry, Kind, ModelVersion, digest_of
from penstock.registry.papers import signature
from penstock.registry.workplace import work_folder

GROUP = "model_importers"
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")

TRAINABLE = (Kind.BASE, Kind.ADAPTER, Kind.MERGED)

IMPORTED = "imported from"
"""Role of a place in the lineage of what came from it."""
LONGEST = 140
"""Characters of a repository's name; the hub itself allows 96."""


def _silent(_report: dict[str, Any]) -> None:
    return None


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What every import may say."""

    name: str
    """The model's name here."""
    kind: str = ""
    """Empty: told from the files."""
    base: str | None = None
    allow_pickles: bool = False
    told: dict[str, Any] = field(default_factory=dict)
    """For the card: licence, intended_use, description …; comes before what the source says."""
    to_train: bool = False
    """Take only what can be trained further, and where a version of the same files is there already, take that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How to tell of progress, and whether to stop."""

    progress: Callable[[dict[str, Any]], None] = _silent
    cancelled: Callable[[], bool] = _never


QUIET = Watch()


def from_folder(home: Home, actor: Actor, *, wish: Wish, folder: Path) -> ModelVersion:
    """Register a folder as it is, with what its README tells; raises what `service.register` does."""
    if (folder / "MLmodel").is_file():
        return from_mlflow_folder(home, actor, wish=wish, folder=folder)
    return _register(home, actor, wish, folder, Link("folder", str(folder.absolute())[:200], IMPORTED))


def from_hub(
    home: Home,
    actor: Actor,
    *,
    wish: Wish,
    repository: str,
    revision: str = "main",
    file: str = "",
    watch: Watch = QUIET,
) -> ModelVersion:
    """Fetch a hub repository at one commit and register it; `file` names one .gguf of several.

    The commit is recorded in the lineage (`owner/name@commit`), so importing a branch again finds the same version
    until the branch moves. Raises Invalid, Upstream, MissingExtra, Cancelled.
    """
    if not REPOSITORY.fullmatch(repository) or len(repository) > LONGEST:
        raise Invalid(f"{repository!r} is not a hub repository.", hint="Write it as OWNER/REPOSITORY.")
    _may(home, actor, wish)
    known = _commits(home, actor, repository) if wish.to_train else {}
    if revision in known:
        return known[revision]
    with work_folder(home, "imports") as work:
        spec = {
            "known": sorted(known),
            "repository": repository,
            "revision": revision,
            "file": file,
            "output": str(work / "files"),
            "allow_pickles": wish.allow_pickles,
        }
        found = _run("hub", spec, work, watch)
        if found.get("here"):
            return known[found["commit"]]
        link = Link("hub", f"{repository}@{found['commit']}", IMPORTED)
        return _register(home, actor, wish, Path(found["path"]), link)


def from_mlflow(
    home: Home, actor: Actor, *, wish: Wish, uri: str, model: str, version: str, watch: Watch = QUIET
) -> ModelVersion:
    """Fetch a version (number or alias) of a model from an MLflow server and register it.

    Raises Denied for an address that may not be called, Invalid, Upstream, Cancelled.
    """
    check_url(uri, allow_private=home.settings.section(CoreSettings).allow_private_urls)
    _may(home, actor, wish)
    with work_folder(home, "imports") as work:
        spec = {"uri": uri, "model": model, "version": version, "output": str(work / "files")}
        found = _run("mlflow", spec, work, watch)
        link = Link("mlflow", f"{uri.rstrip('/')}/{model}/{found['version']}"[:200], IMPORTED)
        return _take_mlflow(home, actor, wish, Path(found["path"]), work, link)


def from_mlflow_folder(home: Home, actor: Actor, *, wish: Wish, folder: Path) -> ModelVersion:
    """Register a folder that MLflow saved: Transformers models as what they are, any other as it is.

    Others are kept and handed back, never loaded; they mostly hold pickles, and are refused unless `allow_pickles`.
    """
    if not (folder / "MLmodel").is_file():
        raise Invalid(f"{folder} was not saved by MLflow: it has no MLmodel file.")
    _may(home, actor, wish)
    link = Link("folder", str(folder.absolute())[:200], IMPORTED)
    with work_folder(home, "imports") as work:
        return _take_mlflow(home, actor, wish, folder, work, link)


def _may(home: Home, actor: Actor, wish: Wish) -> None:
    """Ask before anything is fetched: role, name, kind, base."""
    if wish.kind:
        service.kind_named(wish.kind)
    with home.read() as uow:
        uow.may(actor, "models.write", wish.name)
        if wish.base:
            service.get(uow, actor, ref=wish.base)


def _run(name: str, spec: dict[str, Any], work: Path, watch: Watch) -> dict[str, Any]:
    return run_child(
        GROUP, name, spec, workdir=work / "child", on_progress=watch.progress, cancelled=watch.cancelled
    )


def imported(uow: UnitOfWork, actor: Actor, kind: str, prefix: str) -> list[tuple[str, ModelVersion]]:
    """Return (place, version) of all that came from a `kind` of place beginning with `prefix` and can be trained."""
    found = children(uow.conn, actor.scope, kind, prefix, role=IMPORTED)
    versions = [
        (place, service.get(uow, actor, ref=ref)) for child, ref, place in found if child == service.LINK_KIND
    ]
    return [(place, version) for place, version in versions if version.kind in TRAINABLE]


def _commits(home: Home, actor: Actor, repository: str) -> dict[str, ModelVersion]:
    """Return commit → version of what was imported from a repository and can be trained."""
    with home.read() as uow:
        found = imported(uow, actor, "hub", f"{repository}@")
    return {place.rpartition("@")[2]: version for place, version in found}


def _same(home: Home, actor: Actor, wish: Wish, folder: Path, link: Link) -> ModelVersion | None:
    """Return the version of exactly these files, which then names this source too; None when there is none.

    Raises Invalid for what cannot be trained.
    """
    kind = kind_of(folder)
    if kind not in TRAINABLE:
        raise Invalid(f"{link.ref} is of kind {kind}, which cannot be trained.", hint="Name its weights.")
    digest = digest_of(tuple(folders.entry_of(name, file) for name, file in scan.list_files(folder)))
    kinds = (Kind.ADAPTER,) if kind is Kind.ADAPTER else (Kind.BASE, Kind.MERGED)
    with home.begin() as uow:
        known = store.find_digest(uow.conn, actor.scope, digest, kinds)
        if known is not None:
            uow.link(actor.scope, (service.LINK_KIND, known.ref), [link])
            return known
    if kind is Kind.ADAPTER and not wish.base:
        raise Invalid(
            f"{link.ref} is an adapter, and does not say for which registered model.",
            hint="Import it with --base NAME@1, and name that version.",
        )
    return None


def _register(home: Home, actor: Actor, wish: Wish, folder: Path, link: Link) -> ModelVersion:
    if wish.to_train and (known := _same(home, actor, wish, folder, link)) is not None:
        return known
    return service.register(
        home,
        actor,
        name=wish.name,
        folder=folder,
        kind=wish.kind or kind_of(folder),
        base=wish.base,
        lineage=[link],
        card_extra={**_readme(folder), **wish.told},
        allow_pickles=wish.allow_pickles,
    )


def kind_of(folder: Path) -> Kind:
    """Return what a model folder holds, as its files tell; raises Invalid when they do not."""
    if not folder.is_dir():
        raise Invalid(f"There is no folder {folder}.", hint="Give the folder that holds the model's files.")
    signs = (
        (Kind.ADAPTER, "adapter_config.json"),
        (Kind.BASE, "*.safetensors"),
        (Kind.ONNX, "*.onnx"),
        (Kind.GGUF, "*.gguf"),
        (Kind.TENSORRT, "*.engine"),
        (Kind.CTRANSLATE2, "model.bin"),
        (Kind.BASE, "config.json"),
    )
    for kind, pattern in signs:
        if any(folder.glob(pattern)):
            return kind
    raise Invalid(f"{folder} does not look like a model.", hint="Say what it is with --kind.")


def _readme(folder: Path) -> dict[str, Any]:
    """What the metadata at the head of a hub's README says: the licence."""
    path = folder / "README.md"
    if not path.is_file():
        return {}
    text = path.read_text("utf-8", errors="replace")
    if not text.startswith("---\n"):
        return {}
    try:
        said = yaml.safe_load(text[4:].partition("\n---")[0])
    except yaml.YAMLError:
        # A README is prose of somebody else; a broken head only means that the licence must be stated by hand.
        return {}
    licence = said.get("license_name") or said.get("license") if isinstance(said, dict) else None
    return {"licence": str(licence)} if licence else {}


def _take_mlflow(home: Home, actor: Actor, wish: Wish, folder: Path, work: Path, link: Link) -> ModelVersion:
    flavors = _flavors(folder)
    if "transformers" in flavors:
        whole = _transformers(folder, flavors["transformers"], work / "whole")
        return _register(home, actor, wish, whole, link)
    files, findings = scan.examine_folder(folder)
    report = scan.report(findings)
    if not report["safe"] and not wish.allow_pickles:
        named = ", ".join(one["path"] for one in report["findings"][:5])
        raise Invalid(
            f"The model holds files that can run code when they are loaded: {named}.",
            hint="Allow it with --allow-pickles: it is kept and handed back, and Penstock never loads it.",
        )
    entries = []
    for name, file in files:
        stored = home.blobs.put_file(file)
        entries.append(FileEntry(path=name, sha256=stored.sha256, size=stored.size))
    told = {"flavors": sorted(flavors), **wish.told}
    signed = signature.of_mlflow((folder / "MLmodel").read_text("utf-8"))
    if signed is not None:
        told.setdefault("signature", signed)
    return service.register_stored(
        home,
        actor,
        name=wish.name,
        files=tuple(entries),
        lineage=(link,),
        card_extra=told,
        scanned=report,
    )


def _flavors(folder: Path) -> dict[str, Any]:
    try:
        said = yaml.safe_load((folder / "MLmodel").read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Invalid(f"{folder} was not saved by MLflow: {error}.") from error
    found = said.get("flavors") if isinstance(said, dict) else None
    if not isinstance(found, dict):
        raise Invalid("The MLmodel file names no flavor.", hint="Log the model again.")
    return {str(name): options for name, options in found.items()}


def _transformers(folder: Path, options: Any, to: Path) -> Path:
    """Put the parts of MLflow's transformers flavor together again: weights from one folder, tokenizer from another."""
    said = options if isinstance(options, dict) else {}
    weights = folder / str(said.get("peft_adaptor") or said.get("model_binary") or "model")
    if not weights.resolve().is_relative_to(folder.resolve()) or not weights.is_dir():
        raise Invalid(
            "The weights of this transformers model are not in its folder.",
            hint="It was logged as a reference to the hub: import it from there.",
        )
    # Links stay links: one that leads out of the folder is refused with the files, and not followed here.
    shutil.copytree(weights, to, symlinks=True)
    for part in sorted((folder / "components").glob("*")):
        if not part.resolve().is_relative_to(folder.resolve()):
            raise Invalid(f"components/{part.name} is a link that leads out of the folder.")
        shutil.copytree(part, to, symlinks=True, dirs_exist_ok=True)
    for extra in ("LICENSE.txt", "README.md", "model_card.md"):
        if (folder / extra).is_file():
            shutil.copyfile(folder / extra, to / extra, follow_symlinks=False)
    return to


def spec_of(wish: Wish) -> dict[str, Any]:
    """Return the wish as a job's parameters; `wish_of` reads them again."""
    return dict(msgspec.to_builtins(wish))


def wish_of(spec: dict[str, Any]) -> Wish:
    """Return the wish in a job's parameters."""
    return msgspec.convert(spec, Wish)
