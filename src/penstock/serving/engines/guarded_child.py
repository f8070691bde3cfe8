"""A guard around a program that does not end with its parent: it ends the program when its own input closes.

Run as: python -m penstock.serving.engines.guarded_child
Reads one JSON line (`command`, `environment`, `url`), starts the command, writes `{"url": …}`, and ends with the
command's exit code. On Linux the program also dies when the guard itself is killed.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading

from penstock.serving.engines.parent import read_message, say, wait_for_parent

_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of prctl(2)."""


def _die_with_guard() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGKILL)


def _end_with(parent: int) -> None:
    wait_for_parent(parent)
    os.killpg(os.getpid(), signal.SIGKILL)


def main() -> int:
    """Run the command until it ends or the parent is gone; returns the exit code."""
    parent = os.getppid()
    spec = read_message()
    try:
        child = subprocess.Popen(
            spec["command"],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            env={**os.environ, **spec["environment"]},
            preexec_fn=_die_with_guard,
        )
    except OSError as error:
        say({"error": f"{spec['command'][0]} could not be started: {error}"})
        return 1
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    say({"url": spec["url"]})
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
