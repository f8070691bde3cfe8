"""The Prometheus text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/)."""

import math
from collections.abc import Iterable, Iterator

from penstock.core.metrics.registry import Family, Labels

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if math.isnan(value):
        return "NaN"
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(value)


def _labelled(names: Iterable[str], values: Iterable[str]) -> str:
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{pairs}}}" if pairs else ""


def _histogram(family: Family, labels: Labels, values: list[float]) -> Iterator[str]:
    *counts, total = values
    running = 0.0
    for bound, count in zip([*family.buckets, math.inf], counts, strict=True):
        running += count
        where = _labelled((*family.labels, "le"), (*labels, _number(bound)))
        yield f"{family.name}_bucket{where} {_number(running)}"
    where = _labelled(family.labels, labels)
    yield f"{family.name}_sum{where} {_number(total)}"
    yield f"{family.name}_count{where} {_number(running)}"


def _lines(family: Family) -> Iterator[str]:
    words = family.help.replace("\\", "\\\\").replace("\n", "\\n")
    yield f"# HELP {family.name} {words}"
    yield f"# TYPE {family.name} {family.kind}"
    for labels, values in sorted(family.series):
        if family.kind == "histogram":
            yield from _histogram(family, labels, values)
        else:
            yield f"{family.name}{_labelled(family.labels, labels)} {_number(values[0])}"


def render(families: Iterable[Family]) -> bytes:
    """Return the families as one page."""
    return "".join(f"{line}\n" for family in families for line in _lines(family)).encode()
