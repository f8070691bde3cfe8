"""HTTP of alerts, under /api/v1/alerts."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from penstock.core import clock
from penstock.core.errors import Invalid
from penstock.core.http import CurrentActor, Page, ReadUow, WriteUow, decode_cursor, encode_cursor
from penstock.gateway.alerting import service
from penstock.gateway.alerting.model import Alert, Delivery

router = APIRouter(tags=["alerts"])


class AlertModel(BaseModel):
    """A budget that has spent a fraction of its amount, or all of it."""

    id: str
    at: datetime
    text: str = Field(description="One sentence for people")
    budget: str
    kind: str
    subject: str
    period: str
    fraction: float = Field(description="1 when nothing is left")
    spent_usd: float
    limit_usd: float
    delivery: Delivery = Field(description="Where its way to the webhook stands")
    error: str | None


class NewWebhook(BaseModel):
    """Where to send the project's alerts."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(min_length=1, max_length=service.LONGEST_URL)


class WebhookModel(BaseModel):
    """Where the project's alerts are sent; both null when nowhere."""

    url: str | None
    updated_at: datetime | None


class MadeWebhook(BaseModel):
    """A webhook with the secret that signs what it is sent, told this once."""

    url: str
    updated_at: datetime
    secret: str


def _shown(alert: Alert) -> AlertModel:
    return AlertModel(
        id=alert.id,
        at=alert.at,
        text=alert.text,
        budget=alert.budget,
        kind=alert.kind,
        subject=alert.subject,
        period=alert.period,
        fraction=alert.fraction,
        spent_usd=alert.spent_usd,
        limit_usd=alert.limit_usd,
        delivery=alert.delivery,
        error=alert.error,
    )


@router.get("/alerts")
def list_alerts(
    uow: ReadUow,
    actor: CurrentActor,
    limit: Annotated[int, Query(ge=1, le=service.MOST)] = 50,
    cursor: Annotated[str | None, Query(description="The `next` of the page before")] = None,
) -> Page[AlertModel]:
    """List alerts of budgets, the newest first."""
    found = service.list_alerts(uow, actor, limit=limit, before=_place(cursor) if cursor else None)
    more = len(found) == limit
    after = encode_cursor(clock.to_ns(found[-1].at), found[-1].id) if more else None
    return Page(items=[_shown(alert) for alert in found], next=after)


def _place(cursor: str) -> tuple[datetime, str]:
    at, alert_id = decode_cursor(cursor, 2)
    if not isinstance(at, int) or not isinstance(alert_id, str) or not 0 <= at < 1 << 62:
        raise Invalid("The cursor is not valid.", hint="Use the `next` of the page before.")
    return clock.from_ns(at), alert_id


@router.get("/alerts/webhook")
def get_webhook(uow: ReadUow, actor: CurrentActor) -> WebhookModel:
    """Return where the project's alerts are sent."""
    found = service.find_webhook(uow, actor)
    if found is None:
        return WebhookModel(url=None, updated_at=None)
    return WebhookModel(url=found.url, updated_at=found.updated_at)


@router.put("/alerts/webhook")
def put_webhook(uow: WriteUow, actor: CurrentActor, new: NewWebhook) -> MadeWebhook:
    """Send the project's alerts there from now on; the answer has the secret that signs them, this once."""
    made, secret = service.put_webhook(uow, actor, new.url)
    return MadeWebhook(url=made.url, updated_at=made.updated_at, secret=secret)


@router.delete("/alerts/webhook", status_code=204)
def delete_webhook(uow: WriteUow, actor: CurrentActor) -> None:
    """Send the project's alerts nowhere."""
    service.delete_webhook(uow, actor)


@router.post("/alerts/webhook/trial")
def try_webhook(request: Request, actor: CurrentActor) -> AlertModel:
    """Send a trial alert to the webhook now; an error says why it was not taken."""
    return _shown(service.try_webhook(request.app.state.home, actor))
