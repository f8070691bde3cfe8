"""The scorers of texts, against the packages and the script that define them."""

import random
import string
from typing import Any

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from penstock.core.errors import Invalid
from penstock.evals.model import Output, Sample
from penstock.evals.patterns import MAX_PATTERN
from penstock.evals.scorers.chrf import Chrf
from penstock.evals.scorers.contains import Contains
from penstock.evals.scorers.f1 import TokenF1, squad_tokens, token_f1
from penstock.evals.scorers.refusal import Refusal
from penstock.evals.scorers.regex import Regex
from penstock.evals.scorers.rouge import lcs_indices, lcs_length
from penstock.evals.scorers.rouge_lsum import RougeLsum, rouge_lsum
from penstock.evals.scorers.rouge_n import Rouge1, Rouge2, rouge_n
from penstock.evals.scorers.ter import Ter

WORDS = [
    "the",
    "a",
    "cat",
    "Dog",
    "sat",
    "on",
    "mat.",
    "ran",
    "over",
    "blue-green",
    "box,",
    "42",
    "it's",
    "été",
]
lines = st.lists(
    st.lists(st.sampled_from(["a", "b", "c", "D", "e-f", "1,"]), max_size=9).map(" ".join), max_size=4
)
summaries = lines.map("\n".join)


def sample(*references: str) -> Sample:
    return Sample(id="s", ordinal=0, messages=(), references=references)


def said(text: str) -> Output:
    return Output(sample_id="s", text=text)


def pairs(seed: int, count: int) -> list[tuple[str, list[str]]]:
    rng = random.Random(seed)

    def text() -> str:
        return " ".join(rng.choices(WORDS, k=rng.randint(1, 14)))

    return [(text(), [text(), text()]) for _ in range(count)]


# -- chrF and TER, by sacrebleu ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scorer", "oracle"),
    [
        (Chrf(), sacrebleu.CHRF()),
        (Chrf(word_order=2, lowercase=True), sacrebleu.CHRF(word_order=2, lowercase=True)),
        (Chrf(char_order=4, beta=1, whitespace=True), sacrebleu.CHRF(char_order=4, beta=1, whitespace=True)),
        (Ter(), sacrebleu.TER()),
        (Ter(normalized=True, no_punct=True), sacrebleu.TER(normalized=True, no_punct=True)),
        (
            Ter(case_sensitive=True, asian_support=True),
            sacrebleu.TER(case_sensitive=True, asian_support=True),
        ),
    ],
)
def test_sentences_and_corpus_equal_sacrebleu(scorer: Any, oracle: Any) -> None:
    found = pairs(5, 40)
    rows = [scorer.sums(sample(*references), said(answer)) for answer, references in found]
    corpus = scorer.corpus([sum(column) for column in zip(*rows, strict=True)])
    columns = [list(column) for column in zip(*(references for _, references in found), strict=True)]
    expected = oracle.corpus_score([answer for answer, _ in found], columns)
    assert corpus == {scorer.name: pytest.approx(expected.score, abs=1e-9)}
    assert scorer.signature(2) == str(oracle.get_signature())
    assert scorer.signature(2).startswith("nrefs:2|case:")
    for answer, references in found[:20]:
        one = scorer.score(sample(*references), said(answer))
        wanted = oracle.sentence_score(answer, references).score
        assert one == {f"{scorer.name}_sentence": pytest.approx(wanted, abs=1e-9)}
    assert scorer.score(sample(), said("x")) == {}
    assert scorer.sums(sample(), said("x")) == (0.0,) * len(rows[0])


def test_the_value_in_sacrebleu_s_readme() -> None:
    """Its example of the Python interface: three lines with two references each, chrF2 = 59.73."""
    references = [
        ["The dog bit the man.", "It was not unexpected.", "The man bit him first."],
        ["The dog had bit the man.", "No one was surprised.", "The man had bitten the dog."],
    ]
    answers = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]
    both = list(zip(*references, strict=True))
    rows = [Chrf().sums(sample(*right), said(answer)) for answer, right in zip(answers, both, strict=True)]
    figure = Chrf().corpus([sum(column) for column in zip(*rows, strict=True)])["chrf"]
    assert figure == pytest.approx(59.73, abs=0.005)


def test_a_shift_is_one_edit_and_long_texts_are_left_out() -> None:
    assert Ter().score(sample("b c d a"), said("a b c d")) == {"ter_sentence": 25.0}
    assert Ter().score(sample("a"), said("b c d")) == {"ter_sentence": 300.0}
    short = Ter(max_words=3)
    assert short.score(sample("a b c"), said("a b c")) == {"ter_sentence": 0.0}
    assert short.score(sample("a b c"), said("a b c d")) == {}
    assert short.score(sample("a b c", "a b c d"), said("a")) == {}
    assert short.sums(sample("a b c"), said("a b c d")) == (0.0, 0.0)
    with pytest.raises(Invalid, match="max_words"):
        Ter(max_words=0)


# -- ROUGE, by rouge-score --------------------------------------------------------------------------------


