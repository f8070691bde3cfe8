"""Signs: patterns that say little alone, and more together."""

import re

from penstock.guardrails.ports import Rule


def sign(name: str, score: float, pattern: str) -> Rule:
    """Return a rule whose pattern is plain enough for both engines; any case, `.` matches line ends."""
    return Rule(name, f"(?is){pattern}", re.compile(pattern, re.IGNORECASE | re.DOTALL), score=score)
