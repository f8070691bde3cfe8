"""A run's progress in the terminal: one line that moves, or a line now and then where nothing can move."""

import sys
from typing import Any, TextIO

from penstock.core import clock

STEADY_S = 10.0
"""How often a line is written to what is no terminal."""


def sentence(state: dict[str, Any]) -> str:
    """Return progress as one sentence: samples, failures, cost and the time that is left."""
    parts = [f"{state['done']}/{state['total']} samples"]
    if state["errors"]:
        parts.append(f"{state['errors']} failed")
    if state.get("judge_errors"):
        parts.append(f"{state['judge_errors']} not judged")
    if state.get("cached"):
        parts.append(f"{state['cached']} answers reused")
    if state.get("cost_usd"):
        parts.append(f"${state['cost_usd']:.4f}")
    left = state.get("eta_s")
    if left and state["done"] < state["total"]:
        parts.append(f"{left / 60:.0f} min left" if left >= 90 else f"{left:.0f} s left")
    return ", ".join(parts)


class ProgressLine:
    """Writes progress to standard error."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._moves = self._stream.isatty()
        self._last = float("-inf")
        self._width = 0

    def __call__(self, state: dict[str, Any]) -> None:
        """Show the state."""
        text, done = sentence(state), state["done"] == state["total"]
        if self._moves:
            self._stream.write("\r" + text.ljust(self._width) + ("\n" if done else ""))
            self._width = 0 if done else len(text)
        elif done or clock.monotonic() - self._last >= STEADY_S:
            self._last = clock.monotonic()
            self._stream.write(text + "\n")
        self._stream.flush()
