"""What a tracked run has yet to tell the server: a bounded queue, a thread that empties it, a file for when it is away.

Never blocks the program, never breaks it, forgets only when full. Acts are told in the order in which they came.
"""

import atexit
import contextlib
import math
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock.sdk import clock, forks
from penstock.sdk.errors import ApiError
from penstock.sdk.quiet import fault, logger, warn_once
from penstock.sdk.run_acts import Server, Telling
from penstock.sdk.run_files import passing
from penstock.sdk.run_spool import Act, RunSpool, left_behind

CAPACITY = 50_000
"""Values that wait in memory at most."""
VALUE_CHARACTERS = 500
"""Of a text, that wait like one value."""
MOST_SENT = 1000
"""Metrics of one request."""
BEAT_SECONDS = 60.0
"""How often the server hears that the program is there."""
LINGER = 0.5
"""Seconds that a value waits for company."""
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
FLUSH_PAUSE = 0.2
EXIT_PATIENCE = 10.0
"""Seconds that the end of a run waits for what is still to be sent."""
AWAY_PATIENCE = 2.0
"""The same when the server did not answer lately."""

Later = Callable[[], list[Act]]
"""Acts that take a while to find out; asked for in the thread."""


def _size(act: Act | Later) -> int:
    """Return how many values an act holds."""
    return len(act.get("metrics", ())) or 1 if isinstance(act, dict) else 1


def _weight(act: Act | Later) -> int:
    """Return how much memory an act takes, as so many values: a long text counts for what it is."""
    if not isinstance(act, dict):
        return 1
    said = (act.get("text"), *act.get("tags", {}).values(), *act.get("params", {}).values())
    return _size(act) + sum(len(text) for text in said if isinstance(text, str)) // VALUE_CHARACTERS


