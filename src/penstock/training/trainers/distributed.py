"""Several processes on one step: arguments of the library for DDP, FSDP2 and ZeRO, and agreement between them."""

import os
from functools import wraps
from importlib.util import find_spec
from typing import Any

import torch
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType
from torch import distributed as dist
from torch.distributed.tensor import DTensor

from penstock.core.errors import MissingExtra
from penstock.training.running import ZERO, Running

_TIMEOUT_SECONDS = 6 * 3600
"""How long a process waits for the others: a checkpoint's evaluation may take long."""


def world() -> int:
    """Return how many processes share the work."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def agreed(value: int) -> int:
    """Return the first process's `value` in all of them, so that all stop at the same step."""
    if world() == 1:
        return int(value)
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    shared = torch.tensor([int(value)], device=device)
    dist.broadcast(shared, src=0)
    return int(shared.item())


def meet() -> None:
    """Wait until all processes are here."""
    if world() > 1:
        dist.barrier()


def sharded(spec: dict[str, Any]) -> bool:
    """Whether no process holds all the weights."""
    running = spec.get("running", {})
    return bool(running.get("processes", 1) > 1 and running.get("strategy") in ("fsdp2", "zero3"))


def arguments(running: Running, *, cpu: bool) -> dict[str, Any]:
    """Return the library's arguments for the recipe's processes; none for one process."""
    if running.processes == 1 and "RANK" not in os.environ:
        return {}
    found: dict[str, Any] = {"ddp_timeout": _TIMEOUT_SECONDS, "average_tokens_across_devices": True}
    found["ddp_backend"] = "gloo" if cpu else "nccl"
    if running.strategy == "fsdp2":
        if cpu:
            _shard_without_gpu()
        found["fsdp"] = True
        found["fsdp_config"] = {"version": 2, "state_dict_type": "FULL_STATE_DICT"}
    if running.strategy in ZERO:
        found["deepspeed"] = _zero(running, cpu=cpu)
    return found


def _shard_without_gpu() -> None:
    """Let the library shard over gloo too: it does so on accelerators alone, though torch's `fully_shard` needs none.

    Without this it would fall back to whole copies and say nothing.
    """
    original = AcceleratorState.__init__

    @wraps(original)
    def sharding(self: Any, *args: Any, **options: Any) -> None:
        original(self, *args, **options)
        plugin = options.get("fsdp_plugin")
        if plugin is not None and self.distributed_type == DistributedType.MULTI_CPU:
            self.distributed_type = DistributedType.FSDP
            self.fsdp_plugin = plugin
            PartialState._shared_state["distributed_type"] = DistributedType.FSDP

    AcceleratorState.__init__ = sharding


def check_sharding(spec: dict[str, Any], trainer: Any) -> None:
    """Raise RuntimeError when the recipe asked for shards and the library did not cut anything."""
    running = spec.get("running", {})
    strategy = running.get("strategy") if running.get("processes", 1) > 1 else ""
    if strategy == "fsdp2":
        done = any(isinstance(parameter, DTensor) for parameter in trainer.model.parameters())
    elif strategy in ZERO:
        stage = getattr(trainer.model_wrapped, "zero_optimization_stage", lambda: 0)()
        done = stage == int(strategy[-1])
    else:
        return
    if not done:
        raise RuntimeError(f"The library did not shard the model although {strategy} was asked for.")


def size(parameter: Any) -> int:
    """Return how many numbers a parameter has; ZeRO-3 keeps its shape elsewhere, and an empty tensor in its place."""
    return int(getattr(parameter, "ds_numel", parameter.numel()))


def _zero(running: Running, *, cpu: bool) -> dict[str, Any]:
    """Return DeepSpeed's configuration (https://www.deepspeed.ai/docs/config-json/); raises MissingExtra."""
    if find_spec("deepspeed") is None:
        raise MissingExtra("deepspeed", f"The strategy {running.strategy!r}")
    stage = int(running.strategy[-1])
    return {
        "zero_optimization": {
            "stage": stage,
            "stage3_gather_16bit_weights_on_model_save": stage == 3,
        },
        "bf16": {"enabled": not cpu},
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "zero_allow_untested_optimizer": True,
    }
