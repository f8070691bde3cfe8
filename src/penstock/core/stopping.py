"""Stopping work that nobody waits for any more."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stop:
    """Told once, from any thread; the work looks at `asked`, or is interrupted where it waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = False
        self._interrupt: Callable[[], object] | None = None

    @property
    def asked(self) -> bool:
        """Whether the work should end."""
        return self._asked

    def ask(self) -> None:
        """Ask the work to end; may be called again and again."""
        with self._lock:
            self._asked = True
            if self._interrupt is not None:
                self._interrupt()

    @contextmanager
    def interrupting(self, interrupt: Callable[[], object]) -> Iterator[None]:
        """Call `interrupt` when asked to stop inside the block, or at once when that was before it."""
        with self._lock:
            self._interrupt = interrupt
            if self._asked:
                interrupt()
        try:
            yield
        finally:
            with self._lock:
                self._interrupt = None
