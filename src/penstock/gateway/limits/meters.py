"""The meters of a process under one lock: who needs the ledger, and who waits for it."""

import threading
from collections.abc import Callable, Iterable, Sequence

from penstock.gateway.limits.meter import Meter
from penstock.gateway.limits.model import AccountKey


class Meters:
    """What the hot path and the lease thread share. The lock is never held across anything that waits."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.all: dict[AccountKey, Meter] = {}
        self.busy: set[Meter] = set()
        """Meters that have something for the ledger."""
        self.hurry = threading.Event()
        """Set when the lease thread must not wait for its next turn."""
        self._waiters: list[Callable[[], None]] = []

    def reserve(self, meters: Sequence[Meter], needs: Sequence[float]) -> None:
        """Take `needs` off what is free (under the lock); below their low water marks, meters ask for more."""
        for meter, need in zip(meters, needs, strict=True):
            meter.free -= need
            meter.reserved += need
            meter.calls += 1
            meter.uses += 1
            if meter.free < meter.low:
                self.busy.add(meter)
                if not self.hurry.is_set():
                    self.hurry.set()

    def book(self, meters: Sequence[Meter], held: Sequence[float], actual: Sequence[float]) -> None:
        """Settle a reservation."""
        with self.lock:
            for meter, was, used in zip(meters, held, actual, strict=True):
                meter.calls -= 1
                if meter.settle(was, used):
                    self.busy.add(meter)
                    if meter.waiting and not self.hurry.is_set():
                        self.hurry.set()

    def book_aside(
        self, kind: str, meters: Sequence[Meter], held: Sequence[float], actual: Sequence[float]
    ) -> None:
        """Settle a reservation for what costs money beside a caller's answer."""
        with self.lock:
            for meter, used in zip(meters, actual, strict=True):
                meter.note(kind, used)
        self.book(meters, held, actual)

    def enlist(self, short: Iterable[tuple[Meter, float]], wake: Callable[[], None]) -> None:
        """Let a call wait for the lease thread's next turn (under the lock)."""
        for meter, need in short:
            meter.waiting.append(need)
            self.busy.add(meter)
        self._waiters.append(wake)
        self.hurry.set()

    def discharge(self, short: Iterable[tuple[Meter, float]], wake: Callable[[], None]) -> None:
        """End the wait of a call."""
        with self.lock:
            for meter, need in short:
                meter.waiting.remove(need)
            if wake in self._waiters:
                self._waiters.remove(wake)

    def wake_all(self) -> None:
        """Let every waiting call look again."""
        with self.lock:
            waiters, self._waiters = self._waiters, []
        for wake in waiters:
            wake()

    def hide(self) -> None:
        """Let no meter show itself any more: the process may go on without them."""
        with self.lock:
            for meter in self.all.values():
                meter.gone()

    def tidy(self) -> bool:
        """Mark what was not used since the last time to be given back, drop what is idle (under the lock).

        Returns whether a meter was dropped, so that nobody may hold on to what he looked up before.
        """
        gone = [key for key, meter in self.all.items() if meter.idle and meter.uses == meter.uses_seen]
        for key in gone:
            meter = self.all.pop(key)
            meter.gone()
            self.busy.discard(meter)
        for meter in self.all.values():
            if meter.uses == meter.uses_seen and not meter.waiting:
                meter.giving = True
                self.busy.add(meter)
            meter.uses_seen = meter.uses
        return bool(gone)
