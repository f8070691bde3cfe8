"""Suggestions for mistyped names."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `Did you mean 'x'?`, or the list of known names when nothing is close."""
    choices = sorted(known)
    close = get_close_matches(word, choices, n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"Known: {', '.join(choices)}." if choices else "None are registered."
