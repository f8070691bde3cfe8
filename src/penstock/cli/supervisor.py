"""The supervisor: starts the web workers and the background process, restarts what dies, stops all on a signal.

SIGTERM or SIGINT stops everything; SIGHUP replaces the workers one by one, each only once its successor serves.
Imports only the standard library, so that it costs little beside what it watches.
Run by `penstock up` as: python -m penstock.cli.supervisor PLAN_JSON
"""

import fcntl
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

PAUSE = 0.1
FAST_DEATH_SECONDS = 10.0
MAX_FAST_DEATHS = 5
START_SECONDS = 60.0
"""Time a successor has until it serves."""
STOP_MARGIN = 10.0
"""Seconds a process may take to end beyond its time for draining."""
FREE_SLOT = struct.pack("i", -1)
"""What stands on the workers' shared page for one that takes no connections; see web.edge.acceptor."""
RETIRE = signal.SIGUSR1


class Child:
    """A process that should always run."""

    def __init__(self, name: str, process: str, plan: dict[str, Any], fds: tuple[int, ...] = ()) -> None:
        self.name = name
        self._module = process
        self._plan = plan
        self._fds = fds
        self.process: subprocess.Popen[bytes] | None = None
        self._ready = -1
        self._started = 0.0
        self._fast_deaths = 0
        self._wait_until = 0.0

    def start(self, *, greet: bool = False) -> None:
        """Start the process; `serves` and `await_ready` tell when it is ready."""
        self._started = time.monotonic()
        self.close()
        self._ready, theirs = os.pipe()
        plan = {**self._plan, "ready_fd": theirs, "greet": greet}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "penstock.cli.boot", self._module, json.dumps(plan)],
            stdin=subprocess.DEVNULL,
            pass_fds=(*self._fds, theirs),
        )
        os.close(theirs)
        os.set_blocking(self._ready, False)

    def serves(self) -> bool | None:
        """Whether the process said that it serves; None while it has not, False when it ended before."""
        try:
            said = os.read(self._ready, 1)
        except BlockingIOError:
            return None
        return said == b"1"

    def await_ready(self) -> bool:
        """Wait until the process serves; returns False when it ends before."""
        os.set_blocking(self._ready, True)
        if self.serves():
            return True
        if self.process is not None:
            self.process.wait()
        return False

    def close(self) -> None:
        """Close what the process said that it serves by."""
        if self._ready >= 0:
            os.close(self._ready)
            self._ready = -1

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
        self.gone()
        self._wait_until = time.monotonic() + min(0.25 * 2**self._fast_deaths, 5.0)
        return self._fast_deaths < MAX_FAST_DEATHS

    def gone(self) -> None:
        """Note that the process has ended; for subclasses."""

    def running(self) -> bool:
        """Whether the process runs."""
        return self.process is not None and self.process.poll() is None

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Send the process a signal, if it runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)


class Web(Child):
    """A web worker, with its slot on the page where workers tell each other how many connections they have."""

    def __init__(self, number: int, plan: dict[str, Any], slot: int) -> None:
        fds = (plan["fd"], plan["board_fd"])
        super().__init__(f"web {number}", "web_worker", {**plan, "slot": slot}, fds)
        self.number = number
        self.slot = slot
        self._board = plan["board_fd"]
        self.gone()

    def gone(self) -> None:
        """Free the slot, so that no worker waits for the dead one."""
        os.pwrite(self._board, FREE_SLOT, self.slot * len(FREE_SLOT))


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


def make_board(slots: int) -> int:
    """Return the descriptor of a page with a free slot for each worker."""
    with tempfile.TemporaryFile() as file:
        file.write(FREE_SLOT * slots)
        file.flush()
        return os.dup(file.fileno())


