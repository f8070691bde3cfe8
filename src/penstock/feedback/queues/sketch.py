"""Small sketches of texts: which items resemble each other, for active selection."""

import base64
import re
import zlib
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from penstock.core.deferred import deferred

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    # Only queues in the orders diversity and drift need it.
    np = deferred("numpy")

DIMENSIONS = 64
_WORD = re.compile(r"\w+")
_MOST_WORDS = 1000


def sketch(text: str) -> str:
    """Return the words and word pairs of a text, hashed with signs into 64 numbers of one byte each, as base64.

    Source of the method: Weinberger and others, Feature Hashing for Large Scale Multitask Learning (ICML 2009).
    """
    words = _WORD.findall(text.lower())[:_MOST_WORDS]
    found = [0.0] * DIMENSIONS
    for feature in (*words, *(f"{one} {two}" for one, two in pairwise(words))):
        code = zlib.crc32(feature.encode())
        found[code % DIMENSIONS] += 1.0 if code & 0x80000000 else -1.0
    length = sum(value * value for value in found) ** 0.5 or 1.0
    return base64.b64encode(bytes(round(127 * value / length) & 0xFF for value in found)).decode()


def _table(sketches: Sequence[str]) -> "NDArray[np.float64]":
    raw = b"".join(base64.b64decode(one) for one in sketches)
    rows = np.frombuffer(raw, dtype=np.int8).reshape(len(sketches), DIMENSIONS).astype(np.float64)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1.0))


def farthest(among: Sequence[str], seen: Sequence[str]) -> int:
    """Return the place of the sketch whose nearest one in `seen` is farthest away; the first when nothing was seen."""
    if not seen:
        return 0
    return int(np.argmin((_table(among) @ _table(seen).T).max(axis=1)))


def strangest(among: Sequence[str], usual: Sequence[str]) -> int:
    """Return the place of the sketch that resembles the mean of `usual` least; the first when there is none."""
    if not usual:
        return 0
    return int(np.argmin(_table(among) @ _table(usual).mean(axis=0)))
