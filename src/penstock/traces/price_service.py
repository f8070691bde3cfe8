"""The verbs on prices: a project's own ones, with their history, and the book of the release."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from penstock.core import clock, ids
from penstock.core.errors import Invalid, NotFound
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.traces import price_book, prices, pricing
from penstock.traces.price_book import Book, Listed
from penstock.traces.prices import OwnPrice, Price
from penstock.traces.store import prices as price_store

MAX_IMPORT = 5_000
MAX_NAME = 200


class Shown(NamedTuple):
    """The price that holds for a model, by which version, and why: the project's own or a list of the book."""

    price: Price
    version: str
    own: OwnPrice | None
    listed: Listed | None


class OwnEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of an imported book."""

    model: str
    price: Price
    provider: str = ""


class OwnBook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A project's prices as one document."""

    prices: tuple[OwnEntry, ...]


def set_price(uow: UnitOfWork, actor: Actor, *, model: str, provider: str = "", price: Price) -> OwnPrice:
    """Set the project's price for models whose name matches `model` (`*`, `?` wildcards) of `provider` ("": any).

    It becomes a new version, which every cost by it names (`own:<id>`). Calls from now on (within about a second
    in other processes) are priced by it; earlier ones keep their cost. Raises Invalid for what is no price.
    """
    (made,) = _put(uow, actor, [OwnEntry(model=model, provider=provider, price=price)])
    return made


def _put(uow: UnitOfWork, actor: Actor, entries: Sequence[OwnEntry]) -> list[OwnPrice]:
    uow.may(actor, "prices.admin", entries[0].model if len(entries) == 1 else "import")
    made = [_checked(entry) for entry in entries]
    if len({(own.model, own.provider) for own in made}) < len(made):
        raise Invalid("A model is named twice for the same provider.")
    price_store.put(uow.conn, actor.scope, made, clock.now())
    for own in made:
        detail = msgspec.to_builtins(own.price)
        uow.audit(actor, "prices.put", own.model, provider=own.provider, version=own.id, price=detail)
    uow.bump(pricing.TOPIC)
    return made


def _checked(entry: OwnEntry) -> OwnPrice:
    if not 1 <= len(entry.model) <= MAX_NAME:
        raise Invalid(f"A price needs a model name or pattern of 1 to {MAX_NAME} characters.")
    if len(entry.provider) > MAX_NAME:
        raise Invalid(f"A provider's name has at most {MAX_NAME} characters.")
    price = prices.check_price(entry.price)
    return OwnPrice(id=ids.new_id("prc"), model=entry.model, provider=entry.provider, price=price)


def import_prices(uow: UnitOfWork, actor: Actor, *, document: bytes, replace: bool = False) -> list[OwnPrice]:
    """Set all prices of a JSON document at once; returns the new versions, only of what differs.

    The document is a project's own (`{"prices": [{"model", "provider", "price": {…}}]}`) or a whole book in the
    shape of the one that comes with Penstock. `replace` drops the project's prices that it does not name.
    Nothing is written unless all of it is valid; raises Invalid.
    """
    entries = _entries(document)
    if len(entries) > MAX_IMPORT:
        raise Invalid(f"A document may hold {MAX_IMPORT} prices; this one has {len(entries)}.")
    held = {(own.model, own.provider): own for own in list_prices(uow, actor)}
    changed = [
        entry
        for entry in entries
        if (was := held.get((entry.model, entry.provider))) is None or was.price != entry.price
    ]
    made = _put(uow, actor, changed) if changed else []
    if replace:
        named = {(entry.model, entry.provider) for entry in entries}
        for model, provider in held.keys() - named:
            delete_price(uow, actor, model=model, provider=provider)
    return made


def _entries(document: bytes) -> list[OwnEntry]:
    try:
        given: Any = msgspec.json.decode(document)
        if isinstance(given, dict) and "lists" in given:
            return _of_book(msgspec.convert(given, Book))
        return list(msgspec.convert(given, OwnBook).prices)
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Invalid(
            f"The document is not a price book: {error}.",
            hint="`penstock prices list --json` shows the shape.",
        ) from error


def _of_book(book: Book) -> list[OwnEntry]:
    found: dict[tuple[str, str], OwnEntry] = {}
    for one in sorted(book.lists, key=lambda one: one.as_of):
        for model, price in one.models.items():
            provider = one.provider if one.only else ""
            whole = msgspec.structs.replace(price, batch=one.batch) if price.batch is None else price
            found[model, provider] = OwnEntry(model=model, provider=provider, price=whole)
    return list(found.values())


def list_prices(uow: UnitOfWork, actor: Actor) -> tuple[OwnPrice, ...]:
    """Return the prices the project set itself and that hold now, the most exact pattern first."""
    uow.may(actor, "prices.read")
    return price_store.of_scope(uow.conn, actor.scope)


def price_history(
    uow: UnitOfWork, actor: Actor, *, model: str | None = None, provider: str | None = None, limit: int = 100
) -> list[OwnPrice]:
    """Return the versions of the project's prices, newest first, ended ones too."""
    uow.may(actor, "prices.read")
    return price_store.history(uow.conn, actor.scope, model=model, provider=provider, limit=limit)


def show_price(uow: UnitOfWork, actor: Actor, *, model: str, provider: str | None = None) -> Shown:
    """Return the price that a call of `model` at `provider` has now; raises NotFound when nobody has one."""
    own = list_prices(uow, actor)
    found = prices.price_of(model, provider, own)
    if found is None:
        raise NotFound(f"Nobody has a price for {model!r}.", hint="Set one with `penstock prices set`.")
    price, version = found
    mine = next((one for one in own if version == f"own:{one.id}"), None)
    return Shown(price, version, mine, None if mine is not None else price_book.listed(model, provider))


def show_version(uow: UnitOfWork, actor: Actor, version: str) -> OwnPrice:
    """Return the price of the project that a cost names as `own:<id>`, ended or not; raises NotFound."""
    uow.may(actor, "prices.read")
    found = price_store.version(uow.conn, actor.scope, version.removeprefix("own:"))
    if found is None:
        raise NotFound(f"The project never had a price of the version {version!r}.")
    return found


def delete_price(uow: UnitOfWork, actor: Actor, *, model: str, provider: str = "") -> None:
    """Let a price of the project's own hold no longer; its history stays. Raises NotFound."""
    uow.may(actor, "prices.admin", model)
    if not price_store.end(uow.conn, actor.scope, model=model, provider=provider, at=clock.now()):
        raise NotFound(f"The project has no price of its own for {model!r}.")
    uow.audit(actor, "prices.delete", model, provider=provider)
    uow.bump(pricing.TOPIC)
