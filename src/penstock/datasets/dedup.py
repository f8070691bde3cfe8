"""Exact and near duplicates.

Near duplicates: MinHash (Broder 1997) over 3-word shingles, banded LSH (Leskovec et al., Mining of
Massive Datasets, ch. 3) for candidates, and the true Jaccard similarity of the shingle sets to decide.
Everything is numpy over many documents at once; about 400 bytes per short document stay in memory.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

U32: TypeAlias = npt.NDArray[np.uint32]
U64: TypeAlias = npt.NDArray[np.uint64]
I64: TypeAlias = npt.NDArray[np.int64]

PERMUTATIONS = 64
SHINGLE = 3
"""Words per shingle."""
RECALL = 0.985
"""Wanted chance that a pair exactly at the threshold becomes a candidate; more similar pairs: higher."""
_NEIGHBOURS = 6
_BATCH = 2000
_PAIRS = 100_000

_WORDS = re.compile(r"\w+")
_MULTIPLIERS = (np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0xC2B2AE3D))


def digest(data: bytes) -> bytes:
    """Return the 16 bytes that name `data` for exact comparison (BLAKE2b)."""
    return hashlib.blake2b(data, digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class NearDuplicate:
    """Document `removed` resembles the earlier, kept document `kept`; both are positions."""

    removed: int
    kept: int
    similarity: float


def bands_for(threshold: float, permutations: int = PERMUTATIONS) -> tuple[int, int]:
    """Return (bands, rows per band): the most rows that still find a pair at `threshold` with RECALL."""
    for rows in range(permutations, 0, -1):
        bands = permutations // rows
        if 1 - (1 - threshold**rows) ** bands >= RECALL:
            return bands, rows
    return permutations, 1


class _Vocabulary(dict[str, int]):
    """Word → 32-bit hash, made once per word; the same in every process."""

    def __missing__(self, word: str) -> int:
        value = int.from_bytes(
            hashlib.blake2b(word.encode(errors="replace"), digest_size=4).digest(), "little"
        )
        if len(self) < 1_000_000:
            self[word] = value
        return value


def _words(text: str) -> list[str]:
    words = _WORDS.findall(text.lower())
    # Scripts without spaces come out as a few very long words: compare their characters.
    if words and len(text) > 24 * len(words):
        return [character for word in words for character in word]
    return words


@dataclass
class NearIndex:
    """Collects documents with `add`, then `duplicates` compares them all."""

    threshold: float = 0.8
    permutations: int = PERMUTATIONS
    _vocabulary: _Vocabulary = field(default_factory=_Vocabulary)
    _pending: list[str] = field(default_factory=list)
    _bands: list[U64] = field(default_factory=list)
    _shingles: list[U32] = field(default_factory=list)
    _lengths: list[I64] = field(default_factory=list)

    def __post_init__(self) -> None:
        generator = np.random.default_rng(0x5EED)
        odd = generator.integers(0, 1 << 31, self.permutations, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
        self._odd = odd
        self._offset = generator.integers(0, 1 << 32, self.permutations, dtype=np.uint32)

    def add(self, text: str) -> None:
        """Add the next document."""
        self._pending.append(text)
        if len(self._pending) >= _BATCH:
            self._flush()

    def duplicates(self) -> list[NearDuplicate]:
        """Return the documents to remove, in order, each with the kept one it resembles most.

        The first copy is kept; every removed document has a true Jaccard similarity of at least
        `threshold` with a kept one.
        """
        first, second, similarity = self.pairs()
        best: dict[int, tuple[float, int]] = {}
        order = np.lexsort((first, second))
        for early, late, value in zip(
            first[order].tolist(), second[order].tolist(), similarity[order].tolist(), strict=True
        ):
            if early not in best and (late not in best or best[late][0] < value):
                best[late] = (value, early)
        return [NearDuplicate(late, early, round(value, 4)) for late, (value, early) in best.items()]

    def clusters(self) -> I64:
        """Return for each document the position of the first document it is connected to by resemblance."""
        first, second, _ = self.pairs()
        parent = list(range(sum(len(lengths) for lengths in self._lengths)))
        for early, late in zip(first.tolist(), second.tolist(), strict=True):
            low, high = sorted((_root(parent, early), _root(parent, late)))
            parent[high] = low
        return np.array([_root(parent, position) for position in range(len(parent))], dtype=np.int64)

    def pairs(self) -> tuple[I64, I64, npt.NDArray[np.float64]]:
        """Return (earlier, later, Jaccard similarity) of all pairs found at or above the threshold."""
        self._flush()
        empty = np.empty(0, np.int64)
        if not self._bands:
            return empty, empty, np.empty(0)
        bands = np.concatenate(self._bands)
        lengths, shingles = np.concatenate(self._lengths), np.concatenate(self._shingles)
        starts = np.concatenate(([0], np.cumsum(lengths)))
        codes = _candidates(bands, lengths)
        found: list[tuple[Any, Any, Any]] = []
        for begin in range(0, len(codes), _PAIRS):
            early, late = np.divmod(codes[begin : begin + _PAIRS], len(lengths))
            # Sizes alone bound the similarity, which spares most false candidates the comparison.
            small = np.minimum(lengths[early], lengths[late])
            possible = small >= self.threshold * np.maximum(lengths[early], lengths[late])
            early, late = early[possible], late[possible]
            similarity = _jaccard(shingles, starts, lengths, early, late)
            close = similarity >= self.threshold
            found.append((early[close], late[close], similarity[close]))
        if not found:
            return empty, empty, np.empty(0)
        first, second, value = (np.concatenate(column) for column in zip(*found, strict=True))
        return first, second, value

    def _flush(self) -> None:
        if not self._pending:
            return
        flat, counts = _hashed_words(self._pending, self._vocabulary)
        shingles, lengths = _shingle(flat, counts)
        self._shingles.append(shingles)
        self._lengths.append(lengths)
        self._bands.append(self._band_hashes(shingles, lengths))
        self._pending = []

    def _band_hashes(self, shingles: U32, lengths: I64) -> U64:
        """Return one 64-bit hash per document and band."""
        bands, rows = bands_for(self.threshold, self.permutations)
        signature = np.full((bands * rows, len(lengths)), 0xFFFFFFFF, np.uint32)
        filled = np.flatnonzero(lengths)
        if len(filled):
            starts = (np.cumsum(lengths) - lengths)[filled]
            scratch = np.empty_like(shingles)
            for row in range(bands * rows):
                np.multiply(shingles, self._odd[row], out=scratch)
                np.add(scratch, self._offset[row], out=scratch)
                signature[row, filled] = np.minimum.reduceat(scratch, starts)
        result = np.zeros((len(lengths), bands), np.uint64)
        for band in range(bands):
            value = np.full(len(lengths), band + 1, np.uint64)
            for row in range(rows):
                value = value * np.uint64(0x9E3779B97F4A7C15) + signature[band * rows + row]
                value ^= value >> np.uint64(29)
            result[:, band] = value
        return result


def _root(parent: list[int], position: int) -> int:
    while parent[position] != position:
        parent[position] = parent[parent[position]]
        position = parent[position]
    return position


def _hashed_words(texts: Sequence[str], vocabulary: _Vocabulary) -> tuple[U32, I64]:
    """Return the hashes of all words, end to end, and the number of words per text."""
    flat: list[int] = []
    counts = np.empty(len(texts), np.int64)
    lookup = vocabulary.__getitem__
    for place, text in enumerate(texts):
        words = _words(text)
        if 0 < len(words) < SHINGLE:
            words = words + [""] * (SHINGLE - len(words))
        flat.extend(map(lookup, words))
        counts[place] = len(words)
    return np.array(flat, dtype=np.uint32), counts


def _shingle(flat: U32, counts: I64) -> tuple[U32, I64]:
    """Return each document's sorted, distinct shingle hashes end to end, and how many it has."""
    if len(flat) < SHINGLE:
        return np.empty(0, np.uint32), np.zeros(len(counts), np.int64)
    total = len(flat) - SHINGLE + 1
    value = flat[:total] * _MULTIPLIERS[0]
    value = (value ^ (value >> np.uint32(15))) + flat[1 : total + 1] * _MULTIPLIERS[1]
    value = (value ^ (value >> np.uint32(13))) + flat[2 : total + 2] * _MULTIPLIERS[2]
    value = (value ^ (value >> np.uint32(16))) * _MULTIPLIERS[0]
    owner = np.repeat(np.arange(len(counts), dtype=np.uint64), counts)
    whole = owner[:total] == owner[SHINGLE - 1 :]
    keyed = np.sort((owner[:total][whole] << np.uint64(32)) | value[whole])
    fresh = np.ones(len(keyed), bool)
    fresh[1:] = keyed[1:] != keyed[:-1]
    keyed = keyed[fresh]
    lengths = np.bincount((keyed >> np.uint64(32)).astype(np.int64), minlength=len(counts))
    return (keyed & np.uint64(0xFFFFFFFF)).astype(np.uint32), lengths.astype(np.int64)


