"""Events: facts published in the same transaction as the change, delivered to upper slices at least once."""

from penstock.core.events.model import Envelope, Event
from penstock.core.events.outbox import Dispatcher, Subscriber, publish, withdraw

__all__ = ["Dispatcher", "Envelope", "Event", "Subscriber", "publish", "withdraw"]
