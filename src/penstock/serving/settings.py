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
    crash_limit: int = 8
    """Failed starts or early crashes in a row after which a replica is given up, until somebody retries."""
    liveness_timeout: float = 60.0
    """Seconds an engine may leave questions about its load unanswered before it is taken for hung and restarted."""
    sample_seconds: float = 2.0
    """Seconds between two measurements of what replicas use and have to do."""
    memory_gb: float = 0.0
    """Memory in GiB that replicas with a memory limit may reserve together; 0: what the machine has."""
