"""Training across processes and nodes, on quantised weights, and of packed rows: it must come to the same."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from penstock.training.supervisor import run_child
from tests.training import many, tiny

ROWS = [
    {"messages": [{"role": "user", "content": f"give me {word} {n}"}], "completion": f"word: {word}"}
    for n in range(8)
    for word in tiny.WORDS
]
pytestmark = [pytest.mark.heavy, pytest.mark.slow, pytest.mark.timeout(1800)]

ENVIRONMENT = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
Curve = list[tuple[int, float]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.base(tmp_path_factory.mktemp("base"))


def given(folder: Path, base: Path, **changes: Any) -> dict[str, Any]:
    plain = {"method": "sft", "epochs": 1, "learning_rate": 0.01, "checkpoint_steps": 2}
    return many.spec(folder, base, ROWS, **{**plain, "adapter": {"rank": 0}, **changes})


def train(spec: dict[str, Any]) -> tuple[Curve, dict[str, Any]]:
    curve: Curve = []

    def hear(report: dict[str, Any]) -> None:
        if report.get("stage") == "train":
            curve.append((report["step"], report["loss"]))

    folder = Path(spec["workdir"])
    return curve, run_child(
        "trainers", "sft", spec, workdir=folder, on_progress=hear, environment=ENVIRONMENT, nice=0
    )


def same(one: Curve, other: Curve, tolerance: float) -> bool:
    steps = [step for step, _ in one] == [step for step, _ in other]
    return steps and [loss for _, loss in one] == pytest.approx([loss for _, loss in other], rel=tolerance)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, base: Path) -> Curve:
    curve, result = train(given(tmp_path_factory.mktemp("alone"), base))
    assert (result["steps"], len(curve)) == (3, 3)
    assert curve[-1][1] < curve[0][1]
    return curve


ZERO = pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs the extra deepspeed")


@pytest.mark.parametrize(
    "strategy", ["fsdp2", pytest.param("zero2", marks=ZERO), pytest.param("zero3", marks=ZERO)]
)
def test_shards_learn_what_one_process_does_and_go_on_from_their_checkpoint(
    tmp_path: Path, base: Path, alone: Curve, strategy: str
) -> None:
    spec = given(tmp_path, base, running={"processes": 2, "strategy": strategy})
    whole, result = train(spec)
    assert same(whole, alone, 1e-3)
    assert (Path(result["folder"]) / "model.safetensors").exists()
    shutil.rmtree(tmp_path / "checkpoints" / "checkpoint-3")
    shutil.rmtree(result["folder"])
    rest, result = train(spec)
    assert same(rest, whole[2:], 1e-4)
    assert (Path(result["folder"]) / "model.safetensors").exists()


@pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="needs the extra qlora")
def test_an_adapter_learns_on_quantised_weights(tmp_path: Path, base: Path) -> None:
    jobs = {
        kind: given(tmp_path / kind, base, epochs=4, adapter={"rank": 8, "quantise": kind})
        for kind in ("4bit", "8bit")
    }
    for kind, made in many.run(jobs, tmp_path).items():
        assert "result" in made, (kind, made)
        losses = [report["loss"] for report in made["reports"] if report.get("stage") == "train"]
        assert losses[-1] < losses[0] - 0.3, kind
        assert made["result"]["kind"] == "adapter"
        folder = Path(made["result"]["folder"])
        assert (folder / "adapter_model.safetensors").exists()
        assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == "base@1"


def test_packed_rows_do_not_see_each_other(tmp_path: Path, base: Path) -> None:
    spec = given(tmp_path, base, packing=True, batch_size=1)
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.packed", str(tmp_path / "spec.json")],
        capture_output=True,
        text=True,
        timeout=280,
        env=environment | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["rows"] == len(ROWS)
    assert found["sequences"] < len(ROWS)
    assert found["apart"] < 1e-5
    assert found["joined"] > 1e-3
