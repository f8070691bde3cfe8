"""What the built-in trainers share: deterministic CPU-safe set-up, loading, previews, progress, checkpoints."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import torch
from peft import LoraConfig, PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback, set_seed

from penstock.core.errors import Invalid

Report = Callable[[dict[str, Any]], None]

PREVIEWS = 3
_SHOWN_ROWS = 10


def prepare(spec: dict[str, Any]) -> None:
    """Fix threads and seeds; more threads than free cores make small models slower by orders of magnitude."""
    torch.set_num_threads(int(spec.get("threads", 1)))
    set_seed(int(spec["seed"]))


def read_rows(path: str) -> list[dict[str, Any]]:
    """Return the rows of a JSONL file."""
    with Path(path).open("rb") as lines:
        return [msgspec.json.decode(line) for line in lines]


def load_policy(spec: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Return (model, tokenizer, new LoRA configuration or None).

    `spec["adapter_folder"]` continues that adapter; else `spec["adapter"]["rank"]` above zero asks for a new one.
    """
    tokenizer = AutoTokenizer.from_pretrained(spec["model_folder"])
    if not tokenizer.chat_template:
        raise Invalid(
            "The base model's tokenizer has no chat template.",
            hint="Add chat_template to tokenizer_config.json.",
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = AutoModelForCausalLM.from_pretrained(spec["model_folder"], dtype=torch.float32)
    adapter = spec["adapter"]
    if spec.get("adapter_folder"):
        return PeftModel.from_pretrained(model, spec["adapter_folder"], is_trainable=True), tokenizer, None
    if not adapter["rank"]:
        return model, tokenizer, None
    config = LoraConfig(
        r=adapter["rank"],
        lora_alpha=adapter["alpha"],
        lora_dropout=adapter["dropout"],
        target_modules=adapter["targets"],
        task_type="CAUSAL_LM",
    )
    return model, tokenizer, config


def refuse_long(lengths: Iterable[int], limit: int) -> None:
    """Raise Invalid that names the rows (counted from 1) with more than `limit` tokens."""
    long = [(number, length) for number, length in enumerate(lengths, start=1) if length > limit]
    if not long:
        return
    named = ", ".join(f"row {number}: {length}" for number, length in long[:_SHOWN_ROWS])
    raise Invalid(
        f"{len(long)} rows have more than max_length = {limit} tokens ({named}).",
        hint="Raise max_length, or shorten or drop these rows; nothing was run.",
    )


def arguments(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments that SFTConfig and DPOConfig share, safe on a CPU."""
    cpu = not torch.cuda.is_available()
    return {
        "output_dir": str(Path(spec["workdir"]) / "checkpoints"),
        "num_train_epochs": spec["epochs"],
        "per_device_train_batch_size": spec["batch_size"],
        "learning_rate": spec["learning_rate"],
        "lr_scheduler_type": "constant_with_warmup" if spec["schedule"] == "constant" else spec["schedule"],
        "warmup_steps": spec["warmup_steps"],
        "weight_decay": spec["weight_decay"],
        "max_length": spec["max_length"],
        "seed": spec["seed"],
        "data_seed": spec["seed"],
        "logging_steps": spec["log_steps"],
        "save_strategy": "steps",
        "save_steps": spec["checkpoint_steps"],
        "save_total_limit": 2,
        "use_cpu": cpu,
        "bf16": not cpu,
        "gradient_checkpointing": False,
        "disable_tqdm": True,
        "report_to": [],
        "dataloader_num_workers": 0,
    }


def last_checkpoint(spec: dict[str, Any]) -> str | None:
    """Return the newest checkpoint that was written to its end, or None."""
    folders = (Path(spec["workdir"]) / "checkpoints").glob("checkpoint-*")
    for folder in sorted(folders, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True):
        # trainer_state.json is what the library writes last.
        state = folder / "trainer_state.json"
        if state.exists() and (folder / "optimizer.pt").exists():
            try:
                msgspec.json.decode(state.read_bytes())
            except msgspec.DecodeError:
                continue
            return str(folder)
    return None


class Progress(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Turns the library's logs into reports: step, steps, loss, learning rate, tokens/s and seconds left."""

    def __init__(self, report: Report, tokens_per_step: float) -> None:
        self._report = report
        self._tokens = tokens_per_step
        self._began: tuple[int, float] | None = None

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002 - the library's signature
        """Start the clock at the first step, which after a resume is not step 0."""
        if self._began is None:
            self._began = (state.global_step, time.monotonic())

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002 - the library's signature
        """Report every number that was logged."""
        if self._began is None or not logs or "loss" not in logs:
            return
        first, began = self._began
        rate = (state.global_step - first) / max(time.monotonic() - began, 1e-6)
        numbers = {
            name.replace("/", "_"): value for name, value in logs.items() if isinstance(value, int | float)
        }
        self._report(
            {
                "stage": "train",
                "step": state.global_step,
                "steps": state.max_steps,
                "tokens_per_second": round(rate * self._tokens, 1),
                "eta_seconds": round((state.max_steps - state.global_step) / max(rate, 1e-6), 1),
                **numbers,
            }
        )


def finish(trainer: Any, tokenizer: Any, spec: dict[str, Any], rows: int) -> dict[str, Any]:
    """Save the result in `workdir/model` and return what the parent needs: folder, kind, steps and final metrics."""
    folder = Path(spec["workdir"]) / "model"
    model = trainer.model
    adapter = isinstance(model, PeftModel)
    if adapter:
        # The folder it was loaded from means nothing elsewhere.
        model.peft_config["default"].base_model_name_or_path = spec["base_ref"]
        # The frozen copy of the starting policy that preference losses compare with is not part of the result.
        model.save_pretrained(folder, selected_adapters=["default"])
        (folder / "README.md").unlink(missing_ok=True)
    else:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    logged = [entry for entry in trainer.state.log_history if "loss" in entry]
    last = {name.replace("/", "_"): value for name, value in (logged[-1] if logged else {}).items()}
    return {
        "folder": str(folder),
        "kind": "adapter" if adapter else "base",
        "steps": trainer.state.global_step,
        "rows": rows,
        "metrics": {name: value for name, value in last.items() if isinstance(value, int | float)},
        "trained_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
    }
