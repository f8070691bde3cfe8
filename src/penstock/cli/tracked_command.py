"""A command of the shell as a tracked run: its output passes through, is kept, and is read for metrics."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any

from penstock.core import clock
from penstock.core.errors import Invalid
from penstock.sdk.quiet import warn_once
from penstock.sdk.tracked_run import TrackedRun

KEPT_BYTES = 64 << 20
"""Of the output that becomes an artifact: its beginning."""
LONGEST_LINE = 64 << 10
"""Bytes that are read for metrics of a line."""
MOST_METRICS = 100
"""Of one line."""
LINGER = 5.0
"""Seconds that output is waited for once the command has ended: what it started may hold it open for ever."""
_PAIR = re.compile(
    r"(?<![\w.])([A-Za-z_][\w./-]{0,199})=([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?inf|nan)(?=[\s,;)\]]|$)"
)
_FORWARDED = (signal.SIGTERM, signal.SIGHUP)


def metrics_of(line: str, form: str) -> dict[str, float]:
    """Return the numbers of a line: of `pairs` such as `loss=0.25`, or of `json`, one object per line."""
    if form == "pairs":
        found = {name: float(number) for name, number in _PAIR.findall(line)}
    else:
        try:
            told = json.loads(line) if line.lstrip().startswith("{") else None
            given = told.items() if isinstance(told, dict) else ()
            found = {
                name: float(v) for name, v in given if isinstance(v, int | float) and not isinstance(v, bool)
            }
        except (
            ValueError,
            RecursionError,
            OverflowError,
        ):  # no JSON, too deep, or a number beyond all bounds
            return {}
    return dict(list(found.items())[:MOST_METRICS])


class Reading:
    """What the lines of a command tell: metrics at a step, which is the line's `step`, or counts the lines with any."""

    def __init__(self, run: TrackedRun, form: str) -> None:
        self._run = run
        self._form = form
        self._step = 0

    def hear(self, line: bytes) -> None:
        """Log the metrics of a line."""
        if not self._form or len(line) > LONGEST_LINE:
            return
        found = metrics_of(line.decode(errors="replace"), self._form)
        step = found.pop("step", None)
        if found:
            self._step = self._step + 1 if step is None else int(step) if abs(step) < 1 << 53 else self._step
            self._run.log(self._step, **found)


class Output:
    """The artifact of what a command prints, in the order in which it comes."""

    def __init__(self, file: IO[bytes], reading: Reading) -> None:
        self._file = file
        self._reading = reading
        self._lock = threading.Lock()
        self._left = KEPT_BYTES
        self._closed = False

    def follow(self, source: IO[bytes], shown: IO[bytes]) -> None:
        """Pass on what comes as it comes, and take it line by line; runs in a thread of its own.

        `source` is unbuffered, and closed at its end.
        """
        begun = b""
        with source:
            while piece := source.read(LONGEST_LINE):
                with suppress(
                    OSError, ValueError
                ):  # nobody reads what is shown any more: the command goes on
                    shown.write(piece)
                    shown.flush()
                *whole, begun = (begun + piece).split(b"\n")
                for line in whole:
                    self._take(line + b"\n")
                if len(begun) > LONGEST_LINE:
                    self._take(begun)
                    begun = b""
        if begun:
            self._take(begun)

    def close(self) -> None:
        """Take nothing any more."""
        with self._lock:
            self._closed = True

    def _take(self, line: bytes) -> None:
        with self._lock:
            if not self._closed:
                self._keep(line)
                self._reading.hear(line)

    def _keep(self, line: bytes) -> None:
        if self._left <= 0:
            return
        try:
            self._file.write(line[: self._left])
            self._left -= len(line)
            if self._left <= 0:
                self._file.write(b"\n[the rest is left out]\n")
        except OSError as error:
            self._left = 0
            warn_once("output", "the rest of the output is not kept: %s", error)


@contextmanager
def _forwarding(child: "subprocess.Popen[bytes]") -> Iterator[None]:
    """Pass signals on to the child. Ctrl-C reaches it by itself, from the terminal; this process waits for its end."""

    def forward(number: int, _frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            child.send_signal(number)

    earlier = {number: signal.signal(number, forward) for number in _FORWARDED}
    earlier[signal.SIGINT] = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def carry_out(command: Sequence[str], run: TrackedRun, *, form: str, output: Path) -> int:
    """Run a command to its end, its output into the file `output`; returns its exit code, 128 + n for a signal n.

    Raises Invalid for a command that cannot be started.
    """
    began = clock.monotonic()
    environment = {**os.environ, "PENSTOCK_RUN_ID": run.id}
    with output.open("wb", buffering=0) as file:
        try:
            child = subprocess.Popen(
                command, bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
            )
        except OSError as error:
            raise Invalid(
                f"{command[0]!r} cannot be started: {error.strerror}.", hint="Is it installed?"
            ) from error
        with _forwarding(child):
            code = _followed(child, Output(file, Reading(run, form)))
    run.log(seconds=clock.monotonic() - began)
    run.tags(exit_code=code if code >= 0 else 128 - code)
    return code if code >= 0 else 128 - code


def _followed(child: "subprocess.Popen[bytes]", into: Output) -> int:
    """Follow a command to its end; returns its exit code."""
    pairs: list[tuple[Any, Any]] = [(child.stdout, sys.stdout.buffer), (child.stderr, sys.stderr.buffer)]
    threads = [threading.Thread(target=into.follow, args=pair, daemon=True) for pair in pairs]
    for thread in threads:
        thread.start()
    code = child.wait()
    until = clock.monotonic() + LINGER
    for thread in threads:
        thread.join(max(0.0, until - clock.monotonic()))
    if any(thread.is_alive() for thread in threads):
        warn_once("held", "what the command started still holds its output; it is not followed any more")
    into.close()
    return code
