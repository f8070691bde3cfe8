"""HTTP of prices, under /api/v1/prices: the project's own, their history, and the book of the release."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.http import CurrentActor, Page, ReadUow, WriteUow
from penstock.traces import price_book, price_service
from penstock.traces.price_book import Listed
from penstock.traces.prices import OwnPrice, Price

router = APIRouter(prefix="/prices", tags=["prices"])

Usd = Annotated[float | None, Field(default=None, ge=0)]


class RatesModel(BaseModel):
    """US dollars per million tokens; null where the class has no price of its own."""

    model_config = ConfigDict(extra="forbid")

    cached: Usd
    cache_write: Usd
    cache_write_1h: Usd
    audio_input: Usd
    image_input: Usd
    reasoning: Usd
    audio_output: Usd
    image_output: Usd


class TierModel(RatesModel):
    """Other prices for the whole of a call that reads more than `above` tokens."""

    above: int = Field(ge=1)
    input: Usd
    output: Usd


class PriceFields(RatesModel):
    """All that makes a price."""

    input: float = Field(ge=0)
    output: float = Field(default=0, ge=0)
    image: float | None = Field(default=None, ge=0, description="US dollars per image made")
    request: float | None = Field(default=None, ge=0, description="US dollars per call")
    batch: float | None = Field(
        default=None, ge=0, le=1, description="Share of the price in a provider's batch"
    )
    tiers: list[TierModel] = []


class PriceModel(PriceFields):
    """A price for the models that match a pattern."""

    model: str = Field(min_length=1, max_length=200, description="Name, or pattern with * and ?")
    provider: str = Field(default="", max_length=200, description="Empty: any provider")


class OwnPriceModel(PriceModel):
    """A version of a price of the project's own."""

    version: str = Field(description="What a cost by this price names")
    since: datetime | None
    until: datetime | None = Field(description="Null while it holds")


class ListedModel(PriceFields):
    """A list price of the book, and where it was seen."""

    model: str
    provider: str
    as_of: str = Field(description="Day on which the price was last seen published")
    sources: list[str]
    note: str
    only: bool = Field(description="Whether it holds at this provider alone")


class BookModel(BaseModel):
    """The book of list prices of this release."""

    version: str
    about: str
    items: list[ListedModel]


class ShownModel(PriceFields):
    """The price a call has now."""

    version: str
    own: OwnPriceModel | None
    listed: ListedModel | None


class ImportedModel(BaseModel):
    """What an import did."""

    changed: int


def _fields(price: Price) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.structs.asdict(price)
    return found | {"tiers": [msgspec.structs.asdict(tier) for tier in price.tiers]}


def _own(own: OwnPrice) -> OwnPriceModel:
    return OwnPriceModel(
        model=own.model,
        provider=own.provider,
        version=f"own:{own.id}",
        since=own.since,
        until=own.until,
        **_fields(own.price),
    )


def _listed(found: Listed) -> ListedModel:
    source = found.source
    return ListedModel(
        model=found.name,
        provider=source.provider,
        as_of=source.as_of,
        sources=list(source.sources),
        note=source.note,
        only=source.only,
        **_fields(found.price),
    )


@router.get("")
def list_prices(uow: ReadUow, actor: CurrentActor) -> Page[OwnPriceModel]:
    """List the prices the project set itself."""
    return Page(items=[_own(own) for own in price_service.list_prices(uow, actor)])


@router.put("", status_code=204)
def put_price(uow: WriteUow, actor: CurrentActor, given: PriceModel) -> None:
    """Set a price of the project's own; later calls are priced by it."""
    fields = given.model_dump(exclude={"model", "provider"}, exclude_none=True)
    price = msgspec.convert(fields, Price)
    price_service.set_price(uow, actor, model=given.model, provider=given.provider, price=price)


@router.delete("", status_code=204)
def delete_price(uow: WriteUow, actor: CurrentActor, model: str, provider: str = "") -> None:
    """Drop a price of the project's own."""
    price_service.delete_price(uow, actor, model=model, provider=provider)


@router.get("/history")
def price_history(
    uow: ReadUow,
    actor: CurrentActor,
    model: str | None = None,
    provider: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Page[OwnPriceModel]:
    """List the versions of the project's prices, newest first, also those that hold no longer."""
    found = price_service.price_history(uow, actor, model=model, provider=provider, limit=limit)
    return Page(items=[_own(own) for own in found])


@router.get("/versions/{version}")
def price_version(uow: ReadUow, actor: CurrentActor, version: Annotated[str, Path()]) -> OwnPriceModel:
    """Show the price that a cost names as `own:…`."""
    return _own(price_service.show_version(uow, actor, version))


@router.get("/book")
def price_list(
    uow: ReadUow, actor: CurrentActor, q: Annotated[str, Query(description="Part of a model's name")] = ""
) -> BookModel:
    """Show the list prices of the release, with their dates and sources."""
    uow.may(actor, "prices.read")
    book = price_book.book()
    items = [_listed(found) for found in price_book.everything() if q.lower() in found.name]
    return BookModel(version=book.version, about=book.about, items=items)


@router.get("/show")
def show_price(uow: ReadUow, actor: CurrentActor, model: str, provider: str = "") -> ShownModel:
    """Show which price a call of a model has now, and why."""
    shown = price_service.show_price(uow, actor, model=model, provider=provider or None)
    return ShownModel(
        version=shown.version,
        own=None if shown.own is None else _own(shown.own),
        listed=None if shown.listed is None else _listed(shown.listed),
        **_fields(shown.price),
    )


@router.post("/import")
def import_prices(
    uow: WriteUow,
    actor: CurrentActor,
    document: Annotated[dict[str, Any], Body(description="A project's prices, or a whole book")],
    replace: bool = False,
) -> ImportedModel:
    """Set all prices of a JSON document at once; `replace` drops the project's prices that it does not name."""
    encoded = msgspec.json.encode(document)
    made = price_service.import_prices(uow, actor, document=encoded, replace=replace)
    return ImportedModel(changed=len(made))
