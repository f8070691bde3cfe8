"""Settings of the gateway: section `[gateway]`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Section `[gateway]`: limits and timeouts of calls."""

    max_in_flight: int = 4000
    """Calls one web process carries at once; more are told to come back (503 with Retry-After)."""
    max_body_mb: int = 32
    """Largest request body, in megabytes."""
    max_answer_mb: int = 64
    """Largest answer that is not streamed, in megabytes."""
    body_seconds: float = 30.0
    """Longest silence while a request body arrives."""
    connect_seconds: float = 5.0
    """Longest wait for a connection to a provider."""
    first_byte_seconds: float = 300.0
    """Longest wait for the first byte of an answer; a route or provider may set its own."""
    idle_seconds: float = 300.0
    """Longest silence inside an answer."""
    ping_seconds: float = 15.0
    """Silence in a stream after which a comment is sent, so that nothing between here and the caller gives up."""
    connections_per_provider: int = 2000
    """Connections one web process may hold to one provider."""
    capture_bodies: bool = True
    """Whether traces keep requests and answers; token counts and times are kept in any case."""
    cache_memory_mb: int = 64
    """Memory one web process gives to answers that routes keep, in megabytes; 0 keeps none in memory."""
    cache_disk_mb: int = 1024
    """What kept answers may take in the database, all projects together, in megabytes."""
