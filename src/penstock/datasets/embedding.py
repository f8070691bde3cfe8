"""Text as vectors without a model: the port that other embedders fill, and static word vectors of hashed n-grams.

The vectors follow fastText's idea of a word as the sum of its character n-grams (Bojanowski et al. 2017), with fixed
random signs instead of trained values. They see the same words in another order, inflected or misspelt; they do not
know that two different words mean the same. Give a model's embedder where that matters.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.datasets.language import FUNCTION_WORDS

F32: TypeAlias = npt.NDArray[np.float32]

_WORDS = re.compile(r"\w+")
_COMMON = frozenset(word for words in FUNCTION_WORDS.values() for word in words.split())
_COMMON_WEIGHT = 0.15
_MAX_WORDS = 2000
"""Words of a text that count; the rest of a long one hardly turns its vector."""
_VOCABULARY = 100_000


class Embedder(Protocol):
    """Turns texts into vectors; the same text always into the same one."""

    name: str
    """Name and version, for the record."""
    dimensions: int

    def embed(self, texts: Sequence[str]) -> F32:
        """Return one row per text, of length 1, or of zeros for a text that says nothing."""


class WordVectors:
    """Static vectors of 128 dimensions; about 50 MB once the vocabulary is full."""

    name = "hashed-ngrams-1"
    dimensions = 128

    def __init__(self) -> None:
        self._places: dict[str, int] = {}
        self._table = np.zeros((1024, self.dimensions), np.float32)

    def embed(self, texts: Sequence[str]) -> F32:
        """Return one row per text (see Embedder)."""
        found = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            words = _WORDS.findall(text.lower())[:_MAX_WORDS]
            if words:
                # First the places: finding them may make the table a longer one.
                places = [self._place(word) for word in words]
                found[row] = self._table[places].sum(axis=0)
            if len(self._places) >= _VOCABULARY:
                # Rather forget than grow; a word's vector depends on the word alone.
                self._places.clear()
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        np.divide(found, lengths, out=found, where=lengths > 0)
        return found

    def _place(self, word: str) -> int:
        place = self._places.get(word)
        if place is None:
            place = len(self._places)
            if place == len(self._table):
                self._table = np.concatenate((self._table, np.zeros_like(self._table)))
            self._table[place] = self._vector(word)
            self._places[word] = place
        return place

    def _vector(self, word: str) -> F32:
        marked = f"<{word[:40]}>"
        grams = [marked[at : at + size] for size in (3, 4, 5) for at in range(len(marked) - size + 1)]
        size = self.dimensions // 8
        hashes = b"".join(
            hashlib.blake2b(gram.encode(errors="replace"), digest_size=size).digest()
            for gram in [marked, *grams]
        )
        signs = np.unpackbits(np.frombuffer(hashes, np.uint8)).reshape(-1, self.dimensions)
        vectors = signs.astype(np.float32) * 2 - 1
        # The whole word weighs as much as all of its parts: "form" is not "reform".
        vector = vectors[0] / np.sqrt(self.dimensions)
        if len(grams):
            parts = vectors[1:].sum(axis=0)
            vector = vector + parts / max(float(np.linalg.norm(parts)), 1e-9)
        weight = _COMMON_WEIGHT if word in _COMMON else 1.0
        scaled: F32 = (vector * (weight / float(np.linalg.norm(vector)))).astype(np.float32)
        return scaled
