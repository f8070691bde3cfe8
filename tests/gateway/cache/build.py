"""Requests and answers for tests of the cache."""

import asyncio
from typing import Any

import msgspec

from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.gateway.cache import service
from penstock.gateway.cache.cache import Cache, CachePlan
from penstock.gateway.cache.model import CachePolicy, Hit
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.model import Operation


def envelope(**members: Any) -> Envelope:
    """A chat request."""
    body = {"model": "chat", "messages": [{"role": "user", "content": "Hello"}], **members}
    return Envelope(msgspec.json.encode(body))


def answer(text: str = "Hi", **members: Any) -> bytes:
    """A chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    body = {"id": "c1", "object": "chat.completion", "created": 1, "model": "chat", "choices": [choice]}
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    return msgspec.json.encode(body | {"usage": usage} | members)


def keep(home: Home, actor: Actor, route: str = "chat", **policy: Any) -> None:
    """Give a route a cache."""
    with home.begin() as uow:
        service.put_policy(uow, actor, route, CachePolicy(**policy))


def planned(
    cache: Cache, actor: Actor, request: Envelope | None = None, *, key: str = "key_1", **headers: str
) -> CachePlan:
    """Return the plan of a chat call."""
    given = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    plan = cache.plan(actor.scope, "chat", key, Operation.CHAT, given, request or envelope())
    assert plan is not None
    return plan


def found(plan: CachePlan) -> Hit | None:
    """Return what the plan finds."""
    return asyncio.run(plan.find())
