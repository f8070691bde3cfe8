"""The transactional outbox and its dispatcher."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Column, Connection, Index, Integer, String, Table, Text, delete, select, update

from penstock.core import clock, ids, log
from penstock.core.db import Json, UtcTime, metadata, upsert
from penstock.core.events.model import Envelope, Event
from penstock.core.scope import Scope

logger = log.get("core.events")

outbox = Table(
    "core_outbox",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(64), nullable=False),
    Column("tenant", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("data", Json, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("not_before", UtcTime, nullable=False),
    Column("state", String(16), nullable=False, default="new"),
    Column("error", Text),
    Index("ix_core_outbox_due", "state", "not_before"),
)
handled = Table(
    "core_events_handled",
    metadata,
    Column("event_id", String(40), primary_key=True),
    Column("subscriber", String(128), primary_key=True),
    Column("at", UtcTime, nullable=False),
)

MAX_ATTEMPTS = 12
KEEP_SECONDS = 7 * 86_400

Subscriber = Callable[[Any, Envelope], None]
"""(unit of work, envelope) → None; raising means: deliver again later."""


def publish(conn: Connection, event: Event, scope: Scope) -> str:
    """Write `event` into the outbox in the caller's transaction; returns its id."""
    event_id, moment = ids.new_id("evt"), clock.now()
    conn.execute(
        outbox.insert().values(
            id=event_id,
            name=event.name,
            tenant=scope.tenant,
            project=scope.project,
            at=moment,
            data=asdict(event),
            attempts=0,
            not_before=moment,
            state="new",
        )
    )
    return event_id


def withdraw(conn: Connection, scope: Scope, names: Sequence[str], about: Callable[[Any], bool]) -> int:
    """Delete a project's events of these names, delivered or not, whose data `about` is true of; returns how many.

    One that is just being delivered may still reach its subscribers.
    """
    place = (outbox.c.tenant == scope.tenant) & (outbox.c.project == scope.project)
    found = conn.execute(select(outbox.c.id, outbox.c.data).where(place, outbox.c.name.in_(list(names))))
    gone = [row.id for row in found if about(row.data)]
    for event_id in gone:
        conn.execute(delete(outbox).where(place, outbox.c.id == event_id))
    return len(gone)


class Dispatcher:
    """Delivers outbox events to subscribers, each once per subscriber, in its own transaction."""

    def __init__(self, home: Any, subscribers: Mapping[str, Sequence[Subscriber]]) -> None:
        self._home = home
        self._subscribers = subscribers

    def tick(self, limit: int = 100) -> int:
        """Deliver up to `limit` due events; returns how many were taken."""
        with self._home.db.read() as conn:
            due = list(
                conn.execute(
                    select(outbox)
                    .where(outbox.c.state == "new", outbox.c.not_before <= clock.now())
                    .order_by(outbox.c.not_before, outbox.c.id)
                    .limit(limit)
                )
            )
        for row in due:
            self._deliver(row)
        if not due:
            self._forget_old()
        return len(due)

    def _deliver(self, row: Any) -> None:
        envelope = Envelope(
            id=row.id, name=row.name, scope=Scope(row.tenant, row.project), at=row.at, data=row.data
        )
        errors = []
        for subscriber in self._subscribers.get(row.name, ()):
            name = f"{subscriber.__module__}.{subscriber.__qualname__}"
            try:
                with self._home.begin() as uow:
                    marker = {"event_id": row.id, "subscriber": name, "at": clock.now()}
                    if upsert(uow.conn, handled, [marker], keys=["event_id", "subscriber"]):
                        subscriber(uow, envelope)
            except Exception as error:
                logger.exception("event handler failed", extra={"event": row.name, "subscriber": name})
                errors.append(f"{name}: {error}")
        self._settle(row, "; ".join(errors))

    def _settle(self, row: Any, error: str) -> None:
        attempts = row.attempts + 1
        values: dict[str, Any] = {"attempts": attempts, "state": "done", "error": None}
        if error:
            delay = min(2**attempts, 3600) * 1_000_000_000
            values |= {"error": error[:4000], "not_before": clock.from_ns(clock.now_ns() + delay)}
            values["state"] = "failed" if attempts >= MAX_ATTEMPTS else "new"
        with self._home.db.begin() as conn:
            conn.execute(update(outbox).where(outbox.c.id == row.id).values(**values))

    def _forget_old(self) -> None:
        horizon = clock.from_ns(clock.now_ns() - KEEP_SECONDS * 1_000_000_000)
        with self._home.db.read() as conn:
            stale = conn.execute(
                select(outbox.c.id).where(outbox.c.state == "done", outbox.c.at < horizon)
            ).first()
        if stale is None:
            return
        with self._home.db.begin() as conn:
            conn.execute(delete(outbox).where(outbox.c.state == "done", outbox.c.at < horizon))
            conn.execute(delete(handled).where(handled.c.at < horizon))

    def run(self, stop: threading.Event, idle_seconds: float = 0.5) -> None:
        """Deliver until `stop` is set."""
        while not stop.is_set():
            if self.tick() == 0:
                stop.wait(idle_seconds)
