"""Which spans of two traces belong together: an alignment of their trees, read top to bottom.

Three passes, each in order and only between what the passes before have matched: the same name and kind along the same
path from the top, the same name and kind wherever, the same kind. Short stretches are matched best (longest common
subsequence); long ones by the n-th occurrence of each key, of which the longest run in order is kept.
"""

from bisect import bisect_left
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

from penstock.traces.outline import Outline, outline

_CELLS = 1_000_000
"""Comparisons that the best matching may take for two traces; beyond it the fast one is used."""

Pair = tuple[int | None, int | None]
"""Indices into the left and the right spans; None where there is no counterpart."""


class Step(NamedTuple):
    """What of a span decides where it belongs."""

    span_id: str
    parent_id: str | None
    kind: str
    name: str


class _Side:
    """One trace: its spans in the order of the drawn tree, with their keys."""

    def __init__(self, spans: Sequence[Step], known: dict[tuple[int, str, str], int]) -> None:
        tree = outline([(span.span_id, span.parent_id) for span in spans])
        self.order = tree.order
        self.by_path = _paths(spans, tree, known)
        self.by_name = [(span.kind, span.name) for span in spans]
        self.by_kind = [span.kind for span in spans]

    def keys(self, level: int) -> list[Hashable]:
        """Return the keys of a pass in tree order."""
        keys: Sequence[Hashable] = (self.by_path, self.by_name, self.by_kind)[level]
        return [keys[index] for index in self.order]


def _paths(spans: Sequence[Step], tree: Outline, known: dict[tuple[int, str, str], int]) -> list[int]:
    """Return a number for each span, shared by those with equal names and kinds along equal paths."""
    found = [0] * len(spans)
    for index in tree.order:
        above = tree.parent[index]
        key = (found[above] if above >= 0 else -1, spans[index].kind, spans[index].name)
        found[index] = known.setdefault(key, len(known))
    return found


def align(left: Sequence[Step], right: Sequence[Step]) -> list[Pair]:
    """Return all spans of both, matched where they belong together, in the order of the trees."""
    known: dict[tuple[int, str, str], int] = {}
    sides = _Side(left, known), _Side(right, known)
    matched: list[tuple[int, int]] = []
    matcher = _Matcher()
    for level in range(3):
        keys = sides[0].keys(level), sides[1].keys(level)
        found = list(matched)
        for low, high in _gaps(matched, len(left), len(right)):
            part = matcher.match(keys[0][low[0] : high[0]], keys[1][low[1] : high[1]])
            found.extend((low[0] + i, low[1] + j) for i, j in part)
        matched = sorted(found)
    pairs: list[Pair] = []
    last = (0, 0)
    for i, j in [*matched, (len(left), len(right))]:
        pairs.extend((sides[0].order[k], None) for k in range(last[0], i))
        pairs.extend((None, sides[1].order[k]) for k in range(last[1], j))
        if i < len(left) and j < len(right):
            pairs.append((sides[0].order[i], sides[1].order[j]))
        last = (i + 1, j + 1)
    return pairs


def _gaps(
    matched: Sequence[tuple[int, int]], left: int, right: int
) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return the stretches between matches in which both sides have something."""
    found = []
    low = (0, 0)
    for i, j in [*matched, (left, right)]:
        if low[0] < i and low[1] < j:
            found.append((low, (i, j)))
        low = (i + 1, j + 1)
    return found


class _Matcher:
    """Matches stretches of keys, well while there is time for it."""

    def __init__(self) -> None:
        self._left = _CELLS

    def match(self, left: Sequence[Hashable], right: Sequence[Hashable]) -> list[tuple[int, int]]:
        """Return pairs of places with equal keys, in order on both sides."""
        head = _same(left, right, lambda place: place)
        tail = _same(left[head:], right[head:], lambda place: -1 - place)
        pairs = [(place, place) for place in range(head)]
        middle = left[head : len(left) - tail], right[head : len(right) - tail]
        cells = len(middle[0]) * len(middle[1])
        if 0 < cells <= self._left:
            self._left -= cells
            pairs.extend((head + i, head + j) for i, j in _longest(*middle))
        elif cells:
            pairs.extend((head + i, head + j) for i, j in _occurrences(*middle))
        pairs.extend((len(left) - place, len(right) - place) for place in range(tail, 0, -1))
        return pairs


def _same(left: Sequence[Hashable], right: Sequence[Hashable], at: Callable[[int], int]) -> int:
    most = min(len(left), len(right))
    return next((place for place in range(most) if left[at(place)] != right[at(place)]), most)


def _longest(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Return a longest common subsequence."""
    rows = [[0] * (len(right) + 1)]
    for mine in reversed(left):
        below, row = rows[-1], [0] * (len(right) + 1)
        for j in range(len(right) - 1, -1, -1):
            row[j] = below[j + 1] + 1 if mine == right[j] else max(below[j], row[j + 1])
        rows.append(row)
    rows.reverse()
    pairs = []
    i = j = 0
    while i < len(left) and j < len(right):
        if left[i] == right[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif rows[i + 1][j] >= rows[i][j + 1]:
            i += 1
        else:
            j += 1
    return pairs


def _occurrences(left: Sequence[Hashable], right: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Match the n-th of a key with the n-th of the same key, and keep the longest run that is in order."""
    where: dict[tuple[Hashable, int], int] = {}
    counts: dict[Hashable, int] = {}
    for j, key in enumerate(right):
        number = counts[key] = counts.get(key, 0) + 1
        where[key, number] = j
    counts.clear()
    candidates = []
    for i, key in enumerate(left):
        number = counts[key] = counts.get(key, 0) + 1
        if (key, number) in where:
            candidates.append((i, where[key, number]))
    ends: list[int] = []
    tops: list[int] = []
    before = [-1] * len(candidates)
    for place, (_, j) in enumerate(candidates):
        length = bisect_left(ends, j)
        before[place] = tops[length - 1] if length else -1
        if length == len(ends):
            ends.append(j)
            tops.append(place)
        else:
            ends[length], tops[length] = j, place
    pairs = []
    place = tops[-1] if tops else -1
    while place >= 0:
        pairs.append(candidates[place])
        place = before[place]
    return pairs[::-1]
