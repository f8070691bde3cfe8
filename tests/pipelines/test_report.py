"""The demo's report: promises that the figures do not keep are named."""

from typing import Any

import pytest

from penstock.pipelines.demo.report import problems, urls


def report(
    base: float = 0.0, tuned: float = 0.76, after: float = 0.98, p: float | None = 1e-9
) -> dict[str, Any]:
    values = {"base": base, "tuned": tuned, "after_feedback": after}
    return {
        "exact_match": {name: {"value": value} for name, value in values.items()},
        "p_values": {"tuning": 1e-9, "feedback": p},
    }


def test_a_run_that_keeps_every_promise_has_no_problems() -> None:
    assert problems(report()) == []


@pytest.mark.parametrize(
    ("figures", "says"),
    [
        ({"base": 0.3}, "exact match base is 30.0%"),
        ({"tuned": 0.5}, "exact match tuned is 50.0%"),
        ({"after": 0.9}, "exact match after feedback is 90.0%"),
        ({"p": 0.2}, "feedback did not improve accuracy significantly (p = 0.2)"),
        ({"p": None}, "feedback did not improve accuracy significantly"),
    ],
)
def test_each_broken_promise_is_one_sentence(figures: dict[str, Any], says: str) -> None:
    (told,) = problems(report(**figures))
    assert says in told


def test_addresses_name_versions_as_the_ui_does() -> None:
    result = {
        "data": {"history": {"ref": "tickets@3"}},
        "release": {"promoted": "triage-gguf@2"},
        "finetune": {"run": "run_1"},
        "evaluation": {"tuned_run": "evr_1"},
        "first_candidate": {"eval": "evr_2"},
    }
    found = urls("http://127.0.0.1:1", result)
    assert found["data"] == "http://127.0.0.1:1/datasets/tickets?version=3"
    assert found["model"] == "http://127.0.0.1:1/models/triage-gguf?version=2"
