"""Asking a provider whether its address and key are right, outside the hot path."""

import asyncio
import os
from dataclasses import dataclass

from penstock.core import clock, net
from penstock.core.errors import NotFound, PenstockError
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.settings import CoreSettings
from penstock.gateway import service, store
from penstock.gateway.dialects.openai import read_fault
from penstock.gateway.ports import Provider, prepare_of
from penstock.gateway.upstream.client import UpstreamClient
from penstock.gateway.upstream.request import Timeouts

TIMEOUTS = Timeouts(connect=5, first_byte=10, idle=10)
MAX_BYTES = 4 * 1024 * 1024
NOTHING_TO_ASK = "Models on this machine need no test."


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What came of asking a provider."""

    ok: bool
    status: int | None
    latency_ms: float
    message: str


def probe(home: Home, actor: Actor, name: str) -> Probe:
    """Ask the provider `name` for its models; raises NotFound when there is none of that name.

    A provider that cannot be reached or refuses is a result, not an error.
    """
    with home.read() as uow:
        uow.may(actor, "providers.admin", name)
        stored = store.get_provider(uow.conn, actor.scope, name)
        if stored is None:
            raise NotFound(f"There is no provider {name!r}.")
        provider = stored.provider
        secret = os.environ.get(provider.key_env, "").strip() if provider.key_env else ""
        secret = secret or service.open_key(uow, actor.scope, stored)
    allow_private = home.settings.section(CoreSettings).allow_private_urls
    return asyncio.run(_ask(service.build(provider, secret, allow_private=allow_private)))


async def _ask(plugin: Provider) -> Probe:
    client = UpstreamClient(
        check_address=lambda address, private: net.check_address(address, allow_private=private)
    )
    started = clock.monotonic()
    try:
        if (prepare := prepare_of(plugin)) is not None:
            await prepare(client)
        request = plugin.probe()
        if request is None:
            return Probe(ok=True, status=None, latency_ms=0.0, message=NOTHING_TO_ASK)
        response = await client.send(request, TIMEOUTS)
        body = await response.read(MAX_BYTES)
    except PenstockError as error:
        return Probe(ok=False, status=None, latency_ms=_since(started), message=str(error))
    finally:
        await client.close()
    ok = response.status < 300
    message = "The provider answered." if ok else read_fault(body, response.status).message
    return Probe(ok=ok, status=response.status, latency_ms=_since(started), message=message)


def _since(started: float) -> float:
    return round((clock.monotonic() - started) * 1000, 1)
