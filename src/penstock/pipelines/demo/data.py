"""Stage 1: a corpus as companies have it, cleaned and registered as dataset versions."""

from typing import Any

from penstock.datasets import recipe as recipes
from penstock.datasets import service as datasets
from penstock.datasets.model import DatasetVersion
from penstock.pipelines.demo import tickets
from penstock.pipelines.demo.tickets import Corpus
from penstock.pipelines.model import StepContext

HISTORY, TEST, INBOX = "ticket-history", "ticket-test", "ticket-inbox"

CLEAN_MAIL: list[dict[str, Any]] = [
    {"step": "normalise", "columns": ["text"]},
    {"step": "redact", "columns": ["text"]},
]
"""What every mail goes through, in training and in production alike."""
CLEAN_HISTORY: list[dict[str, Any]] = [
    {"step": "normalise", "columns": ["text"]},
    {"step": "language", "columns": ["text"], "keep": ["en"]},
    {"step": "quality", "columns": ["text"], "min_characters": 20},
    {"step": "exact_duplicates", "columns": ["text"]},
    {"step": "near_duplicates", "columns": ["text"], "threshold": 0.8},
    {"step": "redact", "columns": ["text"]},
]


def corpus(inputs: dict[str, Any]) -> Corpus:
    """Return the corpus of a run's inputs; the same inputs give the same rows."""
    traffic = inputs["calls"] + inputs["canary_calls"]
    return tickets.make(inputs["seed"], history=inputs["history"], test=inputs["test"], traffic=traffic)


def _told(version: DatasetVersion) -> dict[str, Any]:
    return {
        "ref": version.ref,
        "hash": version.hash,
        "rows": version.rows,
        "splits": dict(version.splits),
        "removed": version.removed,
        "steps": [
            {
                key: report[key]
                for key in ("step", "rows_in", "rows_out", "changed", "counts")
                if key in report
            }
            for report in version.recipe_report
        ],
    }


def stage(context: StepContext) -> dict[str, Any]:
    """Ingest history, held-out test set and inbox: profile, de-duplicate, redact, split, register."""
    made = corpus(context.inputs)
    context.say(f"ingesting {len(made.history)} historical tickets: profile, clean, redact, split")
    history = datasets.ingest(
        context.home,
        context.actor,
        name=HISTORY,
        source=made.history,
        recipe=recipes.parse(CLEAN_HISTORY),
        splits={"train": 0.9, "validation": 0.1},
        key="id",
        description="Support mails with the labels they were given under last year's policy.",
    )
    test = datasets.ingest(
        context.home,
        context.actor,
        name=TEST,
        source=made.test,
        recipe=recipes.parse(CLEAN_MAIL),
        key="id",
        description="Held-out mails with labels by today's policy.",
    )
    inbox = datasets.ingest(
        context.home,
        context.actor,
        name=INBOX,
        source=[{"id": ticket.id, "text": ticket.text} for ticket in made.traffic],
        recipe=recipes.parse(CLEAN_MAIL),
        key="id",
        description="Mails as they arrive in production, not labelled.",
    )
    context.say(f"{history.ref}: {history.rows} rows kept, {history.removed} removed; test {test.rows} rows")
    return {"history": _told(history), "test": _told(test), "inbox": _told(inbox)}
