"""The verbs of prompts: the only door into this slice."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from penstock.core import clock, ids
from penstock.core.deferred import deferred
from penstock.core.errors import Conflict, Denied, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope, system_actor
from penstock.core.uow import UnitOfWork
from penstock.prompts import diff as differ
from penstock.prompts import including, store
from penstock.prompts.events import VersionAdded
from penstock.prompts.labels import store as label_store
from penstock.prompts.model import (
    LATEST,
    PRODUCTION,
    Body,
    LabelMove,
    Prompt,
    PromptVersion,
    Reference,
    Rendered,
    Use,
    check_label,
    check_name,
    check_tags,
)
from penstock.prompts.moving import TOPIC, carry_out

if TYPE_CHECKING:
    from penstock.prompts import template
else:
    # It brings Jinja, which only rendering and writing need.
    template = deferred("penstock.prompts.template")


class Compiled:
    """A version whose templates are compiled and whose includes are pinned. Safe to share between threads."""

    __slots__ = ("_program", "pinned", "version")

    def __init__(
        self, version: PromptVersion, program: "template.Program", pinned: Mapping[str, str]
    ) -> None:
        self.version = version
        self.pinned = pinned
        """Include, as it is written → `name@3`."""
        self._program = program

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of all that rendering needs or takes, its includes' too."""
        return tuple(variable.name for variable in self._program.variables)

    def render(self, variables: Mapping[str, Any]) -> Rendered:
        """Return it filled with `variables`; raises Invalid when they do not fit."""
        text, messages = self._program.render(variables)
        body = self.version.body
        return Rendered(
            ref=self.version.ref,
            kind=body.kind,
            text=text,
            messages=messages,
            tools=body.tools,
            output_schema=body.output_schema,
            settings=body.settings,
            includes=dict(self.pinned),
        )


def create(
    uow: UnitOfWork, actor: Actor, *, name: str, description: str = "", tags: tuple[str, ...] = ()
) -> Prompt:
    """Make an empty prompt; raises Conflict when the name is taken."""
    uow.may(actor, "prompts.write", name)
    prompt = Prompt(
        id=ids.new_id("prm"),
        name=check_name(name),
        description=description,
        tags=check_tags(tags),
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
    uow: UnitOfWork,
    actor: Actor,
    *,
    text: str = "",
    tags: tuple[str, ...] = (),
    after: str = "",
    limit: int = 100,
) -> list[Prompt]:
    """Return prompts by name, after the name `after`, that have all of `tags`.

    `text` is looked for in names, descriptions, tags and in what the newest version says.
    """
    uow.may(actor, "prompts.read")
    return store.list_prompts(uow.conn, actor.scope, search=text, tags=tags, after=after, limit=limit)


def describe(
    uow: UnitOfWork,
    actor: Actor,
    *,
    name: str,
    description: str | None = None,
    tags: tuple[str, ...] | None = None,
) -> Prompt:
    """Change the description, the tags or both; what is None stays. Raises NotFound, Invalid."""
    uow.may(actor, "prompts.write", name)
    prompt = find(uow, actor, name=name)
    changed = replace(
        prompt,
        description=prompt.description if description is None else description,
        tags=prompt.tags if tags is None else check_tags(tags),
    )
    store.update_prompt(uow.conn, prompt, description=changed.description, tags=changed.tags)
    uow.audit(actor, "prompts.describe", name, tags=list(changed.tags))
    return changed


def add_version(uow: UnitOfWork, actor: Actor, *, name: str, body: Body, note: str = "") -> PromptVersion:
    """Add an immutable version, making the prompt if need be.

    The same body as the newest version's returns that one. Raises Invalid for a template that does not parse, an
    include that is missing or leads in a circle, and for tools, settings and the like that make no sense; Conflict
    when another writer added one at the same moment.
    """
    uow.may(actor, "prompts.write", name)
    body.check()
    body = replace(body, variables=template.discover(body))
    includes = template.includes(body)
    prompt = store.get_prompt(uow.conn, actor.scope, name) or create(uow, actor, name=name)
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
        includes=includes,
    )
    if not store.insert_version(uow.conn, actor.scope, prompt, version):
        raise Conflict(f"Somebody else just added version {version.number} of {name!r}.", hint="Try again.")
    template.Program(body, _included(uow, actor, version).bodies)
    uow.audit(actor, "prompts.add_version", version.ref, hash=version.hash)
    uow.publish(VersionAdded(prompt=name, number=version.number), actor.scope)
    uow.bump(TOPIC)
    return version


def _included(uow: UnitOfWork, actor: Actor, version: PromptVersion) -> including.Included:
    """Return what the includes of a version mean now."""

    def found(reference: Reference) -> PromptVersion:
        return get(uow, actor, name=reference.name, version=reference.version, label=reference.label)

    return including.resolve(version.prompt, version.includes, found)


def get(
    uow: UnitOfWork, actor: Actor, *, name: str, version: int | None = None, label: str | None = None
) -> PromptVersion:
    """Return a version by number or label; `production` if there is that label, else the newest. Raises NotFound."""
    prompt = find(uow, actor, name=name)
    if version is not None and label is not None:
        raise Invalid("Give a version or a label, not both.")
    if version is None:
        label = label or (PRODUCTION if PRODUCTION in prompt.labels else LATEST)
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


