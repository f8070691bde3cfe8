"""From a policy's lines to working guards."""

from dataclasses import dataclass
from typing import Any

from penstock.core import plugins
from penstock.core.errors import Invalid, PenstockError
from penstock.guardrails.model import Action, GuardConfig, OnError, Policy, Record, Stage
from penstock.guardrails.ports import Setting

GROUP = "guards"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """A guard at its place in the order of all that hold for a call."""

    index: int
    policy: str
    label: str
    guard: Any
    """The plug-in's instance; None when it could not be made."""
    stage: Stage
    action: Action
    on_error: OnError
    record: Record
    secret: bytes
    """Key of the tenant's hashes."""


def build_guard(
    config: GuardConfig, *, policy: str, allow_private: bool, secret: bytes
) -> tuple[Any, Setting]:
    """Return the plug-in's instance and where it works; raises Invalid for a wrong kind, stage, action or option."""
    plugin = plugins.load(GROUP, config.kind)
    stages, actions = tuple(plugin.stages), tuple(plugin.actions)
    stage = config.stage or stages[0]
    action = config.action or actions[0]
    if stage not in stages and Stage.BOTH not in stages:
        raise Invalid(f"The guard {config.kind} looks at {', '.join(stages)} only, not at {stage}.")
    if action not in actions:
        raise Invalid(f"The guard {config.kind} can {', '.join(actions)}, not {action}.")
    setting = Setting(stage=stage, action=action, allow_private=allow_private, secret=secret, policy=policy)
    return plugin(dict(config.options), setting), setting


def build_entries(
    policies: tuple[Policy, ...], *, allow_private: bool, secret: bytes
) -> tuple[tuple[Entry, ...], list[str]]:
    """Return the entries of policies in order, and what went wrong with guards that could not be made.

    A guard that cannot be made (its plug-in is gone, say) becomes an entry that fails, open or closed as configured.
    """
    entries: list[Entry] = []
    wrong: list[str] = []
    for policy in policies:
        for config in policy.rules.guards:
            guard: Any = None
            stage, action = config.stage or Stage.BOTH, config.action or Action.BLOCK
            try:
                guard, setting = build_guard(
                    config, policy=policy.name, allow_private=allow_private, secret=secret
                )
                stage, action = setting.stage, setting.action
            except PenstockError as error:
                wrong.append(f"{policy.ref} {config.label}: {error}")
            entries.append(
                Entry(
                    index=len(entries),
                    policy=policy.ref,
                    label=config.label,
                    guard=guard,
                    stage=stage,
                    action=action,
                    on_error=config.on_error,
                    record=policy.rules.record,
                    secret=secret,
                )
            )
    return tuple(entries), wrong
