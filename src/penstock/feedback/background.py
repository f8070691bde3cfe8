"""What the background process does for feedback: feeds queues that follow a query."""

import threading

from penstock.core import log
from penstock.core.home import Home
from penstock.feedback.queues import feeding

SECONDS = 5.0
logger = log.get("feedback.background")


def run(home: Home, stop: threading.Event) -> None:
    """Feed queues every few seconds until `stop`."""
    while not stop.wait(SECONDS):
        try:
            feeding.feed_all(home)
        except Exception:
            logger.exception("a round of feeding queues failed; the next one tries again")
