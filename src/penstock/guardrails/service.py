"""The verbs of guardrails: policies and their versions, what the gateway reads, and trying them out."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from penstock.core import clock, log, plugins
from penstock.core.changes import Change
from penstock.core.errors import Invalid, NotFound, PenstockError
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.core.settings import CoreSettings
from penstock.core.suggest import did_you_mean
from penstock.core.uow import UnitOfWork
from penstock.guardrails import store
from penstock.guardrails.building import GROUP, build_entries, build_guard
from penstock.guardrails.checking import Checker
from penstock.guardrails.model import (
    About,
    Checked,
    Document,
    GuardKind,
    Piece,
    Policy,
    Rules,
    Stage,
    ToolCall,
    check_policy_name,
    check_rules,
)
from penstock.guardrails.ports import Transport
from penstock.guardrails.posting import Posting
from penstock.guardrails.program import Program
from penstock.guardrails.tables import rules_from_table
from penstock.guardrails.tokens import Tokens

TOPIC = "guardrails"
"""Its revision grows with every change of any policy."""
_log = log.get("guardrails")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guardrails:
    """All policies in force, of every project; immutable."""

    policies: Mapping[Scope, tuple[Policy, ...]] = field(default_factory=dict)
    secrets: Mapping[str, bytes] = field(default_factory=dict)
    """Tenant → its key."""
    allow_private: bool = False
    """Whether remote guards may have private addresses."""
    revision: int = 0
    """What `revision` was before they were read."""

    def holding(self, scope: Scope, route: str, key_id: str, key_name: str) -> tuple[Policy, ...]:
        """Return what holds for a call, in order: the project's policies, and those of the tenant's default project."""
        found = list(self.policies.get(scope, ()))
        if scope != (default := Scope(scope.tenant)):
            found += self.policies.get(default, ())
        held = [policy for policy in found if policy.rules.covers(route, key_id, key_name)]
        return tuple(sorted(held, key=lambda policy: (policy.rules.order, policy.name)))

    def secret(self, scope: Scope) -> bytes:
        """Return the tenant's key; empty when it has no policies."""
        return self.secrets.get(scope.tenant, b"")


def load(uow: UnitOfWork) -> Guardrails:
    """Return all policies in force; a key that cannot be opened is replaced for this process, and logged."""
    found, sealed = store.everything(uow.conn)
    return Guardrails(
        policies={scope: tuple(policies) for scope, policies in found.items()},
        secrets={tenant: _opened(uow, tenant, text) for tenant, text in sealed.items()},
        allow_private=_allow_private(uow),
    )


def load_current(home: Home) -> Guardrails:
    """Return all policies in force, with the revision they are of at least."""
    seen = revision(home)
    with home.read() as uow:
        return replace(load(uow), revision=seen)


def revision(home: Home) -> int:
    """Return what grows whenever a policy of any project changes."""
    return home.revision(TOPIC)


def _opened(uow: UnitOfWork, tenant: str, sealed: str) -> bytes:
    try:
        return uow.home.vault.open(sealed, purpose=f"guardrails:{tenant}")
    except PenstockError as error:
        _log.error(
            "the guardrails' key of the tenant %s cannot be opened, its hashes change: %s", tenant, error
        )
        return os.urandom(32)


def _allow_private(uow: UnitOfWork) -> bool:
    return uow.home.settings.section(CoreSettings).allow_private_urls


def _ensure_key(uow: UnitOfWork, scope: Scope) -> None:
    if store.sealed_key(uow.conn, scope) is None:
        store.put_key(
            uow.conn, scope, uow.home.vault.seal(os.urandom(32), purpose=f"guardrails:{scope.tenant}")
        )


def _validated(uow: UnitOfWork, name: str, rules: Rules) -> Rules:
    """Return `rules`; raises Invalid unless every guard can be made and all of them together can be looked for."""
    check_policy_name(name)
    check_rules(rules)
    for guard in rules.guards:
        try:
            build_guard(guard, policy=name, allow_private=_allow_private(uow), secret=b"")
        except PenstockError as error:
            raise Invalid(
                f"The policy {name!r}, guard {guard.label!r}: {error.message}", hint=error.hint
            ) from error
    _programs(uow, (_draft(name, rules),), b"")
    return rules


