"""Checking of provider options against what a plug-in declares."""

from collections.abc import Mapping
from typing import Any

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean

COMMON: Mapping[str, type] = {
    "max_concurrent": int,
    "queue": int,
    "queue_seconds": float,
    "trace_context": bool,
}
"""Options of every kind of provider; the gateway itself keeps them."""
_LOWEST = {"max_concurrent": 1, "queue": 0, "queue_seconds": 0}


def check_options(given: Mapping[str, Any], known: Mapping[str, type], name: str) -> None:
    """Raise Invalid unless every option of the provider `name` is known and of the right type."""
    known = {**COMMON, **known}
    for option, value in given.items():
        if option not in known:
            raise Invalid(
                f"The provider {name!r} has the unknown option {option!r}.", hint=did_you_mean(option, known)
            )
        kind = known[option]
        wanted = (int, float) if kind is float else kind
        if not isinstance(value, wanted) or (kind is not bool and isinstance(value, bool)):
            raise Invalid(f"The option {option!r} of {name!r} must be of type {kind.__name__}.")
    for option, low in _LOWEST.items():
        if given.get(option, low) < low:
            raise Invalid(f"The option {option!r} of {name!r} must be at least {low}.")


def header_lines(given: Mapping[str, Any], name: str) -> bytes:
    """Return extra headers as a block of lines; raises Invalid for anything that could end a line early."""
    lines = []
    for header, value in given.items():
        text = str(value)
        token = header.replace("-", "").replace("_", "")
        if not (token.isascii() and token.isalnum()) or not text.isascii() or not text.isprintable():
            raise Invalid(f"The header {header!r} of the provider {name!r} cannot be sent.")
        if header.lower() in ("host", "content-length", "transfer-encoding", "connection"):
            raise Invalid(f"The header {header!r} of the provider {name!r} is set by Penstock itself.")
        lines.append(f"{header.lower()}: {text}\r\n")
    return "".join(lines).encode("ascii")


def key_line(name: str, prefix: str, api_key: str) -> bytes:
    """Return the header line that carries a provider's key, or nothing without one; raises Invalid for a broken key."""
    if not api_key:
        return b""
    if not api_key.isascii() or not api_key.isprintable():
        raise Invalid("The api_key holds characters that cannot be sent.", hint="Was it copied whole?")
    return f"{name}: {prefix}{api_key}\r\n".encode("ascii")
