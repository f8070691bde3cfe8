"""SQL of alerts and webhooks."""

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Double, Index, String, Table, Text, delete, select, update

from penstock.core.db import UtcTime, metadata, upsert
from penstock.core.scope import Scope
from penstock.gateway.alerting.model import Alert, Delivery, Webhook

alerts = Table(
    "gateway_alerts",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("budget", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("period", String(16), nullable=False),
    Column("fraction", Double, nullable=False),
    Column("spent_usd", Double, nullable=False),
    Column("limit_usd", Double, nullable=False),
    Column("delivery", String(16), nullable=False),
    Column("error", Text),
    Index("ix_gateway_alerts_at", "tenant", "project", "at"),
)
webhooks = Table(
    "gateway_webhooks",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("url", Text, nullable=False),
    Column("secret", Text, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)
_TOLD = ("id", "at", "budget", "kind", "subject", "period", "fraction", "spent_usd", "limit_usd", "error")


def _at(table: Table, scope: Scope) -> Any:
    return (table.c.tenant == scope.tenant) & (table.c.project == scope.project)


def _alert(row: Any) -> Alert:
    return Alert(delivery=Delivery(row.delivery), **{name: getattr(row, name) for name in _TOLD})


def add_alert(conn: Connection, scope: Scope, alert: Alert) -> None:
    """Store an alert; one of the same id stays as it is."""
    row = {name: getattr(alert, name) for name in _TOLD}
    row |= {"tenant": scope.tenant, "project": scope.project, "delivery": str(alert.delivery)}
    upsert(conn, alerts, [row], keys=["id"])


def get_alert(conn: Connection, scope: Scope, alert_id: str) -> Alert | None:
    """Return an alert."""
    row = conn.execute(select(alerts).where(_at(alerts, scope), alerts.c.id == alert_id)).first()
    return None if row is None else _alert(row)


def list_alerts(
    conn: Connection, scope: Scope, limit: int, before: tuple[datetime, str] | None = None
) -> list[Alert]:
    """Return the project's alerts, the newest first; with `before` (time and id of one) those that come after it."""
    query = select(alerts).where(_at(alerts, scope)).order_by(alerts.c.at.desc(), alerts.c.id.desc())
    if before is not None:
        at, alert_id = before
        query = query.where((alerts.c.at < at) | ((alerts.c.at == at) & (alerts.c.id < alert_id)))
    return [_alert(row) for row in conn.execute(query.limit(limit))]


def set_delivery(
    conn: Connection, scope: Scope, alert_id: str, delivery: Delivery, error: str | None
) -> None:
    """Note where an alert's delivery stands."""
    place = _at(alerts, scope) & (alerts.c.id == alert_id)
    conn.execute(update(alerts).where(place).values(delivery=str(delivery), error=error))


def forget_alerts(conn: Connection, scope: Scope, before: datetime) -> None:
    """Delete the project's alerts of before then."""
    conn.execute(delete(alerts).where(_at(alerts, scope), alerts.c.at < before))


def of_subject(conn: Connection, scope: Scope, kind: str, subject: str) -> list[Alert]:
    """Return the project's alerts that name a subject, the oldest first."""
    place = _at(alerts, scope) & (alerts.c.kind == kind) & (alerts.c.subject == subject)
    return [
        _alert(row) for row in conn.execute(select(alerts).where(place).order_by(alerts.c.at, alerts.c.id))
    ]


def subjects(conn: Connection, scope: Scope, kind: str) -> list[str]:
    """Return every subject of a kind that the project's alerts name."""
    query = select(alerts.c.subject).where(_at(alerts, scope), alerts.c.kind == kind).distinct()
    return list(conn.execute(query.order_by(alerts.c.subject)).scalars())


def remove(conn: Connection, scope: Scope, alert_id: str) -> None:
    """Delete an alert."""
    conn.execute(delete(alerts).where(_at(alerts, scope), alerts.c.id == alert_id))


def put_webhook(conn: Connection, scope: Scope, webhook: Webhook, sealed: str) -> None:
    """Store the project's webhook over any other."""
    row: dict[str, Any] = {"tenant": scope.tenant, "project": scope.project, "url": webhook.url}
    row |= {"secret": sealed, "updated_at": webhook.updated_at}
    upsert(conn, webhooks, [row], keys=["tenant", "project"], update=["url", "secret", "updated_at"])


def get_webhook(conn: Connection, scope: Scope) -> tuple[Webhook, str] | None:
    """Return the project's webhook and its sealed secret."""
    row = conn.execute(select(webhooks).where(_at(webhooks, scope))).first()
    return None if row is None else (Webhook(url=row.url, updated_at=row.updated_at), row.secret)


def delete_webhook(conn: Connection, scope: Scope) -> bool:
    """Delete the project's webhook; returns whether there was one."""
    return conn.execute(delete(webhooks).where(_at(webhooks, scope))).rowcount > 0
