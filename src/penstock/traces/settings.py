"""Settings of traces."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TracesSettings:
    """Section `[traces]`: the trace store and OTLP."""

    retention_days: int = 0
    """Delete traces older than this many days; 0 keeps them. Usage sums stay. A project's own policy wins."""
    retention_traces: int = 0
    """Keep at most this many traces per project, the newest; 0 keeps all. A project's own policy wins."""
    sampling_seconds: int = 60
    """How long after a trace came its project's sampling rules decide about it, in seconds; at least 5."""
    query_seconds: float = 10.0
    """Longest time a query over traces may take; what takes longer ends with an error that says so."""
    buffer_spans: int = 20_000
    """Spans that may wait in memory for the disk; what the gateway records beyond is dropped and counted."""
    buffer_mb: int = 256
    """Megabytes of their bodies that may wait; what is recorded beyond is dropped and counted."""
    commit_ms: int = 100
    """How long recorded spans wait for others to be written with, in milliseconds."""
    spool_mb: int = 1024
    """Recorded spans that may wait on disk for the database, in megabytes; what comes beyond is dropped and counted."""
    otlp_max_mb: int = 32
    """Largest OTLP request in megabytes, after decompression."""
    otlp_waiting_mb: int = 128
    """OTLP requests that may be worked on at once, in megabytes; beyond it clients are told to come back."""
    log_retention_days: int = 30
    """Delete log records older than this many days; 0 keeps them. What log events told a span stays with the span."""
    log_limit: int = 1_000_000
    """Log records that a project may keep; beyond it the oldest go."""
    metric_retention_days: int = 400
    """Delete hourly sums of OpenTelemetry's metrics older than this many days; 0 keeps them."""
    metric_series: int = 2000
    """Combinations of metric, model, provider and other labels that a project may keep; points beyond are refused."""
    inline_import_mb: int = 8
    """Uploaded exports up to this many megabytes are imported while the client waits; larger ones become a job."""
    grpc_port: int = 0
    """Port for OTLP over gRPC, 4317 by custom; 0 is off. Needs `pip install 'penstock[grpc]'`."""
    grpc_certificate: str = ""
    """PEM file with the certificate chain of the gRPC port; with `grpc_key` it takes TLS and nothing else."""
    grpc_key: str = ""
    """PEM file with the private key of `grpc_certificate`."""
    tails: int = 20
    """Live tails that one web process serves at once; who comes later is told to come back."""
