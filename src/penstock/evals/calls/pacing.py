"""How fast an endpoint is asked: so many calls a minute, and silence for as long as it asks for."""

import asyncio


class Pace:
    """Spaces calls evenly to `per_minute`, and holds all of them back while the endpoint wants a pause."""

    def __init__(self, per_minute: float | None = None) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._next = 0.0
        self._until = 0.0

    def hold(self, seconds: float) -> None:
        """Let no call start for so many seconds from now."""
        self._until = max(self._until, asyncio.get_running_loop().time() + seconds)

    async def turn(self) -> None:
        """Return when a call may start."""
        loop = asyncio.get_running_loop()
        if self._gap:
            now = loop.time()
            start = max(now, self._next)
            self._next = start + self._gap
            if start > now:
                await asyncio.sleep(start - now)
        while (left := self._until - loop.time()) > 0:
            await asyncio.sleep(left)
