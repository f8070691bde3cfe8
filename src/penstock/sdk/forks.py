"""What has to start afresh in a forked child: queues, threads, connections and random numbers of the parent."""

import os
import weakref
from typing import Protocol


class Forked(Protocol):
    """Something with state that belongs to one process."""

    def after_fork(self) -> None:
        """Start afresh, in the child."""
        ...


_watched: "weakref.WeakSet[Forked]" = weakref.WeakSet()


def watch(thing: Forked) -> None:
    """Call `thing.after_fork()` in every child that is forked while `thing` lives."""
    _watched.add(thing)


def _refresh() -> None:
    for thing in list(_watched):
        thing.after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_refresh)
