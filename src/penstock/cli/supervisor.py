"""The supervisor: starts the web workers and the background process, restarts what dies, stops all on a signal.

Imports only the standard library, so that it costs little beside what it watches.
Run by `penstock up` as: python -m penstock.cli.supervisor PLAN_JSON
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

STOP_SECONDS = 20.0
FAST_DEATH_SECONDS = 10.0
MAX_FAST_DEATHS = 5


class Child:
    """A process that should always run."""

    def __init__(self, name: str, arguments: list[str], fds: tuple[int, ...]) -> None:
        self.name = name
        self._arguments = arguments
        self._fds = fds
        self.process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._fast_deaths = 0
        self._wait_until = 0.0

    def start(self, ready_fd: int | None = None) -> None:
        """Start the process; with `ready_fd`, it writes one byte there when it serves."""
        self._started = time.monotonic()
        extra = () if ready_fd is None else (ready_fd,)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "penstock.cli.boot", *self._arguments, *map(str, extra)],
            stdin=subprocess.DEVNULL,
            pass_fds=(*self._fds, *extra),
        )

    def tend(self) -> bool:
        """Restart the process if it died; returns False when it keeps dying at once."""
        if self.process is None:
            if time.monotonic() >= self._wait_until:
                self.start()
            return True
        code = self.process.poll()
        if code is None:
            return True
        lived = time.monotonic() - self._started
        self._fast_deaths = self._fast_deaths + 1 if lived < FAST_DEATH_SECONDS else 0
        say(f"{self.name} ended with {code}; starting it again")
        self.process = None
        self._wait_until = time.monotonic() + min(0.25 * 2**self._fast_deaths, 5.0)
        return self._fast_deaths < MAX_FAST_DEATHS

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Send the process a signal, if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)


def say(text: str) -> None:
    """Print a line on standard error."""
    sys.stderr.write(f"penstock: {text}\n")
    sys.stderr.flush()


def hold_lock(home: Path) -> int:
    """Take the home's lock for as long as this process lives; ends the process when another has it."""
    descriptor = os.open(home / "up.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say(
            f"Penstock is already running on the home {home}.\n  Stop it first, or give another home with --home."
        )
        sys.exit(1)
    return descriptor


def wait_for_stop(children: list[Child]) -> None:
    """Wait until every child has ended; kill what does not in time."""
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        if all(child.process is None or child.process.poll() is not None for child in children):
            return
        time.sleep(0.05)
    for child in children:
        child.stop(signal.SIGKILL)


def await_first(child: Child, read_end: int) -> bool:
    """Wait until the first worker says that it is ready; returns False when it ends before."""
    with os.fdopen(read_end, "rb") as pipe:
        ready = pipe.read(1) == b"1"
    if not ready and child.process is not None:
        child.process.wait()
    return ready


def run(plan: dict[str, Any]) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    home = Path(plan["home"])
    lock = hold_lock(home)
    stopping = False

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        for child in children:
            child.stop()

    read_end, write_end = os.pipe()
    common = json.dumps({"home": plan["home"], "url": plan["url"], "parent": os.getpid()})
    web = ["web_worker", common, str(plan["fd"])]
    first = Child("web 1", web, (plan["fd"],))
    children = [first]
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    first.start(ready_fd=write_end)
    os.close(write_end)
    # The first worker makes the owner and prints the links; the others need that done.
    if not await_first(first, read_end):
        return 0 if stopping else 1
    for number in range(2, plan["workers"] + 1):
        children.append(Child(f"web {number}", web, (plan["fd"],)))
    children.append(Child("background", ["background", common], ()))
    code = 0
    while not stopping:
        if plan["parent"] and os.getppid() != plan["parent"]:
            say("the program that started this server has ended; stopping")
            break
        if not all(child.tend() for child in children):
            say("a process keeps dying at once; giving up. The reason is in the lines above.")
            code = 1
            break
        time.sleep(0.1)
    for child in children:
        child.stop()
    wait_for_stop(children)
    os.close(lock)
    return code


if __name__ == "__main__":
    sys.exit(run(json.loads(sys.argv[1])))
