"""Tasks of lm-evaluation-harness, read without running their code."""

from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import Invalid
from penstock.evals.exchange import lm_eval_task
from penstock.evals.exchange.lm_eval_task import load, read
from penstock.evals.model import Output, Sample
from penstock.evals.scorers.harness import FILTERS, Harness

GSM8K = r"""
task: gsm8k
dataset_path: gsm8k
output_type: generate_until
doc_to_text: "Question: {{question}}\nAnswer:"
doc_to_target: "{{answer}}"
num_fewshot: 1
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
    ignore_case: true
    regexes_to_ignore: [",", "\\$", "(?s).*#### ", "\\.$"]
generation_kwargs: {until: ["Question:", "</s>"], do_sample: false, temperature: 0.0, max_gen_toks: 64}
filter_list:
  - name: strict-match
    filter: [{function: regex, regex_pattern: "#### (\\-?[0-9\\.\\,]+)"}, {function: take_first}]
  - name: flexible-extract
    filter:
      - {function: regex, group_select: -1, regex_pattern: "(-?[$0-9.,]{2,})|(-?[0-9]+)"}
      - {function: take_first}
  - name: score-first
    filter: [{function: take_first_k, k: 2}]
"""
ROWS = [{"question": "Two hens lay 9 eggs each?", "answer": "2*9=18\n#### 18"}]
SHOTS = [{"question": "1+1?", "answer": "#### 2"}]


def scores(task: Any, text: str) -> dict[str, float]:
    options = {key: value for key, value in task.scorers[0].items() if key != "name"}
    sample = Sample(id="0", ordinal=0, messages=(), references=tuple(task.rows[0]["expected"]))
    return Harness(**options).score(sample, Output(sample_id="0", text=text))


def test_gsm8k() -> None:
    task = read(load(GSM8K), ROWS, examples=SHOTS)
    assert task.name == "gsm8k"
    asked = task.rows[0]["prompt"]
    assert asked == "Question: 1+1?\nAnswer: #### 2\n\nQuestion: Two hens lay 9 eggs each?\nAnswer:"
    assert task.generation == {
        "extra": {"stop": ["Question:", "</s>"]},
        "temperature": 0.0,
        "max_tokens": 64,
    }
    assert task.notes == ("The filter 'score-first' uses 'take_first_k', which is not known here.",)
    names = ("exact_match,strict-match", "exact_match,flexible-extract")
    assert scores(task, "That is 2*9.\n#### 18") == dict.fromkeys(names, 1.0)
    assert scores(task, "They lay $18.") == {names[0]: 0.0, names[1]: 1.0}
    assert scores(task, "#### 19") == dict.fromkeys(names, 0.0)
    assert scores(task, "no idea") == dict.fromkeys(names, 0.0)


CHOICE = """
task: sky
output_type: multiple_choice
doc_to_text: "{{q}}"
doc_to_choice: "{{choices}}"
doc_to_target: label
metric_list: [{metric: acc}, {metric: acc_norm}]
"""


def test_multiple_choice_is_lettered_and_says_so() -> None:
    task = read(load(CHOICE), [{"q": "Sky?", "choices": ["green", "blue"], "label": 1}])
    assert task.rows[0]["prompt"].startswith("Sky?\n\nA. green\nB. blue\n\nAnswer with")
    assert task.rows[0]["expected"] == ["B"]
    assert any("not those of lm-eval" in note for note in task.notes)
    assert scores(task, "The answer is B.") == {"exact_match,letter": 1.0}
    assert scores(task, "A") == {"exact_match,letter": 0.0}


@pytest.mark.parametrize(
    ("text", "rows", "said"),
    [
        ("task: t\ndoc_to_text: !function utils.ask\n", ROWS, "utils.ask"),
        ("task: t\nprocess_docs: !function utils.docs\n", ROWS, "foreign code is not run"),
        ("output_type: loglikelihood_rolling", ROWS, "likelihoods"),
        ("doc_to_text: '{{missing}}'\ndoc_to_target: answer", ROWS, "Row 1.*missing"),
        ("doc_to_text: '{{ question.__class__.__mro__ }}'\ndoc_to_target: answer", ROWS, "Row 1"),
        ("doc_to_text: question\ndoc_to_target: answer", [], "no rows"),
        (CHOICE, [{"q": "?", "choices": ["one"], "label": 0}], "2 to 26 choices"),
        (CHOICE, [{"q": "?", "choices": ["a", "b"], "label": 2}], "none of 2"),
        ("a: [", ROWS, "not valid YAML"),
        ("a: !!python/object/apply:os.system ['true']", ROWS, "not valid YAML"),
        ("include: base.yaml", ROWS, "not given"),
    ],
)
def test_what_cannot_be_run_here(text: str, rows: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        read(load(text), rows)


def test_includes_stay_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "outside.yaml").write_text("task: outside")
    (tmp_path / "tasks" / "base.yaml").write_text("task: base\ndoc_to_target: answer\n")
    (tmp_path / "tasks" / "loop.yaml").write_text("include: loop.yaml")
    folder = tmp_path / "tasks"
    assert load("include: base.yaml\ntask: mine", folder) == {"task": "mine", "doc_to_target": "answer"}
    for bad in ("../outside.yaml", "loop.yaml", "none.yaml", str(tmp_path / "outside.yaml")):
        with pytest.raises(Invalid):
            load(f"include: {bad}", folder)


def test_the_filters_are_those_of_the_scorer() -> None:
    assert set(lm_eval_task._FILTERS) == set(FILTERS)
