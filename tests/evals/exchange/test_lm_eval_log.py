"""Sample logs of lm-evaluation-harness."""

import json
from typing import Any

import pytest

from penstock.core.errors import Invalid
from penstock.evals.exchange import lm_eval_log


def jsonl(*lines: dict[str, Any]) -> bytes:
    return "\n".join(json.dumps(line) for line in lines).encode()


def line(doc: int, chosen: str, score: float, filter_: str) -> dict[str, Any]:
    return {
        "doc_id": doc,
        "doc": {"question": "1+1?"},
        "target": "#### 2",
        "arguments": {"gen_args_0": {"arg_0": "Question: 1+1?\nAnswer:", "arg_1": {"until": ["Question:"]}}},
        "resps": [["It is 2.\n#### 2"]],
        "filtered_resps": [chosen],
        "filter": filter_,
        "metrics": ["exact_match"],
        "doc_hash": "d",
        "exact_match": score,
    }


RESULTS = {
    "results": {"gsm8k": {"alias": "gsm8k"}},
    "model_name": "org/model",
    "higher_is_better": {"gsm8k": {"exact_match": True}},
}


def test_filters_become_metrics_of_one_sample() -> None:
    log = jsonl(
        line(0, "2", 1.0, "strict-match"),
        line(0, "2", 1.0, "flexible-extract"),
        line(1, "[invalid]", 0.0, "strict-match"),
    )
    read = lm_eval_log.read(log, json.dumps(RESULTS).encode())
    assert (read.suite, read.model, len(read.samples)) == ("gsm8k", "org/model", 2)
    first = read.samples[0]
    assert dict(first.scores) == {"exact_match,strict-match": 1.0, "exact_match,flexible-extract": 1.0}
    assert first.messages == ({"role": "user", "content": "Question: 1+1?\nAnswer:"},)
    assert (first.text, first.references) == ("It is 2.\n#### 2", ("#### 2",))


def test_choices_chats_and_perplexities() -> None:
    choice = {
        "doc_id": 0,
        "target": 1,
        "arguments": [["Sky?", " green"], ["Sky?", " blue"]],
        "resps": [[[-4.0, False]], [[-1.5, True]]],
        "filter": "none",
        "metrics": ["acc", "acc_norm", "bleu"],
        "acc": 1.0,
        "acc_norm": True,
        "bleu": ["a", "b"],
    }
    chat = {
        "doc_id": 1,
        "arguments": [['[{"role": "user", "content": "Hi"}]', {}]],
        "resps": [["Hello"]],
        "word_perplexity": 7.5,
    }
    read = lm_eval_log.read(jsonl(choice, chat))
    assert read.samples[0].text == "blue"
    assert dict(read.samples[0].scores) == {"acc": 1.0, "acc_norm": 1.0}
    assert read.samples[1].messages == ({"role": "user", "content": "Hi"},)
    assert read.metrics()["word_perplexity"] == {"kind": "mean", "higher_is_better": False, "unit": ""}
    assert read.notes == ("1 values are no numbers per sample (corpus metrics, texts) and were left out.",)


@pytest.mark.parametrize(
    ("content", "results", "said"),
    [
        (b"", None, "no samples"),
        (b"{}", None, "no doc_id"),
        (b"\n{oops", None, "Line 2"),
        (b"[]", None, "not an object"),
        (jsonl(line(0, "2", 1.0, "none")), b"{}", "no `results`"),
    ],
)
def test_what_is_no_log(content: bytes, results: bytes | None, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        lm_eval_log.read(content, results)
