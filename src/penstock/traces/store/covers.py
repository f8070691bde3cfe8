"""What covers a query with alternatives: indexes that together name every trace that can meet it."""

import heapq
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

from sqlalchemy import text

from penstock.traces.store.terms import RARE, All, Asking, Either, Facets, Pair, Term

_COUNTED, _MANY = 50_000, 100
_FIRST, _LARGEST = 128, 4000
"""Entries read at once."""

Source: TypeAlias = int | list[Pair]
"""An entry of the side table, whose traces are read in the order of lists, or a list in any order."""


class Cover(NamedTuple):
    """Sources whose traces, `size` of them or more, are all that can meet a term."""

    sources: tuple[Source, ...]
    size: int


def of(asking: Asking, parts: Iterable[Term]) -> Cover | None:
    """Return what covers the alternatives among `parts`, each of which has to be met; the smallest of several.

    None where nothing covers them, or where an entry of the side table that one of the parts asks for is smaller.
    """
    listed = list(parts)
    either = [part for part in listed if isinstance(part, Either)]
    found = [cover for part in either if (cover := _cover(asking, part)) is not None]
    if not found:
        return None
    best = min(found, key=lambda cover: cover.size)
    others = [part for part in listed if isinstance(part, Facets) and len(part.ids) == 1]
    if any(part.size(asking, _COUNTED) < best.size for part in others):
        return None
    return best


def _cover(asking: Asking, term: Term) -> Cover | None:
    if isinstance(term, Facets):
        size = term.size(asking, _COUNTED)
        return Cover(term.ids, size)
    if isinstance(term, All):
        covers = [cover for item in term.items if (cover := _cover(asking, item)) is not None]
        return min(covers, key=lambda cover: cover.size, default=None)
    if isinstance(term, Either):
        covers = []
        for item in term.items:
            if (cover := _cover(asking, item)) is None:
                return None
            covers.append(cover)
        sources = tuple(source for cover in covers for source in cover.sources)
        if len(sources) > _MANY:
            return None
        return Cover(sources, sum(cover.size for cover in covers))
    pairs = term.pairs(asking, RARE)
    return None if pairs is None else Cover((pairs,), len(pairs))


def newest_first(asking: Asking, cover: Cover, after: Pair | None) -> Iterator[Pair]:
    """Yield every trace that the cover names and that follows `after`, once, in the order of lists.

    Entries are read as they are asked for.
    """
    streams = [
        _entries(asking, source, after) if isinstance(source, int) else iter(sorted(source, reverse=True))
        for source in cover.sources
    ]
    last: Pair | None = None
    for pair in heapq.merge(*streams, reverse=True):
        if pair != last:
            yield pair
        last = pair


def _entries(asking: Asking, facet: int, after: Pair | None) -> Iterator[Pair]:
    window, size = asking.window("at_ms"), _FIRST
    while True:
        # Both bounds: SQLite looks the first up in the index, the second tells apart what began at once.
        below = (
            ""
            if after is None
            else f" AND at_ms <= {int(after[0])} AND (at_ms, trace) < ({int(after[0])}, {int(after[1])})"
        )
        query = (
            f"SELECT at_ms, trace FROM traces_facets WHERE facet = {int(facet)}{below}{window} "
            f"ORDER BY at_ms DESC, trace DESC LIMIT {size}"
        )
        rows = asking.conn.execute(text(query), asking.values).all()
        for row in rows:
            yield row[0], row[1]
        if len(rows) < size:
            return
        after = (rows[-1][0], rows[-1][1])
        size = min(2 * size, _LARGEST)
