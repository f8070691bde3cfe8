"""What the demo's steps need of the running server."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Server:
    """A running `penstock up` on the demo's home."""

    url: str
    """Address without a path, for example http://127.0.0.1:8600."""
    key: str
    """Gateway key of the demo's ticket application."""
