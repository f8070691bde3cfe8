"""A dataset, a base model and a scripted trainer to run recipes on without torch."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import service as datasets
from penstock.registry import service as registry
from penstock.training.recipe import Recipe, merge, parse
from tests.registry.folders import adapter_folder, base_folder

ROWS = [{"text": f"mail {n}", "label": f"category: c{n % 3}\npriority: p{n % 2}"} for n in range(12)]
PAIRS = [{"prompt": f"mail {n}", "chosen": "category: c1", "rejected": "category: c2"} for n in range(5)]


def furnish(home: Home, actor: Actor, folder: Path) -> None:
    """Register `tickets@1` (12 rows), `pairs@1` (5 pairs) and the model `base@1`."""
    datasets.ingest(home, actor, name="tickets", source=ROWS)
    datasets.ingest(home, actor, name="pairs", source=PAIRS)
    registry.register(home, actor, name="base", folder=base_folder(folder / "base"), kind="base")


def recipe(**changes: Any) -> Recipe:
    """Return an sft recipe on the furnished things, with changes."""
    plain = {
        "name": "triage",
        "method": "sft",
        "base": "base@latest",
        "dataset": "tickets@latest",
        "columns": {"prompt": "text", "completion": "label"},
    }
    return parse(merge(plain, changes))


class Trainer:
    """Stands in for the child process: remembers what it was given and leaves an adapter behind."""

    def __init__(self, then: Callable[[dict[str, Any]], None] | None = None) -> None:
        self.specs: list[dict[str, Any]] = []
        self.rows: list[str] = []
        self._then = then

    def __call__(
        self, group: str, name: str, spec: dict[str, Any], *, workdir: Path, on_progress: Any, **_: Any
    ) -> dict[str, Any]:
        """Take the place of `core.children.run_child`."""
        self.specs.append({**spec, "plugin": f"{group}/{name}"})
        self.rows = Path(spec["train_file"]).read_text().splitlines()
        (workdir / "child.log").write_text("step 1\nstep 2\n")
        on_progress({"stage": "preview", "examples": [{"context": "mail", "trained": "category: c0"}]})
        for step in (1, 2):
            speed = {"tokens_per_second": 100.0, "eta_seconds": 1.0, "learning_rate": 0.1}
            on_progress({"stage": "train", "step": step, "steps": 2, "loss": 1.0 / step, **speed})
        if self._then:
            self._then(spec)
        folder = adapter_folder(workdir / "model")
        result = {"folder": str(folder), "kind": "adapter", "steps": 2, "metrics": {"loss": 0.5}}
        return {**result, "trained_parameters": 8}
