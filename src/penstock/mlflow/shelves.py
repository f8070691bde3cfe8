"""Prompts and models behind one face, as MLflow's registry sees them: names, aliases, numbered versions.

MLflow allows more names than Penstock: one that does not fit is kept as it is for MLflow and shortened for its slice.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from penstock.core import clock
from penstock.core.errors import Invalid, NotFound
from penstock.core.uow import UnitOfWork
from penstock.mlflow.call import Call
from penstock.mlflow.model import Named, VersionNote
from penstock.mlflow.store import names
from penstock.prompts import service as prompts
from penstock.prompts.model import Body, PromptVersion
from penstock.prompts.model import Kind as PromptKind
from penstock.registry import service as registry
from penstock.registry.model import LATEST, ModelVersion, Stage

PROMPT, MODEL = "prompt", "model"
IS_PROMPT = "mlflow.prompt.is_prompt"
TEXT_TAG, TYPE_TAG = "mlflow.prompt.text", "_mlflow_prompt_type"
FORMAT_TAG, CONFIG_TAG = "_mlflow_prompt_response_format", "_mlflow_prompt_model_config"
SPECIAL = frozenset({IS_PROMPT, TEXT_TAG, TYPE_TAG, FORMAT_TAG, CONFIG_TAG})
CLASH = ".prompt"
"""Behind the name of a prompt where a model has the same."""
_FITS = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_STAGES = {
    Stage.DEVELOPMENT: "None",
    Stage.STAGING: "Staging",
    Stage.PRODUCTION: "Production",
    Stage.ARCHIVED: "Archived",
}
STAGES = {shown.lower(): stage for stage, shown in _STAGES.items()}
_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A prompt or registered model."""

    named: Named
    aliases: dict[str, int]
    versions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A version of one."""

    shelf: Shelf
    number: int
    created_at: datetime
    author: str
    stage: str
    tags: dict[str, str]
    note: VersionNote

    @property
    def aliases(self) -> list[str]:
        """Return the aliases that point here."""
        return sorted(alias for alias, number in self.shelf.aliases.items() if number == self.number)


def target_for(name: str) -> str:
    """Return the name in Penstock's slices for one of MLflow's."""
    if not name.strip() or len(name) > 500 or "\0" in name or "/" in name or ":" in name:
        raise Invalid(f"{name[:60]!r} is not a name: use 1 to 500 characters without / and :.")
    if _FITS.fullmatch(name):
        return name
    slug = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")[:80] or "x"
    return f"{slug}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _named(kind: str, name: str, target: str, description: str, at: datetime) -> Named:
    return Named(kind=kind, name=name, target=target, description=description, created_at=at, updated_at=at)


def _behind(uow: UnitOfWork, call: Call, kind: str, target: str) -> tuple[dict[str, int], int, Any] | None:
    """Return (aliases, how many versions, the noun) of the slice that keeps it."""
    found: Any
    try:
        if kind == PROMPT:
            found = prompts.find(uow, call.actor, name=target)
            aliases = found.labels
        else:
            found = registry.find(uow, call.actor, name=target)
            aliases = found.aliases
    except (NotFound, Invalid):
        return None
    return {alias: number for alias, number in aliases.items() if alias != LATEST}, found.versions, found


def _shelf(uow: UnitOfWork, call: Call, kind: str, name: str, target: str) -> Shelf | None:
    named = names.get_name(uow.conn, call.actor.scope, kind, name)
    if named is not None and named.hidden:
        return None
    behind = _behind(uow, call, kind, target if named is None else named.target)
    if behind is None:
        return None
    aliases, count, noun = behind
    if named is None:
        named = _named(kind, name, target, noun.description, noun.created_at)
    return Shelf(named=named, aliases=aliases, versions=count)


def look(uow: UnitOfWork, call: Call, name: str) -> Shelf | None:
    """Return the prompt or model that MLflow knows by the name."""
    known = [kind for kind in (MODEL, PROMPT) if names.get_name(uow.conn, call.actor.scope, kind, name)]
    for kind in known or [MODEL, PROMPT]:
        if found := _shelf(uow, call, kind, name, name):
            return found
    if name.endswith(CLASH):
        return _shelf(uow, call, PROMPT, name, name.removesuffix(CLASH))
    return None


def find(uow: UnitOfWork, call: Call, name: str) -> Shelf:
    """Return the prompt or model; raises NotFound."""
    found = look(uow, call, name)
    if found is None:
        raise NotFound(f"Registered Model with name={name} not found")
    return found


def _targets(uow: UnitOfWork, call: Call, kind: str) -> Iterator[str]:
    after = ""
    while True:
        listing: Any = prompts.search if kind == PROMPT else registry.list_models
        page = listing(uow, call.actor, after=after, limit=_PAGE)
        yield from (one.name for one in page)
        if len(page) < _PAGE:
            return
        after = page[-1].name


def everything(uow: UnitOfWork, call: Call, kind: str) -> Iterator[Shelf]:
    """Yield all prompts or all models that MLflow may see."""
    known = names.list_names(uow.conn, call.actor.scope, kind)
    taken = {named.target for named in known}
    for named in known:
        if found := _shelf(uow, call, kind, named.name, named.target):
            yield found
    models = set(_targets(uow, call, MODEL)) if kind == PROMPT else set()
    for target in _targets(uow, call, kind):
        if target not in taken:
            name = target + CLASH if target in models else target
            if found := _shelf(uow, call, kind, name, target):
                yield found


def keep(uow: UnitOfWork, call: Call, shelf: Shelf, **changes: Any) -> Shelf:
    """Change what MLflow keeps about a prompt or model."""
    named = replace(shelf.named, updated_at=clock.now(), **changes)
    names.put_name(uow.conn, call.actor.scope, named)
    return replace(shelf, named=named)


def make(
    uow: UnitOfWork, call: Call, *, kind: str, name: str, description: str, tags: dict[str, str]
) -> Shelf:
    """Make a prompt or model without versions."""
    target = target_for(name)
    if kind == MODEL:
        registry.create(uow, call.actor, name=target, description=description)
    elif _behind(uow, call, PROMPT, target) is None:
        prompts.create(uow, call.actor, name=target, description=description)
    named = _named(kind, name, target, description, clock.now())
    names.put_name(uow.conn, call.actor.scope, replace(named, tags=tags))
    return find(uow, call, name)


def point(uow: UnitOfWork, call: Call, shelf: Shelf, alias: str, number: int) -> None:
    """Point an alias at a version."""
    volume(uow, call, shelf, number)
    if shelf.named.kind == PROMPT:
        prompts.set_label(uow, call.actor, name=shelf.named.target, label=alias, version=number)
    else:
        registry.set_alias(uow, call.actor, name=shelf.named.target, alias=alias, version=number)


def unpoint(uow: UnitOfWork, call: Call, shelf: Shelf, alias: str) -> None:
    """Take an alias away; one that is not there is no error, as in MLflow."""
    if alias not in shelf.aliases:
        return
    if shelf.named.kind == PROMPT:
        prompts.remove_label(uow, call.actor, name=shelf.named.target, label=alias)
    else:
        registry.remove_alias(uow, call.actor, name=shelf.named.target, alias=alias)


def _prompt_tags(body: Body) -> dict[str, str]:
    """Return the tags that carry a prompt's template in MLflow."""
    tags = {IS_PROMPT: "true", TYPE_TAG: str(body.kind)}
    if body.kind is PromptKind.TEXT:
        tags[TEXT_TAG] = body.text
    else:
        messages = [
            {"role": "user", "content": "{{" + one["placeholder"] + "}}"} if "placeholder" in one else one
            for one in body.messages
        ]
        tags[TEXT_TAG] = json.dumps(messages)
    if body.output_schema is not None:
        tags[FORMAT_TAG] = json.dumps(body.output_schema)
    if body.settings:
        tags[CONFIG_TAG] = json.dumps(body.settings)
    return tags


