"""What is in a set of rows: types, gaps, lengths, languages, duplicates, personal data, balance of labels."""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from penstock.core import toxicity
from penstock.core.pii import Detector
from penstock.core.tokens import by_thumb
from penstock.datasets import language
from penstock.datasets.dedup import NearIndex, digest
from penstock.datasets.embedding import WordVectors
from penstock.datasets.model import Column, ColumnType, Row
from penstock.datasets.spool import canonical
from penstock.datasets.text import text_of
from penstock.datasets.topics import MOST_TEXTS, topics

FORMAT = 2
"""Number of the profile's form; it rises when a figure changes its meaning or place, not when one is added."""
MAX_DISTINCT = 100_000
"""Different values counted per column; a column with more says so."""
_MAX_TOP = 20_000
_TOP = 10
_MAX_LABELS = 50
_SHOWN = 120
_TOPIC_CHARACTERS = 2000
NEAR_CONSTANT = 0.98
_TEXT_WORDS = 3.0
"""Mean words from which a column counts as text."""

_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass
class _ColumnStatistics:
    type: ColumnType
    rows: int = 0
    missing: int = 0
    distinct: set[int] = field(default_factory=set)
    top: Counter[str] = field(default_factory=Counter)
    characters: "array[int]" = field(default_factory=lambda: array("q"))
    words: "array[int]" = field(default_factory=lambda: array("q"))
    tokens: "array[int]" = field(default_factory=lambda: array("q"))
    numbers: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, value: Any) -> None:
        """Count a value."""
        self.rows += 1
        if value is None or value == "":
            self.missing += 1
            return
        if self.type in (ColumnType.INTEGER, ColumnType.NUMBER):
            self.numbers.append(value)
            shown = str(value)
        else:
            shown = value if isinstance(value, str) else _encode(value).decode()
            self.characters.append(len(shown))
            self.words.append(len(shown.split()))
            self.tokens.append(by_thumb(shown))
        if len(self.distinct) < MAX_DISTINCT:
            self.distinct.add(hash(shown))
        if len(shown) <= _SHOWN and (shown in self.top or len(self.top) < _MAX_TOP):
            self.top[shown] += 1

    def is_text(self) -> bool:
        """Whether the column holds sentences rather than labels or numbers."""
        return len(self.words) > 0 and float(np.mean(self.words)) >= _TEXT_WORDS

    def summary(self, name: str, mask: Detector) -> dict[str, Any]:
        """Return the column's part of the profile; personal data among the shown values is masked."""
        present = self.rows - self.missing
        common = self.top.most_common(_TOP)
        found: dict[str, Any] = {
            "name": name,
            "type": str(self.type),
            "missing": self.missing,
            "distinct": len(self.distinct),
            "distinct_capped": len(self.distinct) >= MAX_DISTINCT,
            "near_constant": bool(present > 1 and common and common[0][1] >= NEAR_CONSTANT * present),
            "top": [{"value": mask.redact(value)[0], "count": count} for value, count in common if count > 1],
        }
        for kind, values in (
            ("characters", self.characters),
            ("words", self.words),
            ("tokens", self.tokens),
            ("numbers", self.numbers),
        ):
            if len(values):
                found[kind] = _spread(values)
        measured = self.numbers if len(self.numbers) else self.characters
        found["outliers"] = _outliers(measured)
        return found

    def labels(self) -> dict[str, int] | None:
        """Return value → rows for a column that looks like labels; None for any other."""
        present = self.rows - self.missing
        few = 1 < len(self.distinct) <= min(_MAX_LABELS, max(2, present // 3))
        if not few or self.is_text() or self.top.total() != present:
            return None
        return dict(self.top.most_common())


def _spread(values: Sequence[float]) -> dict[str, float]:
    data = np.asarray(values, dtype=np.float64)
    low, middle, high = np.percentile(data, (5, 50, 95))
    return {
        "min": float(data.min()),
        "p5": float(low),
        "median": float(middle),
        "mean": round(float(data.mean()), 4),
        "p95": float(high),
        "max": float(data.max()),
        "deviation": round(float(data.std()), 4),
    }


def _outliers(values: Sequence[float]) -> int:
    """Return how many values lie more than 3 interquartile ranges outside the quartiles (Tukey's outer fences)."""
    if len(values) < 8:
        return 0
    data = np.asarray(values, dtype=np.float64)
    low, high = np.percentile(data, (25, 75))
    reach = 3 * (high - low)
    return int(((data < low - reach) | (data > high + reach)).sum()) if reach > 0 else 0


def profile(rows: Iterable[tuple[int, Row]], columns: Sequence[Column], *, sample: int) -> dict[str, Any]:
    """Return the profile of `rows`, which are read twice; costly parts look at about `sample` rows.

    JSON: `format`, `rows`, `exact_duplicates`, `columns` (per column: gaps, distinct and top values, spread of
    lengths in characters, words and estimated tokens or of numbers, outliers, near-constancy), `labels` (value →
    rows), `balance` (per label column: classes, normalised entropy, largest to smallest), `text` (languages,
    personal data by kind, near duplicates, toxic words, topics, and how many rows were looked at).
    """
    statistics = {column.name: _ColumnStatistics(column.type) for column in columns}
    contents: set[bytes] = set()
    count = 0
    for _, row in rows:
        count += 1
        contents.add(digest(canonical(row)))
        for name, column in statistics.items():
            column.add(row.get(name))
    texts = [name for name, column in statistics.items() if column.is_text()]
    labels = {name: column.labels() for name, column in statistics.items()}
    mask = Detector()
    counts = {name: found for name, found in labels.items() if found is not None}
    return {
        "format": FORMAT,
        "rows": count,
        "exact_duplicates": count - len(contents),
        "columns": [column.summary(name, mask) for name, column in statistics.items()],
        "labels": counts,
        "balance": {name: balance(list(found.values())) for name, found in counts.items()},
        "text": _texts(rows, texts, every=max(1, -(-count // sample)), count=count),
    }


def balance(counts: Sequence[int]) -> dict[str, float]:
    """Return how even classes of these sizes are: `entropy` is Shannon's over its maximum, 1 when all are equal."""
    shares = np.asarray(counts, dtype=np.float64) / max(1, sum(counts))
    shares = shares[shares > 0]
    entropy = float(-(shares * np.log(shares)).sum() / np.log(len(shares))) if len(shares) > 1 else 0.0
    return {
        "classes": len(counts),
        "entropy": round(entropy, 4),
        "largest_to_smallest": round(max(counts) / max(1, min(counts)), 2),
    }


def _texts(
    rows: Iterable[tuple[int, Row]], columns: Sequence[str], *, every: int, count: int
) -> dict[str, Any]:
    """Look at every `every`-th of `count` rows."""
    stride = max(1, -(-count // (every * MOST_TEXTS)))
    detector, near = Detector(), NearIndex()
    languages: Counter[str] = Counter()
    personal: Counter[str] = Counter()
    toxic: Counter[str] = Counter()
    sampled: list[str] = []
    looked = rows_with_personal_data = toxic_rows = words = 0
    for place, (_, row) in enumerate(rows):
        if place % every:
            continue
        looked += 1
        found = detector.count(text_of(row, ()))
        personal.update(found)
        rows_with_personal_data += bool(found)
        if columns:
            text = text_of(row, columns)
            languages[language.detect(text).code] += 1
            near.add(text)
            said = toxicity.count(text)
            toxic.update(said)
            toxic_rows += bool(said)
            words += len(text.split())
            if text and looked % stride == 0:
                sampled.append(text[:_TOPIC_CHARACTERS])
    return {
        "columns": list(columns),
        "rows": looked,
        "languages": dict(languages.most_common()),
        "personal_data": dict(personal.most_common()),
        "rows_with_personal_data": rows_with_personal_data,
        "near_duplicates": len(near.duplicates()),
        "toxic_words": dict(toxic.most_common()),
        "rows_with_toxic_words": toxic_rows,
        "toxic_words_per_1000": round(1000 * toxic.total() / max(1, words), 4),
        "topics": topics(sampled, WordVectors()),
    }


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{figure: [before, after]}` of the figures that a recipe is meant to move."""
    old, new = before["text"], after["text"]
    return {
        **_moved(before, after),
        "rows": [before["rows"], after["rows"]],
        "exact_duplicates": [before["exact_duplicates"], after["exact_duplicates"]],
        "near_duplicates": [old["near_duplicates"], new["near_duplicates"]],
        "rows_with_personal_data": [old["rows_with_personal_data"], new["rows_with_personal_data"]],
        "personal_data": [old["personal_data"], new["personal_data"]],
        "languages": [old["languages"], new["languages"]],
        "looked_at": [old["rows"], new["rows"]],
    }


def _moved(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures that profiles of format 1 lack, where both have them."""
    sides = before, after
    found: dict[str, Any] = {}
    if all("toxic_words" in side["text"] for side in sides):
        names = ("rows_with_toxic_words", "toxic_words_per_1000")
        found.update({name: [side["text"][name] for side in sides] for name in names})
    for name in ("characters", "tokens"):
        spreads = [{c["name"]: c[name] for c in side["columns"] if name in c} for side in sides]
        shared = [column for column in spreads[0] if column in spreads[1]]
        found[f"mean_{name}"] = {column: [spread[column]["mean"] for spread in spreads] for column in shared}
    found["missing"] = [{c["name"]: c["missing"] for c in side["columns"] if c["missing"]} for side in sides]
    found["labels"] = [side["labels"] for side in sides]
    return found
