"""Section `[serving]` of the settings."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingSettings:
    """Section `[serving]`: engine processes."""

    start_timeout: float = 120.0
    """Seconds an engine may take to load a model and generate its first token."""
    drain_timeout: float = 30.0
    """Longest time in seconds that a replica which is no longer wanted may go on answering."""
    keep_previous: float = 3600.0
    """Seconds the version before a promotion is kept warm for an instant rollback; 0 stops it at once."""
    restart_pause: float = 0.5
    """Seconds before a crashed replica is started again; doubles with each crash in a row."""
    restart_pause_max: float = 30.0
    """Longest pause in seconds between two starts of a replica that keeps crashing."""
