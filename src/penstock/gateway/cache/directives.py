"""What a caller's headers ask of the cache: `cache-control` (RFC 9111) and `x-penstock-cache`."""

from typing import NamedTuple


class Directives(NamedTuple):
    """Whether an answer may come from the cache, may go into it, and how old it may be (seconds)."""

    look: bool = True
    keep: bool = True
    max_age: float | None = None


USUAL = Directives()
OFF = Directives(look=False, keep=False)
REFRESH = Directives(look=False)


def directives(headers: dict[bytes, bytes]) -> Directives:
    """Return what `headers` ask for; what is not understood is left out of account, as RFC 9111 says."""
    own = headers.get(b"x-penstock-cache")
    if own is not None:
        word = own.strip().lower()
        if word == b"off":
            return OFF
        if word == b"refresh":
            return REFRESH
    control = headers.get(b"cache-control")
    return USUAL if control is None else _control(control.lower())


def _control(value: bytes) -> Directives:
    look = keep = True
    max_age: float | None = None
    for part in value.split(b","):
        name, _, argument = part.strip().partition(b"=")
        if name == b"no-store":
            return OFF
        if name == b"no-cache":
            look = False
        elif name == b"max-age":
            digits = argument.strip(b' "')
            if digits.isdigit():
                max_age = float(digits[:12])
    return Directives(look, keep, max_age)
