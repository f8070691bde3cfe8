"""What every scorer promises, on each built-in one."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core import plugins
from penstock.evals.model import MetricKind, Output, Sample
from penstock.evals.ports import CorpusScorer, Scorer

NAMES = plugins.names("scorers")
texts = st.text(max_size=60) | st.sampled_from(
    ["", "a: b", "a: b\nc: d", '{"a": 1}', "```json\n{}\n```", ":", "a:"]
)


@pytest.mark.parametrize("name", NAMES)
def test_the_plugin_is_a_scorer_of_its_name(name: str) -> None:
    scorer = plugins.load("scorers", name)()
    assert isinstance(scorer, Scorer)
    assert scorer.name == name
    assert scorer.measure("no such metric") is None


@pytest.mark.parametrize("name", NAMES)
@given(answer=texts, references=st.lists(texts, max_size=2))
def test_any_texts_give_figures_in_their_range(name: str, answer: str, references: list[str]) -> None:
    scorer = plugins.load("scorers", name)()
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


@pytest.mark.parametrize("name", [name for name in NAMES if name != "latency"])
def test_the_right_answer_is_perfect_and_an_empty_one_is_not(name: str) -> None:
    scorer = plugins.load("scorers", name)()
    right = "category: billing issue of the month\npriority: high"
    sample = Sample(id="s", ordinal=0, messages=(), references=(right,))
    best = scorer.score(sample, Output(sample_id="s", text=right))
    worst = scorer.score(sample, Output(sample_id="s", text=""))
    for metric, value in best.items():
        assert value == pytest.approx(100.0 if "bleu" in metric else 1.0)
        assert worst[metric] == 0.0
