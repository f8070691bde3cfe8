"""Reading one line from a child's pipe without waiting for ever."""

import os
import select


class LineReader:
    """Collects bytes of a file descriptor until a line is whole."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._buffer = b""

    def read(self, seconds: float) -> bytes | None:
        """Return the next line without its end, b"" when the pipe closed, or None when `seconds` passed."""
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self._descriptor], [], [], seconds)
            if not ready:
                return None
            piece = os.read(self._descriptor, 65536)
            if not piece:
                return b""
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line
