"""What is in a set of rows: types, gaps, lengths, languages, duplicates, personal data, balance of labels."""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np

from penstock.core.pii import Detector
from penstock.datasets import language
from penstock.datasets.dedup import NearIndex, digest
from penstock.datasets.model import Column, ColumnType, Row
from penstock.datasets.spool import canonical
from penstock.datasets.text import text_of

MAX_DISTINCT = 100_000
"""Different values counted per column; a column with more says so."""
_MAX_TOP = 20_000
_TOP = 10
_MAX_LABELS = 50
_SHOWN = 120
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

    JSON: `rows`, `exact_duplicates`, `columns` (per column: gaps, distinct and top values, spread of
    lengths or numbers, outliers, near-constancy), `labels` (value → rows), `text` (languages, personal
    data by kind, near duplicates, and how many rows were looked at).
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
    return {
        "rows": count,
        "exact_duplicates": count - len(contents),
        "columns": [column.summary(name, mask) for name, column in statistics.items()],
        "labels": {name: found for name, found in labels.items() if found is not None},
        "text": _texts(rows, texts, every=max(1, -(-count // sample))),
    }


def _texts(rows: Iterable[tuple[int, Row]], columns: Sequence[str], *, every: int) -> dict[str, Any]:
    """Look at every `every`-th row."""
    detector, near = Detector(), NearIndex()
    languages: Counter[str] = Counter()
    personal: Counter[str] = Counter()
    looked = rows_with_personal_data = 0
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
    return {
        "columns": list(columns),
        "rows": looked,
        "languages": dict(languages.most_common()),
        "personal_data": dict(personal.most_common()),
        "rows_with_personal_data": rows_with_personal_data,
        "near_duplicates": len(near.duplicates()),
    }


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{figure: [before, after]}` of the figures that a recipe is meant to move."""
    old, new = before["text"], after["text"]
    return {
        "rows": [before["rows"], after["rows"]],
        "exact_duplicates": [before["exact_duplicates"], after["exact_duplicates"]],
        "near_duplicates": [old["near_duplicates"], new["near_duplicates"]],
        "rows_with_personal_data": [old["rows_with_personal_data"], new["rows_with_personal_data"]],
        "personal_data": [old["personal_data"], new["personal_data"]],
        "languages": [old["languages"], new["languages"]],
        "looked_at": [old["rows"], new["rows"]],
    }
