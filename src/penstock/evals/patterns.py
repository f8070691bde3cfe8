"""Patterns of users: RE2, bounded in time and memory."""

from typing import Any

import re2

from penstock.core.errors import Invalid

MAX_PATTERN = 4096
"""Characters of a pattern."""
MAX_MEMORY = 8 << 20
"""Bytes of a compiled pattern and its automata."""


def compiled(pattern: str, *, ignore_case: bool = False) -> Any:
    """Return the RE2 pattern: time linear in the text, memory bounded, whatever it says. Raises Invalid."""
    if not isinstance(pattern, str) or not pattern or len(pattern) > MAX_PATTERN:
        raise Invalid(f"A pattern must be a text of 1 to {MAX_PATTERN} characters.")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MAX_MEMORY
    options.case_sensitive = not ignore_case
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        said = said.decode(errors="replace") if isinstance(said, bytes) else said
        raise Invalid(
            f"{pattern[:80]!r} is not a pattern that RE2 takes: {said}.",
            hint="RE2 has no look-around and no back references: https://github.com/google/re2/wiki/Syntax",
        ) from error
