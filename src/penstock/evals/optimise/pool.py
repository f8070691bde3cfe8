"""Who survives: choosing a parent by the Pareto pool, halving the field, and the front of quality and cost.

Sources: candidate selection of GEPA (Agrawal et al., 2025, arXiv:2507.19457, algorithm 2); successive halving
(Jamieson and Talwalkar, 2016, arXiv:1502.07943).
"""

import math
from collections.abc import Mapping, Sequence
from random import Random

Scores = Mapping[str, float]
"""Row → score, higher is better."""


def leaders(pool: Mapping[int, Scores]) -> dict[int, int]:
    """Return candidate → on how many rows it is among the best, of those no other candidate makes superfluous.

    A candidate is superfluous when on every row on which it leads some other remaining candidate leads too.
    """
    rows = sorted({row for scores in pool.values() for row in scores})
    fronts: list[set[int]] = []
    for row in rows:
        have = {number: scores[row] for number, scores in pool.items() if row in scores}
        top = max(have.values())
        fronts.append({number for number, score in have.items() if score == top})
    means = {number: sum(scores.values()) / len(scores) for number, scores in pool.items() if scores}
    alive = set().union(*fronts) if fronts else set()
    for number in sorted(alive, key=lambda one: (means[one], -one)):
        led = [front & alive for front in fronts if number in front]
        if all(len(front) > 1 for front in led):
            alive.discard(number)
    return {number: sum(number in front for front in fronts) for number in sorted(alive)}


def choose_parent(pool: Mapping[int, Scores], random: Random) -> int:
    """Return a candidate, drawn in proportion to the rows it leads on."""
    counts = leaders(pool)
    if not counts:
        return min(pool)
    return random.choices(list(counts), weights=list(counts.values()))[0]


def rungs(entrants: int, rows: int, keep: int, *, least: int = 4) -> list[int]:
    """Return how many rows each round of a race looks at; the last one looks at all of them.

    The field is halved after each round, so there are as many rounds as it takes to get down to `keep`.
    """
    rounds = max(1, math.ceil(math.log2(entrants / keep))) if entrants > keep else 1
    found = [max(min(least, rows), math.ceil(rows / 2 ** (rounds - 1 - step))) for step in range(rounds)]
    return sorted(set(found))


def survivors(order: Sequence[int], keep: int, protected: Sequence[int]) -> list[int]:
    """Return the better half of candidates given best first, at least `keep` of them, and the protected ones."""
    count = max(keep, math.ceil(len(order) / 2))
    return sorted({*order[:count], *(number for number in protected if number in order)})


def front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return the names of (quality, cost) points that none beats: cheapest first.

    A point is beaten by one that is no worse in both and better in one.
    """

    def beaten(one: tuple[float, float]) -> bool:
        return any(other[0] >= one[0] and other[1] <= one[1] and other != one for other in points.values())

    alive = [name for name, point in points.items() if not beaten(point)]
    return sorted(alive, key=lambda name: (points[name][1], -points[name][0], name))
