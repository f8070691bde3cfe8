"""From a suite's target to something that answers: plug-ins, model folders and the gateway's own address."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from types import ModuleType
from typing import Any

from penstock.core import plugins
from penstock.core.auth import service as auth
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.lineage import Link
from penstock.core.scope import Actor, Role, system_actor
from penstock.core.settings import ServerSettings
from penstock.evals.child_target import ChildTarget
from penstock.evals.ports import Target, TargetContext
from penstock.evals.suite import REDACTED
from penstock.registry import service as registry

KEY_HOURS = 24
_ANY_ADDRESS = frozenset({"0.0.0.0", "::", ""})


def own_gateway(home: Home) -> str:
    """Return the address of this installation's gateway, up to `/v1`."""
    given = os.environ.get("PENSTOCK_URL", "").rstrip("/")
    if given:
        return f"{given}/v1"
    server = home.settings.section(ServerSettings)
    if server.port == 0:
        raise Invalid(
            "The gateway's port is not fixed.", hint="Give the target a base_url, or set PENSTOCK_URL."
        )
    host = "127.0.0.1" if server.host in _ANY_ADDRESS else server.host
    return f"http://{host}:{server.port}/v1"


def pin_model(home: Home, actor: Actor, target: Mapping[str, Any]) -> tuple[dict[str, Any], list[Link]]:
    """Return the target with its model reference pinned to a version, and the lineage to that model.

    Local targets name a registered model (`model: ticket-triage@latest`) or a `folder`; for the gateway, `model`
    is the public name of a route.
    """
    pinned = dict(target)
    model = pinned.get("model")
    if not isinstance(model, str) or not model:
        return pinned, []
    if pinned["kind"] == "gateway":
        return pinned, [Link("route", model, "target")]
    with home.read() as uow:
        version = registry.get(uow, actor, ref=model)
    pinned["model"] = version.ref
    return pinned, [Link("model_version", version.ref, "target")]


def _folders(home: Home, actor: Actor, options: dict[str, Any]) -> dict[str, Any]:
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


@contextmanager
def opened(target: Mapping[str, Any], context: TargetContext) -> Iterator[Target]:
    """Yield the target of a suite, ready to answer, and clean up after it.

    Calls to the own gateway use a key that is made for the run and revoked after it.
    """
    kind = str(target["kind"])
    options = {name: value for name, value in target.items() if name != "kind"}
    plugin = plugins.load("targets", kind)
    if isinstance(plugin, ModuleType):
        yield ChildTarget(kind, _folders(context.home, context.actor, options), context)
        return
    if kind != "gateway" or options.get("base_url"):
        if options.get("api_key") == REDACTED:
            raise Invalid(
                "The key of this run's target was not kept.",
                hint="Name it as api_key: {env: NAME}, or run it anew.",
            )
        yield plugin(options, context)
        return
    options["base_url"] = own_gateway(context.home)
    if options.get("api_key") not in (None, REDACTED):
        yield plugin(options, context)
        return
    with _own_key(context) as secret:
        yield plugin({**options, "api_key": secret}, context)


@contextmanager
def _own_key(context: TargetContext) -> Iterator[str]:
    home, system = context.home, system_actor(context.actor.scope)
    with home.begin() as uow:
        key, secret = auth.create_key(
            uow,
            system,
            name=f"evaluation for {context.actor.name}"[:200],
            role=Role.GATEWAY,
            expires_in=timedelta(hours=KEY_HOURS),
        )
    try:
        yield secret
    finally:
        with home.begin() as uow:
            auth.revoke_key(uow, system, key_id=key.id)
