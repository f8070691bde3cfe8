"""Quiet on this machine while something is timed: versions are judged before or after it, never beside it.

Both sides hold lock files of the home, which the kernel frees when a process dies. Who wants to time something holds
`turn` while he waits as well: judging that goes on ends and none begins, so that no row of it keeps him waiting.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from penstock.core.errors import Busy, Cancelled
from penstock.core.home import Home, exclusive, shared

_LOOK_SECONDS = 0.2


def _locks(home: Home) -> tuple[Path, Path]:
    folder = home.folder("training")
    return folder / "turn.lock", folder / "cores.lock"


@contextmanager
def quiet(
    home: Home, *, progress: Callable[[dict[str, Any]], None], cancelled: Callable[[], bool]
) -> Iterator[None]:
    """Keep judging, and others who time, off this machine for the block; what goes on is waited for.

    Raises Cancelled when `cancelled()` turns true meanwhile.
    """
    waiting = {"stage": "waiting", "reason": "Waiting until nothing is judged or timed on this machine."}
    with ExitStack() as held:
        for lock in _locks(home):
            while not _took(held, lock):
                progress(waiting)
                _pause(cancelled)
        yield


def _took(held: ExitStack, lock: Path) -> bool:
    try:
        held.enter_context(exclusive(lock))
    except Busy:
        return False
    return True


def _pause(cancelled: Callable[[], bool]) -> None:
    if cancelled():
        raise Cancelled("It was cancelled while it waited for its turn on the machine.")
    threading.Event().wait(_LOOK_SECONDS)


@contextmanager
def untimed(home: Home, *, patient: bool, cancelled: Callable[[], bool]) -> Iterator[None]:
    """Keep those who time something off this machine for the block, beside others who do so.

    Raises Busy while something is timed or waits to be. Who is `patient` waits for a moment in between instead;
    then it raises Cancelled when `cancelled()` turns true.
    """
    turn, cores = _locks(home)
    with ExitStack() as held:
        while True:
            try:
                with exclusive(turn):
                    held.enter_context(shared(cores))
                break
            except Busy:
                if not patient:
                    raise
            _pause(cancelled)
        yield