def movable(
    uow: UnitOfWork, actor: Actor, *, name: str, label: str, version: int
) -> tuple[Prompt, PromptVersion]:
    """Return the prompt and version when the actor may move labels and the version can be used.

    Raises NotFound, and Invalid for a name that is no label.
    """
    uow.may(actor, "prompts.label.write", f"{name}:{label}")
    check_label(label)
    return find(uow, actor, name=name), get(uow, actor, name=name, version=version)


def set_label(
    uow: UnitOfWork, actor: Actor, *, name: str, label: str, version: int, note: str = ""
) -> Prompt:
    """Point `label` at `version`; doing it twice changes nothing.

    Raises NotFound, Denied for a protected label, Invalid for a version that would include itself by this label.
    """
    prompt, _ = movable(uow, actor, name=name, label=label, version=version)
    previous = prompt.labels.get(label)
    if previous == version:
        return prompt
    _check_free(prompt, label)
    move = LabelMove(
        label=label, version=version, previous=previous, actor=actor.name, at=clock.now(), note=note
    )
    carry_out(uow, actor, prompt, move)
    check_includes(uow, actor, name=name, version=version)
    return find(uow, actor, name=name)


def check_includes(uow: UnitOfWork, actor: Actor, *, name: str, version: int) -> None:
    """Raise Invalid when the includes of a version, as labels stand now, are missing or lead in a circle."""
    _included(uow, actor, get(uow, actor, name=name, version=version))


def _check_free(prompt: Prompt, label: str) -> None:
    if label in prompt.protected:
        raise Denied(
            f"The label {label!r} of {prompt.name!r} is protected: somebody else must approve its move.",
            hint="Ask for it: `penstock prompts label`, or PUT the label over HTTP, which makes a request.",
        )


def remove_label(uow: UnitOfWork, actor: Actor, *, name: str, label: str) -> Prompt:
    """Take a label away; raises NotFound when there is none, Denied for a protected one."""
    uow.may(actor, "prompts.label.write", f"{name}:{label}")
    prompt = find(uow, actor, name=name)
    previous = prompt.labels.get(check_label(label))
    if previous is None:
        raise NotFound(f"The prompt {name!r} has no label {label!r}.")
    _check_free(prompt, label)
    move = LabelMove(
        label=label, version=previous, previous=previous, actor=actor.name, at=clock.now(), kind="remove"
    )
    carry_out(uow, actor, prompt, move)
    return find(uow, actor, name=name)


def history(
    uow: UnitOfWork, actor: Actor, *, name: str, label: str | None = None, limit: int = 100
) -> list[LabelMove]:
    """Return the moves of the prompt's labels, or of one, newest first."""
    prompt = find(uow, actor, name=name)
    return [move for _, move in label_store.label_history(uow.conn, prompt, limit, label=label)]


def used_by(
    uow: UnitOfWork, actor: Actor, *, name: str, after: tuple[str, int, str] = ("", 0, ""), limit: int = 100
) -> list[Use]:
    """Return versions of other prompts that include this one, by prompt, newest first; those after the last of a page.

    A version that names it in several ways comes several times.
    """
    find(uow, actor, name=name)
    found = store.including(uow.conn, actor.scope, name, after=after, limit=limit)
    labels: dict[str, dict[str, int]] = {}
    for prompt, _, _ in found:
        if prompt not in labels:
            labels[prompt] = find(uow, actor, name=prompt).labels
    return [
        Use(
            prompt=prompt,
            version=version,
            reference=reference,
            labels=tuple(label for label, at in labels[prompt].items() if at == version),
        )
        for prompt, version, reference in found
    ]


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
    return _compiled(uow, actor, get(uow, actor, name=name, version=version, label=label)).render(variables)


def _compiled(uow: UnitOfWork, actor: Actor, found: PromptVersion) -> Compiled:
    included = _included(uow, actor, found)
    return Compiled(found, template.Program(found.body, included.bodies), included.pinned)


def draft(uow: UnitOfWork, actor: Actor, *, name: str, body: Body) -> Compiled:
    """Return a body that is no version of the prompt yet, ready to be rendered; raises what `add_version` raises."""
    uow.may(actor, "prompts.read", name)
    body.check()
    body = replace(body, variables=template.discover(body))
    made = PromptVersion(
        id="",
        prompt=name,
        number=0,
        body=body,
        hash=body.hash,
        note="",
        author=actor.name,
        created_at=clock.now(),
        includes=template.includes(body),
    )
    return _compiled(uow, actor, made)


def compiled(
    home: Home, scope: Scope, *, name: str, version: int | None = None, label: str | None = None
) -> Compiled:
    """Return a version of the project ready to be rendered again and again, with what its includes mean now.

    `name` may be a prompt's id too. For the gateway, whose every caller may use the prompts of its project; `revision`
    tells when it is out of date. Raises NotFound, Invalid.
    """
    actor = system_actor(scope)
    with home.read() as uow:
        known = store.get_prompt(uow.conn, scope, name, or_id=True)
        name = name if known is None else known.name
        return _compiled(uow, actor, get(uow, actor, name=name, version=version, label=label))


def revision(home: Home) -> int:
    """Return what grows whenever a label or version changes what `compiled` returns."""
    return home.revision(TOPIC)


def diff(uow: UnitOfWork, actor: Actor, *, name: str, before: int, after: int) -> tuple[differ.Change, ...]:
    """Return what changed between two versions, part by part and word by word."""
    old = get(uow, actor, name=name, version=before)
    new = get(uow, actor, name=name, version=after)
    return differ.compare(old.body, new.body)