class Supervisor:
    """What runs, and what is to become of it."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._run = Path(plan["home"]) / "run"
        self._seconds = plan["drain_seconds"] + plan["drain_delay_seconds"] + STOP_MARGIN
        self._common = {"home": plan["home"], "url": plan["url"], "parent": os.getpid()}
        workers = plan["workers"]
        self._board = make_board(workers + 1)
        self._web_plan = {**self._common, "fd": plan["fd"], "board_fd": self._board}
        self.webs = [Web(number + 1, self._web_plan, number) for number in range(workers)]
        self.background = Child("background", "background", self._common)
        self.retiring: list[Child] = []
        self.stopping = self.restart_wanted = False
        self._restart: Iterator[None] | None = None
        self._restarts = 0
        self._problem = ""

    def on_stop(self, _number: int, _frame: FrameType | None) -> None:
        """Stop everything: the handler of SIGTERM and SIGINT."""
        self.stopping = True
        for child in self.everything():
            child.stop()

    def on_restart(self, _number: int, _frame: FrameType | None) -> None:
        """Replace the workers: the handler of SIGHUP."""
        self.restart_wanted = True

    def everything(self) -> list[Child]:
        """Return every process there may be."""
        return [*self.webs, self.background, *self.retiring]

    def run(self) -> int:
        """Run until a signal; returns the exit code."""
        shutil.rmtree(self._run / "metrics", ignore_errors=True)  # counted by an earlier start
        first = self.webs[0]
        first.start(greet=True)
        # The first worker makes the owner and prints the links; the others need that done.
        if not first.await_ready():
            return 0 if self.stopping else 1
        self._tell()
        code = 0
        while not self.stopping:
            if self._plan["parent"] and os.getppid() != self._plan["parent"]:
                say("the program that started this server has ended; stopping")
                break
            if not all(child.tend() for child in (*self.webs, self.background)):
                say("a process keeps dying at once; giving up. The reason is in the lines above.")
                code = 1
                break
            self._replace()
            time.sleep(PAUSE)
        self._stop_all()
        return code

    # -- replacing -----------------------------------------------------------------------------------------

    def _replace(self) -> None:
        """Go on with a restart that was asked for, one step each time."""
        if self.restart_wanted and self._restart is None:
            self.restart_wanted = False
            self._restart = self._steps()
        if self._restart is not None and next(self._restart, self) is self:
            self._restart = None
            self._restarts += 1
            self._tell()

    def _steps(self) -> Iterator[None]:
        """Replace each worker by one that serves, then the background process; yields while waiting."""
        self._problem = ""
        for place, old in enumerate(list(self.webs)):
            new = Web(old.number, self._web_plan, self._free_slot())
            # Part of `retiring` until it serves, so that a stop of the server finds it.
            self.retiring = [new]
            new.start()
            deadline = time.monotonic() + START_SECONDS
            while (ready := new.serves()) is None and time.monotonic() < deadline:
                yield
            if not ready:
                self._problem = f"The new {new.name} did not start; the old workers go on."
                say(self._problem)
                yield from self._end(new, signal.SIGTERM)
                return
            self.webs[place] = new
            yield from self._end(old, RETIRE)
        yield from self._end(self.background, signal.SIGTERM)
        self.background = Child("background", "background", self._common)
        say("every process was replaced")

    def _free_slot(self) -> int:
        used = {web.slot for web in self.webs}
        return next(slot for slot in range(len(self.webs) + 1) if slot not in used)

    def _end(self, child: Child, number: int) -> Iterator[None]:
        self.retiring = [child]
        child.stop(number)
        deadline = time.monotonic() + self._seconds
        while child.running() and time.monotonic() < deadline:
            yield
        child.stop(signal.SIGKILL)
        if child.process is not None:
            child.process.wait()
        child.gone()
        child.close()
        self.retiring = []

    def _tell(self) -> None:
        """Write what `penstock restart` and other commands on this home want to know."""
        told = {"pid": os.getpid(), "url": self._plan["local_url"]}
        told |= {"restarts": self._restarts, "problem": self._problem}
        self._run.mkdir(mode=0o700, exist_ok=True)
        temporary = self._run / "supervisor.part"
        temporary.write_text(json.dumps(told))
        temporary.replace(self._run / "supervisor.json")

    # -- the end -------------------------------------------------------------------------------------------

    def _stop_all(self) -> None:
        """Stop every process; kill what does not end in time."""
        os.close(self._plan["fd"])  # so that nobody waits in a queue that nobody serves
        children = self.everything()
        for child in children:
            child.stop()
        deadline = time.monotonic() + self._seconds
        while any(child.running() for child in children) and time.monotonic() < deadline:
            time.sleep(PAUSE / 2)
        for child in children:
            child.stop(signal.SIGKILL)
        (self._run / "supervisor.json").unlink(missing_ok=True)


def run(plan: dict[str, Any]) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code."""
    lock = hold_lock(Path(plan["home"]))
    supervisor = Supervisor(plan)
    signal.signal(signal.SIGTERM, supervisor.on_stop)
    signal.signal(signal.SIGINT, supervisor.on_stop)
    signal.signal(signal.SIGHUP, supervisor.on_restart)
    code = supervisor.run()
    os.close(lock)
    return code


if __name__ == "__main__":
    sys.exit(run(json.loads(sys.argv[1])))
