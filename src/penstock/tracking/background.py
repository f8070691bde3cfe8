"""Tracking's regular work in the background process: failing runs whose program fell silent."""

import threading
from datetime import datetime, timedelta

from penstock.core import clock, log
from penstock.core.home import Home
from penstock.tracking import service
from penstock.tracking.settings import TrackingSettings

logger = log.get("tracking.background")

LOOK_SECONDS = 30.0


def tick(home: Home, since: datetime) -> int:
    """Fail runs that were silent for too long; returns how many. `since` is when the server began to listen."""
    minutes = home.settings.section(TrackingSettings).silent_minutes
    if minutes <= 0 or clock.now() - since < timedelta(minutes=minutes):
        return 0
    with home.read() as uow:
        if not service.any_silent(uow, minutes=minutes):
            return 0  # which is nearly always so, and keeps no writer waiting
    with home.begin() as uow:
        return service.fail_silent(uow, minutes=minutes)


def run(home: Home, stop: threading.Event) -> None:
    """Look for silent runs until `stop` is set; a machine that slept begins to listen anew."""
    since = looked = clock.now()
    while not stop.wait(LOOK_SECONDS):
        now = clock.now()
        if now - looked > timedelta(seconds=4 * LOOK_SECONDS):
            since = now
        looked = now
        try:
            tick(home, since)
        except Exception:
            logger.exception("silent runs not looked for; trying again")
