"""A guard around a program that does not end with its parent: it ends the program when its own input closes.

Run as: python -m penstock.serving.engines.guarded_child
Reads one JSON line (`command`, `environment`, `url`), starts the command, writes `{"url": …}`, and ends with the
command's exit code. On Linux the program also dies when the guard itself is killed.
"""

import os
import signal
import subprocess
import sys
import threading

from penstock.core.child import bound
from penstock.serving.engines.parent import read_message, say, wait_for_parent


def _end_with(parent: int) -> None:
    wait_for_parent(parent)
    os.killpg(os.getpid(), signal.SIGKILL)


def main() -> int:
    """Run the command until it ends or the parent is gone; returns the exit code."""
    parent = os.getppid()
    spec, guard = read_message(), os.getpid()
    # Before the program is there, so that no moment is left in which it could outlive the parent.
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    try:
        child = subprocess.Popen(
            spec["command"],
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            env={**os.environ, **spec["environment"]},
            preexec_fn=bound(),
        )
    except OSError as error:
        say({"error": f"{spec['command'][0]} could not be started: {error}"})
        return 1
    try:
        say({"url": spec["url"]})
    except OSError:
        child.kill()  # the parent is dead; what the program has started ends with this process's group
        os.killpg(guard, signal.SIGKILL)
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
