"""A call of our own to a configured provider, outside the hot path: files and jobs of OpenAI-shaped APIs."""

import asyncio
import os
from typing import Any

import msgspec

from penstock.core import net
from penstock.core.errors import Invalid, NotFound, Upstream
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.settings import CoreSettings
from penstock.gateway import service, store
from penstock.gateway.dialects.openai import read_fault
from penstock.gateway.ports import Provider, prepare_of
from penstock.gateway.upstream.client import UpstreamClient
from penstock.gateway.upstream.request import Request, Timeouts

TIMEOUTS = Timeouts(connect=10, first_byte=120, idle=60)
MAX_BYTES = 16 * 1024 * 1024
_MODELS = b"/models"
_JSON = b"application/json"


def call(
    home: Home,
    actor: Actor,
    provider: str,
    path: str,
    *,
    method: str = "GET",
    body: bytes = b"",
    content_type: str = "application/json",
) -> Any:
    """Return the JSON answer of `path` (below what precedes `/models`) at the provider, with its address and key.

    Raises NotFound for an unknown provider, Invalid for one that has no OpenAI-shaped API, Upstream with the
    provider's own words for an answer that is not a success or not JSON, and the connection's errors.
    """
    plugin = _plugin(home, actor, provider)
    request = plugin.probe()
    if request is None or not request.target.endswith(_MODELS):
        raise Invalid(
            f"The provider {provider!r} has no OpenAI-shaped API.",
            hint="Use one of the kind openai, or a preset of it.",
        )
    return asyncio.run(_exchange(plugin, path, method, body, content_type))


def _plugin(home: Home, actor: Actor, name: str) -> Provider:
    with home.read() as uow:
        uow.may(actor, "providers.call", name)
        stored = store.get_provider(uow.conn, actor.scope, name)
        if stored is None:
            raise NotFound(f"There is no provider {name!r}.")
        provider = stored.provider
        secret = os.environ.get(provider.key_env, "").strip() if provider.key_env else ""
        secret = secret or service.open_key(uow, actor.scope, stored)
    allow_private = home.settings.section(CoreSettings).allow_private_urls
    plugin: Provider = service.build(provider, secret, allow_private=allow_private)
    return plugin


async def _exchange(plugin: Provider, path: str, method: str, body: bytes, content_type: str) -> Any:
    client = UpstreamClient(
        check_address=lambda address, private: net.check_address(address, allow_private=private)
    )
    try:
        if (prepare := prepare_of(plugin)) is not None:
            await prepare(client)
        # Built again: an access token that `prepare` fetched is in its headers.
        like = plugin.probe()
        if like is None:
            raise Invalid("The provider has nothing to ask.")
        response = await client.send(_request(like, path, method, body, content_type), TIMEOUTS)
        answer = await response.read(MAX_BYTES)
    finally:
        await client.close()
    if response.status >= 300:
        said = read_fault(answer, response.status).message
        raise Upstream(f"The provider refused {path}: {said}", upstream_status=response.status, body=answer)
    try:
        return msgspec.json.decode(answer)
    except msgspec.DecodeError as error:
        raise Upstream(
            f"The provider's answer to {path} is not JSON.", upstream_status=response.status
        ) from error


def _request(like: Request, path: str, method: str, body: bytes, content_type: str) -> Request:
    target = like.target.removesuffix(_MODELS) + path.encode("ascii")
    headers = like.headers.replace(
        b"content-type: " + _JSON, b"content-type: " + content_type.encode("ascii"), 1
    )
    return Request(like.origin, target, headers, body, method.encode("ascii"))
