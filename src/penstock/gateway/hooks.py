"""What may look at an answer on its way to the caller: the seam for output guards."""

from typing import Protocol

from penstock.gateway.dialects.base import Answer, Relay


class AnswerHook(Protocol):
    """Set on a call before it is relayed; sees answers in the caller's shape."""

    @property
    def holds(self) -> bool:
        """Whether nothing of a stream may go out before `release` has seen all of it."""

    async def answer(self, answer: Answer) -> Answer:
        """Return the whole answer, perhaps changed; raises the error that the caller gets instead."""
        ...

    def relay(self, relay: Relay) -> Relay:
        """Return `relay` wrapped: what it returns from `feed` and `finish` has passed the guards.

        A stream that must end early sets its `fault`.
        """
        ...

    def recorded(self) -> bytes | None:
        """Return the last whole answer for traces and caches: with stand-ins where the caller got originals back."""
        ...

    async def release(self, stream: bytes) -> bytes:
        """Return the whole held-back stream, perhaps changed; raises the error that the caller gets instead."""
        ...
