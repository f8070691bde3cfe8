"""Following something on the server that changes by itself, by looking at it again and again."""

from collections.abc import Callable, Iterator

from penstock.sdk import clock
from penstock.sdk.errors import SdkError
from penstock.sdk.resources import Record

EVERY_SECONDS = 1.0
"""Between two looks."""


def changes(
    look: Callable[[], Record],
    over: Callable[[Record], bool],
    what: str,
    *,
    timeout: float | None = None,
    every: float = EVERY_SECONDS,
) -> Iterator[Record]:
    """Yield what `look` returns, at once and whenever it has changed, and stop after one that is `over`.

    Raises SdkError, naming `what`, when that takes longer than `timeout` seconds; None waits for ever.
    """
    deadline = None if timeout is None else clock.monotonic() + timeout
    last: Record | None = None
    while True:
        found = look()
        if found != last:
            last = found
            yield found
        if over(found):
            return
        if deadline is not None and clock.monotonic() > deadline:
            raise SdkError(f"{what} is still {found.get('state')} after {timeout:g} seconds.")
        clock.sleep(every)


def last_of(found: Iterator[Record]) -> Record:
    """Return the last of what `changes` yields."""
    record: Record = {}
    for record in found:  # noqa: B007 - only the last one counts
        pass
    return record
