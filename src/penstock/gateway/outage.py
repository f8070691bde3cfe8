"""Saying once that something is out of reach, and once that it is back, instead of at every try."""

import logging


class Outage:
    """What is known of one thing that is tried again and again; used by one thread at a time."""

    __slots__ = ("_log", "_what", "on")

    def __init__(self, log: logging.Logger, what: str) -> None:
        """`what` is the sentence for the log, such as `the configuration cannot be read`."""
        self._log = log
        self._what = what
        self.on = False

    def failed(self, error: Exception) -> None:
        """Take note of a failure."""
        if not self.on:
            self._log.warning("%s: %s", self._what, error)
        self.on = True

    def over(self) -> None:
        """Take note of a success."""
        if self.on:
            self._log.warning("no longer: %s", self._what)
        self.on = False
