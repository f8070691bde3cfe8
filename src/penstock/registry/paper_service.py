"""The verbs of what travels with a version: licence, use, signature, card, manifest, scan."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from penstock.core import clock
from penstock.core.errors import Invalid, TooLarge
from penstock.core.home import Home
from penstock.core.lineage import neighbours
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.registry import card as cards
from penstock.registry import folders, scan
from penstock.registry.model import ModelVersion, Papers, check_text, one_line
from penstock.registry.papers import manifest, signature, store, verifying
from penstock.registry.papers.model import SigningKey, Verdict
from penstock.registry.service import LINK_KIND, get, papers_told
from penstock.registry.workplace import work_folder


def _ignore(_path: str) -> None:
    return None


def papers(uow: UnitOfWork, actor: Actor, *, ref: str) -> Papers:
    """Return what travels with a version; of one made before there were papers, what its maker told."""
    version = get(uow, actor, ref=ref)
    return store.get_papers(uow.conn, version) or papers_told(version.card_extra, None, None)


def state(
    uow: UnitOfWork,
    actor: Actor,
    *,
    ref: str,
    licence: str | None = None,
    intended_use: str | None = None,
    signed: dict[str, Any] | None = None,
) -> Papers:
    """Record licence, intended use or signature of a version; None leaves what is there. Raises Invalid."""
    uow.may(actor, "models.write", ref)
    version = get(uow, actor, ref=ref)
    held = papers(uow, actor, ref=version.ref)
    changed = replace(
        held,
        licence=held.licence if licence is None else one_line(check_text(licence, "licence")),
        intended_use=held.intended_use if intended_use is None else check_text(intended_use, "intended use"),
        signature=held.signature if signed is None else signature.check(signed),
    )
    store.put_papers(uow.conn, version, changed)
    uow.audit(actor, "models.state", version.ref, licence=changed.licence)
    return changed


def card(uow: UnitOfWork, actor: Actor, *, ref: str) -> str:
    """Return the version's model card as Markdown: as edited, else written from what is recorded now."""
    version = get(uow, actor, ref=ref)
    held = papers(uow, actor, ref=version.ref)
    return held.card if held.card is not None else generated_card(uow, actor, ref=version.ref)


def generated_card(uow: UnitOfWork, actor: Actor, *, ref: str) -> str:
    """Return the card that the evidence writes, whatever somebody made of it."""
    version = get(uow, actor, ref=ref)
    down = neighbours(uow.conn, actor.scope, LINK_KIND, version.ref, direction="down", depth=1)
    return cards.render(version, papers(uow, actor, ref=version.ref), down)


def edit_card(uow: UnitOfWork, actor: Actor, *, ref: str, text: str | None) -> Papers:
    """Put `text` in place of the generated card; None goes back to that. Raises Invalid for more than 1 MB."""
    uow.may(actor, "models.write", ref)
    version = get(uow, actor, ref=ref)
    if text is not None and len(check_text(text, "card")) > cards.LIMIT:
        raise Invalid(f"A card has at most {cards.LIMIT} characters.")
    held = papers(uow, actor, ref=version.ref)
    by, at = (actor.name, clock.now()) if text is not None else ("", None)
    changed = replace(held, card=text, card_author=by, card_at=at)
    store.put_papers(uow.conn, version, changed)
    uow.audit(actor, "models.edit_card", version.ref, edited=text is not None)
    return changed


def verify(uow: UnitOfWork, actor: Actor, *, ref: str) -> Verdict:
    """Hold a version's signed manifest against the files it is recorded to have; their bytes are checked when read."""
    version = get(uow, actor, ref=ref)
    return verifying.verdict(uow, actor, version, papers(uow, actor, ref=version.ref))


def verify_files(
    home: Home, actor: Actor, *, ref: str, most: int | None = None, begin: Callable[[str], None] = _ignore
) -> Verdict:
    """Like `verify`, and read every stored byte: damaged and missing files are among the problems.

    `begin` is told each file before it is read. Raises TooLarge for a version of more than `most` bytes.
    """
    with home.read() as uow:
        version = _at_most(get(uow, actor, ref=ref), most)
        found = verify(uow, actor, ref=version.ref)
    broken = []
    for entry in version.files:
        begin(entry.path)
        why = folders.damage(home, entry)
        if why:
            broken.append(f"{entry.path}: {why}")
    return replace(found, problems=(*found.problems, *broken))


def _at_most(version: ModelVersion, most: int | None) -> ModelVersion:
    if most is not None and version.size > most:
        raise TooLarge(
            f"{version.ref} has {version.size} bytes; at most {most} are read while you wait.",
            hint="Let a job do it: POST …/verify, or …/scan/background.",
        )
    return version


def verify_folder(folder: Path, public_keys: dict[str, str]) -> Verdict:
    """Hold a folder that `exporting.write_folder` wrote against the manifest in it, by the keys the caller trusts.

    `public_keys` are key id → base64, as `signing_keys` tells them. Raises Invalid when there is no folder.
    """
    if not folder.is_dir():
        raise Invalid(f"There is no folder {folder}.")
    path = folder / manifest.FILE
    listed = [(name, file) for name, file in scan.list_files(folder) if name != manifest.FILE]
    files = tuple(folders.entry_of(name, file) for name, file in listed)
    return manifest.check(manifest.read(path), files, public_keys)


def signing_keys(uow: UnitOfWork, actor: Actor) -> list[SigningKey]:
    """Return the keys that manifests may be signed with, the one in use first."""
    uow.may(actor, "models.read")
    return store.list_keys(uow.conn, actor.scope)


def rescan(
    home: Home, actor: Actor, *, ref: str, most: int | None = None, begin: Callable[[str], None] = _ignore
) -> Papers:
    """Scan the stored files of a version again and record what was found; nothing is refused afterwards.

    `begin` is told each file before it is read. Raises TooLarge for a version of more than `most` bytes.
    """
    with home.read() as uow:
        uow.may(actor, "models.write", ref)
        version = _at_most(get(uow, actor, ref=ref), most)
    findings = []
    with work_folder(home, "scans") as work:
        for number, entry in enumerate(version.files):
            begin(entry.path)
            copy = work / str(number) / Path(entry.path).name
            home.blobs.fetch(entry.sha256, copy)
            findings.append(scan.examine(entry.path, copy, version.kind))
            copy.unlink()
    report = scan.report(findings)
    with home.begin() as uow:
        changed = replace(papers(uow, actor, ref=version.ref), scan=report)
        store.put_papers(uow.conn, version, changed)
        uow.audit(actor, "models.scan", version.ref, safe=report["safe"])
    return changed
