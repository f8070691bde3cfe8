"""Settings of limits and budgets: section `[limits]`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsSettings:
    """Section `[limits]`: how processes share limits and budgets."""

    slice_fraction: float = 0.05
    """Largest part of a limit or budget that one process leases at a time."""
    lease_ahead_seconds: float = 60.0
    """Traffic for this long, at its present pace, is leased ahead: what goes on while the database is away."""
    flush_ms: int = 250
    """Settled spend is written this often."""
    wait_seconds: float = 3.0
    """Longest wait of a call for its process to lease more."""
    idle_seconds: float = 15.0
    """Unused leases go back after so long."""
    dead_after_seconds: float = 90.0
    """A process that was not heard of for so long is taken for dead: what it had leased counts as spent."""
    when_unreachable: str = "refuse"
    """`refuse` or `allow`: calls on hard budgets whose lease is used up while the database cannot be reached."""
    unpriced: str = "refuse"
    """`refuse` or `allow`: calls on hard budgets to models without a price; `allow` counts them as free."""
    default_output_tokens: int = 4096
    """Output tokens reserved for a call that names no maximum."""
    bytes_per_token: float = 3.0
    """Bytes of a request that are reserved as one input token; the real count settles it."""
    most_input_tokens: int = 200_000
    """Input tokens reserved at most: bodies with images are far larger than their token count."""
