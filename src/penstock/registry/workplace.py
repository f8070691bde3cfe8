"""Folders for work that may be killed: what a dead process left behind is cleared away by the next one."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from penstock.core import ids
from penstock.core.errors import Busy
from penstock.core.home import Home, exclusive


@contextmanager
def work_folder(home: Home, name: str) -> Iterator[Path]:
    """Yield a new folder below `work/NAME` of the home; it is gone afterwards, at the latest when the next one is made.

    A lock file beside it says that its process lives: the kernel lets go of it when the process dies.
    """
    place = home.folder("work", name)
    folder = place / ids.new_id("wrk")
    lock = place / f"{folder.name}.lock"
    with ExitStack() as held:
        # One at a time, so that nobody takes a lock for left behind that was only just made.
        with exclusive(home.folder("work") / f"{name}.lock", wait=True):
            _clear(place)
            held.enter_context(exclusive(lock))
            folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)


def _clear(place: Path) -> None:
    for lock in place.glob("*.lock"):
        try:
            with exclusive(lock):
                shutil.rmtree(place / lock.stem, ignore_errors=True)
                lock.unlink(missing_ok=True)
        except Busy:
            continue