def _candidates(bands: U64, lengths: I64) -> I64:
    """Return codes `earlier * n + later` of pairs that share a band, each once.

    In a large bucket a document is paired with the first and its nearest neighbours only, so that
    buckets of thousands stay linear.
    """
    count = len(lengths)
    filled = np.flatnonzero(lengths)
    codes: list[I64] = []
    for band in range(bands.shape[1]):
        column = bands[filled, band]
        order = np.argsort(column, kind="stable")
        ordered, ids = column[order], filled[order]
        same = ordered[1:] == ordered[:-1]
        if not same.any():
            continue
        opens = np.ones(len(ids), bool)
        opens[1:] = ~same
        heads = ids[np.maximum.accumulate(np.where(opens, np.arange(len(ids)), 0))]
        behind = ~opens
        codes.append(heads[behind] * count + ids[behind])
        for distance in range(1, _NEIGHBOURS + 1):
            close = ordered[distance:] == ordered[:-distance]
            if not close.any():
                break
            codes.append(ids[:-distance][close] * count + ids[distance:][close])
    return np.unique(np.concatenate(codes)) if codes else np.empty(0, np.int64)


def _jaccard(shingles: U32, starts: I64, lengths: I64, early: I64, late: I64) -> npt.NDArray[np.float64]:
    """Return the Jaccard similarity of the shingle sets of each pair."""
    if not len(early):
        return np.empty(0)
    both = np.stack((early, late), axis=1).ravel()
    sizes = lengths[both]
    offsets = np.cumsum(sizes) - sizes
    index = np.arange(int(sizes.sum())) - np.repeat(offsets, sizes) + np.repeat(starts[both], sizes)
    pair = np.repeat(np.arange(len(early), dtype=np.uint64), sizes[0::2] + sizes[1::2])
    keyed = np.sort((pair << np.uint64(32)) | shingles[index])
    twice = keyed[1:][keyed[1:] == keyed[:-1]]
    shared = np.bincount((twice >> np.uint64(32)).astype(np.int64), minlength=len(early))
    union = sizes[0::2] + sizes[1::2] - shared
    return np.asarray(shared / union, dtype=np.float64)


def near_duplicates(texts: Iterable[str], *, threshold: float = 0.8) -> list[NearDuplicate]:
    """Return which of `texts` to remove, so that no two of the rest resemble each other (see NearIndex)."""
    index = NearIndex(threshold=threshold)
    for text in texts:
        index.add(text)
    return index.duplicates()


def exact_duplicates(contents: Iterable[bytes]) -> Iterator[tuple[int, int]]:
    """Yield (position, position of the first equal content) for every repeated content."""
    seen: dict[bytes, int] = {}
    for position, content in enumerate(contents):
        first = seen.setdefault(digest(content), position)
        if first != position:
            yield position, first
