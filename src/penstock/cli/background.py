"""The background process: events, jobs, and the slices' regular work, each in a thread that never ends.

Run as: python -m penstock.cli.boot background PLAN, where PLAN is JSON: home, url, parent (process id).
"""

import json
import signal
import threading
from collections.abc import Callable

from penstock.app.work import background_loops
from penstock.core import log, metrics, say
from penstock.core.child import die_with_parent, end_after_parent
from penstock.core.errors import PenstockError
from penstock.core.home import Home
from penstock.core.settings import CoreSettings, ServerSettings

logger = log.get("background")
RETRY_SECONDS = 2.0

Loop = Callable[[threading.Event], None]


def keep_running(name: str, loop: Loop, stop: threading.Event) -> None:
    """Run `loop(stop)`; when it raises, log that and run it again after two seconds, until `stop`."""
    while not stop.is_set():
        try:
            loop(stop)
        except Exception:
            logger.exception("background loop failed; starting it again", extra={"loop": name})
            stop.wait(RETRY_SECONDS)


def main(plan_json: str) -> int:
    """Work until a signal; returns the exit code."""
    plan = json.loads(plan_json)
    die_with_parent(plan["parent"], signal.SIGTERM)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop.set())
    try:
        with Home.open(plan["home"], upgrade=False) as home:
            core = home.settings.section(CoreSettings)
            log.configure(core.log_level, core.log_style)
            end_after_parent(plan["parent"], home.settings.section(ServerSettings).drain_seconds)
            loops = {**background_loops(home), "metrics": metrics.Publisher(home, "background").run}
            threads = [
                threading.Thread(target=keep_running, args=(name, loop, stop), name=name)
                for name, loop in loops.items()
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    except PenstockError as error:
        say.fail(error)
        return 1
    return 0
