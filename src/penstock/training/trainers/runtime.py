"""What the built-in trainers share: deterministic CPU-safe set-up, loading, previews, progress, checkpoints."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
import torch
from peft import PeftModel
from transformers import TrainerCallback, set_seed

from penstock.core.errors import Invalid
from penstock.training.reporting import Reporter
from penstock.training.running import PauseAtCheckpoint, Running
from penstock.training.trainers import distributed

Report = Callable[[dict[str, Any]], None]

PREVIEWS = 3
_SHOWN_ROWS = 10
OPTIMIZER_STATES = ("optimizer.pt", "optimizer.bin", "global_step*")
"""Where the optimiser's state lies in a checkpoint: of one process or DDP, of FSDP, and of DeepSpeed."""


def prepare(spec: dict[str, Any]) -> None:
    """Fix threads, seeds and algorithms: on a CPU the same spec gives the same weights.

    More threads than free cores make small models slower by orders of magnitude.
    """
    torch.set_num_threads(int(spec.get("threads", 1)))
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    set_seed(int(spec["seed"]))


def read_rows(path: str) -> list[dict[str, Any]]:
    """Return the rows of a JSONL file."""
    with Path(path).open("rb") as lines:
        return [msgspec.json.decode(line) for line in lines]


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
    running = Running(**spec.get("running", {}))
    return {
        "output_dir": str(Path(spec["workdir"]) / "checkpoints"),
        "num_train_epochs": spec["epochs"],
        "per_device_train_batch_size": running.rows_per_pass(spec["batch_size"]),
        "gradient_accumulation_steps": running.gradient_accumulation,
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
        "save_total_limit": max(running.keep_checkpoints, 1),
        "use_cpu": cpu,
        "bf16": not cpu,
        "gradient_checkpointing": running.gradient_checkpointing,
        "disable_tqdm": True,
        "report_to": [],
        "dataloader_num_workers": 0,
        **distributed.arguments(running, cpu=cpu),
    }


def last_checkpoint(spec: dict[str, Any]) -> str | None:
    """Return the newest checkpoint that was written to its end, or None."""
    folders = (Path(spec["workdir"]) / "checkpoints").glob("checkpoint-*")
    for folder in sorted(folders, key=lambda path: int(path.name.rpartition("-")[2]), reverse=True):
        # trainer_state.json is what the library writes last.
        state = folder / "trainer_state.json"
        if state.exists() and any(any(folder.glob(name)) for name in OPTIMIZER_STATES):
            try:
                msgspec.json.decode(state.read_bytes())
            except msgspec.DecodeError:
                continue
            return str(folder)
    return None


class Progress(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Turns the library's logs into reports, and answers the supervisor: pauses, verdicts on checkpoints.

    A report has step, steps, loss, learning rate, gradient norm, tokens/s and seconds left. A checkpoint is always
    written right after a log, so that a run that goes on from it logs the same losses as one that was never stopped.
    """

    def __init__(self, report: Report, tokens_per_step: float) -> None:
        self._report = report
        self._channel = report if isinstance(report, Reporter) else None
        self._tokens = tokens_per_step
        self._began: tuple[int, float] | None = None
        self._pausing = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Judge the checkpoint that the run goes on from, in case it was stopped before the verdict."""
        if state.global_step:
            self._judge(args, state, control)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002 - the library's signature
        """Start the clock at the first step, which after a resume is not step 0."""
        if self._began is None:
            self._began = (state.global_step, time.monotonic())

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002 - the library's signature
        """Log whenever a checkpoint is due, and write a checkpoint when a pause is wanted."""
        if control.should_save:
            control.should_log = True
        if self._channel is None or not control.should_log or state.global_step >= state.max_steps:
            return
        if distributed.agreed(self._channel.pause_wanted()):
            self._pausing = control.should_save = True

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Report the checkpoint; wait for its verdict; leave when a pause is wanted."""
        if self._channel is None:
            return
        if not self._channel.judged:
            self._report({"stage": "checkpoint", "step": state.global_step})
        self._judge(args, state, control)
        if self._pausing:
            raise PauseAtCheckpoint(state.global_step)

    def _judge(self, args: Any, state: Any, control: Any) -> None:
        if self._channel is None or not self._channel.judged:
            return
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        found = {"stop": False, "best_step": 0}
        if self._channel.rank == 0:
            found = self._channel.verdict(state.global_step, str(folder))
        best = distributed.agreed(found["best_step"])
        if distributed.agreed(found["stop"]):
            control.should_training_stop = True
        if best:
            state.best_model_checkpoint = str(Path(args.output_dir) / f"checkpoint-{best}")

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
    """Save the result in `workdir/model` and return what the parent needs: folder, kind, steps and final metrics.

    Ends with the best judged checkpoint when the recipe stops early on a suite and asks for it.
    """
    folder = Path(spec["workdir"]) / "model"
    model = trainer.model
    adapter = isinstance(model, PeftModel)
    best = trainer.state.best_model_checkpoint if spec.get("early_stop", {}).get("restore_best") else None
    if best:
        trainer._load_best_model()
    trained = sum(distributed.size(p) for p in model.parameters() if p.requires_grad)
    distributed.check_sharding(spec, trainer)
    if distributed.sharded(spec):
        trainer.save_model(str(folder))
        if trainer.is_world_process_zero():
            _tidy(folder, spec["base_ref"])
    elif trainer.is_world_process_zero():
        _save(model, tokenizer, folder, base=spec["base_ref"])
    distributed.meet()
    logged = [entry for entry in trainer.state.log_history if "loss" in entry]
    last = {name.replace("/", "_"): value for name, value in (logged[-1] if logged else {}).items()}
    if best:
        last["best_step"] = int(best.rpartition("-")[2])
    return {
        "folder": str(folder),
        "kind": "adapter" if adapter else "base",
        "steps": trainer.state.global_step,
        "rows": rows,
        "metrics": {name: value for name, value in last.items() if isinstance(value, int | float)},
        "trained_parameters": trained,
    }


def _save(model: Any, tokenizer: Any, folder: Path, *, base: str) -> None:
    if not isinstance(model, PeftModel):
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return
    # The folder it was loaded from means nothing elsewhere.
    model.peft_config["default"].base_model_name_or_path = base
    # The frozen copy of the starting policy that preference losses compare with is not part of the result.
    model.save_pretrained(folder, selected_adapters=["default"])
    (folder / "README.md").unlink(missing_ok=True)


def _tidy(folder: Path, base: str) -> None:
    """Make a folder that the library wrote like one that `_save` writes."""
    for name in ("training_args.bin", "README.md"):
        (folder / name).unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    if path.exists():
        config = msgspec.json.decode(path.read_bytes())
        path.write_bytes(
            msgspec.json.format(msgspec.json.encode({**config, "base_model_name_or_path": base}), indent=2)
        )
