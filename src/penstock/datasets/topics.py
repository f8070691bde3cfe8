"""Topics: clusters of texts by their vectors, each named by the words that set it apart.

Names by class-based TF-IDF (Grootendorst 2022, BERTopic, arXiv 2203.05794, section 3.3): the share of a word in the
cluster times log(1 + mean words per cluster / the word's count in all).
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from penstock.datasets.embedding import Embedder
from penstock.datasets.language import FUNCTION_WORDS
from penstock.datasets.semantic import centres

FEWEST = 20
"""Texts below which topics would be names of single rows."""
MOST_TEXTS = 4000
_MOST_TOPICS = 12
_TERMS = 6
_WORDS_PER_TEXT = 400
_WORDS = re.compile(r"[^\W\d_]{3,40}")
_COMMON = frozenset(word for words in FUNCTION_WORDS.values() for word in words.split())


def topics(texts: Sequence[str], embedder: Embedder) -> list[dict[str, Any]]:
    """Return the topics of at most 4,000 texts, the largest first: `{rows, share, terms}`; none below 20 texts."""
    chosen = texts[:: -(-len(texts) // MOST_TEXTS)] if texts else texts
    if len(chosen) < FEWEST:
        return []
    vectors = embedder.embed(chosen)
    count = int(np.clip((len(chosen) / 10) ** 0.5, 2, _MOST_TOPICS))
    nearest = np.argmax(vectors @ centres(vectors, count).T, axis=1).tolist()
    words: list[Counter[str]] = [Counter() for _ in range(count)]
    rows = Counter(nearest)
    for topic, text in zip(nearest, chosen, strict=True):
        # Each word once per text: a term is what many rows say, not what one row repeats.
        found = _WORDS.findall(text.lower())[:_WORDS_PER_TEXT]
        words[topic].update({word for word in found if word not in _COMMON})
    terms = _terms(words)
    made = [
        {"rows": size, "share": round(size / len(chosen), 4), "terms": terms[topic]}
        for topic, size in rows.most_common()
    ]
    return [topic for topic in made if topic["terms"]]


def _terms(words: Sequence[Counter[str]]) -> list[list[str]]:
    everywhere: Counter[str] = Counter()
    for counts in words:
        everywhere.update(counts)
    mean = everywhere.total() / max(1, len(words))
    named = []
    for counts in words:
        total = max(1, counts.total())
        scores = {
            word: count / total * float(np.log1p(mean / everywhere[word]))
            for word, count in counts.items()
            if count > 1
        }
        ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
        named.append([word for word, _ in ranked[:_TERMS]])
    return named
