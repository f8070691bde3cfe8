"""Section `[tracking]` of the settings."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingSettings:
    """Section `[tracking]`: runs of other programs."""

    silent_minutes: float = 10.0
    """Minutes without a heartbeat after which a run that promised one is failed: several, as one comes a minute; 0: never."""
