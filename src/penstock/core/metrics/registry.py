"""The process's metrics. Counting costs one dictionary lookup and takes no lock.

A metric belongs to one thread (usually the event loop): increments from several threads may get lost.
Reading from another thread is fine. The number of series of a metric is bounded, so that labels taken from
traffic cannot fill the memory: what comes beyond is counted under `other`.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

MAX_SERIES = 1000
"""Label combinations one metric keeps; more are counted together."""
MAX_LABEL = 120
OTHER = "other"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Buckets for the duration of calls to models."""
_NAME = re.compile(r"[a-z][a-z0-9_]*")

Labels = tuple[str, ...]
Merge = Literal["sum", "max"]


class Family(msgspec.Struct, frozen=True):
    """A metric as it was at one moment: what processes write down for each other.

    `series` holds (labels, values): one value, or for a histogram its bucket counts followed by the sum.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: Labels
    series: list[tuple[Labels, list[float]]]
    buckets: tuple[float, ...] = ()
    merge: Merge = "sum"


class _Metric:
    """What all kinds share: a name, label names and a bounded table of series."""

    kind: Literal["counter", "gauge", "histogram"]

    def __init__(self, name: str, text: str, labels: Sequence[str]) -> None:
        self.name = name
        self.help = text
        self.labels: Labels = tuple(labels)

    def _bounded(self, values: Labels, known: int) -> Labels:
        """Return the key for a series not seen yet; raises ValueError for a wrong number of labels."""
        if len(values) != len(self.labels):
            raise ValueError(f"{self.name} takes the labels {self.labels}, not {values}")
        if known >= MAX_SERIES:
            return (OTHER,) * len(values)
        return tuple(str(value)[:MAX_LABEL] for value in values)

    def family(self) -> Family:
        """Return what was counted so far."""
        raise NotImplementedError


class Counter(_Metric):
    """A number that only grows."""

    kind = "counter"

    def __init__(self, name: str, text: str, labels: Sequence[str] = ()) -> None:
        super().__init__(name, text, labels)
        self._values: dict[Labels, float] = {}

    def inc(self, *labels: str, by: float = 1.0) -> None:
        """Add `by` (not negative) to the series of `labels`, which come in the order of the declaration."""
        values = self._values
        if labels in values:
            values[labels] += by
            return
        key = self._bounded(labels, len(values))
        values[key] = values.get(key, 0.0) + by

    def value(self, *labels: str) -> float:
        """Return the series' sum so far; 0 when it never grew."""
        return self._values.get(labels, 0.0)

    def family(self) -> Family:
        """Return what was counted so far."""
        series = [(labels, [value]) for labels, value in list(self._values.items())]
        return Family(self.name, "counter", self.help, self.labels, series)


class Gauge(_Metric):
    """A number that goes up and down; over processes the values are summed, or the largest is shown (`merge`)."""

    kind = "gauge"

    def __init__(self, name: str, text: str, labels: Sequence[str] = (), *, merge: Merge = "sum") -> None:
        super().__init__(name, text, labels)
        self.merge: Merge = merge
        self._values: dict[Labels, float] = {}
        self._read: Callable[[], float] | None = None

    def set(self, value: float, *labels: str) -> None:
        """Set the series of `labels`."""
        values = self._values
        if labels not in values:
            labels = self._bounded(labels, len(values))
        values[labels] = value

    def value(self, *labels: str) -> float | None:
        """Return the series' value; None when it was never set or is dropped."""
        return self._values.get(labels)

    def watch(self, read: Callable[[], float]) -> None:
        """Ask `read` whenever the value is wanted, instead of being told; for a gauge without labels.

        `read` is called from another thread.
        """
        self._read = read

    def drop(self, *labels: str) -> None:
        """Forget the series of `labels`: what it told about is gone."""
        self._values.pop(labels, None)

    def family(self) -> Family:
        """Return the values now."""
        series = [(labels, [value]) for labels, value in list(self._values.items())]
        if self._read is not None:
            series = [((), [float(self._read())])]
        return Family(self.name, "gauge", self.help, self.labels, series, merge=self.merge)


class Histogram(_Metric):
    """Counts values by size."""

    kind = "histogram"

    def __init__(
        self, name: str, text: str, labels: Sequence[str] = (), *, buckets: Sequence[float] = SECONDS
    ) -> None:
        super().__init__(name, text, labels)
        self.buckets = tuple(buckets)
        self._values: dict[Labels, list[float]] = {}

    def observe(self, value: float, *labels: str) -> None:
        """Count `value` in the series of `labels`."""
        counts = self._values.get(labels)
        if counts is None:
            key = self._bounded(labels, len(self._values))
            counts = self._values.setdefault(key, [0.0] * (len(self.buckets) + 2))
        counts[bisect_left(self.buckets, value)] += 1
        counts[-1] += value

    def family(self) -> Family:
        """Return what was counted so far: per series the counts of each bucket, of what is beyond, and the sum."""
        series = [(labels, list(counts)) for labels, counts in list(self._values.items())]
        return Family(self.name, "histogram", self.help, self.labels, series, self.buckets)


class Registry:
    """The metrics of one process, by name. Declaring one again returns the first."""

    def __init__(self) -> None:
        self._metrics: dict[str, Any] = {}

    def add(self, metric: Any) -> Any:
        """Keep `metric`, or return the one of its name; raises ValueError for a bad or clashing declaration."""
        if not _NAME.fullmatch(metric.name) or not all(_NAME.fullmatch(label) for label in metric.labels):
            raise ValueError(f"{metric.name} {metric.labels} is no name for a metric")
        found = self._metrics.setdefault(metric.name, metric)
        if type(found) is not type(metric) or found.labels != metric.labels:
            raise ValueError(f"{metric.name} is declared already, with other labels or of another kind")
        return found

    def families(self) -> list[Family]:
        """Return every metric as it is now."""
        return [metric.family() for _, metric in sorted(self._metrics.items())]


REGISTRY = Registry()
"""Where modules declare what they count."""


def counter(name: str, text: str, labels: Sequence[str] = ()) -> Counter:
    """Declare a counter; its name should end in `_total`."""
    found: Counter = REGISTRY.add(Counter(name, text, labels))
    return found


def gauge(name: str, text: str, labels: Sequence[str] = (), *, merge: Merge = "sum") -> Gauge:
    """Declare a gauge."""
    found: Gauge = REGISTRY.add(Gauge(name, text, labels, merge=merge))
    return found


def histogram(
    name: str, text: str, labels: Sequence[str] = (), *, buckets: Sequence[float] = SECONDS
) -> Histogram:
    """Declare a histogram; durations are in seconds and its name should end in `_seconds`."""
    found: Histogram = REGISTRY.add(Histogram(name, text, labels, buckets=buckets))
    return found
