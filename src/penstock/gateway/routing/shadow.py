"""What is known of a route's copies in this process."""

from penstock.gateway.model import Shadow


class ShadowState:
    """Counts the copies of one route; survives changes of the configuration."""

    __slots__ = ("_due", "in_flight", "name", "refused", "skipped")

    def __init__(self, name: str = "") -> None:
        self.name = name
        """Of the route or release, by which the cap in dollars is known to every process."""
        self.in_flight = 0
        self.skipped = 0
        """Copies not made because of a limit."""
        self.refused = ""
        """Why the last one was not made, where money was the reason; told once in the log."""
        self._due = 0.0

    def wants(self, limits: Shadow) -> bool:
        """Return whether this call is to be copied; shares are exact, without dice."""
        self._due += limits.share
        if self._due < 1.0 - 1e-9:
            return False
        self._due -= 1.0
        if self.in_flight >= limits.max_in_flight:
            self.skipped += 1
            return False
        return True
