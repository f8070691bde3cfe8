"""How a run is carried out, apart from what it learns: processes, memory, price, kept checkpoints, early stopping."""

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean

ZERO = ("zero2", "zero3")
"""Strategies that need DeepSpeed."""
STRATEGIES = ("ddp", "fsdp2", *ZERO)
"""How several processes share the work."""

MAX_PRIORITY = 100
AUTO_GPUS = -1
LAUNCHERS = ("torchrun", "ray")
"""Who starts the processes."""


class PauseAtCheckpoint(Exception):
    """Raised inside the child once the checkpoint of a wanted pause is written; `step` is the steps it holds."""

    def __init__(self, step: int) -> None:
        super().__init__(f"paused at step {step}")
        self.step = step


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """How the run is carried out; none of it changes what a row means."""

    processes: int = 1
    """Processes that share each step's rows."""
    launcher: str = "torchrun"
    """Who starts the processes: torchrun on this machine, or ray on the cluster of the settings."""
    strategy: str = "ddp"
    """Of several processes: ddp (a copy of the weights each), fsdp2 (weights in shards), zero2 or zero3 (DeepSpeed)."""
    priority: int = 0
    """Where memory is short: -100 to 100; runs and deployments with less give way. Above 0 needs the role admin."""
    gradient_accumulation: int = 1
    """Parts in which a step's rows are worked off: less memory, the same step."""
    gradient_checkpointing: bool = False
    """Compute activations twice instead of keeping them: less memory, about a third slower."""
    memory_mb: int = 0
    """Most memory of one training process in MiB, and its claim on the machine's; 0 sets no limit and claims none."""
    gpus: int = AUTO_GPUS
    """GPUs that the run has to itself: -1 takes one per process where the machine has any, 0 computes on the CPU."""
    cost_per_hour: float = 0.0
    """Price of the machine in US dollars per hour, for the estimated cost."""
    keep_checkpoints: int = 2
    """Newest checkpoints kept while it runs, and, as artifacts, afterwards; 0 keeps one, until the run ends."""

    def __post_init__(self) -> None:
        """Check ranges; raises Invalid."""
        if min(self.processes, self.gradient_accumulation) < 1:
            raise Invalid("running.processes and running.gradient_accumulation must be at least 1.")
        if min(self.memory_mb, self.cost_per_hour, self.keep_checkpoints) < 0:
            raise Invalid("running.memory_mb, cost_per_hour and keep_checkpoints must not be below 0.")
        if self.gpus not in (AUTO_GPUS, 0) and self.gpus < self.processes:
            raise Invalid(
                f"running.gpus is -1, 0 or at least one for each of {self.processes} processes, not {self.gpus}."
            )
        if self.launcher == "ray" and self.gpus > 0:
            raise Invalid(
                "running.gpus is for this machine; the launcher ray takes GPUs of its cluster.",
                hint="Leave running.gpus out.",
            )
        if not -MAX_PRIORITY <= self.priority <= MAX_PRIORITY:
            raise Invalid(
                f"running.priority is between -{MAX_PRIORITY} and {MAX_PRIORITY}, not {self.priority}."
            )
        for name, known in (("strategy", STRATEGIES), ("launcher", LAUNCHERS)):
            value = getattr(self, name)
            if value not in known:
                raise Invalid(f"running.{name} {value!r} is unknown.", hint=did_you_mean(value, known))
        if self.launcher == "ray" and self.strategy in ZERO:
            raise Invalid(
                f"running.strategy {self.strategy!r} needs the launcher torchrun.",
                hint="On a Ray cluster use ddp or fsdp2.",
            )

    def gpus_claimed(self) -> int | None:
        """Return the GPUs of this machine that the run wants: None for one per process, if there are any."""
        if self.launcher == "ray":
            return 0
        return None if self.gpus == AUTO_GPUS else self.gpus

    def rows_per_pass(self, batch_size: int) -> int:
        """Return the rows that one process works off at a time; raises Invalid when a step cannot be cut evenly."""
        parts = self.processes * self.gradient_accumulation
        if batch_size % parts:
            raise Invalid(
                f"batch_size {batch_size} cannot be cut into {parts} equal parts "
                f"({self.processes} processes × {self.gradient_accumulation} accumulation).",
                hint=f"Use a multiple of {parts}.",
            )
        return batch_size // parts


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStop:
    """Stop when an evaluation suite no longer improves: each checkpoint is judged before the run goes on."""

    suite: str = ""
    """Name of a stored suite; empty means no early stopping. Its target is replaced by the checkpoint."""
    metric: str = ""
    """Metric of the suite; empty takes its first."""
    direction: str = "maximize"
    """maximize or minimize."""
    patience: int = 2
    """Checkpoints without improvement after which the run stops."""
    min_delta: float = 0.0
    """An improvement smaller than this does not count."""
    restore_best: bool = True
    """End with the weights of the best judged checkpoint instead of the last ones."""

    def __post_init__(self) -> None:
        """Check ranges; raises Invalid."""
        if self.direction not in ("maximize", "minimize"):
            raise Invalid(
                f"early_stop.direction {self.direction!r} is unknown.", hint="Use maximize or minimize."
            )
        if self.patience < 1 or self.min_delta < 0:
            raise Invalid("early_stop.patience must be at least 1 and min_delta at least 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the judged checkpoints say so far."""

    stop: bool
    best_step: int


def verdict(scores: Sequence[tuple[int, float]], rule: EarlyStop) -> Verdict:
    """Return whether to stop after `(step, score)` pairs in the order of their steps, and the best step.

    A later score wins only when it is better by more than `min_delta`, so ties keep the earlier checkpoint.
    """
    sign = 1.0 if rule.direction == "maximize" else -1.0
    best_step, best, since = scores[0][0], sign * scores[0][1], 0
    for step, score in scores[1:]:
        if sign * score > best + rule.min_delta:
            best_step, best, since = step, sign * score, 0
        else:
            since += 1
    return Verdict(stop=since >= rule.patience, best_step=best_step)
