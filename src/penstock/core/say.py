"""What a process tells the person who started it, on standard error."""

import sys

from penstock.core.errors import PenstockError


def note(text: str) -> None:
    """Print a line for people on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def fail(error: PenstockError) -> None:
    """Print an error as one sentence and what to do."""
    note(f"penstock: {error.message}" + (f"\n  {error.hint}" if error.hint else ""))