def _draft(name: str, rules: Rules) -> Policy:
    return Policy(name=name, number=0, rules=rules, author="", created_at=clock.now())


def _programs(uow: UnitOfWork, policies: tuple[Policy, ...], secret: bytes) -> dict[Stage, Program]:
    entries, _ = build_entries(policies, allow_private=_allow_private(uow), secret=secret)
    return {stage: Program(entries, stage) for stage in (Stage.INPUT, Stage.OUTPUT)}


# -- policies ----------------------------------------------------------------------------------------------


def put_policy(uow: UnitOfWork, actor: Actor, name: str, rules: Rules) -> Policy:
    """Put a new version of the policy in force, within about a second in every process.

    Rules equal to those in force make no new version. Raises Invalid for rules that cannot be.
    """
    uow.may(actor, "guardrails.admin", name)
    _validated(uow, name, rules)
    held = _find(uow, actor, name)
    if held is not None and held.rules == rules:
        return held
    made = Policy(
        name=name,
        number=store.next_number(uow.conn, actor.scope, name),
        rules=rules,
        author=actor.name,
        created_at=clock.now(),
    )
    store.add(uow.conn, actor.scope, made)
    _ensure_key(uow, actor.scope)
    uow.audit(actor, "guardrails.put", made.ref, guards=[guard.kind for guard in rules.guards])
    uow.bump(TOPIC)
    return made


def _find(uow: UnitOfWork, actor: Actor, name: str) -> Policy | None:
    return next((policy for policy in store.current(uow.conn, actor.scope) if policy.name == name), None)


def list_policies(uow: UnitOfWork, actor: Actor) -> list[Policy]:
    """Return the project's policies in force, by name."""
    uow.may(actor, "guardrails.read")
    return store.current(uow.conn, actor.scope)


def get(uow: UnitOfWork, actor: Actor, name: str, number: int | None = None) -> Policy:
    """Return the version in force, or any version by its number; raises NotFound."""
    uow.may(actor, "guardrails.read", name)
    if number is not None:
        for policy in store.history(uow.conn, actor.scope, name):
            if policy.number == number:
                return policy
        raise NotFound(f"The policy {name!r} has no version {number}.")
    found = _find(uow, actor, name)
    if found is None:
        known = [policy.name for policy in store.current(uow.conn, actor.scope)]
        raise NotFound(f"There is no policy {name!r}.", hint=did_you_mean(name, known))
    return found


def versions(uow: UnitOfWork, actor: Actor, name: str) -> list[Policy]:
    """Return every version, newest first, of a policy that may be removed; raises NotFound."""
    uow.may(actor, "guardrails.read", name)
    found = store.history(uow.conn, actor.scope, name)
    if not found:
        raise NotFound(f"There is no policy {name!r}.")
    return found


def remove(uow: UnitOfWork, actor: Actor, name: str) -> None:
    """Take the policy out of force; its versions stay. Raises NotFound."""
    uow.may(actor, "guardrails.admin", name)
    held = get(uow, actor, name)
    store.remove(uow.conn, actor.scope, name)
    uow.audit(actor, "guardrails.remove", held.ref)
    uow.bump(TOPIC)


def plan(uow: UnitOfWork, actor: Actor, tables: Mapping[str, Mapping[str, Any]]) -> list[Change]:
    """Return what applying the `[guardrails.NAME]` tables would do; raises Invalid for any that is not right."""
    uow.may(actor, "guardrails.admin", "apply")
    held = {policy.name: policy.rules for policy in store.current(uow.conn, actor.scope)}
    changes = []
    for name, table in tables.items():
        rules = _validated(uow, name, rules_from_table(name, table))
        old = held.get(name)
        action = "create" if old is None else "unchanged" if old == rules else "update"
        detail = ", ".join(guard.label for guard in rules.guards)
        changes.append(Change(action=action, kind="guardrail", name=name, detail=detail))
    return changes


