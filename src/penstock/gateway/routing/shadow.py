"""What is known of a route's copies in this process."""

from penstock.gateway.model import Shadow


class ShadowState:
    """Counts the copies of one route; survives changes of the configuration."""

    __slots__ = ("_due", "day", "in_flight", "skipped", "spent", "unpriced")

    def __init__(self) -> None:
        self.in_flight = 0
        self.day = 0
        self.spent = 0.0
        """US dollars on `day` (days since the epoch, UTC)."""
        self.skipped = 0
        """Copies not made because of a limit."""
        self.unpriced = False
        """A copy had no price: a limit in dollars cannot be kept, so no more are made."""
        self._due = 0.0

    def wants(self, limits: Shadow, day: int) -> bool:
        """Return whether this call is to be copied; shares are exact, without dice."""
        self._due += limits.share
        if self._due < 1.0 - 1e-9:
            return False
        self._due -= 1.0
        if day != self.day:
            self.day, self.spent = day, 0.0
        full = self.in_flight >= limits.max_in_flight
        if full or (limits.usd_per_day is not None and (self.unpriced or self.spent >= limits.usd_per_day)):
            self.skipped += 1
            return False
        return True
