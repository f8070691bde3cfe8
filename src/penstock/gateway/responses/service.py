"""The verbs of stored responses. A project's keys share them, as in OpenAI's API; no other project sees them."""

from typing import NamedTuple

import msgspec

from penstock.core import clock
from penstock.core.errors import Invalid, NotFound, TooLarge
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.core.uow import UnitOfWork
from penstock.gateway.responses import store
from penstock.gateway.responses.model import Content, StoredResponse, item_id
from penstock.gateway.settings import GatewaySettings

CALL = "gateway.call"
MAX_LINKS = 2_000
"""Responses that may follow on each other."""


def not_found(response_id: str) -> NotFound:
    """Return the error for an id that names nothing in the project."""
    return NotFound(f"Response with id '{response_id}' not found.", details={"param": "response_id"})


def get(uow: UnitOfWork, actor: Actor, response_id: str) -> StoredResponse:
    """Return a response; raises NotFound, also for another project's, an expired or a deleted one."""
    uow.may(actor, CALL, response_id)
    found = _find(uow, actor.scope, response_id)
    if found is None:
        raise not_found(response_id)
    return found


def _find(uow: UnitOfWork, scope: Scope, response_id: str) -> StoredResponse | None:
    if "\0" in response_id:  # PostgreSQL takes no such text
        return None
    return store.by_id(uow.conn, scope, response_id, clock.now())


def delete(uow: UnitOfWork, actor: Actor, response_id: str) -> None:
    """Delete a response with all it holds; what followed on it can be read, but not gone on from. Raises NotFound."""
    get(uow, actor, response_id)
    store.remove(uow.conn, actor.scope, response_id)
    uow.audit(actor, "responses.delete", response_id)


def chain(uow: UnitOfWork, scope: Scope, last_id: str, limit_bytes: int) -> list[Content]:
    """Return what was said up to the response `last_id`, oldest first.

    Raises Invalid (`previous_response_not_found`) when a response of the chain is missing, expired or deleted,
    TooLarge when together they have more than `limit_bytes`.
    """
    found: list[Content] = []
    size, name = 0, last_id
    while True:
        stored = _find(uow, scope, name)
        if stored is None:
            raise _broken(last_id, name)
        content = stored.content()
        size += len(content.response) + sum(map(len, content.input))
        if size > limit_bytes or len(found) >= MAX_LINKS:
            raise too_long()
        found.append(content)
        if stored.previous_id is None:
            return found[::-1]
        name = stored.previous_id


def too_long() -> TooLarge:
    """Return the error for a conversation that no provider would take."""
    return TooLarge(
        "The conversation up to previous_response_id is too long to be sent again.",
        hint="Begin a new one.",
        details={"param": "previous_response_id"},
    )


def _broken(last_id: str, missing: str) -> Invalid:
    details = {"param": "previous_response_id", "code": "previous_response_not_found"}
    if last_id == missing:
        return Invalid(f"Previous response with id '{missing}' not found.", details=details)
    return Invalid(
        f"Previous response with id '{last_id}' cannot be gone on from: '{missing}' before it is not found.",
        details=details,
    )


def item(uow: UnitOfWork, scope: Scope, name: str) -> msgspec.Raw | None:
    """Return the item of that id out of the response it came with, or None."""
    if "\0" in name or (response_id := store.holder(uow.conn, scope, name)) is None:
        return None
    stored = _find(uow, scope, response_id)
    content = None if stored is None else stored.content()
    if content is None:
        return None
    return next((each for each in [*content.output(), *content.input] if item_id(each) == name), None)


class Swept(NamedTuple):
    """How many responses went because of their age, and because of their project's bound."""

    expired: int
    evicted: int


def bound_bytes(home: Home) -> int:
    """Return what the stored responses of one project may take."""
    return home.settings.section(GatewaySettings).responses_total_mb * 1024 * 1024


def sweep(home: Home, limit: int = 500) -> Swept:
    """Delete what has expired and the oldest of projects that hold too much, about `limit` of each at a time."""
    bound = bound_bytes(home)
    with home.begin() as uow:
        expired = store.remove_expired(uow.conn, clock.now(), limit)
        evicted = sum(
            store.remove_oldest(uow.conn, scope, excess, limit)
            for scope, excess in store.too_large(uow.conn, bound)
        )
    return Swept(expired, evicted)
