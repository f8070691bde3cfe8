"""Which target comes first: smooth weighted round robin, as in nginx (Igor Sysoev, commit 52327e0627f4, 2012)."""

from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Picker(Generic[T]):
    """Orders targets for one call after another.

    Weighted: over any run of calls the first places follow the weights as exactly as whole calls allow, with no
    randomness; the other targets follow as spares. Ordered: always the order given.
    """

    __slots__ = ("_current", "_items", "_only", "_ordered", "_total", "_weights")

    def __init__(self, targets: Sequence[tuple[T, float]], *, ordered: bool) -> None:
        """`targets` are (item, weight); a weight of 0 is never first in a weighted order."""
        self._items = [item for item, _ in targets]
        self._weights = [weight for _, weight in targets]
        self._total = sum(self._weights)
        self._current = [0.0] * len(targets)
        self._ordered = ordered
        self._only = tuple(self._items) if ordered or len(targets) == 1 else None

    @property
    def items(self) -> Sequence[T]:
        """All targets in the order given."""
        return self._items

    def order(self) -> Sequence[T]:
        """Return the targets in the order in which this call should try them."""
        if self._only is not None:
            return self._only
        best, current, weights = -1, self._current, self._weights
        for index, weight in enumerate(weights):
            current[index] += weight
            if weight > 0 and (best < 0 or current[index] > current[best]):
                best = index
        current[best] -= self._total
        spares = [item for index, item in enumerate(self._items) if index != best and weights[index] > 0]
        return (self._items[best], *spares)
