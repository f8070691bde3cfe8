"""The verbs of alerts and webhooks."""

import base64
import os
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import msgspec

from penstock.core import clock, ids, jobs, log, net
from penstock.core.errors import Denied, Invalid, NotFound
from penstock.core.events import Envelope
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope, system_actor
from penstock.core.settings import CoreSettings
from penstock.core.uow import UnitOfWork
from penstock.gateway import metrics
from penstock.gateway.alerting import sending, store
from penstock.gateway.alerting.model import EXHAUSTED, Alert, Delivery, Webhook

JOB = "gateway.alert"
MOST = 200
KEEP_DAYS = 400
LONGEST_URL = 2000
_log = log.get("gateway.alerts")


def take(uow: UnitOfWork, envelope: Envelope) -> None:
    """Keep and tell an alert of a budget; subscribed to `gateway.budget_alerted` and `gateway.budget_exhausted`.

    Both are published once per budget, subject, period and fraction over all processes, and each is taken once.
    """
    told, scope = envelope.data, envelope.scope
    webhook = store.get_webhook(uow.conn, scope)
    alert = Alert(
        id=envelope.id,
        at=envelope.at,
        budget=told["budget"],
        kind=told["kind"],
        subject=told["subject"],
        period=told["period"],
        fraction=told.get("fraction", EXHAUSTED),
        spent_usd=told["spent_usd"],
        limit_usd=told["limit_usd"],
        delivery=Delivery.NONE if webhook is None else Delivery.WAITING,
    )
    store.add_alert(uow.conn, scope, alert)
    store.forget_alerts(uow.conn, scope, alert.at - timedelta(days=KEEP_DAYS))
    if webhook is not None:
        jobs.enqueue(uow, system_actor(scope), JOB, {"alert": alert.id}, key=alert.id)
    metrics.ALERTS.inc(scope.tenant, scope.project, alert.budget, f"{alert.fraction:g}")
    extra = {"project": scope.project, "budget": alert.budget, "subject": alert.subject}
    _log.warning("%s", alert.text, extra=extra)


def list_alerts(
    uow: UnitOfWork, actor: Actor, *, limit: int = MOST, before: tuple[datetime, str] | None = None
) -> list[Alert]:
    """Return the project's alerts of the last 400 days, the newest first, at most `limit` and 200.

    `before` is time and id of the last alert of the page before.
    """
    uow.may(actor, "budgets.read")
    return store.list_alerts(uow.conn, actor.scope, min(limit, MOST), before)


def get_webhook(uow: UnitOfWork, actor: Actor) -> Webhook:
    """Return where the project's alerts are sent, as `find_webhook` does; raises NotFound when nowhere."""
    uow.may(actor, "budgets.read")
    return _as_seen_by(uow, actor, _webhook(uow, actor.scope)[0])


def find_webhook(uow: UnitOfWork, actor: Actor) -> Webhook | None:
    """Return where the project's alerts are sent; None when nowhere.

    Only those who may change it see the whole address: whoever has a chat's webhook can write into the chat.
    """
    uow.may(actor, "budgets.read")
    found = store.get_webhook(uow.conn, actor.scope)
    return None if found is None else _as_seen_by(uow, actor, found[0])


def _as_seen_by(uow: UnitOfWork, actor: Actor, webhook: Webhook) -> Webhook:
    try:
        uow.may(actor, "budgets.admin", "webhook")
    except Denied:
        parts = urlsplit(webhook.url)
        return replace(webhook, url=f"{parts.scheme}://{parts.netloc}/…")
    return webhook


def _webhook(uow: UnitOfWork, scope: Scope) -> tuple[Webhook, str]:
    found = store.get_webhook(uow.conn, scope)
    if found is None:
        raise NotFound(
            f"The project {scope.project!r} has no webhook.", hint="Set one: `penstock alerts webhook URL`."
        )
    return found


def put_webhook(uow: UnitOfWork, actor: Actor, url: str) -> tuple[Webhook, str]:
    """Send the project's alerts to `url` from now on; returns the webhook and the new secret that signs them.

    The secret is told this once. Raises Invalid or Denied for an address that may not be called.
    """
    uow.may(actor, "budgets.admin", "webhook")
    if len(url) > LONGEST_URL:
        raise Invalid(f"An address has at most {LONGEST_URL} characters.", details={"param": "url"})
    net.check_url(url, allow_private=_allows_private(uow), resolve_host=False)
    secret = sending.SECRET_PREFIX + base64.b64encode(os.urandom(32)).decode()
    made = Webhook(url=url, updated_at=clock.now())
    store.put_webhook(
        uow.conn, actor.scope, made, uow.home.vault.seal(secret.encode(), purpose=_for(actor.scope))
    )
    uow.audit(actor, "alerts.webhook", "webhook")
    return made, secret


def delete_webhook(uow: UnitOfWork, actor: Actor) -> None:
    """Send the project's alerts nowhere; raises NotFound when there was no webhook."""
    uow.may(actor, "budgets.admin", "webhook")
    if not store.delete_webhook(uow.conn, actor.scope):
        raise NotFound(f"The project {actor.scope.project!r} has no webhook.")
    uow.audit(actor, "alerts.webhook", "webhook", deleted=True)


def _for(scope: Scope) -> str:
    return f"alerts webhook {scope.tenant}/{scope.project}"


def _allows_private(uow: UnitOfWork) -> bool:
    return uow.home.settings.section(CoreSettings).allow_private_urls


def deliver(home: Home, scope: Scope, alert: Alert) -> None:
    """Send an alert to the project's webhook; raises NotFound without one, and what sending raises."""
    with home.read() as uow:
        webhook, sealed = _webhook(uow, scope)
        secret = home.vault.open(sealed, purpose=_for(scope)).decode()
        private = _allows_private(uow)
    body = msgspec.json.encode(alert.shown(scope.project))
    sending.send(webhook.url, secret, alert.id, body, allow_private=private)


def try_webhook(home: Home, actor: Actor) -> Alert:
    """Send an alert that says that it is a trial; raises what `deliver` raises."""
    with home.read() as uow:
        uow.may(actor, "budgets.admin", "webhook")
    trial = Alert(
        id=ids.new_id("trial"),
        at=clock.now(),
        budget="trial",
        kind="project",
        subject=actor.scope.project,
        period="total",
        fraction=0.5,
        spent_usd=0.5,
        limit_usd=1.0,
    )
    deliver(home, actor.scope, trial)
    return trial
