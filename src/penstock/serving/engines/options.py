"""Checking an engine's options against its struct."""

from typing import Any

import msgspec

from penstock.core.options import converted


def checked(engine: str, kind: type[msgspec.Struct], options: dict[str, Any]) -> dict[str, Any]:
    """Return the options with defaults; raises Invalid that names the wrong one."""
    found: dict[str, Any] = msgspec.to_builtins(converted(engine, kind, options))
    return found


def within(owner: Any, limits: dict[str, tuple[float, float]]) -> None:
    """Raise ValueError unless every attribute named is in its range; for `__post_init__`."""
    for name, (low, high) in limits.items():
        if not low <= getattr(owner, name) <= high:
            raise ValueError(f"{name} must be between {low:g} and {high:g}")
