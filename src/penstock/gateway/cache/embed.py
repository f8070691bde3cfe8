"""Texts as vectors without a model: hashed character n-grams, on the unit sphere.

Every run of 3, 4 and 5 characters of the text (small letters, single spaces) is hashed to a place and a sign; counts
are damped by a square root. Texts that share most of their wording point the same way; what they mean is not known.
The hashing trick: Weinberger et al. 2009, https://arxiv.org/abs/0902.2206.
"""

from typing import Any

import numpy as np

DIMENSIONS = 512
_SIZES = (3, 4, 5)
_FACTOR = 1_099_511_628_211
_MIX = 0x9E3779B97F4A7C15


def embed(text: str) -> Any:
    """Return a float32 vector of 512 dimensions and length 1."""
    words = f" {' '.join(text.lower().split())} "
    codes = np.frombuffer(words.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    vector = np.zeros(DIMENSIONS, dtype=np.float64)
    for size in _SIZES:
        count = len(codes) - size + 1
        if count < 1:
            continue
        hashed = np.full(count, size, dtype=np.uint64)
        for offset in range(size):
            hashed = (hashed ^ codes[offset : offset + count]) * np.uint64(_FACTOR)
        hashed = hashed * np.uint64(_MIX)
        places = (hashed >> np.uint64(32)) & np.uint64(DIMENSIONS - 1)
        signs = 1.0 - 2.0 * (hashed >> np.uint64(63)).astype(np.float64)
        vector += np.bincount(places.astype(np.int64), weights=signs, minlength=DIMENSIONS)
    return unit(np.sign(vector) * np.sqrt(np.abs(vector)))


def unit(vector: Any) -> Any:
    """Return `vector` (any sequence of numbers) as float32 of length 1; zeros stay zeros."""
    found = np.asarray(vector, dtype=np.float32)
    length = float(np.sqrt(found @ found))
    return found / np.float32(length) if length > 0 else found