def apply(uow: UnitOfWork, actor: Actor, tables: Mapping[str, Mapping[str, Any]]) -> list[Change]:
    """Bring the `[guardrails.NAME]` tables into force; validates all of them before it writes."""
    changes = plan(uow, actor, tables)
    for change in changes:
        if change.action != "unchanged":
            put_policy(uow, actor, change.name, rules_from_table(change.name, tables[change.name]))
    return changes


# -- kinds, and trying out ---------------------------------------------------------------------------------


def kinds() -> list[GuardKind]:
    """Return every kind of guard that is installed; one that cannot be loaded says why."""
    return [_kind(name) for name in plugins.names(GROUP)]


def _kind(name: str) -> GuardKind:
    try:
        plugin = plugins.load(GROUP, name)
    except PenstockError as error:
        return GuardKind(kind=name, stages=(), actions=(), options="", error=str(error))
    said = " ".join((plugin.__doc__ or "").split())
    return GuardKind(kind=name, stages=tuple(plugin.stages), actions=tuple(plugin.actions), options=said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A text to be tried against policies, as a call would bring it."""

    text: str
    stage: Stage = Stage.INPUT
    role: str = "user"
    route: str = ""
    key: str = ""
    """Id or name of a key."""
    system: tuple[str, ...] = ()
    """The request's system prompts, for guards of answers."""
    tools: tuple[str, ...] = ()
    """Names of tools: offered on input, called on output."""
    policy: str = ""
    """Only this one, whatever its routes and keys; else all that hold for `route` and `key`."""
    rules: Rules | None = None
    """Try these rules, which need not be kept, instead of policies."""


def check(home: Home, actor: Actor, trial: Trial, *, transport: Transport | None = None) -> Checked:
    """Return what the guards say about a text, and what they make of it; nothing is recorded.

    Remote guards are called. Blocks for as long as they take; not for event loops.
    """
    if trial.stage is Stage.BOTH:
        raise Invalid("A trial is of input or of output.")
    with home.read() as uow:
        policies = _tried(uow, actor, trial)
        secret = load(uow).secret(actor.scope)
        program = _programs(uow, policies, secret)[trial.stage]
    about = About(stage=trial.stage, route=trial.route, key_id=trial.key, system=trial.system)
    checker = Checker(program, about, Tokens(trial.text))
    return asyncio.run(_checked(checker, policies, trial, transport or Posting()))


def _tried(uow: UnitOfWork, actor: Actor, trial: Trial) -> tuple[Policy, ...]:
    if trial.rules is not None:
        # Its remote guards would call any address: only who may keep such rules may try them.
        uow.may(actor, "guardrails.admin", "check")
        return (_draft("draft", _validated(uow, "draft", trial.rules)),)
    uow.may(actor, "guardrails.write", "check")
    if trial.policy:
        return (get(uow, actor, trial.policy),)
    return load(uow).holding(actor.scope, trial.route, trial.key, trial.key)


async def _checked(
    checker: Checker, policies: tuple[Policy, ...], trial: Trial, transport: Transport
) -> Checked:
    output = trial.stage is Stage.OUTPUT
    document = Document(
        pieces=(Piece(trial.text, trial.role),),
        offered=() if output else trial.tools,
        calls=tuple(ToolCall(name, "{}") for name in trial.tools) if output else (),
        messages=1,
        size=len(trial.text.encode(errors="replace")),
    )
    checker.document(document, checker.program.documents)
    text = checker.text(trial.text, role="" if output else trial.role)
    text = checker.judge(text)
    if checker.tally.error is None:
        text = await checker.ask(text, transport)
        await checker.ask(text, transport, late=True)
    error = checker.tally.error
    return Checked(
        allowed=error is None,
        text=text if error is None else None,
        reason="" if error is None else str(error),
        verdicts=tuple(checker.tally.verdicts()),
        policies=tuple(policy.ref for policy in policies),
    )