class Outbox:
    """The waiting acts of one run."""

    def __init__(self, server: Server, telling: Telling, folder: Path | None, key: str) -> None:
        self._server, self.telling = server, telling
        self._folder, self._key = folder, key
        self._exit_hook = False
        self.after_fork()
        forks.watch(self)

    def after_fork(self) -> None:
        """Start empty: what the parent has yet to send is the parent's."""
        self.dropped = 0
        """Values lost: too many waited, or the server refused them."""
        self._wake = threading.Condition(threading.RLock())
        self._waiting: deque[Act | Later] = deque()
        self._held = 0
        self._in_hand: list[Act] = []
        self._busy = False
        self._flushing = self._closed = False
        self.refused = False
        """Whether the server does not want the run, so that nothing more is kept."""
        self._spool: RunSpool | None = None
        self._resume_at = self._pause = self._beat_at = 0.0
        self._thread: threading.Thread | None = None

    @property
    def away(self) -> bool:
        """Whether something waits already, so that what comes must wait behind it."""
        with self._wake:
            return bool(self._spool or self._waiting or self._busy)

    @property
    def failing(self) -> bool:
        """Whether the server did not answer lately."""
        return self._spool is not None or self._pause > 0

    def refuse(self) -> None:
        """Take nothing any more: the server does not want the run."""
        self.refused = True

    def put(self, act: Act | Later) -> None:
        """Queue an act; returns at once."""
        if self.refused:
            self.dropped += _size(act)
            return
        with self._wake:
            self._make_room(_weight(act))
            if not (isinstance(act, dict) and self._joined(act)):
                self._waiting.append(act)
            self._held += _weight(act)
            if self._thread is None and not self._closed:
                self._start()
            self._wake.notify_all()

    def begin(self) -> None:
        """Begin to say that the program is there, though nothing was logged yet."""
        with self._wake:
            if self._thread is None and not (self._closed or self.refused):
                self._start()

    def _make_room(self, weight: int) -> None:
        """Lose the oldest acts, but never the first, which makes the run: without it nothing could be told."""
        while self._waiting and self._held + weight > CAPACITY:
            oldest = self._waiting[0]
            place = 1 if isinstance(oldest, dict) and oldest["do"] == "create" else 0
            if place == len(self._waiting):
                return
            lost = self._waiting[place]
            del self._waiting[place]
            self._held -= _weight(lost)
            self._lose(_size(lost), "too much waits for the server: the oldest goes")

    def _joined(self, act: Act) -> bool:
        """Whether metrics found place in the last act that waits."""
        last = self._waiting[-1] if self._waiting else None
        if not isinstance(last, dict) or last.keys() != {"do", "metrics"} or act.keys() != last.keys():
            return False
        if len(last["metrics"]) + len(act["metrics"]) > MOST_SENT:
            return False
        last["metrics"].extend(act["metrics"])
        return True

    def flush(self, timeout: float) -> bool:
        """Wait until everything put so far is with the server; return whether that happened in `timeout` seconds."""
        deadline = clock.monotonic() + timeout
        with self._wake:
            self._flushing = True
            self._resume_at = min(self._resume_at, clock.monotonic() + FLUSH_PAUSE)
            self._wake.notify_all()
            while self.away and self._thread is not None:
                left = deadline - clock.monotonic()
                if left <= 0 or not self._thread.is_alive():
                    break
                self._wake.wait(left)
            self._flushing = False
            return not self.away

    def close(self, timeout: float = EXIT_PATIENCE) -> None:
        """Send what waits, for `timeout` seconds at most, and put the rest into the file for the next program."""
        try:
            sent = self.flush(min(timeout, AWAY_PATIENCE) if self.failing else timeout)
            with self._wake:
                self._closed = True
                self._wake.notify_all()
                thread = self._thread
            if thread is not None:
                thread.join(1.0)
            if not sent:
                self._put_away()
        except Exception as error:  # noqa: BLE001 - the end of the program is none of tracking's business
            fault("close", error)

    def keep(self, source: Path) -> Path | None:
        """Return a copy of an artifact that lives until the server has it; None when there is no place for one."""
        with self._wake, contextlib.suppress(OSError):
            if not self.refused and self._open() and self._spool is not None:
                return self._spool.copy(source)
        return None

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="penstock-run", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # Python is shutting down: no thread starts any more
            self._closed = True
            return
        self._thread = thread
        if not self._exit_hook:
            self._exit_hook = True
            atexit.register(self.close)

    def _lose(self, values: int, why: str) -> None:
        self.dropped += values
        warn_once(f"run:{self._key}:{why}", "run %s: %s", self.telling.run_id or self._key, why)

    def _run(self) -> None:
        if self._folder is not None and self.telling.run_id:
            with contextlib.suppress(OSError):
                adopt(self._server, self._folder)
        while True:
            try:
                if not self._turn():
                    break
            except Exception as error:  # noqa: BLE001 - the thread's one boundary: it must go on
                fault("sending a run", error)
                self._rest()
            finally:
                with self._wake:
                    self._busy = False
                    self._wake.notify_all()

    def _turn(self) -> bool:
        """Send or put away what is due; returns False once closed."""
        with self._wake:
            while not (self._waiting or self._due() or self._beats()):
                if self._closed:
                    return False
                self._wake.wait(self._nap())
            if not self._closed and not self._flushing and not self._spool and self._held < MOST_SENT:
                self._wake.wait(LINGER)
            if self._closed:
                return False
            act = self._waiting.popleft() if self._waiting else None
            self._held -= _weight(act) if act is not None else 0
            self._busy = act is not None
        if act is not None:
            self._work_off(act)
        elif self._due():
            self._drain()
        if self._beats():
            self._beat()
        return True

    def _beats(self) -> bool:
        return bool(self.telling.run_id) and not self.failing and clock.monotonic() >= self._beat_at

    def _beat(self) -> None:
        """Say that the program is there; a server that does not know what that means is not told again."""
        self._beat_at = clock.monotonic() + BEAT_SECONDS
        try:
            self.telling.heartbeat()
        except Exception as error:  # noqa: BLE001 - silence is the server's to judge
            logger.debug("no heartbeat: %s", error)
            if not passing(error):
                self._beat_at = math.inf

    def _work_off(self, act: Act | Later) -> None:
        """Tell the server an act, or put it where it waits."""
        self._in_hand = act() if callable(act) else [act]
        while self._in_hand:
            one = self._in_hand[0]
            if self._spool is not None or self._away_now() or not self._tell(one):
                self._store(one)
            self._in_hand = self._in_hand[1:]

    def _away_now(self) -> bool:
        return clock.monotonic() < self._resume_at

    def _due(self) -> bool:
        return self._spool is not None and not self._away_now()

    def _nap(self) -> float | None:
        """Return the seconds until something may be due by itself; None: not before something is put."""
        if self._spool is not None:
            due = self._resume_at
        elif self.telling.run_id and not self.failing:
            due = self._beat_at
        else:
            return None
        return None if due == math.inf else max(0.01, due - clock.monotonic())

    def _tell(self, act: Act) -> bool:
        """Carry an act out; returns False when the server cannot take it now, True when it did or never will."""
        try:
            self.telling.do(act)
        except Exception as error:  # noqa: BLE001 - a file that is gone, a name that is refused: said, and gone on
            if passing(error):
                logger.debug("a run waits for the server: %s", error)
                self._rest()
                return False
            self._lose(_size(act), f"{act['do']} was refused: {error}")
            if act["do"] == "create":
                self.refuse()
        self._resume_at = self._pause = 0.0
        return True

    def _rest(self) -> None:
        with self._wake:
            self._pause = (
                FLUSH_PAUSE if self._flushing else min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
            )
            self._resume_at = clock.monotonic() + self._pause

    def _open(self) -> bool:
        """Whether there is a file to wait in; it begins with what the run is."""
        if self._spool is not None:
            return True
        if self._folder is None:
            return False
        spool = RunSpool(self._folder, self._key)
        if not spool.hold(make=True):
            return False
        self._spool = spool
        if self.telling.run_id:
            spool.add({"do": "known", "run_id": self.telling.run_id})
        return True

    def _store(self, act: Act) -> None:
        """Put an act behind those that wait on disk; without a disk it waits in memory, in front."""
        with self._wake:
            try:
                if self._open() and self._spool is not None:
                    if not self._spool.add(act):
                        self._lose(_size(act), "the file of what waits is full: the newest goes")
                    return
            except OSError as error:
                warn_once("run-spool", "runs cannot wait on disk, they wait in memory: %s", error)
                self._folder = None
            self._waiting.appendleft(act)
            self._held += _weight(act)
            if not self._closed:
                self._wake.wait(max(0.01, self._resume_at - clock.monotonic()))

    def _drain(self) -> None:
        """Send what waits on disk until the server is away again."""
        spool = self._spool
        while spool is not None and not self._closed:
            with self._wake:
                found = spool.next()
                if found is None:
                    spool.remove()
                    self._spool = None
                    return
            if not self._tell(found[0]):
                return
            spool.done(found[1])

    def _put_away(self) -> None:
        """Write everything that waits into the file, at the end of the program."""
        with self._wake:
            left = [*self._in_hand, *self._waiting]
            self._in_hand = []
            self._waiting.clear()
            self._held = 0
            for act in left:
                for one in act() if callable(act) else [act]:
                    if not (self._open() and self._spool is not None and self._spool.add(one)):
                        self._lose(_size(one), "it could not be sent before the end")
            if self._spool is not None:
                logger.warning(
                    "run %s is not whole on the server; the rest waits in %s for the next program that tracks a run",
                    self.telling.run_id or self._key,
                    self._spool.path,
                )
                self._spool.close()
                self._spool = None


def adopt(server: Server, folder: Path) -> int:
    """Send what dead processes left in a folder; returns how many runs were sent whole."""
    sent = 0
    for spool in left_behind(folder):
        try:
            if _told(Telling(server), spool):
                spool.remove()
                sent += 1
        finally:
            spool.close()
    return sent


def _told(telling: Telling, spool: RunSpool) -> bool:
    while (found := spool.next()) is not None:
        act: dict[str, Any] = found[0]
        try:
            telling.do(act)
        except (ApiError, OSError) as error:
            if passing(error):
                return False
            if act["do"] == "create":
                warn_once(
                    f"left:{spool.path.name}", "a run left behind is not wanted by the server: %s", error
                )
                return True
            warn_once(
                f"left:{spool.path.name}:{act.get('do')}", "a run left behind lacks %s: %s", act["do"], error
            )
        except Exception as error:  # noqa: BLE001 - whatever another version wrote there
            if passing(error):
                return False
            fault("sending a run left behind", error)
        spool.done(found[1])
    return True
