"""What all connections of a worker share: limits, flags, and what is counted."""

from dataclasses import dataclass

from penstock.core import metrics

REQUESTS = metrics.counter("penstock_http_requests_total", "HTTP requests answered.")
ACCEPTED = metrics.counter("penstock_http_connections_accepted_total", "Connections accepted.")
REFUSED = metrics.counter(
    "penstock_http_refused_total", "Requests and connections refused before they were read.", ("reason",)
)
CONNECTIONS = metrics.gauge("penstock_http_connections", "Connections open now.")
DRAINING = metrics.gauge("penstock_http_draining", "Web processes that are finishing their last calls.")
LAG = metrics.histogram(
    "penstock_event_loop_lag_seconds",
    "How late the event loop was, sampled ten times a second.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)


@dataclass(slots=True, kw_only=True)
class Edge:
    """One worker's limits (seconds, bytes) and flags."""

    header_seconds: float = 10.0
    body_seconds: float = 60.0
    keep_alive_seconds: float = 75.0
    max_header: int = 65536
    max_connections: int = 10_000
    shed_lag_seconds: float = 1.0
    drain_seconds: float = 30.0
    drain_delay_seconds: float = 0.0
    draining: bool = False
    shedding: bool = False
    """True while the event loop is so late that new calls are told to come back."""
    full: bool = False
    """True while there is no room for another connection: idle ones are closed early."""
