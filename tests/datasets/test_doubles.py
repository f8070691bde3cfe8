"""Semantic duplicates and decontamination: planted ones are found, others left alone."""

import random
from pathlib import Path

import numpy as np
import pytest
from tests.datasets.steps import run

from penstock.core.errors import Invalid
from penstock.datasets import semantic
from penstock.datasets.contamination import Protected
from penstock.datasets.embedding import WordVectors
from penstock.datasets.model import Row
from penstock.datasets.tally import Means

HEADS, MIDDLES, TAILS = ("ta mo ri ke su", "lin par dok vem", "a ost er ig")
WORDS = [a + b + c for a in HEADS.split() for b in MIDDLES.split() for c in TAILS.split()]


def sentence(chance: random.Random, length: int = 12) -> list[str]:
    return chance.choices(WORDS, k=length)


def test_the_same_words_in_another_order_are_found(tmp_path: Path) -> None:
    chance = random.Random(5)
    rows: list[Row] = [{"t": " ".join(sentence(chance)), "n": n} for n in range(400)]
    planted = []
    for n in range(60):
        words = rows[n]["t"].split()
        chance.shuffle(words)
        planted.append({"t": " ".join(words), "n": 1000 + n})
    kept, reports, out = run(
        tmp_path, [{"step": "semantic_duplicates", "columns": ["t"], "threshold": 0.95}], rows + planted
    )
    assert len(kept) == 400
    assert {(entry.line, entry.kept_line) for entry in out} == {(401 + n, n + 1) for n in range(60)}
    assert reports[0].engine == "hashed-ngrams-1"
    assert list(tmp_path.iterdir()) == []


def test_vectors_know_inflections_but_not_meanings() -> None:
    vectors = WordVectors().embed(
        [
            "the printer is printing pages slowly",
            "printers print a page slowly",
            "my dog sleeps in the garden",
            "",
        ]
    )
    close, far = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert close > 0.5 > 0.3 > far
    assert not vectors[3].any()
    assert np.allclose(np.linalg.norm(vectors[:3], axis=1), 1, atol=1e-5)


def test_a_words_vector_does_not_depend_on_how_many_words_there_are() -> None:
    alone, crowded = WordVectors(), WordVectors()
    many = " ".join(f"w{number}x" for number in range(1500))
    text = "w3x w1400x something else"
    assert np.allclose(alone.embed([text]), crowded.embed([many, text])[1:], atol=1e-6)


def test_texts_that_say_nothing_are_nobodys_duplicates(tmp_path: Path) -> None:
    rows: list[Row] = [{"t": ""}, {"t": "!"}, {"t": "?"}]
    assert run(tmp_path, [{"step": "semantic_duplicates"}], rows)[0] == rows


def test_centres_separate_what_is_apart() -> None:
    generator = np.random.default_rng(1)
    middles = np.eye(16, dtype=np.float32)[:4]
    rows = np.repeat(middles, 50, axis=0) + generator.normal(0, 0.05, (200, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    nearest = np.argmax(rows @ semantic.centres(rows, 4).T, axis=1)
    assert [len(set(nearest[at : at + 50].tolist())) for at in range(0, 200, 50)] == [1, 1, 1, 1]
    assert len(set(nearest.tolist())) == 4


def references(rows: list[Row]) -> Means:
    return Means(reference=lambda _ref: iter(rows))


QUESTION = "A farmer has fourteen sheep and buys twice as many goats at the market; how many animals does he own now?"


def test_decontaminate_names_the_row_that_was_copied(tmp_path: Path) -> None:
    means = references(
        [{"q": "What is one and one?"}, {"q": QUESTION, "a": "42"}, {"q": "Name the capital of France"}]
    )
    rows: list[Row] = [
        {"t": f"I read this today: {QUESTION.upper()} and laughed"},
        {"t": "A farmer has fourteen sheep, but no goats at all"},
        {"t": "Could you name the capital of France for me please?"},
        {"t": "nothing in common"},
    ]
    step = {"step": "decontaminate", "against": ["eval@1"]}
    kept, reports, out = run(tmp_path, [step], rows, means)
    assert kept == [rows[1], rows[3]]
    assert [(entry.line, entry.reason, entry.kept_line) for entry in out] == [
        (1, "contaminated: eval@1", 2),
        (3, "contaminated: eval@1", 3),
    ]
    assert reports[0].counts == {"contaminated: eval@1": 2, "protected_texts_too_short": 1}
    assert "farmer has fourteen sheep" in reports[0].examples[0]["text"]
    flagged, _, _ = run(tmp_path, [{**step, "action": "flag"}], rows, means)
    assert [row.get("contaminated") for row in flagged] == ["eval@1", None, "eval@1", None]
    several, _, _ = run(tmp_path, [{**step, "min_matches": 2}], rows, means)
    assert several == rows[1:]


def test_n_grams_do_not_run_from_one_protected_text_into_the_next() -> None:
    protected = Protected(8)
    protected.add(["one two three four five six", "seven eight nine ten eleven twelve"], source=0, row=1)
    protected.finish()
    assert protected.match("three four five six seven eight nine ten") is None
    found = protected.match("zero one two three four five six seven")
    assert found is not None
    assert (found.grams, found.row, found.text) == (1, 1, "one two three four five six")


def test_decontaminate_needs_sets_and_a_home(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="needs evaluation sets"):
        run(tmp_path, [{"step": "decontaminate", "against": []}], [])
    with pytest.raises(Invalid, match="cannot be read here"):
        run(tmp_path, [{"step": "decontaminate", "against": ["a@1"]}], [{"t": "x"}])
