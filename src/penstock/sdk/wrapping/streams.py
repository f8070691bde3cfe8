"""Streams that are watched while the program reads them."""

import weakref
from typing import Any

from penstock.sdk.quiet import fault
from penstock.sdk.wrapping.calls import Call


class Watched:
    """An iterator over another one, which tells the call of every piece, of the end and of an error."""

    def __init__(self, inner: Any, call: Call) -> None:
        self._inner, self._call = inner, call

    def __iter__(self) -> "Watched":
        return self

    def __next__(self) -> Any:
        try:
            piece = next(self._inner)
        except StopIteration:
            self._call.end()
            raise
        except BaseException as error:
            self._call.fail(error)
            raise
        self._call.piece(piece)
        return piece

    def send(self, value: Any) -> Any:
        """Go on, as a generator does; a value cannot be sent into an answer."""
        return next(self) if value is None else self._inner.send(value)

    def close(self) -> None:
        """Close the stream and end the call with what came so far."""
        close = getattr(self._inner, "close", None)
        if close is not None:
            close()
        self._call.end()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __del__(self) -> None:
        self._call.end()


class AsyncWatched:
    """The same for asynchronous iterators."""

    def __init__(self, inner: Any, call: Call) -> None:
        self._inner, self._call = inner, call

    def __aiter__(self) -> "AsyncWatched":
        return self

    async def __anext__(self) -> Any:
        try:
            piece = await anext(self._inner)
        except StopAsyncIteration:
            self._call.end()
            raise
        except BaseException as error:
            self._call.fail(error)
            raise
        self._call.piece(piece)
        return piece

    async def aclose(self) -> None:
        """Close the stream and end the call with what came so far."""
        close = getattr(self._inner, "aclose", None)
        if close is not None:
            await close()
        self._call.end()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __del__(self) -> None:
        self._call.end()


def watch_stream(stream: Any, call: Call) -> None:
    """Watch a stream object of the `openai` or `anthropic` library, which stays the object the program gets.

    Both iterate over `_iterator`, and are closed by `close()`. Another kind of object ends the call at once.
    """
    try:
        inner = stream._iterator
        asynchronous = hasattr(inner, "__anext__")
        stream._iterator = AsyncWatched(inner, call) if asynchronous else Watched(inner, call)
        # Not a bound method: a stream that held itself would wait for the garbage collector to be closed.
        held, plain = weakref.ref(stream), type(stream).close
    except Exception as error:  # noqa: BLE001 - tracing never raises into the traced program
        fault("stream", error)
        call.end()
        return

    def close() -> Any:
        try:
            return plain(held())
        finally:
            call.end()

    async def aclose() -> Any:
        try:
            return await plain(held())
        finally:
            call.end()

    stream.close = aclose if asynchronous else close