def _blank(shelf: Shelf, number: int, at: datetime, description: str) -> VersionNote:
    return VersionNote(
        kind=shelf.named.kind,
        target=shelf.named.target,
        number=number,
        description=description,
        updated_at=at,
    )


def _of_prompt(shelf: Shelf, found: PromptVersion, note: VersionNote | None) -> Volume:
    note = note or _blank(shelf, found.number, found.created_at, found.note)
    return Volume(
        shelf=shelf,
        number=found.number,
        created_at=found.created_at,
        author=found.author,
        stage="None",
        tags=_prompt_tags(found.body) | note.tags,
        note=note,
    )


def _of_model(shelf: Shelf, found: ModelVersion, note: VersionNote | None) -> Volume:
    said = str(found.card_extra.get("description", ""))
    note = note or _blank(shelf, found.number, found.created_at, said)
    return Volume(
        shelf=shelf,
        number=found.number,
        created_at=found.created_at,
        author=found.author,
        stage=_STAGES[found.stage],
        tags=note.tags,
        note=note,
    )


def volumes(uow: UnitOfWork, call: Call, shelf: Shelf) -> Iterator[Volume]:
    """Yield the versions that MLflow may see, newest first."""
    noted = names.versions_of(uow.conn, call.actor.scope, shelf.named.kind, shelf.named.target)
    before: int | None = None
    while True:
        page: list[Any]
        if shelf.named.kind == PROMPT:
            page = list(
                prompts.list_versions(uow, call.actor, name=shelf.named.target, before=before, limit=_PAGE)
            )
        else:
            page = registry.list_versions(
                uow, call.actor, name=shelf.named.target, before=before, limit=_PAGE
            )
        for found in page:
            note = noted.get(found.number)
            if note is None or not note.hidden:
                yield (
                    _of_prompt(shelf, found, note)
                    if isinstance(found, PromptVersion)
                    else _of_model(shelf, found, note)
                )
        if len(page) < _PAGE:
            return
        before = page[-1].number


def volume(uow: UnitOfWork, call: Call, shelf: Shelf, number: int) -> Volume:
    """Return a version; raises NotFound."""
    scope, named = call.actor.scope, shelf.named
    note = names.versions_of(uow.conn, scope, named.kind, named.target).get(number)
    if not 1 <= number <= shelf.versions or (note is not None and note.hidden):
        raise NotFound(f"Model Version (name={named.name}, version={number}) not found")
    if named.kind == PROMPT:
        return _of_prompt(shelf, prompts.get(uow, call.actor, name=named.target, version=number), note)
    return _of_model(shelf, registry.get(uow, call.actor, ref=f"{named.target}@{number}"), note)


def keep_volume(uow: UnitOfWork, call: Call, found: Volume, **changes: Any) -> Volume:
    """Change what MLflow keeps about a version."""
    note = replace(found.note, updated_at=clock.now(), **changes)
    names.put_version(uow.conn, call.actor.scope, note)
    keep(uow, call, found.shelf)
    return replace(found, note=note)
