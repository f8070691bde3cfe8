"""Rows per CPU second of recipe steps, and recall and precision of duplicate removal beside datasketch.

Run: OMP_NUM_THREADS=1 python benchmarks/cleaning.py [documents]

The corpus of dedup.py plus copies with their words in another order. Steps run as in a recipe, rows in memory. When
`datasketch` is importable, its MinHashLSH (64 permutations, 3-word shingles, threshold 0.8, as guides use it) runs on
the same texts in the same process; both are judged by exact Jaccard similarity of the planted copies.
"""

import importlib
import importlib.util
import json
import random
import re
import resource
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dedup import corpus

from penstock.datasets import curate, profile, recipe
from penstock.datasets.dedup import near_duplicates
from penstock.datasets.schema import SchemaBuilder
from penstock.datasets.tally import Means

STEPS: dict[str, dict[str, Any]] = {
    "normalise": {"step": "normalise"},
    "repair": {"step": "repair"},
    "html": {"step": "html"},
    "gopher": {"step": "gopher", "min_words": 5, "stop_words": 0},
    "c4": {"step": "c4", "min_sentences": 0, "terminal_punctuation": False},
    "boilerplate": {"step": "boilerplate"},
    "near_duplicates": {"step": "near_duplicates"},
    "semantic_duplicates": {"step": "semantic_duplicates"},
    "decontaminate": {"step": "decontaminate", "against": ["eval@1"]},
    "redact_hash": {"step": "redact", "mode": "hash"},
    "sql": {"step": "sql", "query": "SELECT * FROM data WHERE length(t) > 10"},
    "swap": {"step": "swap"},
}


def shingles(text: str) -> set[str]:
    words = re.findall(r"\w+", text.lower())
    return {" ".join(words[at : at + 3]) for at in range(max(1, len(words) - 2))}


def planted(count: int) -> tuple[list[str], set[int]]:
    """Return texts that resemble nothing, then copies with one word changed; and which copies reach 0.8."""
    chance = random.Random(4)
    letters = "bcdfghklmnprstvz"
    words = [f"{a}{v}{b}{w}" for a in letters for v in "aeiou" for b in letters for w in ("n", "r", "st")]
    originals = [" ".join(chance.choices(words, k=chance.randint(20, 60))) for _ in range(count)]
    copies, reaching = [], set()
    for place, text in enumerate(originals[: count // 5]):
        edited = text.split()
        edited[chance.randrange(len(edited))] = "edited"
        copies.append(" ".join(edited))
        one, two = shingles(text), shingles(copies[-1])
        if len(one & two) / len(one | two) >= 0.8:
            reaching.add(count + place)
    return originals + copies, reaching


def judged(removed: Iterable[int], reaching: set[int]) -> dict[str, float]:
    found = set(removed)
    return {
        "recall": round(len(found & reaching) / len(reaching), 4),
        "precision": round(len(found & reaching) / max(1, len(found)), 4),
    }


def datasketch(texts: list[str], reaching: set[int]) -> dict[str, float] | None:
    if importlib.util.find_spec("datasketch") is None:
        return None
    library = importlib.import_module("datasketch")
    began = time.process_time()
    index = library.MinHashLSH(threshold=0.8, num_perm=64)
    removed = []
    for place, text in enumerate(texts):
        sketch = library.MinHash(num_perm=64)
        sketch.update_batch([piece.encode() for piece in shingles(text)])
        if index.query(sketch):
            removed.append(place)
        else:
            index.insert(str(place), sketch)
    rate = len(texts) / (time.process_time() - began)
    return {"documents_per_cpu_second": round(rate), **judged(removed, reaching)}


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    texts = corpus(count)
    rows = [{"t": text} for text in texts]
    means = Means(key=lambda: b"k" * 32, reference=lambda _ref: iter(rows[:500]))
    report: dict[str, Any] = {"documents": count}
    with tempfile.TemporaryDirectory() as folder:
        for name, step in STEPS.items():
            began = time.process_time()
            found, _ = curate.start(
                recipe.parse([step]),
                iter(enumerate(rows, start=1)),
                folder=Path(folder),
                left_out=lambda _row: None,
                means=means,
            )
            left = sum(1 for _ in found)
            seconds = time.process_time() - began
            report[name] = {"rows_per_cpu_second": round(count / seconds), "rows_out": left}
    schema = SchemaBuilder()
    for row in rows:
        schema.observe(row)
    began = time.process_time()
    profile.profile(list(enumerate(rows, start=1)), schema.columns(), sample=20_000)
    report["profile_rows_per_cpu_second"] = round(count / (time.process_time() - began))
    texts, reaching = planted(count)
    began = time.process_time()
    removed = [found.removed for found in near_duplicates(texts, threshold=0.8)]
    rate = round(len(texts) / (time.process_time() - began))
    report["planted"] = {
        "penstock": {"documents_per_cpu_second": rate, **judged(removed, reaching)},
        "datasketch": datasketch(texts, reaching),
    }
    report["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    print(json.dumps(report, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
