"""From the spool into the database: exactly once, because spans are known by their ids."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock.core import clock, log
from penstock.core.errors import Busy, PenstockError, Unavailable
from penstock.core.home import Home, exclusive
from penstock.core.scope import Scope
from penstock.traces import settled, spool
from penstock.traces.model import SpanRecord
from penstock.traces.policy_service import MaskTable
from penstock.traces.pricing import PriceTable
from penstock.traces.settings import TracesSettings
from penstock.traces.spool import Segment
from penstock.traces.store.prepare import Prepared, prepare
from penstock.traces.store.write import ScopeIds
from penstock.traces.writer import write

logger = log.get("traces.intake")
_GROUP = 1000
"""Spans per transaction, about."""
_POLL_SECONDS, _SLOWEST_SECONDS = 0.05, 5.0
ARRIVAL_SECONDS = 30.0


class Intake:
    """Moves recorded spans into the database. Any number may exist; one at a time works on a home."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._folder = spool.folder_of(home.path)
        self._prices = PriceTable(home)
        self._masks = MaskTable(home)
        self._known = ScopeIds()
        self._open: dict[str, Segment] = {}
        self.stored = 0
        """Spans written so far."""

    def run(self, stop: threading.Event) -> None:
        """Drain the spool whenever something is in it, until `stop`; waits out a database that is busy or gone."""
        pause = _POLL_SECONDS
        while not stop.is_set():
            try:
                with self._alone():
                    while not stop.wait(pause):
                        self.drain()
                        pause = _POLL_SECONDS
                    self.drain()
            except Busy:
                stop.wait(1.0)  # another process of this home is at it
            except PenstockError as error:
                pause = min(_SLOWEST_SECONDS, pause * 2)
                logger.warning("recorded spans wait: %s", error)
                self.close()  # somebody else may drain meanwhile: what is stored must not be read again
        self.close()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with exclusive(self._folder / "intake.lock"):
            yield

    def drain(self) -> int:
        """Store everything that is in the spool now; returns how many spans. Raises what the database raises."""
        before = self.stored
        for path in spool.segments(self._folder):
            segment = self._open.get(path.name)
            if segment is None:
                segment = self._open[path.name] = Segment(path)
            ended = segment.ended()  # asked first: what was written before the end is then all there
            self._take(segment)
            if ended:
                segment.remove()
                self._open.pop(path.name).close()
        return self.stored - before

    def _take(self, segment: Segment) -> None:
        reached, batch = segment.position, list[Prepared]()
        try:
            for frame in segment.frames():
                batch += [made for scope, span in frame if (made := self._prepared(scope, span)) is not None]
                if len(batch) >= _GROUP:
                    reached, batch = self._stored(segment, batch), []
            if segment.position != reached:
                reached = self._stored(segment, batch)
        finally:
            segment.position = reached

    def _stored(self, segment: Segment, batch: list[Prepared]) -> int:
        if batch:
            write(self._home, self._known, batch)
            self.stored += len(batch)
        segment.done()
        return segment.position

    def _prepared(self, scope: Scope, span: SpanRecord) -> Prepared | None:
        try:
            priced = settled.named(self._prices.priced(scope, span))
            return prepare(scope, self._masks.masked(scope, priced))
        except (Busy, Unavailable):
            raise  # the spool keeps it until the database is back
        except Exception:
            logger.exception("a span cannot be stored", extra={"span": span.span_id})
            return None

    def close(self) -> None:
        """Let go of the segments that are still written to."""
        for segment in self._open.values():
            segment.close()
        self._open.clear()


def arrive(home: Home, seconds: float = ARRIVAL_SECONDS) -> None:
    """Wait until spans that were recorded before the call are in the database; raises Unavailable after `seconds`.

    Moves them itself where no other process does. Spans that a process holds in memory are given the time of
    `[traces] commit_ms` to reach the spool, twice.
    """
    threading.Event().wait(2 * home.settings.section(TracesSettings).commit_ms / 1000)
    folder = spool.folder_of(home.path)
    wanted = {path: size for path in spool.segments(folder) if (size := spool.size_of(path))}
    until = clock.monotonic() + seconds
    while any(spool.reached(path) < size for path, size in wanted.items()):
        if clock.monotonic() >= until:
            raise Unavailable(
                "Recorded spans still wait for the database.", hint="Try again in a moment.", retry_after=5
            )
        if not _moved(home, folder):
            threading.Event().wait(_POLL_SECONDS)


def _moved(home: Home, folder: Path) -> bool:
    """Drain the spool once; False when another process is at it, or something is not whole yet."""
    own = Intake(home)
    try:
        with exclusive(folder / "intake.lock"):
            return own.drain() > 0
    except Busy:
        return False
    finally:
        own.close()
