"""Each scorer's own rules, and the packages whose figures they must equal."""

import random
from typing import Any

import pytest
import sacrebleu
from rouge_score import rouge_scorer

from penstock.core.errors import Invalid
from penstock.evals.model import Output, Sample
from penstock.evals.scorers.bleu import Bleu
from penstock.evals.scorers.exact import ExactMatch
from penstock.evals.scorers.fields import FieldAccuracy
from penstock.evals.scorers.latency import Latency
from penstock.evals.scorers.rouge_l import RougeL, lcs_length, rouge_l
from penstock.evals.scorers.valid_structure import ValidStructure

WORDS = [
    "the",
    "a",
    "cat",
    "dog",
    "sat",
    "on",
    "mat",
    "ran",
    "over",
    "red",
    "blue-green",
    "box,",
    "42",
    "times",
]


def sentences(seed: int, count: int) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    return [
        (
            " ".join(rng.choices(WORDS, k=rng.randint(1, 14))),
            " ".join(rng.choices(WORDS, k=rng.randint(1, 14))),
        )
        for _ in range(count)
    ]


def sample(*references: str) -> Sample:
    return Sample(id="s", ordinal=0, messages=(), references=references)


def said(text: str, **values: Any) -> Output:
    return Output(sample_id="s", text=text, **values)


def test_rouge_l_equals_rouge_score() -> None:
    oracle = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
    for answer, reference in sentences(1, 300):
        expected = oracle.score(reference, answer)["rougeL"].fmeasure
        assert rouge_l(answer, reference) == pytest.approx(expected)


def test_rouge_l_reads_other_scripts_and_takes_the_best_reference() -> None:
    assert rouge_l("Où est ma commande", "où est MA commande ?") == 1.0
    assert rouge_l("где мой заказ", "где мой заказ") == 1.0
    assert RougeL().score(sample("nothing", "the cat"), said("the cat")) == {"rouge_l": 1.0}


def test_lcs_against_dynamic_programming() -> None:
    rng = random.Random(2)
    for _ in range(200):
        a, b = (rng.choices("abcd", k=rng.randint(0, 90)) for _ in range(2))
        table = [0] * (len(b) + 1)
        for x in a:
            diagonal = 0
            for j, y in enumerate(b):
                diagonal, table[j + 1] = table[j + 1], diagonal + 1 if x == y else max(table[j + 1], table[j])
        assert lcs_length(a, b) == table[-1]


def test_bleu_equals_sacrebleu() -> None:
    pairs = sentences(3, 60)
    scorer = Bleu()
    columns = [scorer.sums(sample(reference), said(answer)) for answer, reference in pairs]
    corpus = scorer.corpus([sum(column) for column in zip(*columns, strict=True)])["bleu"]
    oracle = sacrebleu.corpus_bleu([answer for answer, _ in pairs], [[reference for _, reference in pairs]])
    assert corpus == pytest.approx(oracle.score)
    for answer, reference in pairs[:20]:
        expected = sacrebleu.sentence_bleu(answer, [reference]).score
        assert scorer.score(sample(reference), said(answer))["bleu_sentence"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("options", "answer", "right"),
    [
        ({}, "  a: b  \nc: d\n", True),
        ({}, "a: b c: d", False),
        ({}, "A: b\nc: d", False),
        ({"ignore_case": True}, "A: B\nc: d", True),
        ({"collapse_space": True}, "a:  b c: d", True),
    ],
)
def test_exact(options: dict[str, bool], answer: str, right: bool) -> None:
    assert ExactMatch(**options).score(sample("a: b\nc: d"), said(answer)) == {"exact": float(right)}


def test_any_reference_will_do_and_none_gives_nothing() -> None:
    assert ExactMatch().score(sample("x", "y"), said("y")) == {"exact": 1.0}
    assert ExactMatch().score(sample(), said("y")) == {}


def test_fields_of_lines_and_json() -> None:
    expected = sample("category: billing\nproduct: Lumen\npriority: high")
    found = FieldAccuracy().score(expected, said("Sure!\nCategory: billing\npriority: low\npriority: high"))
    assert found == {
        "fields.category": 1.0,
        "fields.product": 0.0,
        "fields.priority": 0.0,
        "fields": pytest.approx(1 / 3),
    }
    found = FieldAccuracy().score(sample('{"a": 1, "b": ["x"]}'), said('```json\n{"b": ["x"], "a": 2}\n```'))
    assert found == {"fields.a": 0.0, "fields.b": 1.0, "fields": 0.5}
    assert FieldAccuracy(keys=["b"]).score(sample("a: 1\nb: 2"), said("b: 2")) == {
        "fields.b": 1.0,
        "fields": 1.0,
    }
    assert FieldAccuracy().score(sample("just a sentence"), said("x")) == {}


@pytest.mark.parametrize(
    ("options", "answer", "valid"),
    [
        ({}, "a: 9\nc: 8", True),
        ({}, "a: 9", False),
        ({}, "a: 9\nc: 8\ne: 7", False),
        ({}, "a: 9\nchatter", False),
        ({}, "a: 9\na: 9\nc: 8", False),
        ({"required": ["a"]}, "a: 9\nz: 1", True),
        ({"required": ["a"], "only": True}, "a: 9\nz: 1", False),
        ({"allowed": {"a": ["low", "high"]}}, "a: high", True),
        ({"allowed": {"a": ["low", "high"]}}, "a: medium", False),
        ({"format": "json", "required": ["a"]}, '{"a": 1}', True),
        ({"format": "json", "required": ["a"]}, '[{"a": 1}]', False),
        ({"format": "json", "allowed": {"a": [1, None]}}, '{"a": null}', True),
        ({"format": "json", "schema": {"properties": {"a": {"type": "integer"}}}}, '{"a": 1}', True),
        ({"format": "json", "schema": {"properties": {"a": {"type": "integer"}}}}, '{"a": true}', False),
        ({"format": "json", "schema": {"additionalProperties": False}}, '{"a": 1}', False),
        (
            {"format": "json", "schema": {"properties": {"a": {"type": "array", "items": {"enum": ["x"]}}}}},
            '{"a": ["x", "y"]}',
            False,
        ),
    ],
)
def test_valid_structure(options: dict[str, Any], answer: str, valid: bool) -> None:
    found = ValidStructure(**options).score(sample("a: 1\nc: 2"), said(answer))
    assert found == {"valid_structure": float(valid)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "xml"}, "'lines' or 'json'"),
        ({"schema": {}}, "needs format: json"),
        ({"format": "json", "schema": {"oneOf": []}}, "oneOf"),
        ({"format": "json", "schema": {"properties": {"a": {"type": "date"}}}}, "date"),
    ],
)
def test_rules_that_would_be_ignored_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        ValidStructure(**options)


def test_latency_reports_what_was_measured() -> None:
    found = Latency().score(sample(), said("x", latency_s=2.0, ttft_s=0.5, output_tokens=8))
    assert found == {"latency_s": 2.0, "ttft_s": 0.5, "tokens_per_s": 4.0}
    assert Latency().score(sample(), said("x")) == {}
