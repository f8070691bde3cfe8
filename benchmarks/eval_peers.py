"""CPU per sample of an evaluation's runner, beside Inspect and MLflow, in one run.

Run: python benchmarks/eval_peers.py [SAMPLES]

Each runner puts the same rows to a model that answers at once, inside its own process, and scores the answers by exact
match; Penstock's is asked 100 at once, each call reserved, answered and stored like one that costs money. The CPU of a
larger run less that of a smaller one, divided by the extra samples, leaves out everything that is paid once. The
others are installed from PyPI on first use, into folders of their own (see peers.py). Inspect writes its log file and
MLflow its traces to SQLite, as both do unless told otherwise.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from peers import environment, version

ROOT = Path(__file__).parents[1]
HEAD = """
import sys, time
few, many = int(sys.argv[1]), int(sys.argv[2])
def question(number): return f"ticket {number}: " + "words " * 60
def measured(run):
    run(few)
    spent = []
    for size in (few, many):
        best = float("inf")
        for _ in range(2):
            began = time.process_time()
            run(size)
            best = min(best, time.process_time() - began)
        spent.append(best)
    print(1000 * (spent[1] - spent[0]) / (many - few))
"""
INSPECT = """
from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import exact
from inspect_ai.solver import generate
def answer(*_):
    # With the tokens said, Inspect need not count them, for which it would fetch a tokenizer.
    said = ModelOutput.from_content("mockllm/model", "refund")
    said.usage = ModelUsage(input_tokens=70, output_tokens=1, total_tokens=71)
    return said
def run(size):
    rows = MemoryDataset([Sample(input=question(n), target="refund") for n in range(size)])
    task = Task(dataset=rows, solver=generate(), scorer=exact())
    model = get_model("mockllm/model", custom_outputs=answer, memoize=False)
    done = eval(task, model=model, display="none", log_dir="logs", max_connections=100)
    assert done[0].status == "success", done[0].error
    assert done[0].results.scores[0].metrics["mean"].value == 1.0
measured(run)
"""
MLFLOW = """
import os
os.environ |= {"MLFLOW_TRACKING_URI": "sqlite:///mlflow.db", "MLFLOW_ENABLE_ASYNC_TRACE_LOGGING": "false"}
import mlflow
from mlflow.genai.scorers import scorer
@scorer
def exact(outputs, expectations): return outputs == expectations["expected_response"]
def answer(question): return "refund"
def run(size):
    rows = [
        {"inputs": {"question": question(n)}, "expectations": {"expected_response": "refund"}} for n in range(size)
    ]
    mlflow.genai.evaluate(data=rows, predict_fn=answer, scorers=[exact])
measured(run)
"""
PENSTOCK = """
import tempfile
from pathlib import Path
from penstock.core import log
from penstock.core.auth import service as auth
from penstock.core.home import Home
from penstock.datasets import service as datasets
from penstock.evals import service
from penstock.evals.suite import ScorerSpec, Suite
async def answer(sample): return "refund"
log.configure("error", "line")
with tempfile.TemporaryDirectory() as folder, Home.open(Path(folder) / "home") as home:
    with home.begin() as uow:
        actor = auth.ensure_owner(uow)[0].actor()
    for size in (few, many):
        rows = [{"id": str(n), "prompt": question(n), "completion": "refund"} for n in range(size)]
        datasets.ingest(home, actor, name=f"bench-{size}", source=rows, key="id")
    def run(size):
        suite = Suite(
            name="bench", dataset=f"bench-{size}@1", scorers=(ScorerSpec(name="exact"),),
            target={"kind": "callable"}, concurrency=100,
        )
        done = service.run(home, actor, suite=suite, target=answer)
        assert done.metric("exact").value == 1.0
    measured(run)
"""
PEERS = {"Inspect": (INSPECT, "inspect", "inspect-ai"), "MLflow": (MLFLOW, "mlflow", "mlflow")}
"""Name → its script, its environment's name, its package."""


def spent(python: str, script: str, few: int, many: int) -> float:
    """Return milliseconds of CPU per sample."""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        command = [python, "-c", HEAD + script, str(few), str(many)]
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return float(done.stdout.split()[-1])


def main(count: int) -> None:
    """Print what each runner costs."""
    own = spent(sys.executable, PENSTOCK, count // 5, count)
    print(f"{'Penstock':<20}{own:8.3f} ms CPU per sample", flush=True)
    for name, (script, folder, package) in PEERS.items():
        python = environment(folder, package)
        # They are so much dearer that a tenth of the samples says as much.
        theirs = spent(str(python), script, count // 50, count // 10)
        versioned = f"{name} {version(python, package)}"
        print(f"{versioned:<20}{theirs:8.3f} ms CPU per sample, {theirs / own:.0f} times as much", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