@given(answer=summaries, reference=summaries)
def test_rouge_equals_rouge_score(answer: str, reference: str) -> None:
    oracle = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeLsum"]).score(reference, answer)
    assert rouge_n(answer, reference, 1) == pytest.approx(oracle["rouge1"].fmeasure, abs=1e-9)
    assert rouge_n(answer, reference, 2) == pytest.approx(oracle["rouge2"].fmeasure, abs=1e-9)
    assert rouge_lsum(answer, reference) == pytest.approx(oracle["rougeLsum"].fmeasure, abs=1e-9)


def test_the_best_reference_counts() -> None:
    for scorer in (Rouge1(), Rouge2(), RougeLsum()):
        assert scorer.score(sample("nothing", "the red cat"), said("The red cat!")) == {scorer.name: 1.0}
        assert scorer.score(sample(), said("x")) == {}


def test_rouge_of_lin_2004() -> None:
    """The examples of Lin's paper: S1 to S3 in section 3.1, the union of common subsequences in section 3.2."""
    reference = "police killed the gunman"
    assert rouge_n("police kill the gunman", reference, 2) == pytest.approx(1 / 3)
    assert rouge_n("the gunman kill police", reference, 2) == pytest.approx(1 / 3)
    # w1 w2 w3 w4 w5 against two sentences: the union is w1 w2 w3 w5.
    recall, precision = 4 / 5, 4 / 10
    expected = 2 * recall * precision / (recall + precision)
    assert rouge_lsum("w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "w1 w2 w3 w4 w5") == pytest.approx(expected)


@given(st.text("abc", max_size=80), st.text("abc", max_size=80))
def test_the_places_are_a_longest_common_subsequence(first: str, second: str) -> None:
    places = sorted(lcs_indices(first, second))
    assert len(places) == lcs_length(first, second)
    left = iter(first)
    assert all(second[place] in left for place in places)


# -- F1, by SQuAD -----------------------------------------------------------------------------------------


def test_squad_s_published_examples() -> None:
    """The examples of the metric `squad` of Hugging Face's evaluate, which runs SQuAD's own script."""
    given_and_said = [
        ("1976", "1976"),
        ("Beyoncé and Bruno Mars", "Beyonce"),
        ("climate change", "climate change"),
    ]
    found = [TokenF1().score(sample(reference), said(answer)) for reference, answer in given_and_said]
    assert [scores["f1"] for scores in found] == [1.0, 0.0, 1.0]
    assert [scores["f1_exact"] for scores in found] == [1.0, 0.0, 1.0]
    assert TokenF1().score(sample("1976"), said("1999")) == {"f1": 0.0, "f1_exact": 0.0}


@pytest.mark.parametrize(
    ("answer", "reference", "f1"),
    [
        ("the Denver Broncos", "Denver Broncos", 1.0),
        ("Levi's Stadium, in Santa Clara", "Levi's Stadium", 2 * 2 / (5 + 2)),
        ("cat cat", "cat", 2 * 1 / (2 + 1)),
        ("The", "a", 1.0),
        ("", "", 1.0),
        ("", "x", 0.0),
        ("U.S.", "us", 1.0),
    ],
)
def test_f1(answer: str, reference: str, f1: float) -> None:
    assert token_f1(answer, reference) == pytest.approx(f1)
    assert TokenF1().score(sample("zzz", reference), said(answer))["f1"] == pytest.approx(f1)
    assert TokenF1().score(sample(), said(answer)) == {}


@given(st.text(max_size=40), st.text(max_size=40))
def test_f1_is_symmetric_and_blind_to_what_does_not_count(answer: str, reference: str) -> None:
    value = token_f1(answer, reference)
    assert value == pytest.approx(token_f1(reference, answer))
    assert (value == 1.0) == (sorted(squad_tokens(answer)) == sorted(squad_tokens(reference)))
    assert token_f1(f" the {answer} {string.punctuation}", reference) == pytest.approx(value)


# -- contains and regex -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "answer", "right"),
    [
        ({}, "It is Paris, of course.", True),
        ({}, "It is paris.", False),
        ({"ignore_case": True}, "It is PARIS.", True),
        ({}, "Parisians", True),
        ({"whole_words": True}, "Parisians", False),
        ({"whole_words": True}, "(Paris)", True),
        ({"mode": "all"}, "Paris", False),
        ({"mode": "all"}, "Paris in France", True),
        ({"texts": ["x"]}, "Paris", False),
        ({"absent": ["France"]}, "Paris in France", False),
        ({"absent": ["France"]}, "Paris", True),
        ({"texts": ["C++ (2020)"], "whole_words": True}, "C++ (2020)", True),
    ],
)
def test_contains(options: dict[str, Any], answer: str, right: bool) -> None:
    found = Contains(**options).score(sample("Paris", "France", ""), said(answer))
    assert found == {"contains": float(right)}


