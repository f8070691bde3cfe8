"""What every scorer promises, on each built-in one."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core import plugins
from penstock.evals.model import MetricKind, Output, Sample
from penstock.evals.ports import CorpusScorer, JudgingScorer, Scorer

NAMES = plugins.names("scorers")
texts = st.text(max_size=60) | st.sampled_from(
    ["", "a: b", "a: b\nc: d", '{"a": 1}', "```json\n{}\n```", ":", "a:"]
)


OPTIONS: dict[str, dict[str, Any]] = {
    "regex": {"pattern": r"billing|a: \w"},
    "bias_choice": {"suite": "bbq"},
    "judge": {"criteria": "Is it good?"},
    "embedding_similarity": {"model": "m"},
    "recorded": {"metrics": {}},
    "bert_score": {"model": "encoder@1"},
}
"""What a scorer cannot do without."""


SCORING = [name for name in NAMES if name != "recorded"]
"""`recorded` only tells how to read figures that are there."""


def make(name: str) -> Any:
    return plugins.load("scorers", name)(**OPTIONS.get(name, {}))


@pytest.mark.parametrize("name", NAMES)
def test_the_plugin_is_a_scorer_of_its_name(name: str) -> None:
    scorer = make(name)
    assert isinstance(scorer, Scorer)
    assert scorer.name == name
    assert scorer.measure("no such metric") is None


@pytest.mark.parametrize("name", SCORING)
@given(answer=texts, references=st.lists(texts, max_size=2))
def test_any_texts_give_figures_in_their_range(name: str, answer: str, references: list[str]) -> None:
    scorer = make(name)
    sample = Sample(id="s", ordinal=0, messages=(), references=tuple(references))
    output = Output(sample_id="s", text=answer, latency_s=0.5, ttft_s=0.1, output_tokens=4)
    scores = scorer.score(sample, output)
    if isinstance(scorer, CorpusScorer):
        sums = scorer.sums(sample, output)
        assert len(sums) == len(scorer.sums(sample, Output(sample_id="s", text="x")))
        scores = {**scores, **scorer.corpus([2 * value for value in sums])}
    for metric, value in scores.items():
        measure = scorer.measure(metric)
        assert measure is not None, metric
        if measure.kind is MetricKind.PROPORTION:
            assert value in (0.0, 1.0)
        elif measure.unit == "fraction":
            assert 0.0 <= value <= 1.0
        elif measure.unit == "points":
            assert -1e-9 <= value <= 100.0 + 1e-9
    assert msgspec.json.decode(msgspec.json.encode(scores)) == scores


RIGHT = {
    "json_fields": '{"a": {"b": [1, "x"]}}',
    "json_schema": '{"a": 1}',
    "labels": "billing, urgent",
    "numeric": "So it is 1,200.50",
}
"""What a perfect answer looks like where it is not just any text."""


ASKING = [name for name in NAMES if isinstance(make(name), JudgingScorer)]


@pytest.mark.parametrize("name", ASKING)
def test_a_scorer_that_asks_says_nothing_by_itself(name: str) -> None:
    sample = Sample(id="s", ordinal=0, messages=(), references=("x",))
    assert make(name).score(sample, Output(sample_id="s", text="x")) == {}


NOT_RIGHT_OR_WRONG = ("latency", "refusal", "cost", "attack", "bias_choice", "toxicity", *ASKING)
NEARLY = {"meteor": 0.01}
"""Scorers whose formula gives a perfect answer a little less than all."""


@pytest.mark.parametrize("name", [name for name in SCORING if name not in NOT_RIGHT_OR_WRONG])
def test_the_right_answer_is_perfect_and_an_empty_one_is_not(name: str) -> None:
    scorer = make(name)
    right = RIGHT.get(name, "category: billing issue of the month\npriority: high")
    sample = Sample(id="s", ordinal=0, messages=(), references=(right,))
    best = scorer.score(sample, Output(sample_id="s", text=right))
    worst = scorer.score(sample, Output(sample_id="s", text=""))
    assert best
    for metric, value in best.items():
        measure = scorer.measure(metric)
        most = 1.0 if measure.unit == "fraction" else 100.0
        assert value == pytest.approx(most if measure.higher_is_better else 0.0, abs=NEARLY.get(name, 1e-6))
        assert worst[metric] == (0.0 if measure.higher_is_better else most)
