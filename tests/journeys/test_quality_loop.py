"""The quality loop as its users live it: a file, clean rows, two prompts, a gate, pairs, a better prompt."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock.core.home import Home
from tests.app.stack import Stack
from tests.journeys.tickets import BRIEF, ROUTE, ROWS, answering, untidy_file


@pytest.fixture
def stack(sqlite_home: Home) -> Iterator[Stack]:
    """A server with one route to the scripted model."""
    with answering(sqlite_home) as made:
        yield made


def import_and_clean(client: penstock.Client, file: Path) -> str:
    """Bring the file in, clean it into the next version, and return that version's reference."""
    sent = client.datasets.upload("tickets", file, format="csv", on_bad_rows="quarantine", key="id")
    first = sent["version"]
    assert (first["rows"], first["quarantined"]) == (ROWS + 6, 1)
    recipe = [{"step": "html"}, {"step": "exact_duplicates", "columns": ["question"]}]
    path = "/datasets/tickets/versions/1/clean"
    trial = client.send("POST", path, {"recipe": recipe, "dry_run": True})["trial"]
    assert (trial["rows_in"], trial["rows_out"]) == (ROWS + 6, ROWS)
    ref: str = client.send("POST", path, {"recipe": recipe})["version"]
    assert ref == "tickets@2"
    rows = list(client.datasets.rows("tickets", 2))
    assert len(rows) == ROWS and not any("<p>" in str(row) for row in rows)
    changed = client.datasets.diff("tickets", 1, 2)
    assert (changed["removed"], changed["added"], changed["changed"]) == (6, 0, ROWS)
    return ref


def add_prompts(client: penstock.Client) -> None:
    """Make two versions of a prompt: one that says too little, one that says it all."""
    for system in ("Say what the ticket is about.", BRIEF):
        messages = [{"role": "system", "content": system}, {"role": "user", "content": "{{ ticket }}"}]
        client.prompts.add_version("triage", kind="chat", messages=messages, settings={"model": ROUTE})


def evaluate(client: penstock.Client, dataset: str, version: int) -> dict[str, Any]:
    """Run the suite on a version of the prompt, in the background, through the gateway."""
    suite = {
        "name": "triage",
        "dataset": dataset,
        "target": {
            "kind": "prompt",
            "prompt": "triage",
            "version": version,
            "variables": {"ticket": "question"},
        },
        "columns": {"input": "question", "expected": "answer"},
        "scorers": ["exact", "cost"],
    }
    started = client.evals.run(suite=suite)
    job = client.jobs.wait(started["job_id"], timeout=120)
    assert job["state"] == "succeeded", job
    return client.evals.get(started["id"])


def exact(run: dict[str, Any]) -> float:
    """Return the share of exact answers."""
    return next(float(one["value"]) for one in run["metrics"] if one["name"] == "exact")


def compare_and_gate(client: penstock.Client, plain: dict[str, Any], brief: dict[str, Any]) -> None:
    """Hold the runs against each other; the gate lets the better one pass and refuses the way back."""
    compared = client.evals.compare(plain["id"], brief["id"])
    difference = next(one for one in compared["differences"] if one["name"] == "exact")
    assert (compared["shared"], difference["verdict"]) == (ROWS, "better")
    assert difference["difference"] == pytest.approx(exact(brief) - exact(plain))
    for run, baseline, passed in ((brief, plain, True), (plain, brief, False)):
        rules = [
            {"metric": "exact", "better_than": "baseline"}, {"metric": "cost_usd", "max_ratio": 5.0}
        ]  # fmt: skip
        decision = client.send(
            "POST",
            "/evals/gates",
            {"run_id": run["id"], "baseline_id": baseline["id"], "rules": rules},
        )
        assert decision["passed"] is passed


def annotate(client: penstock.Client, run: dict[str, Any]) -> int:
    """Let a person correct twenty answers of a run; returns how many were wrong."""
    labels = [
        {"name": "quality", "type": "categorical", "options": ["good", "bad"], "key": "q"},
        {"name": "right", "type": "correction", "required": False, "key": "c"},
    ]
    client.queues.create("look", kind="row", labels=labels, source={"run": run["id"], "limit": 20})
    wrong = 0
    while (item := client.queues.next("look")) is not None:
        content = item["content"]
        if content["output"] == content["reference"]:
            client.queues.answer(item["id"], {"quality": "good"})
        else:
            wrong += 1
            client.queues.answer(item["id"], {"quality": "bad", "right": content["reference"]})
    progress = client.queues.get("look")["progress"]
    assert (progress["done"], progress["open"]) == (20, 0)
    return wrong


def export_pairs(client: penstock.Client, wrong: int) -> None:
    """Make preference pairs of what was corrected, with their way back to the judgements."""
    made = client.queues.export("look", "triage-pairs", kind="preference")
    rows = [one["data"] for one in client.datasets.rows("triage-pairs", 1)]
    assert made["rows"] == len(rows) == wrong > 0
    assert all(row["chosen"] != row["rejected"] for row in rows)
    assert "queue" in str(client.lineage("dataset_version", "triage-pairs@1"))


def improve(client: penstock.Client, dataset: str) -> None:
    """Let a search find a better prompt than the first one, accept it, and see where it comes from."""
    started = client.evals.optimise(
        prompt="triage",
        version=1,
        dataset=dataset,
        metric="exact",
        target={"variables": {"ticket": "question"}},
        columns={"input": "question", "expected": "answer"},
        rows=24,
        rewrites=3,
        demo_sets=2,
        max_calls=400,
        max_cost_usd=5.0,
    )
    job = client.jobs.wait(started["job_id"], timeout=120)
    assert job["state"] == "succeeded", job
    found = client.evals.optimisation(started["id"])
    best = next(one for one in found["candidates"] if one["id"] == found["best"])
    assert best["gain"]["verdict"] == "better"
    assert 0 < found["spent"]["calls"] <= 400 and found["spent"]["cost_usd"] > 0
    accepted = client.evals.accept(started["id"], note="Found by search.")
    assert accepted["prompt_version"] == "triage@3"
    parents = str(client.lineage("prompt_version", "triage@3"))
    assert started["id"] in parents and "triage@1" in parents and dataset in parents


@pytest.mark.slow
def test_from_a_file_to_pairs_and_a_better_prompt(stack: Stack, tmp_path: Path) -> None:
    file = tmp_path / "tickets.csv"
    untidy_file(file)
    _, secret = stack.key("loop")
    client = penstock.Client(f"http://127.0.0.1:{stack.port}", secret)
    dataset = import_and_clean(client, file)
    add_prompts(client)
    plain, brief = (evaluate(client, dataset, version) for version in (1, 2))
    assert exact(brief) == 1.0 > exact(plain)
    compare_and_gate(client, plain, brief)
    export_pairs(client, annotate(client, plain))
    improve(client, dataset)
    improved = evaluate(client, dataset, 3)
    assert exact(improved) > exact(plain)
    made = client.prompts.where_used("triage")["made"]
    assert {"version": 3, "kind": "eval_run", "ref": improved["id"], "role": "target"} in made
