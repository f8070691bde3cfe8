"""What applying a configuration does, line by line."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line of what applying a configuration does."""

    action: str
    """create, update, delete or unchanged."""
    kind: str
    """What it is: provider, route, budget, …"""
    name: str
    detail: str = ""
