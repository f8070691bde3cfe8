"""Settings of the gateway: section `[gateway]`."""

from dataclasses import dataclass

from penstock.core.settings import within


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
    early_ping: bool = True
    """Whether such comments are sent before a stream has begun, too; an error is then an event of the stream."""
    retry_after_seconds: float = 5.0
    """Longest Retry-After of a provider that a call waits for, when no other target is left."""
    connections_per_provider: int = 2000
    """Connections one web process may hold to one provider."""
    capture_bodies: bool = True
    """Whether traces keep requests and answers; token counts and times are kept in any case."""
    file_mb: int = 512
    """Largest file that /v1/files takes, in megabytes."""
    files_total_mb: int = 20_480
    """Most that the files of one project may take together, in megabytes."""
    batch_lines: int = 50_000
    """Most requests in one batch."""
    batch_line_mb: int = 8
    """Longest line of a batch's input file, in megabytes."""
    batch_concurrency: int = 4
    """Calls that one batch makes at once."""
    batch_leaves: float = within(0.5, 0, 1)
    """Part of every rate limit, and of every limit of calls at once, that batches leave to other calls: 0 to 1."""
    batch_workers: int = 2
    """Batches worked off at once; the others wait."""
    batches_open: int = 100
    """Batches of one project that may be waiting or running."""
    response_mb: int = 8
    """Largest response that is stored with its request's items, in megabytes, before compression."""
    responses_total_mb: int = 4096
    """Most that the stored responses of one project may take, compressed, in megabytes; the oldest go first."""
    response_days: int = 30
    """How long a response is stored."""
    cache_memory_mb: int = 64
    """Memory one web process gives to answers that routes keep, in megabytes; 0 keeps none in memory."""
    cache_disk_mb: int = 1024
    """What kept answers may take in the database, all projects together, in megabytes."""
    cache_embedder_seconds: float = within(2.0, 0.05, 60)
    """Longest wait of a call for the cache's embedder; after it, and for the next ten seconds, exact matches only."""
