"""Datasets and suites for evaluation tests."""

from typing import Any

from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import service as datasets
from penstock.evals.model import Sample
from penstock.evals.suite import ScorerSpec, Suite

CATEGORIES = ("billing", "shipping", "refund")


def triage_rows(count: int) -> list[dict[str, Any]]:
    """Return `count` rows `{id, prompt, completion}` with three fields to find."""
    return [
        {
            "id": f"t{index}",
            "prompt": f"Ticket {index}: please help with {CATEGORIES[index % 3]}",
            "completion": f"category: {CATEGORIES[index % 3]}\npriority: {'high' if index % 2 else 'low'}",
        }
        for index in range(count)
    ]


def ingest(home: Home, actor: Actor, count: int = 40, name: str = "tickets", **options: Any) -> str:
    """Store a dataset and return its reference."""
    version = datasets.ingest(home, actor, name=name, source=triage_rows(count), key="id", **options)
    return f"{name}@{version.number}"


def make_suite(dataset: str, **changes: Any) -> Suite:
    """Return a suite with the scorers that need no extra package."""
    values: dict[str, Any] = {
        "name": "triage",
        "dataset": dataset,
        "target": {"kind": "callable"},
        "scorers": tuple(
            ScorerSpec(name=name) for name in ("exact", "fields", "rouge_l", "valid_structure", "latency")
        ),
    }
    return Suite(**{**values, **changes})


def answer(index_wrong: set[int]) -> Any:
    """Return a function that answers rightly except for the tickets in `index_wrong`."""

    def function(sample: Sample) -> str:
        index = int(sample.id[1:])
        right = f"category: {CATEGORIES[index % 3]}\npriority: {'high' if index % 2 else 'low'}"
        return right.replace("priority: ", "priority: not ") if index in index_wrong else right

    return function
