"""Starting the child: a folder of its own, no environment, a clock."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from penstock.core.errors import Unavailable
from penstock.evals.sandbox.inside import WEAK

INSIDE = Path(__file__).with_name("inside.py")
KEPT_BYTES = 64 * 1024
"""Of each output stream."""
STARTING_S = 3.0
"""Wall-clock seconds beyond the CPU seconds: starting an interpreter on a busy machine takes a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the code may use."""

    seconds: float = 5.0
    """Of CPU; twice that and three more on the clock."""
    memory_mb: int = 512
    allow_weak: bool = False
    """Run also where the platform cannot take network and files away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How the code ended."""

    exit_code: int
    """Negative: the signal that ended it."""
    stdout: str
    stderr: str
    timed_out: bool = False

    @property
    def passed(self) -> bool:
        """Whether it ended by itself, without an error."""
        return self.exit_code == 0 and not self.timed_out


def run_python(code: str, limits: Limits, stdin: str = "") -> Ran:
    """Run Python code and return how it ended; its standard library is there, nothing else is.

    Raises Unavailable where the platform cannot shut it in and `allow_weak` is not set.
    """
    with tempfile.TemporaryDirectory(prefix="penstock-code-") as name:
        folder = Path(name)
        root = folder / "root"
        root.mkdir()
        source = folder / "answer.py"
        source.write_text(code, encoding="utf-8", errors="replace")
        asked = {"seconds": limits.seconds, "memory_mb": limits.memory_mb, "allow_weak": limits.allow_weak}
        asked["parent"] = os.getpid()
        command = [sys.executable, "-I", "-S", "-B", str(INSIDE), str(root), str(source)]
        with (folder / "out").open("w+b") as out, (folder / "err").open("w+b") as err:
            ran = _wait([*command, msgspec.json.encode(asked).decode()], folder, out, err, stdin, limits)
            stdout, stderr = _tail(out), _tail(err)
    if ran[0] == WEAK and not limits.allow_weak:
        raise Unavailable(
            "This machine cannot shut foreign code in: it has no user namespaces.",
            hint="Allow them, or set allow_weak in the scorer's options if you trust the code.",
        )
    return Ran(exit_code=ran[0], stdout=stdout, stderr=stderr, timed_out=ran[1])


def _wait(
    command: list[str], folder: Path, out: IO[bytes], err: IO[bytes], stdin: str, limits: Limits
) -> tuple[int, bool]:
    """Return the exit code and whether the clock ran out."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        stdin=subprocess.PIPE,
        stdout=out,
        stderr=err,
        start_new_session=True,
        close_fds=True,
    )
    try:
        process.communicate(stdin.encode(), timeout=2 * limits.seconds + STARTING_S)
    except subprocess.TimeoutExpired:
        return -signal.SIGKILL, True
    finally:
        # Also what the code may have left running.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return process.returncode, process.returncode == -signal.SIGXCPU


def _tail(stream: IO[bytes]) -> str:
    stream.seek(0, os.SEEK_END)
    stream.seek(max(0, stream.tell() - KEPT_BYTES))
    return stream.read().decode(errors="replace")
