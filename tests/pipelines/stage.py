"""A pipeline from rows to a candidate, and the things it needs; no process is started."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import service as datasets
from penstock.evals.suites import service as suites
from penstock.pipelines.attempt import Hooks
from penstock.registry import service as registry
from tests.evals.support import make_suite, triage_rows
from tests.registry.folders import base_folder

QUIET = Hooks(say=lambda _: None)
RECIPE = {"name": "triage", "method": "sft", "base": "base@1", "dataset": "${data.ref}"}
GATE = [{"metric": "exact", "min": 0.8}]


def nightly(file: Path, gate: Any = GATE) -> dict[str, Any]:
    """Dataset, training, evaluation with a gate, export, and a candidate."""
    return {
        "name": "nightly",
        "steps": [
            {"name": "data", "dataset": {"name": "tickets", "file": str(file), "key": "id"}},
            {"train": {"recipe": RECIPE}},
            {"name": "judge", "evaluate": {"suite": "triage", "model": "${train.model}", "gate": gate}},
            {"export": {"model": "${train.model}", "quantization": "q8_0"}},
            {"name": "candidate", "alias": {"model": "${export.model}", "alias": "candidate"}},
            {"name": "ready", "stage": {"model": "${train.model}", "stage": "staging"}},
        ],
    }


def furnish(home: Home, actor: Actor, folder: Path) -> Path:
    """Register the model `base@1`, `held-out@1` and the suite `triage`; return a file with 60 rows."""
    path = folder / "tickets.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in triage_rows(60)))
    registry.register(home, actor, name="base", folder=base_folder(folder / "base"), kind="base")
    datasets.ingest(home, actor, name="held-out", source=triage_rows(60), key="id")
    suite = replace(make_suite("held-out@1"), target={"kind": "model"})
    with home.begin() as uow:
        suites.put(uow, actor, name="triage", suite=suite)
    return path
