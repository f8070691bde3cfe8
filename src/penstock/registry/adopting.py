"""Models that somebody names by where they are: a repository of a hub, or a folder of this machine.

Above `service` and `importing`: such a model is imported first, and whoever named it goes on with the version.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from penstock.core.errors import Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.registry import importing, service
from penstock.registry.importing import LONGEST, REPOSITORY, Wish
from penstock.registry.importing import QUIET as QUIET
from penstock.registry.importing import Watch as Watch
from penstock.registry.model import NAME, TAKEN, ModelVersion

LONGEST_PLACE = 200
"""Characters, so that lineage can name it."""
_REVISION = re.compile(r"[A-Za-z0-9][\w./-]{0,99}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_FOLDERS = ("/", "./", "../", "~/")
_LOOKED_AT = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a model is that is no version yet."""

    kind: str
    """hub or folder, as in lineage."""
    where: str
    """OWNER/REPOSITORY, or the folder's absolute path."""
    revision: str = "main"
    """Branch, tag or commit of a hub's repository."""


def place_of(text: str) -> Place | None:
    """Return the place that `text` names, or None for a reference such as `name@3`.

    A folder begins with `/`, `./`, `../` or `~/`; anything else with a slash is `OWNER/REPOSITORY` with, if need be,
    `@REVISION`. Raises Invalid for what is neither, and for a folder that is not absolute: see `absolute`.
    """
    if "/" not in text:
        return None
    if text.startswith(_FOLDERS):
        if not text.startswith("/") or len(text) > LONGEST_PLACE:
            raise Invalid(
                f"{text!r} is not the absolute path of a folder, of at most {LONGEST_PLACE} characters.",
                hint="Write it from the root, such as /models/small; the command line does so itself.",
            )
        return Place(kind="folder", where=text)
    where, _, revision = text.partition("@")
    if not REPOSITORY.fullmatch(where) or "/" not in where or len(where) > LONGEST:
        raise Invalid(
            f"{text!r} is neither a registered version, nor a repository of a hub, nor a folder.",
            hint="Write NAME@1, OWNER/REPOSITORY, OWNER/REPOSITORY@REVISION, /a/folder or ./a/folder.",
        )
    if not _REVISION.fullmatch(revision or "main"):
        raise Invalid(f"{revision!r} is not a revision.", hint="Name a branch, a tag or a commit.")
    return Place(kind="hub", where=where, revision=revision or "main")


def absolute(text: str) -> str:
    """Return a folder's name as its absolute path, from where the command runs; anything else as it is."""
    if not text.startswith(_FOLDERS):
        return text
    return str(Path(text).expanduser().absolute())


def may_adopt(uow: UnitOfWork, actor: Actor, place: Place) -> None:
    """Raise Denied unless the actor may import from there: folders of the server need the role admin."""
    uow.may(actor, "models.import.admin" if place.kind == "folder" else "models.write", place.where)


def here(uow: UnitOfWork, actor: Actor, place: Place) -> ModelVersion | None:
    """Return the newest version that came from the place, or None; nothing is looked at but the registry.

    Of a commit it is that one's; of a branch or tag the newest of the repository, since only the hub knows where it is.
    """
    prefix = f"{place.where}@" if place.kind == "hub" else place.where
    found = importing.imported(uow, actor, place.kind, prefix)
    usable = [version for parent, version in found if _is(place, parent)]
    return max(usable, key=lambda version: version.created_at, default=None)


def _is(place: Place, parent: str) -> bool:
    if place.kind == "hub":
        return not _COMMIT.fullmatch(place.revision) or parent == f"{place.where}@{place.revision}"
    return parent == place.where


def adopt(home: Home, actor: Actor, place: Place, *, watch: Watch = QUIET) -> ModelVersion:
    """Return the version that holds what is at the place, imported if need be.

    The same files are the same version, wherever they came from; the lineage then names this place too. A commit of a
    hub that was imported before is not fetched again. Raises Denied, what `importing.from_hub` and `from_folder` raise,
    and Invalid for what cannot be trained.
    """
    with home.read() as uow:
        may_adopt(uow, actor, place)
        wish = Wish(name=_name(uow, actor, place), to_train=True)
    if place.kind == "folder":
        return importing.from_folder(home, actor, wish=wish, folder=Path(place.where))
    return importing.from_hub(
        home, actor, wish=wish, repository=place.where, revision=place.revision, watch=watch
    )


def _name(uow: UnitOfWork, actor: Actor, place: Place) -> str:
    """Return a name for models from there, such as owner-repository: never that of a model which is something else."""
    plain = place.where if place.kind == "hub" else Path(place.where).name
    slug = re.sub(r"[^a-z0-9._-]+", "-", plain.lower()).strip("-._")[:80] or "model"
    if slug not in TAKEN and NAME.fullmatch(slug) and _free(uow, actor, place, slug):
        return slug
    return f"{slug}-{hashlib.sha256(place.where.encode()).hexdigest()[:8]}"


def _free(uow: UnitOfWork, actor: Actor, place: Place, name: str) -> bool:
    try:
        known = service.list_versions(uow, actor, name=name, limit=_LOOKED_AT)
    except NotFound:
        return True
    links = [link for version in known for link in version.lineage if link.kind == place.kind]
    return any(link.ref.rpartition("@")[0] == place.where or link.ref == place.where for link in links)
