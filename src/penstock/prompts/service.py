"""The verbs of prompts: the only door into this slice."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.core import clock, ids
from penstock.core.deferred import deferred
from penstock.core.errors import Conflict, Invalid, NotFound
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.prompts import diff as differ
from penstock.prompts import store
from penstock.prompts.events import LabelMoved, VersionAdded
from penstock.prompts.model import (
    LATEST,
    Body,
    LabelMove,
    Prompt,
    PromptVersion,
    Rendered,
    check_label,
    check_name,
)

if TYPE_CHECKING:
    from penstock.prompts import template
else:
    # It brings Jinja, which only rendering and writing need.
    template = deferred("penstock.prompts.template")


def create(
    uow: UnitOfWork, actor: Actor, *, name: str, description: str = "", tags: tuple[str, ...] = ()
) -> Prompt:
    """Make an empty prompt; raises Conflict when the name is taken."""
    uow.may(actor, "prompts.write", name)
    prompt = Prompt(
        id=ids.new_id("prm"),
        name=check_name(name),
        description=description,
        tags=tags,
        created_at=clock.now(),
        versions=0,
        labels={},
    )
    if not store.insert_prompt(uow.conn, actor.scope, prompt):
        raise Conflict(f"There is a prompt {name!r} already.", hint="Add a version to it instead.")
    uow.audit(actor, "prompts.create", name)
    return prompt


def find(uow: UnitOfWork, actor: Actor, *, name: str) -> Prompt:
    """Return the prompt; raises NotFound."""
    uow.may(actor, "prompts.read", name)
    prompt = store.get_prompt(uow.conn, actor.scope, name)
    if prompt is None:
        raise NotFound(f"There is no prompt {name!r} in the project {actor.scope.project!r}.")
    return prompt


def search(
    uow: UnitOfWork, actor: Actor, *, text: str = "", after: str = "", limit: int = 100
) -> list[Prompt]:
    """Return prompts by name, after the name `after`, whose name or description holds `text`."""
    uow.may(actor, "prompts.read")
    return store.list_prompts(uow.conn, actor.scope, search=text, after=after, limit=limit)


def add_version(uow: UnitOfWork, actor: Actor, *, name: str, body: Body, note: str = "") -> PromptVersion:
    """Add an immutable version, making the prompt if need be.

    The same body as the newest version's returns that one. Raises Invalid for a template that does
    not parse, Conflict when another writer added one at the same moment.
    """
    uow.may(actor, "prompts.write", name)
    prompt = store.get_prompt(uow.conn, actor.scope, name) or create(uow, actor, name=name)
    body = replace(body, variables=template.discover(body))
    newest = store.get_version(uow.conn, prompt, prompt.versions) if prompt.versions else None
    if newest is not None and newest.hash == body.hash:
        return newest
    version = PromptVersion(
        id=ids.new_id("prv"),
        prompt=name,
        number=prompt.versions + 1,
        body=body,
        hash=body.hash,
        note=note,
        author=actor.name,
        created_at=clock.now(),
    )
    if not store.insert_version(uow.conn, prompt, version):
        raise Conflict(f"Somebody else just added version {version.number} of {name!r}.", hint="Try again.")
    uow.audit(actor, "prompts.add_version", version.ref, hash=version.hash)
    uow.publish(VersionAdded(prompt=name, number=version.number), actor.scope)
    uow.bump("prompts")
    return version


def get(
    uow: UnitOfWork, actor: Actor, *, name: str, version: int | None = None, label: str | None = None
) -> PromptVersion:
    """Return a version by number or label; `production` if there is that label, else the newest. Raises NotFound."""
    prompt = find(uow, actor, name=name)
    if version is not None and label is not None:
        raise Invalid("Give a version or a label, not both.")
    if version is None:
        label = label or ("production" if "production" in prompt.labels else LATEST)
        if label not in prompt.labels:
            known = ", ".join(sorted(prompt.labels)) or "none yet"
            raise NotFound(f"The prompt {name!r} has no label {label!r}.", hint=f"Labels: {known}.")
        version = prompt.labels[label]
    found = store.get_version(uow.conn, prompt, version)
    if found is None:
        raise NotFound(f"The prompt {name!r} has no version {version}.", hint=f"It has {prompt.versions}.")
    return found


def list_versions(
    uow: UnitOfWork, actor: Actor, *, name: str, before: int | None = None, limit: int = 50
) -> list[PromptVersion]:
    """Return the versions, newest first, with numbers below `before`."""
    return store.list_versions(uow.conn, find(uow, actor, name=name), before=before, limit=limit)


def set_label(uow: UnitOfWork, actor: Actor, *, name: str, label: str, version: int) -> Prompt:
    """Point `label` at `version`; doing it twice changes nothing. Raises NotFound, Invalid."""
    uow.may(actor, "prompts.label.write", f"{name}:{label}")
    check_label(label)
    prompt = find(uow, actor, name=name)
    get(uow, actor, name=name, version=version)
    previous = prompt.labels.get(label)
    if previous == version:
        return prompt
    move = LabelMove(label=label, version=version, previous=previous, actor=actor.name, at=clock.now())
    store.move_label(uow.conn, prompt, move, ids.new_id("mov"))
    uow.audit(actor, "prompts.set_label", f"{name}:{label}", version=version, previous=previous)
    uow.publish(LabelMoved(prompt=name, label=label, number=version, previous=previous), actor.scope)
    uow.bump("prompts")
    return find(uow, actor, name=name)


def remove_label(uow: UnitOfWork, actor: Actor, *, name: str, label: str) -> Prompt:
    """Take a label away; raises NotFound when there is none."""
    uow.may(actor, "prompts.label.write", f"{name}:{label}")
    prompt = find(uow, actor, name=name)
    if not store.remove_label(uow.conn, prompt, check_label(label)):
        raise NotFound(f"The prompt {name!r} has no label {label!r}.")
    uow.audit(actor, "prompts.remove_label", f"{name}:{label}", previous=prompt.labels.get(label))
    uow.bump("prompts")
    return find(uow, actor, name=name)


def history(uow: UnitOfWork, actor: Actor, *, name: str, limit: int = 100) -> list[LabelMove]:
    """Return the moves of the prompt's labels, newest first."""
    return store.label_history(uow.conn, find(uow, actor, name=name), limit)


def render(
    uow: UnitOfWork,
    actor: Actor,
    *,
    name: str,
    variables: Mapping[str, Any],
    version: int | None = None,
    label: str | None = None,
) -> Rendered:
    """Return the version filled with `variables`; raises Invalid when they do not fit."""
    found = get(uow, actor, name=name, version=version, label=label)
    text, messages = template.render(found.body, variables)
    return Rendered(
        ref=found.ref,
        kind=found.body.kind,
        text=text,
        messages=messages,
        tools=found.body.tools,
        output_schema=found.body.output_schema,
        settings=found.body.settings,
    )


def diff(uow: UnitOfWork, actor: Actor, *, name: str, before: int, after: int) -> tuple[differ.Change, ...]:
    """Return what changed between two versions, part by part and word by word."""
    old = get(uow, actor, name=name, version=before)
    new = get(uow, actor, name=name, version=after)
    return differ.compare(old.body, new.body)
