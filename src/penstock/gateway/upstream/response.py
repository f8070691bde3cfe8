"""An answer being read."""

from collections.abc import Callable

from penstock.core.errors import Upstream
from penstock.gateway.upstream.connection import Connection, Header
from penstock.gateway.upstream.request import Timeouts

Release = Callable[[Connection], None]


class Response:
    """Status and headers of an answer, and its body as it comes.

    Read it with `read` or repeated `next`, and always `close` it: an answer that is complete gives its connection
    back to the pool, any other is cut so that the provider stops working.
    """

    __slots__ = ("_connection", "_release", "headers", "patience", "status")

    def __init__(self, connection: Connection, release: Release, timeouts: Timeouts) -> None:
        self._connection: Connection | None = connection
        self._release = release
        self.patience = timeouts.idle
        """Seconds of silence that `next` puts up with; may be changed between calls."""
        self.status = connection.status
        self.headers: list[Header] = connection.headers

    def header(self, name: bytes) -> bytes:
        """Return the first value of `name` (lower case), or an empty string."""
        for key, value in self.headers:
            if key == name:
                return value
        return b""

    async def next(self) -> bytes | None:
        """Return the bytes that arrived since the last call, joined; None at the end. Raises Upstream errors."""
        connection = self._connection
        if connection is None:
            return None
        if not connection.buffered and not connection.complete:
            await connection.wait(self.patience, "silence")
        data = connection.take()
        if not data and connection.complete:
            self.close()
            return None
        return data

    async def read(self, limit: int) -> bytes:
        """Return the whole body.

        Raises Upstream when it is larger than `limit` bytes, and the errors of the connection.
        """
        connection = self._connection
        if connection is None:
            return b""
        if connection.complete:
            data = connection.take()
            self._check(len(data), limit)
            self.close()
            return data
        parts: list[bytes] = []
        size = 0
        while (part := await self.next()) is not None:
            parts.append(part)
            size += len(part)
            self._check(size, limit)
        return b"".join(parts)

    def _check(self, size: int, limit: int) -> None:
        if size > limit:
            self.close()
            raise Upstream(f"The provider's answer is larger than {limit} bytes.")

    def abandon(self) -> None:
        """Cut the call; a waiting `next` or `read` raises Abandoned."""
        if self._connection is not None:
            self._connection.abandon()

    def close(self) -> None:
        """Give the connection back, or cut it when the answer is not complete. Closing twice is harmless."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._release(connection)
