"""Which target comes first: one class per manner of choosing."""

import hashlib
import math
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Picker(Protocol[T_co]):
    """Orders targets for one call after another. Not thread-safe: one event loop uses it."""

    @property
    def items(self) -> Sequence[T_co]:
        """All targets in the order given."""

    def order(self, token: str = "") -> Sequence[T_co]:
        """Return the targets in the order in which this call should try them; `token` says who calls."""
        ...

    def peek(self, token: str = "") -> Sequence[T_co]:
        """Return an order without counting it as a call: for targets that are only spares."""
        ...


class Ordered(Generic[T]):
    """Always the order given."""

    __slots__ = ("items",)

    def __init__(self, items: Sequence[T]) -> None:
        self.items: Sequence[T] = tuple(items)

    def order(self, token: str = "") -> Sequence[T]:  # noqa: ARG002 - the port's signature
        """Return the order given."""
        return self.items

    peek = order


class Weighted(Generic[T]):
    """Smooth weighted round robin, as in nginx (Igor Sysoev, commit 52327e0627f4, 2012).

    Over any run of calls the first places follow the weights as exactly as whole calls allow, with no randomness;
    the other targets follow as spares. A weight of 0 is never chosen.
    """

    __slots__ = ("_current", "_only", "_total", "_weights", "items")

    def __init__(self, targets: Sequence[tuple[T, float]]) -> None:
        """`targets` are (item, weight)."""
        self.items: Sequence[T] = tuple(item for item, _ in targets)
        self._weights = [weight for _, weight in targets]
        self._total = sum(self._weights)
        self._current = [0.0] * len(targets)
        self._only = self.items if len(targets) == 1 else None

    def order(self, token: str = "") -> Sequence[T]:  # noqa: ARG002 - the port's signature
        """Return the one whose turn it is, then the spares."""
        if self._only is not None:
            return self._only
        best, current, weights = -1, self._current, self._weights
        for index, weight in enumerate(weights):
            current[index] += weight
            if weight > 0 and (best < 0 or current[index] > current[best]):
                best = index
        current[best] -= self._total
        return self._led_by(best)

    def peek(self, token: str = "") -> Sequence[T]:  # noqa: ARG002 - the port's signature
        """Return the heaviest first."""
        return self._led_by(max(range(len(self._weights)), key=self._weights.__getitem__))

    def _led_by(self, best: int) -> Sequence[T]:
        weights = self._weights
        spares = [item for index, item in enumerate(self.items) if index != best and weights[index] > 0]
        return (self.items[best], *spares)


class Least(Generic[T]):
    """The smallest measure per weight first; equals take turns."""

    __slots__ = ("_measure", "_turn", "_weights", "items")

    def __init__(self, targets: Sequence[tuple[T, float]], measure: Callable[[T], float]) -> None:
        """`targets` are (item, weight); a weight of 0 leaves an item out."""
        kept = [(item, weight) for item, weight in targets if weight > 0]
        self.items: Sequence[T] = tuple(item for item, _ in kept)
        self._weights = [weight for _, weight in kept]
        self._measure = measure
        self._turn = 0

    def order(self, token: str = "") -> Sequence[T]:
        """Return the items by what is measured now."""
        if len(self.items) > 1:
            self._turn = (self._turn + 1) % len(self.items)
        return self.peek(token)

    def peek(self, token: str = "") -> Sequence[T]:  # noqa: ARG002 - the port's signature
        """Return the items by what is measured now, without giving the next of equals its turn."""
        count, turn, items = len(self.items), self._turn, self.items
        if count == 1:
            return items
        indexes = [(index + turn) % count for index in range(count)]
        indexes.sort(key=lambda index: self._measure(items[index]) / self._weights[index])
        return [items[index] for index in indexes]


class Sticky(Generic[T]):
    """The same token always gets the same target: weighted rendezvous (highest random weight) hashing.

    A change of targets or weights moves only the tokens whose winner changed (Thaler and Ravishankar, "Using
    name-based mappings to increase hit rates", 1998; weights: Schindelhauer and Schomaker, 2005, -w / ln h).
    Calls without a token are spread by weight.
    """

    __slots__ = ("_names", "_spread", "_weights", "items")

    def __init__(self, targets: Sequence[tuple[T, float]], names: Sequence[str]) -> None:
        """`names` are what is hashed for each target: keep them stable."""
        self.items: Sequence[T] = tuple(item for item, _ in targets)
        self._weights = [weight for _, weight in targets]
        self._names = [f"\0{name}".encode() for name in names]
        self._spread = Weighted(targets)

    def order(self, token: str = "") -> Sequence[T]:
        """Return the items by their score for `token`."""
        return self._ranked(token) if token else self._spread.order()

    def peek(self, token: str = "") -> Sequence[T]:
        """Return the items by their score for `token`."""
        return self._ranked(token) if token else self._spread.peek()

    def _ranked(self, token: str) -> Sequence[T]:
        start = token.encode("utf-8", "replace")
        scores = [
            (score(start + name, weight), -index)
            for index, (name, weight) in enumerate(zip(self._names, self._weights, strict=True))
            if weight > 0
        ]
        scores.sort(reverse=True)
        return [self.items[-index] for _, index in scores]


def score(text: bytes, weight: float) -> float:
    """Return the score of a weighted candidate in rendezvous hashing: -weight / ln(h), h uniform in (0, 1)."""
    number = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
    return -weight / math.log((number + 0.5) / 2.0**64)
