"""Section `[tracking]` of the settings."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingSettings:
    """Section `[tracking]`: runs of other programs."""

    silent_minutes: float = 10.0
    """Minutes of silence after which a run that sends heartbeats, one a minute, is failed; 0: never."""
