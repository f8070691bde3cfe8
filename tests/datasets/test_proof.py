"""How much is found in real text: planted duplicates, personal data and evaluation rows. Skipped without the data."""

import json
import random
import re
from pathlib import Path
from typing import Any

from tests.datasets.steps import run
from tests.datasets.test_public_data import public

from penstock.core.pii import Detector
from penstock.datasets.model import Row
from penstock.datasets.tally import Means

PLANTED: dict[str, list[str]] = {
    "email": ["j.van-der-berg+news@mail.firma.co.uk", "x_9@host-12.example.museum", "A1@b2.io"],
    "phone": ["+33 1 42 68 53 00", "(415) 555-2671", "0049 89 636 48018", "+1-800-275-2273", "020 7946 0958"],
    "card": ["5555 5555 5555 4444", "378282246310005", "6011-1111-1111-1117"],
    "iban": ["GB33BUKB20201555555555", "FR14 2004 1010 0505 0001 3M02 606", "NL02ABNA0123456789"],
    "ip": ["172.217.22.14", "2a00:1450:4001:81b::200e"],
    "ssn": ["219-09-9998"],
}
"""Examples of operators, schemes and registries, not of the rules' own tests."""


def questions() -> list[str]:
    lines = public("gsm8k/test.jsonl").read_text().splitlines()
    return [json.loads(line)["question"] for line in lines]


def test_reworded_copies_are_found_and_others_are_not(tmp_path: Path) -> None:
    chance, texts = random.Random(11), questions()
    planted = []
    for place in chance.sample(range(len(texts)), 200):
        words = texts[place].split()
        words[chance.randrange(len(words))] = "indeed"
        planted.append((place, " ".join(words)))
    rows: list[Row] = [{"t": text} for text in [*texts, *(text for _, text in planted)]]
    _, _, out = run(tmp_path, [{"step": "near_duplicates", "threshold": 0.7}], rows)
    removed = {entry.line - 1: entry.kept_line for entry in out}
    true = sum(removed.get(len(texts) + at) == place + 1 for at, (place, _) in enumerate(planted))
    wrong = sum(line < len(texts) for line in removed)
    # A changed word costs up to three of some 45 shingles; short questions fall below 0.7.
    assert true / len(planted) >= 0.97
    assert wrong <= 3


def test_shuffled_copies_are_found_by_meaning_only(tmp_path: Path) -> None:
    chance, texts = random.Random(12), questions()
    planted = []
    for place in chance.sample(range(len(texts)), 150):
        sentences = re.split(r"(?<=[.?!]) ", texts[place])
        words = [word for sentence in reversed(sentences) for word in sentence.split()]
        planted.append((place, " ".join([*words[7:], *words[:7]])))
    rows: list[Row] = [{"t": text} for text in [*texts, *(text for _, text in planted)]]
    _, _, out = run(tmp_path, [{"step": "semantic_duplicates", "threshold": 0.97}], rows)
    removed = {entry.line - 1: entry.kept_line for entry in out}
    true = sum(removed.get(len(texts) + at) == place + 1 for at, (place, _) in enumerate(planted))
    wrong = sum(line < len(texts) for line in removed)
    assert true / len(planted) >= 0.95
    assert wrong <= 5


def test_evaluation_rows_in_training_text_are_found(tmp_path: Path) -> None:
    chance, texts = random.Random(13), questions()
    copied = chance.sample(range(len(texts)), 100)
    rows: list[Row] = [{"t": f"From a forum: {texts[place].lower()} Anyone?"} for place in copied]
    rows += [{"t": text} for text in _others(300)]
    means = Means(reference=lambda _ref: iter([{"question": text} for text in texts]))
    _, _, out = run(tmp_path, [{"step": "decontaminate", "against": ["gsm8k@1"]}], rows, means)
    found = {entry.line - 1: entry.kept_line for entry in out}
    assert [found.get(at) for at in range(100)] == [place + 1 for place in copied]
    assert len(found) == 100


def _others(count: int) -> list[str]:
    return public("truthfulqa/TruthfulQA.csv").read_text().splitlines()[1 : count + 1]


def test_planted_personal_data_is_found_in_real_text() -> None:
    chance, detector = random.Random(14), Detector()
    texts = questions()
    found: dict[str, list[bool]] = {}
    for kind, values in PLANTED.items():
        for value in values:
            for text in chance.sample(texts, 20):
                words = text.split()
                place = chance.randrange(len(words))
                planted = " ".join([*words[:place], value, *words[place:]])
                start = planted.index(value)
                hit = any(
                    str(one.kind) == kind and one.start <= start + 1 and one.end >= start + len(value) - 1
                    for one in detector.find(planted)
                )
                found.setdefault(kind, []).append(hit)
    recall = {kind: sum(hits) / len(hits) for kind, hits in found.items()}
    assert recall["email"] >= 0.99, recall
    # A card behind another number ("buys 3 5555 5555 …") cannot be told from a longer number.
    assert recall["card"] >= 0.8, recall
    assert recall["iban"] >= 0.95, recall
    assert recall["ip"] >= 0.95, recall
    assert recall["ssn"] >= 0.95, recall
    assert recall["phone"] >= 0.75, recall


def test_text_full_of_numbers_is_not_full_of_personal_data() -> None:
    detector = Detector()
    answers: list[Any] = [
        json.loads(line)["answer"] for line in public("gsm8k/test.jsonl").read_text().splitlines()
    ]
    finds = [find for text in [*questions(), *answers] for find in detector.find(text)]
    assert len(finds) <= 2, finds
