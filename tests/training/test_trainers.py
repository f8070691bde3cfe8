"""The real trainers in real child processes, on a model small enough to make in seconds."""

import json
import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import ChildFailed, Invalid
from penstock.core.home import Home
from penstock.datasets import service as datasets
from penstock.registry import service as registry
from penstock.training import service
from penstock.training.model import TrainingRun
from tests.conftest import owner_of
from tests.training.stage import recipe

pytestmark = pytest.mark.heavy

TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
ROWS = [{"text": f"give me {w} {n}", "label": f"word: {w}"} for n in range(12) for w in ("tea", "milk")]


def pretrain_spec(folder: Path, **changes: Any) -> dict[str, Any]:
    """Return a spec that makes a model of a few thousand parameters in a few steps."""
    rows = [{"messages": [{"role": "user", "content": r["text"]}], "completion": r["label"]} for r in ROWS]
    plain = [{"context": f"{r['text']}\n\n", "text": "> on its way"} for r in ROWS]
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("train", rows + plain), ("probe", rows)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
    spec = {
        "train_file": str(folder / "train.jsonl"),
        "probe_file": str(folder / "probe.jsonl"),
        "workdir": str(folder),
        "tokenizer": {"vocab_size": 320, "rows": 40, "chat_template": TEMPLATE},
        "model": {**shape, "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 128},
        "batch_tokens": 400,
        "learning_rate": 3e-3,
        "context_share": 0.1,
        "warmup_steps": 2,
        "cooldown_steps": 4,
        "probe_from": 4,
        "probe_steps": 4,
        "probe_pass": {"word": 0.0},
        "max_steps": 12,
        "doubt_step": 12,
        "doubt_below": 0.0,
        "attempts": 1,
        "seed": 0,
        "threads": 1,
    }
    return {**spec, **changes}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model and its tokenizer, made by the pretrain trainer."""
    reports: list[dict[str, Any]] = []
    spec = pretrain_spec(tmp_path_factory.mktemp("base"))
    made = service.run_trainer("pretrain", spec, on_progress=reports.append)
    assert (made["kind"], made["steps"], made["attempts"][0]["passed"]) == ("base", 8, True)
    assert [report["stage"] for report in reports] == ["tokenizer", "probe"]
    assert 0.0 <= made["metrics"]["probe_word"] <= 1.0
    return Path(made["folder"])


@pytest.fixture
def furnished(sqlite_home: Home, base: Path) -> Home:
    """A home with that base model and a dataset."""
    actor = owner_of(sqlite_home)
    registry.register(sqlite_home, actor, name="base", folder=base, kind="base")
    datasets.ingest(sqlite_home, actor, name="tickets", source=ROWS)
    return sqlite_home


def test_a_base_model_that_never_passes_is_given_up(tmp_path: Path) -> None:
    spec = pretrain_spec(tmp_path, probe_pass={"word": 1.01}, attempts=2)
    with pytest.raises(ChildFailed, match=r"after 2 attempts \(seed 0: .*; seed 1000: "):
        service.run_trainer("pretrain", spec)


def test_pretraining_goes_on_after_a_kill_and_ends_the_same(tmp_path: Path) -> None:
    whole = service.run_trainer("pretrain", pretrain_spec(tmp_path / "whole"))
    spec = pretrain_spec(tmp_path / "cut", max_steps=12, probe_pass={"word": 1.01})
    with pytest.raises(ChildFailed):
        service.run_trainer("pretrain", {**spec, "max_steps": 4, "doubt_step": 4})
    assert (tmp_path / "cut" / "attempt-0" / "state.pt").exists()
    spec = pretrain_spec(tmp_path / "cut")
    reports: list[dict[str, Any]] = []
    resumed = service.run_trainer("pretrain", spec, on_progress=reports.append)
    assert resumed["steps"] == 12
    assert resumed["metrics"].keys() == whole["metrics"].keys()
    assert [r["step"] for r in reports if r["stage"] == "probe"] == [8]


def test_fine_tuning_and_preferences_end_as_adapters_of_the_same_base(furnished: Home) -> None:
    actor = owner_of(furnished)
    tuned = service.execute(furnished, actor, recipe(epochs=2, batch_size=8, learning_rate=0.01, log_steps=1))
    example = tuned.examples[0]
    assert example["context"] == "<|im_start|>user\ngive me tea 0<|im_end|>\n<|im_start|>assistant\n"
    assert example["trained"] == "word: tea<|im_end|>\n"
    assert tuned.metrics["steps"] == 6
    with furnished.read() as uow:
        losses = [p.values["loss"] for p in service.metrics(uow, actor, run_id=tuned.id)]
        assert registry.get(uow, actor, ref=str(tuned.model)).base == "base@1"
    assert len(losses) == 6
    assert losses[-1] < losses[0]
    folder = registry.materialize(furnished, actor, ref=str(tuned.model))
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == "base@1"

    pairs = [{"text": r["text"], "chosen": r["label"], "rejected": "word: no"} for r in ROWS[:8]]
    datasets.ingest(furnished, actor, name="fixes", source=pairs)
    changes = {
        "method": "dpo",
        "base": "triage@1",
        "dataset": "fixes",
        "replay": {"dataset": "tickets@1", "limit": 8},
        "preference": {"losses": ["sigmoid", "sft"]},
        "log_steps": 1,
    }
    better = service.execute(furnished, actor, recipe(**changes))
    assert better.metrics["rows"] == 16
    assert "rewards_accuracies" in better.metrics
    assert better.examples[0]["rejected"] == "word: no<|im_end|>\n"
    with furnished.read() as uow:
        made = registry.get(uow, actor, ref=str(better.model))
    assert (made.ref, made.kind, made.base) == ("triage@2", "adapter", "base@1")
    assert sorted(file.path for file in made.files) == ["adapter_config.json", "adapter_model.safetensors"]


def test_rows_that_are_too_long_are_named_before_the_run(furnished: Home) -> None:
    with pytest.raises(Invalid, match=r"24 rows have more than max_length = 5 tokens \(row 1: "):
        service.execute(furnished, owner_of(furnished), recipe(max_length=5))


def test_a_killed_run_goes_on_from_its_checkpoint(furnished: Home) -> None:
    actor = owner_of(furnished)
    slow = recipe(epochs=20, batch_size=4, checkpoint_steps=5, log_steps=1)
    killed = threading.Event()

    def kill(report: dict[str, Any]) -> None:
        if report.get("step", 0) >= 12 and not killed.is_set():
            killed.set()
            for entry in Path("/proc").glob("[0-9]*"):
                if _is_child(entry):
                    os.kill(int(entry.name), signal.SIGKILL)

    with pytest.raises(ChildFailed, match="SIGKILL"):
        service.execute(furnished, actor, slow, key="k", progress=kill)
    steps: list[int] = []
    run: TrainingRun = service.execute(
        furnished, actor, slow, key="k", progress=lambda r: steps.append(r["step"]) if "step" in r else None
    )
    assert run.state == "succeeded"
    assert steps[0] > 10
    assert steps[-1] == run.metrics["steps"] == 120
    with furnished.read() as uow:
        assert [p.step for p in service.metrics(uow, actor, run_id=run.id)] == list(range(1, 121))


def _is_child(entry: Path) -> bool:
    """Whether the process is a trainer started by this one."""
    try:
        words = (entry / "cmdline").read_bytes().split(b"\0")
        parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return False
    return parent == os.getpid() and b"penstock.training.child" in words
