"""Reading single numbers from a Prometheus page (text format 0.0.4)."""

import re

_LINE = re.compile(rb"^([A-Za-z_:][A-Za-z0-9_:]*)(?:\{[^\n]*\})?[ \t]+([^\s]+)", re.MULTILINE)


def numbers(page: bytes) -> dict[str, float]:
    """Return metric name → sum over its series; raises ValueError for a value that is no number."""
    found: dict[str, float] = {}
    for match in _LINE.finditer(page):
        name = match[1].decode()
        found[name] = found.get(name, 0.0) + float(match[2])
    return found


def number(page: bytes, name: str) -> float:
    """Return the sum of one metric; raises KeyError when the page has none of that name."""
    return numbers(page)[name]
