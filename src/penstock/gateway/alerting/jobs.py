"""Delivering alerts: tried again with growing pauses for a day."""

from datetime import timedelta
from typing import Any

from penstock.core import clock, log
from penstock.core.errors import PenstockError
from penstock.core.jobs import Handler, JobContext, Postponed
from penstock.gateway.alerting import service, store
from penstock.gateway.alerting.model import Delivery

FIRST_PAUSE, LONGEST_PAUSE = 5.0, 3600.0
PATIENCE = timedelta(days=1)
_log = log.get("gateway.alerts")


def deliver(context: JobContext) -> dict[str, Any]:
    """Send one alert; every failure waits about as long as the alert has waited so far, an hour at most."""
    scope, alert_id = context.actor.scope, str(context.spec["alert"])
    with context.home.read() as uow:
        alert = store.get_alert(uow.conn, scope, alert_id)
        webhook = store.get_webhook(uow.conn, scope)
    if alert is None or alert.delivery is not Delivery.WAITING:
        return {}
    if webhook is None:
        return _noted(context, alert_id, Delivery.NONE, None)
    try:
        service.deliver(context.home, scope, alert)
    except PenstockError as error:
        age = clock.now() - alert.at
        gone = getattr(error, "upstream_status", None) == 410
        if age < PATIENCE and not gone:
            _noted(context, alert_id, Delivery.WAITING, str(error))
            raise Postponed(
                str(error), seconds=min(LONGEST_PAUSE, max(FIRST_PAUSE, age.total_seconds()))
            ) from error
        _log.warning("an alert could not be delivered: %s", error, extra={"project": scope.project})
        return _noted(context, alert_id, Delivery.FAILED, str(error))
    return _noted(context, alert_id, Delivery.DELIVERED, None)


def _noted(context: JobContext, alert_id: str, delivery: Delivery, error: str | None) -> dict[str, Any]:
    with context.home.begin() as uow:
        store.set_delivery(uow.conn, context.actor.scope, alert_id, delivery, error)
    return {"delivery": str(delivery)}


HANDLERS: dict[str, Handler] = {service.JOB: deliver}
