"""The regular look at which datasets have to be checked again."""

import threading

from penstock.core import log
from penstock.core.home import Home
from penstock.datasets import contract_service

logger = log.get("datasets.keeper")
SECONDS = 60.0
"""Between two looks."""


def run(home: Home, stop: threading.Event) -> None:
    """Look every minute until `stop`; the checks themselves are jobs."""
    while not stop.wait(SECONDS):
        try:
            contract_service.enqueue_due(home)
        except Exception:
            logger.exception("looking for due checks failed; the next look tries again")
