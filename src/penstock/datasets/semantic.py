"""Duplicates by meaning as far as an embedding tells it, and clusters of vectors.

SemDeDup (Abbas et al. 2023, arXiv 2303.09540): k-means, then comparison inside clusters only. Here a text is looked
for in its three nearest clusters and kept in the nearest, so that pairs on a border are found too; the earliest copy
stays. Vectors wait in a file; there are at most 512 clusters, and each compares with its last 2,048 kept texts, so
time is linear in the rows and memory stays below 0.6 GB for 128 dimensions.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.datasets.embedding import F32, Embedder

I64: TypeAlias = npt.NDArray[np.int64]

_BATCH = 512
_MAX_CLUSTERS = 512
_PROBES = 3
_MOST_KEPT = 2048
_SAMPLE = 20_000
_ROUNDS = 12


class Alike(NamedTuple):
    """Text `removed` is like the earlier, kept text `kept` (positions); `similarity` is their cosine."""

    removed: int
    kept: int
    similarity: float


def embedded(texts: Iterable[str], embedder: Embedder, file: Path) -> int:
    """Write the texts' vectors to `file` as little-endian float32, row after row; returns how many."""
    count = 0
    with file.open("wb") as out:
        for batch in _batches(texts):
            out.write(np.ascontiguousarray(embedder.embed(batch), "<f4").tobytes())
            count += len(batch)
    return count


def _batches(texts: Iterable[str]) -> Iterator[list[str]]:
    pending: list[str] = []
    for text in texts:
        pending.append(text)
        if len(pending) == _BATCH:
            yield pending
            pending = []
    if pending:
        yield pending


def centres(vectors: F32, count: int, *, seed: int = 0) -> F32:
    """Return `count` centres of spherical k-means (k-means++ start, at most 12 rounds) of at most 20,000 rows."""
    generator = np.random.default_rng(seed)
    chosen = np.sort(generator.choice(len(vectors), min(len(vectors), _SAMPLE), replace=False))
    sample = np.asarray(vectors[chosen])
    found = np.empty((count, vectors.shape[1]), np.float32)
    found[0] = sample[generator.integers(len(sample))]
    far = np.maximum(1 - sample @ found[0], 0)
    for place in range(1, count):
        total = far.sum()
        # Twice the precision, or the shares would not add up to 1 closely enough.
        spread = far.astype(np.float64) / far.sum(dtype=np.float64) if total > 0 else None
        found[place] = sample[generator.choice(len(sample), p=spread)]
        far = np.minimum(far, np.maximum(1 - sample @ found[place], 0))
    previous: I64 | None = None
    for _ in range(_ROUNDS):
        nearest = np.argmax(sample @ found.T, axis=1)
        if previous is not None and np.array_equal(nearest, previous):
            break
        previous = nearest
        sums = np.zeros_like(found)
        np.add.at(sums, nearest, sample)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        found = np.where(lengths > 0, sums / np.maximum(lengths, 1e-9), found).astype(np.float32)
    return found


class _Kept:
    """The kept vectors of one cluster, the last 2,048 of them."""

    def __init__(self, dimensions: int) -> None:
        self.count = 0
        self.vectors = np.empty((8, dimensions), np.float32)
        self.positions = np.empty(8, np.int64)

    def add(self, position: int, vector: F32) -> None:
        if self.count == len(self.vectors) < _MOST_KEPT:
            self.vectors = np.concatenate((self.vectors, np.empty_like(self.vectors)))
            self.positions = np.concatenate((self.positions, np.empty_like(self.positions)))
        place = self.count % _MOST_KEPT
        self.vectors[place], self.positions[place] = vector, position
        self.count += 1

    def nearest(self, vector: F32) -> tuple[float, int]:
        """Return (cosine, position) of the kept vector nearest to `vector`."""
        filled = min(self.count, len(self.vectors))
        if not filled:
            return -1.0, -1
        close = self.vectors[:filled] @ vector
        best = int(np.argmax(close))
        return float(close[best]), int(self.positions[best])


def duplicates(file: Path, count: int, dimensions: int, *, threshold: float) -> Iterator[Alike]:
    """Yield, in order, the texts to remove; `file` holds their vectors (see embedded)."""
    if count < 2:
        return
    vectors: F32 = np.memmap(file, "<f4", "r", shape=(count, dimensions))
    clusters = max(1, min(_MAX_CLUSTERS, int(count**0.5) // 2))
    middle = centres(vectors, clusters)
    kept = [_Kept(dimensions) for _ in range(clusters)]
    probes = min(_PROBES, clusters)
    for begin in range(0, count, _BATCH):
        batch = np.asarray(vectors[begin : begin + _BATCH])
        near = batch @ middle.T
        order = np.argsort(-near, axis=1, kind="stable")[:, :probes]
        for row, vector in enumerate(batch):
            if not vector.any():
                continue
            similarity, position = max(kept[cluster].nearest(vector) for cluster in order[row].tolist())
            if similarity >= threshold:
                yield Alike(begin + row, position, round(min(similarity, 1.0), 4))
            else:
                kept[int(order[row, 0])].add(begin + row, vector)
