"""From a suite's target to something that answers: plug-ins, model folders and the gateway's own address."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from types import ModuleType
from typing import Any

from penstock.core import plugins
from penstock.core.address import own_address
from penstock.core.auth import service as auth
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.lineage import Link
from penstock.core.scope import Actor, Role, system_actor
from penstock.evals.child_target import ChildTarget
from penstock.evals.ports import AsyncTarget, Target, TargetContext
from penstock.evals.suite import REDACTED
from penstock.prompts import service as prompts
from penstock.registry import service as registry

KEY_HOURS = 24
THROUGH_THE_GATEWAY = frozenset({"gateway", "prompt"})
"""Targets that call the own gateway unless they name a base_url."""
ALIASES = frozenset({"route", "deployment", "model"})
"""`{kind: route, route: NAME}`, `{kind: deployment, deployment: NAME}` and `{kind: model, model: REF}`."""
LOCAL = frozenset({"transformers", "gguf", "onnx", "ctranslate2", "tensorrt"})
"""Targets that run a registered model, or a folder, in a child process."""


def pin_model(home: Home, actor: Actor, target: Mapping[str, Any]) -> tuple[dict[str, Any], list[Link]]:
    """Return the target with its model or prompt pinned to a version, and the lineage to that.

    Local targets name a registered model (`model: ticket-triage@latest`) or a `folder`; for the gateway, `model`
    is the public name of a route.
    """
    pinned = dict(target)
    kind = str(pinned["kind"])
    if kind == "prompt" and pinned.get("prompt"):
        return _pin_prompt(home, actor, pinned)
    if kind in ("route", "deployment"):
        return pinned, [Link(kind, str(pinned.get(kind) or ""), "target")]
    model = pinned.get("model")
    if kind not in LOCAL | {"model", "gateway"} or not isinstance(model, str) or not model:
        return pinned, []
    if kind == "gateway":
        return pinned, [Link("route", model, "target")]
    with home.read() as uow:
        version = registry.get(uow, actor, ref=model)
    pinned["model"] = version.ref
    return pinned, [Link("model_version", version.ref, "target")]


def _pin_prompt(home: Home, actor: Actor, target: dict[str, Any]) -> tuple[dict[str, Any], list[Link]]:
    """Return the target with the version that its label means now, and the lineage to that version."""
    with home.read() as uow:
        found = prompts.get(
            uow,
            actor,
            name=str(target["prompt"]),
            version=target.get("version"),
            label=target.get("label"),
        )
    pinned = {name: value for name, value in target.items() if name != "label"}
    return {**pinned, "version": found.number}, [Link("prompt_version", found.ref, "target")]


NAMING = ("model", "route", "deployment", "prompt", "url", "function", "name", "folder", "run", "column")
"""Options that say what answers, the most telling first."""


def named(target: Mapping[str, Any]) -> str:
    """Return what answers, in a few words: a model, a route, an address, a prompt and the model it is put to."""
    if target.get("kind") == "prompt":
        pinned = target.get("version") or target.get("label")
        words = (
            f"{target.get('prompt', '')}@{pinned}" if pinned else target.get("prompt"),
            target.get("model"),
        )
        return " · ".join(str(word) for word in words if word)[:300]
    return next((str(target[name]) for name in NAMING if target.get(name)), "")[:300]


def in_folders(home: Home, actor: Actor, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options with a registered `model` replaced by the `folder` (and `adapter`) it lies in."""
    ref = options.pop("model", None)
    if ref is None:
        return options
    with home.read() as uow:
        version = registry.get(uow, actor, ref=ref)
    folder = str(registry.materialize(home, actor, ref=ref))
    if version.kind == "adapter":
        if not version.base:
            raise Invalid(f"{ref} is an adapter, but its base model is not registered.")
        base = str(registry.materialize(home, actor, ref=version.base))
        return {**options, "folder": base, "adapter": folder}
    return {**options, "folder": folder}


class OwnGateway:
    """Completes options that name no address: with the own gateway's, and a key made for the run at first need."""

    def __init__(self, home: Home, actor: Actor) -> None:
        self._home, self._actor = home, actor
        self._key_id = ""
        self._secret = ""

    def complete(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options with an address and a key; raises Invalid when the key was not kept with the record."""
        found = dict(options)
        redacted = found.get("api_key") == REDACTED
        if found.get("base_url"):
            if redacted:
                raise Invalid(
                    "The key of this run's target was not kept.",
                    hint="Name it as api_key: {env: NAME}, or run it anew.",
                )
            return found
        found["base_url"] = f"{own_address(self._home)}/v1"
        if found.get("api_key") is None or redacted:
            found["api_key"] = self._key()
        return found

    def _key(self) -> str:
        if not self._secret:
            with self._home.begin() as uow:
                key, self._secret = auth.create_key(
                    uow,
                    system_actor(self._actor.scope),
                    name=f"evaluation for {self._actor.name}"[:200],
                    role=Role.GATEWAY,
                    expires_in=timedelta(hours=KEY_HOURS),
                )
            self._key_id = key.id
        return self._secret

    def close(self) -> None:
        """Revoke the key, if one was made."""
        if self._key_id:
            with self._home.begin() as uow:
                auth.revoke_key(uow, system_actor(self._actor.scope), key_id=self._key_id)


def opened(target: Mapping[str, Any], context: TargetContext, gateway: OwnGateway) -> Target | AsyncTarget:
    """Return the target of a suite, ready to answer; raises Invalid for options that cannot be."""
    kind = str(target["kind"])
    options = {name: value for name, value in target.items() if name != "kind"}
    if kind in ALIASES:
        kind, options = _meant(kind, options, context)
    plugin = plugins.load("targets", kind)
    if isinstance(plugin, ModuleType):
        return ChildTarget(kind, in_folders(context.home, context.actor, options), context)
    if kind in THROUGH_THE_GATEWAY:
        context = replace(context, foreign=bool(options.get("base_url")))
        options = gateway.complete(options)
    made: Target | AsyncTarget = plugin(options, context)
    return made


def _meant(kind: str, options: dict[str, Any], context: TargetContext) -> tuple[str, dict[str, Any]]:
    """Return the plug-in and options that a shorter way of writing stands for."""
    if kind == "model":
        ref = str(options.get("model") or "")
        with context.home.read() as uow:
            version = registry.get(uow, context.actor, ref=ref)
        return (str(version.kind) if str(version.kind) in LOCAL else "transformers"), options
    if not options.get(kind):
        raise Invalid(f"A target of kind {kind} needs {kind}: NAME.")
    return "gateway", {"model": options.pop(kind), **options}
