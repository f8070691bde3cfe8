"""The tree of a trace, however deep, wide or broken: nothing here recurses.

Spans whose parent is missing stand at the top. Of spans that are each other's parents (a cycle) the first to start
stands at the top, so that every span has exactly one place.
"""

from collections.abc import Sequence

import msgspec


class Outline(msgspec.Struct, frozen=True):
    """Places of spans, given by their index in the order they came in."""

    order: tuple[int, ...]
    """All spans, each parent before its children, children by their given order: a tree as it is drawn."""
    parent: tuple[int, ...]
    """Index of each span's parent in the tree; -1 at the top."""
    depth: tuple[int, ...]
    """How many parents each span has in the tree."""


def outline(spans: Sequence[tuple[str, str | None]]) -> Outline:
    """Return the tree of spans given as (id, parent id), siblings in the order given."""
    at = {span_id: index for index, (span_id, _) in reversed(list(enumerate(spans)))}
    parent = [-1 if above is None else at.get(above, -1) for _, above in spans]
    parent = [-1 if above == index else above for index, above in enumerate(parent)]
    _cut_cycles(parent)
    children: dict[int, list[int]] = {}
    for index in range(len(parent) - 1, -1, -1):
        children.setdefault(parent[index], []).append(index)
    order: list[int] = []
    depth = [0] * len(parent)
    stack = children.pop(-1, [])
    while stack:
        index = stack.pop()
        order.append(index)
        if parent[index] >= 0:
            depth[index] = depth[parent[index]] + 1
        stack.extend(children.pop(index, ()))
    return Outline(tuple(order), tuple(parent), tuple(depth))


def _cut_cycles(parent: list[int]) -> None:
    """Put the first member of every cycle at the top."""
    unseen, walking, done = 0, 1, 2
    state = [unseen] * len(parent)
    for start in range(len(parent)):
        path: list[int] = []
        index = start
        while index >= 0 and state[index] == unseen:
            state[index] = walking
            path.append(index)
            index = parent[index]
        if index >= 0 and state[index] == walking:
            parent[min(path[path.index(index) :])] = -1
        for passed in path:
            state[passed] = done
