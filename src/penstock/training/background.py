"""Training's regular work in the background process: following jobs at providers."""

import threading

from penstock.core import log
from penstock.core.errors import Busy
from penstock.core.home import Home, exclusive
from penstock.core.scope import system_actor
from penstock.training.hosted import service
from penstock.training.hosted.store import unfinished

logger = log.get("training.background")

POLL_SECONDS = 15.0


def tick(home: Home) -> int:
    """Take the next step of every job that has not ended; returns how many there are. One process does it at a time."""
    with home.read() as uow:
        waiting = unfinished(uow.conn)
    for scope, job_id in waiting:
        try:
            with exclusive(home.folder("training") / f"{job_id}.lock"):
                service.advance(home, system_actor(scope), job_id=job_id)
        except Busy:
            continue  # another process is at it
        except Exception:
            logger.exception("hosted job not advanced; trying again", extra={"job": job_id})
    return len(waiting)


def run(home: Home, stop: threading.Event) -> None:
    """Follow hosted jobs until `stop` is set."""
    while not stop.wait(POLL_SECONDS):
        tick(home)
