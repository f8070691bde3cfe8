"""Section `[training]` of the settings."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """Section `[training]`: where runs are carried out."""

    ray_address: str = ""
    """`HOST:PORT` of a Ray cluster's head for recipes with `running.launcher: ray`; its nodes must see the home."""
    ray_timeout: float = 60.0
    """Seconds within which the cluster must have answered."""
