"""Several trainers one after another in one child process, so that the libraries are loaded once.

Run as: python -m tests.training.many JOBS.json RESULTS.json
"""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from penstock.core.errors import PenstockError
from penstock.training.recipe import merge, parse

_SECONDS = 280


def spec(folder: Path, base: Path, rows: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """Return what a trainer is given: a whole recipe, the rows, the start's folder."""
    plain = {
        "name": "m",
        "base": "base@1",
        "dataset": "d@1",
        "batch_size": 8,
        "log_steps": 1,
        "max_length": 128,
    }
    recipe = parse(merge({**plain, "checkpoint_steps": 1000}, changes)).to_dict()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = {"train_file": str(folder / "train.jsonl"), "workdir": str(folder), "base_ref": "base@1"}
    folders = {"model_folder": str(base), "reward_folders": [""] * len(recipe["rewards"])}
    return {**recipe, **given, **folders, "shown": 3}


def run(jobs: dict[str, dict[str, Any]], folder: Path, *, python: str = sys.executable) -> dict[str, Any]:
    """Run the specs in order; returns name → `{"result", "reports"}` or `{"error", "hint"}`."""
    given, made = folder / "jobs.json", folder / "results.json"
    given.write_text(json.dumps(jobs))
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        [python, "-m", "tests.training.many", str(given), str(made)],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(made.read_text())
    return found


def _one(job: dict[str, Any]) -> dict[str, Any]:
    reports: list[dict[str, Any]] = []
    plugin = job.get("plugin") or job["method"]
    trainer = importlib.import_module(f"penstock.training.trainers.{plugin}")
    try:
        return {"result": trainer.run(job, reports.append), "reports": reports}
    except PenstockError as error:
        return {"error": error.message, "hint": error.hint, "reports": reports}


if __name__ == "__main__":
    wanted = json.loads(Path(sys.argv[1]).read_text())
    Path(sys.argv[2]).write_text(json.dumps({name: _one(job) for name, job in wanted.items()}))
