"""Personal data found by rules, beside Presidio, on sentences that neither project's rules were written against.

Run: python benchmarks/pii.py [SENTENCES]

The sentences are made by presidio-evaluator (Microsoft's templates, filled by Faker and a list of invented people,
seeded), which also says where each piece of personal data stands. Presidio's analyser runs its rules with context
words and a score of at least 0.35, without a language model: so neither finds names, places and organisations, which
are counted as what they are: not looked for. A label is found when a find of its kind overlaps it, and a find is right
when it overlaps a label of its kind. CPU is that of the finding alone, each in a process of its own. Presidio is
installed from PyPI on first use, into a folder of its own (see peers.py).
"""

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from peers import environment, version

from penstock.core.pii import Detector

KINDS = {
    "email": "EMAIL_ADDRESS",
    "card": "CREDIT_CARD",
    "iban": "IBAN_CODE",
    "ssn": "US_SSN",
    "ip": "IP_ADDRESS",
    "phone": "PHONE_NUMBER",
}
"""Ours → Presidio's name."""
SENTENCES = """
import json, random, sys
import numpy
from faker import Faker
from presidio_evaluator.data_generator import PresidioSentenceFaker
random.seed(7); numpy.random.seed(7); Faker.seed(7)
made = PresidioSentenceFaker("en_US", lower_case_ratio=0.0, random_seed=7).generate_new_fake_sentences(int(sys.argv[1]))
with open(sys.argv[2], "w") as file:
    for one in made:
        spans = [[span.entity_type, span.start_position, span.end_position] for span in one.spans]
        # The templates hold line ends and commas as escapes; places stay.
        text = one.full_text.replace("\\\\n", " \\n").replace("\\\\,", ", ")
        file.write(json.dumps({"text": text, "spans": spans}) + "\\n")
"""
PRESIDIO = """
import json, sys, time
import spacy
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import SpacyNlpEngine
class Blank(SpacyNlpEngine):
    def load(self): self.nlp = {"en": spacy.blank("en")}
engine, kinds = AnalyzerEngine(nlp_engine=Blank(), supported_languages=["en"]), sys.argv[2:]
texts = [json.loads(line)["text"] for line in open(sys.argv[1])]
def find(text):
    found = engine.analyze(text, language="en", entities=kinds, score_threshold=0.35)
    return [[one.entity_type, one.start, one.end] for one in found]
find(texts[0])
began = time.process_time()
found = [find(text) for text in texts]
print(json.dumps({"found": found, "cpu": time.process_time() - began}))
"""
Span = tuple[str, int, int]


def output(python: Path, script: str, *arguments: Any) -> str:
    """Return what a script prints in the peer's environment."""
    done = subprocess.run(
        [str(python), "-c", script, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return done.stdout


def ours(texts: list[str]) -> tuple[list[list[Span]], float]:
    """Return our finds and their CPU seconds."""
    detector = Detector(KINDS)
    detector.find(texts[0])
    began = time.process_time()
    found = [detector.find(text) for text in texts]
    spent = time.process_time() - began
    return [[(KINDS[one.kind], one.start, one.end) for one in row] for row in found], spent


def overlapping(one: Span, others: Iterable[Span]) -> bool:
    return any(one[0] == kind and one[1] < end and start < one[2] for kind, start, end in others)


def judged(labels: list[list[Span]], found: list[list[Span]]) -> dict[str, dict[str, Any]]:
    """Return kind → labels, recall and precision."""
    have, hit, said, right = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for wanted, finds in zip(labels, found, strict=True):
        for one in wanted:
            have[one[0]] += 1
            hit[one[0]] += overlapping(one, finds)
        for one in finds:
            said[one[0]] += 1
            right[one[0]] += overlapping(one, wanted)
    return {
        name: {
            "labels": have[kind],
            "recall": round(hit[kind] / have[kind], 3) if have[kind] else None,
            "precision": round(right[kind] / said[kind], 3) if said[kind] else None,
        }
        for name, kind in KINDS.items()
    }


def main(count: int) -> None:
    """Print recall, precision and cost of both."""
    python = environment("presidio", "presidio-analyzer", "presidio-evaluator")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sentences.jsonl"
        output(python, SENTENCES, count, file)
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        theirs = json.loads(output(python, PRESIDIO, file, *KINDS.values()).splitlines()[-1])
    texts = [row["text"] for row in rows]
    labels = [[tuple(span) for span in row["spans"]] for row in rows]
    found, spent = ours(texts)
    others = Counter(kind for row in labels for kind, *_ in row if kind not in KINDS.values())
    report = {
        "sentences": len(texts),
        "penstock": {"us_per_sentence": round(1e6 * spent / len(texts), 1), **judged(labels, found)},
        f"presidio {version(python, 'presidio-analyzer')}": {
            "us_per_sentence": round(1e6 * theirs["cpu"] / len(texts), 1),
            **judged(labels, theirs["found"]),
        },
        "labels that rules do not look for": dict(others.most_common()),
    }
    if "--misses" in sys.argv:
        report["missed"] = [
            [kind, text[start:end], text[max(0, start - 25) : end + 25]]
            for text, wanted, finds in zip(texts, labels, found, strict=True)
            for kind, start, end in wanted
            if kind in KINDS.values() and not overlapping((kind, start, end), finds)
        ][:60]
        report["wrong"] = [
            [kind, text[start:end], text]
            for text, wanted, finds in zip(texts, labels, found, strict=True)
            for kind, start, end in finds
            if not overlapping((kind, start, end), wanted)
        ][:30]
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    numbers = [one for one in sys.argv[1:] if one.isdigit()]
    main(int(numbers[0]) if numbers else 3000)
