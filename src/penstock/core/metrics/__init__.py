"""Metrics: counters, gauges and histograms in memory, merged over all processes for Prometheus.

::

    CALLS = metrics.counter("penstock_calls_total", "Finished calls.", ("route", "status"))
    CALLS.inc("chat", "200")
"""

from penstock.core.metrics.publishing import Publisher, merged
from penstock.core.metrics.registry import (
    REGISTRY,
    Counter,
    Gauge,
    Histogram,
    Registry,
    counter,
    gauge,
    histogram,
)
from penstock.core.metrics.text import CONTENT_TYPE, render

__all__ = [
    "CONTENT_TYPE",
    "REGISTRY",
    "Counter",
    "Gauge",
    "Histogram",
    "Publisher",
    "Registry",
    "counter",
    "gauge",
    "histogram",
    "merged",
    "render",
]
