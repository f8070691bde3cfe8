"""Single filters, as lists have always taken them, in the terms of the query language."""

from penstock.traces import words
from penstock.traces.model import TraceFilters
from penstock.traces.query.nodes import Label, Moment, Node, Number, Pattern, Time, Words, every
from penstock.traces.query.parser import parse

_LABELS = ("kind", "model", "provider", "status", "user", "session", "key", "route", "environment", "prompt")


def of_filters(filters: TraceFilters) -> Node | None:
    """Return the tree that asks for all of `filters`, None when there are none; raises Invalid for a wrong query."""
    found: list[Node] = []
    if filters.since is not None or filters.until is not None:
        since, until = (None if at is None else Moment(at=at) for at in (filters.since, filters.until))
        found.append(Time(since, until))
    for name in _LABELS:
        if value := getattr(filters, name):
            found.append(Label(name, "", Pattern((str(value),))))
    found += [Label("tag", "", Pattern((tag,))) for tag in filters.tags]
    found += [Label("metadata", key, Pattern((value,))) for key, value in filters.metadata.items()]
    if filters.min_latency_ms is not None:
        found.append(Number("latency", "", filters.min_latency_ms / 1000, None))
    if filters.q and filters.q.strip():
        pieces = [piece for piece in filters.q.split() if words.split(piece)]
        found += [Words("text", piece) for piece in pieces or [filters.q]]
    if filters.query and (asked := parse(filters.query)) is not None:
        found.append(asked)
    return every(*found) if found else None
