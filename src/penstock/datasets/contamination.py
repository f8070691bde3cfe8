"""Rows that share text with evaluation sets: word n-grams in common.

Brown et al. 2020 (GPT-3, arXiv 2005.14165, appendix C) call a document contaminated that shares a 13-gram of lower-case
words, punctuation ignored. Protected texts of 4 to n-1 words are looked for whole; shorter ones stand in many harmless
texts, and are counted but not looked for.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.core.errors import TooLarge

U64: TypeAlias = npt.NDArray[np.uint64]

SHORTEST = 4
MOST_GRAMS = 20_000_000
"""N-grams of evaluation sets that are held, 12 bytes each."""
_MULTIPLIER = 0x9E3779B97F4A7C15
_WORDS = re.compile(r"\w+")
_VOCABULARY = 1_000_000


class Match(NamedTuple):
    """What a row shares with an evaluation set: how many n-grams, their share of the row's, and where they stand."""

    grams: int
    share: float
    source: int
    """Number of the evaluation set, in the order in which they were added."""
    row: int
    """Number of its row that holds the first shared n-gram, from 1."""
    text: str
    """The first shared n-gram, as the row writes it in lower case."""


class _Hashes(dict[str, int]):
    def __missing__(self, word: str) -> int:
        digest = hashlib.blake2b(word.encode(errors="replace"), digest_size=8).digest()
        value = int.from_bytes(digest, "little")
        if len(self) < _VOCABULARY:
            self[word] = value
        return value


class Protected:
    """The n-grams of evaluation sets: `add` them, then `match` rows."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.too_short = 0
        """Protected texts of fewer than 4 words: not looked for."""
        self._hashes = _Hashes()
        self._powers = np.array([pow(_MULTIPLIER, place, 1 << 64) for place in range(n)], dtype=np.uint64)
        self._pending: dict[int, list[tuple[U64, int, int]]] = {}
        self._tables: dict[int, tuple[U64, npt.NDArray[np.int32], npt.NDArray[np.int32]]] = {}
        self._total = 0

    def add(self, texts: Iterable[str], *, source: int, row: int) -> None:
        """Protect the texts of one row; raises TooLarge beyond 20 million n-grams."""
        for text in texts:
            words = _WORDS.findall(text.lower())
            if len(words) < SHORTEST:
                self.too_short += bool(words)
                continue
            size = min(self.n, len(words))
            grams = self._grams(self._numbers(words), size)
            self._total += len(grams)
            if self._total > MOST_GRAMS:
                raise TooLarge(
                    f"The evaluation sets hold more than {MOST_GRAMS:,} n-grams.",
                    hint="Name fewer sets or columns, or decontaminate in several steps.",
                )
            self._pending.setdefault(size, []).append((grams, source, row))

    def finish(self) -> None:
        """Sort what was added; `match` wants it."""
        for size, parts in self._pending.items():
            grams = np.concatenate([part[0] for part in parts])
            lengths = [len(part[0]) for part in parts]
            sources = np.repeat(np.array([part[1] for part in parts], np.int32), lengths)
            rows = np.repeat(np.array([part[2] for part in parts], np.int32), lengths)
            order = np.argsort(grams, kind="stable")
            self._tables[size] = grams[order], sources[order], rows[order]
        self._pending.clear()

    def match(self, text: str) -> Match | None:
        """Return what `text` shares with the protected texts, or None."""
        words = _WORDS.findall(text.lower())
        numbers = self._numbers(words)
        found: Match | None = None
        for size in sorted(self._tables, reverse=True):
            if len(words) < size:
                continue
            hit = self._look(size, numbers, words)
            if hit is not None and (found is None or hit.grams > found.grams):
                found = hit
        return found

    def _look(self, size: int, numbers: U64, words: list[str]) -> Match | None:
        table, sources, rows = self._tables[size]
        grams = self._grams(numbers, size)
        places = np.minimum(np.searchsorted(table, grams), len(table) - 1)
        hits = np.flatnonzero(table[places] == grams)
        if not len(hits):
            return None
        first = int(hits[0])
        place = int(places[first])
        return Match(
            grams=len(hits),
            share=round(len(hits) / len(grams), 4),
            source=int(sources[place]),
            row=int(rows[place]),
            text=" ".join(words[first : first + size]),
        )

    def _numbers(self, words: list[str]) -> U64:
        return np.array([self._hashes[word] for word in words], dtype=np.uint64)

    def _grams(self, numbers: U64, size: int) -> U64:
        """Return the hash of every run of `size` words: a polynomial over their hashes, modulo 2^64."""
        count = len(numbers) - size + 1
        total = np.zeros(count, np.uint64)
        for place in range(size):
            total += numbers[place : place + count] * self._powers[place]
        return total