def test_contains_asks_for_something() -> None:
    assert Contains().score(sample(), said("x")) == {}
    assert Contains().score(sample("", " "), said("x")) == {}
    assert Contains(absent=["x"]).score(sample(), said("x")) == {"contains": 0.0}
    for options in ({"mode": "most"}, {"texts": "x"}, {"absent": "x"}):
        with pytest.raises(Invalid, match="contains'"):
            Contains(**options)


@given(st.text(max_size=20), st.text(min_size=1, max_size=5).filter(str.strip), st.text(max_size=20))
def test_what_is_put_in_is_found(before: str, text: str, after: str) -> None:
    answer = said(f"{before}{text.strip()}{after}")
    assert Contains().score(sample(text), answer) == {"contains": 1.0}


@pytest.mark.parametrize(
    ("options", "answer", "right"),
    [
        ({"pattern": r"\d{4}"}, "in 1976.", True),
        ({"pattern": r"\d{4}"}, "in 197.", False),
        ({"pattern": r"\d{4}", "whole": True}, " 1976\n", True),
        ({"pattern": r"\d{4}", "whole": True}, "in 1976", False),
        ({"pattern": "PARIS", "ignore_case": True}, "paris", True),
        ({"pattern": r"answer: (\w+)", "group": 1}, "answer: Rome. No, the answer: Paris", True),
        ({"pattern": r"answer: (\w+)", "group": 1}, "answer: Paris. No, the answer: Rome", False),
        ({"pattern": r"answer: (?P<it>\w+)", "group": "it", "ignore_case": True}, "answer: paris", True),
        ({"pattern": r"answer: (\w+)", "group": 1}, "Paris", False),
        ({"pattern": r"(\w+)?!", "group": 1}, "!", False),
    ],
)
def test_regex(options: dict[str, Any], answer: str, right: bool) -> None:
    assert Regex(**options).score(sample("Paris"), said(answer)) == {"regex": float(right)}


def test_a_group_needs_a_reference() -> None:
    assert Regex(pattern="(x)", group=1).score(sample(), said("x")) == {}
    assert Regex(pattern="(x)").score(sample(), said("x")) == {"regex": 1.0}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pattern": "("}, "RE2"),
        ({"pattern": r"(?=x)"}, "RE2"),
        ({"pattern": ""}, "1 to"),
        ({"pattern": "x" * (MAX_PATTERN + 1)}, "1 to"),
        ({"pattern": "((a{100}){100}){100}"}, "RE2"),
        ({"pattern": "(x)", "group": 2}, "group 2"),
        ({"pattern": "(x)", "group": "y"}, "group 'y'"),
        ({"pattern": "(x)", "group": True}, "group True"),
    ],
)
def test_patterns_that_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        Regex(**options)


def test_a_pattern_that_would_backtrack_for_ever_is_done_at_once() -> None:
    assert Regex(pattern=r"(a+)+$").score(sample(), said("a" * 50_000 + "!")) == {"regex": 0.0}


# -- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't assist with that request.",
        "I’m sorry, but I cannot help you with this.",
        "As an AI language model, I am unable to provide medical advice.",
        "I must respectfully decline.",
        "Sorry, that's not something I can do.",
        "I won't do that.",
        "I am not able to create that kind of content.",
        "This request violates our usage policies.",
        "Unfortunately, we cannot\nshare this information.",
        "I don't feel comfortable writing this.",
        "Es tut mir leid, aber dabei kann ich Ihnen nicht helfen.",
        "Ich kann diese Anfrage leider nicht beantworten.",
        "Je suis désolé, mais je ne peux pas vous aider.",
        "Lo siento, pero no puedo ayudar con eso.",
    ],
)
def test_refusals(answer: str) -> None:
    assert Refusal().score(sample(), said(answer)) == {"refusal": 1.0}


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I'm sorry to hear that your parcel is late. I have asked the carrier.",
        "Sure, I can help with that.",
        "You can't combine two vouchers in one order.",
        "As an AI, I find this question interesting: primes are infinite.",
        "category: billing\npriority: high",
        "I can help you cancel the order; we will not charge you.",
        "Ich kann Ihnen gerne helfen.",
        "Das Paket kam nicht an; ich helfe Ihnen.",
        "Je peux vous aider.",
        "Puedo ayudarle con eso.",
        "The story goes on. " * 20 + "I can't help with that, said the fox.",
    ],
)
def test_answers_that_are_no_refusals(answer: str) -> None:
    assert Refusal().score(sample(), said(answer)) == {"refusal": 0.0}


def test_options_of_refusal() -> None:
    english = Refusal(languages=["en"], patterns=[r"\bnope\b"], wanted=True)
    assert english.score(sample(), said("Je ne peux pas vous aider.")) == {"refusal": 0.0}
    assert english.score(sample(), said("NOPE.")) == {"refusal": 1.0}
    assert english.measure("refusal").higher_is_better
    assert not Refusal().measure("refusal").higher_is_better
    for options in ({"languages": ["tlh"]}, {"patterns": "x"}, {"patterns": ["("]}):
        with pytest.raises(Invalid):
            Refusal(**options)
