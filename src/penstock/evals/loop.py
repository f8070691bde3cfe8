"""Running a coroutine from ordinary code, also where an event loop is at work already (a notebook)."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any


def run_loop(make: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run the coroutine to its end on a loop of its own and raise what it raises."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(make())
        return
    failed: list[BaseException] = []

    def work() -> None:
        try:
            asyncio.run(make())
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            failed.append(error)

    thread = threading.Thread(target=work, name="evals-run")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
