"""Nouns of optimisation: what shall be tried, what was measured, and how the choice is made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean
from penstock.training.model import MAX_PRIORITY

PARENT = "parent"
"""Stands where a variant's method stands, for the measured parent itself."""


class OptimiseState(StrEnum):
    """Where an optimisation or one of its variants stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({OptimiseState.SUCCEEDED, OptimiseState.FAILED, OptimiseState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One variant that shall be made: a method and all its options."""

    method: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a variant costs, measured in a process of its own that did nothing else."""

    size_bytes: int
    """Of all its files."""
    load_s: float
    """Seconds from a file on the disk to a model that can answer; libraries were imported before."""
    start_s: float
    """Seconds from an empty process to a model that can answer: what a cold start takes."""
    memory_bytes: int
    """The most memory the process held while it answered, libraries included."""
    tokens_per_s: float
    """Tokens after the first, per second, one answer at a time."""
    first_token_s: float
    """Median of the seconds from the prompt to the first token."""
    prompts: int
    tokens: int
    """Tokens generated in all."""
    provider: str = ""
    """What the tokens were computed on, as the library itself says: CPUExecutionProvider, cuda …"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """A variant's figure on the suite and its paired difference from the parent's."""

    metric: str
    value: float
    low: float | None
    high: float | None
    n: int
    higher_is_better: bool
    eval_run: str
    delta: float | None = None
    """Variant minus parent on the samples both answered; None for the parent."""
    delta_low: float | None = None
    delta_high: float | None = None
    p_value: float | None = None
    detectable: float | None = None
    """The smallest true difference so many samples would have shown with 80 % power."""
    worse: bool | None = None
    """Whether the choice's rule calls it worse than the parent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One variant of the parent, or the parent itself at position 0."""

    position: int
    method: str
    options: Mapping[str, Any]
    state: OptimiseState = OptimiseState.QUEUED
    version: str | None = None
    """`name@number` in the registry, once it was made."""
    runner: str = ""
    """What measured it: transformers, gguf, onnx, ctranslate2."""
    figures: Figures | None = None
    quality: Quality | None = None
    error: str | None = None


COSTS = {
    "tokens_per_s": -1,
    "first_token_s": 1,
    "load_s": 1,
    "memory_bytes": 1,
    "size_bytes": 1,
}
"""What `cheapest` may go by → 1 when less is cheaper, -1 when more is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """How the variant to use is chosen: the cheapest among those whose quality is not significantly worse."""

    by: str = "tokens_per_s"
    """The cost that decides, a key of COSTS."""
    metric: str = ""
    """The suite's metric that stands for quality; empty takes the first scorer's that is no cost."""
    alpha: float = 0.05
    """A loss counts as shown when its paired p-value, not corrected for the number of variants, is below."""
    margin: float | None = None
    """Also call worse what may have lost more than this: the whole interval must lie above -margin."""

    def __post_init__(self) -> None:
        """Raise Invalid for what cannot be."""
        if self.by not in COSTS:
            raise Invalid(f"{self.by!r} is no cost to choose by.", hint=did_you_mean(self.by, list(COSTS)))
        if not 0 < self.alpha < 1:
            raise Invalid("alpha lies between 0 and 1.")
        if self.margin is not None and self.margin < 0:
            raise Invalid("margin must not be below 0.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How variants are measured, the same for all of one optimisation."""

    threads: int = 1
    tokens: int = 64
    """Tokens generated per prompt; the end of the answer is not waited for."""
    repeats: int = 3
    """How often each prompt is put."""
    max_tokens: int = 256
    """Limit of an answer on the suite."""
    memory_mb: int = 0
    """Most memory of a process that makes or measures, in MiB, and the claim on the machine's; 0: neither."""
    priority: int = 0
    """Where the machine is short: -100 to 100; who has less waits. Above 0 needs the role admin."""

    def __post_init__(self) -> None:
        """Raise Invalid for what cannot be."""
        if self.memory_mb < 0 or not -MAX_PRIORITY <= self.priority <= MAX_PRIORITY:
            raise Invalid(
                f"memory_mb must not be below 0, and priority lies between -{MAX_PRIORITY} and {MAX_PRIORITY}."
            )
        limits = {"threads": 256, "tokens": 4096, "repeats": 100, "max_tokens": 65_536}
        for name, most in limits.items():
            least = 2 if name == "tokens" else 1
            if not least <= getattr(self, name) <= most:
                raise Invalid(f"{name} must be between {least} and {most}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimisation:
    """One parent, the variants tried of it, and which was chosen."""

    id: str
    parent: str
    """`name@number`."""
    suite: Mapping[str, Any] | None
    """The suite that judges quality, as recorded; None measures cost only, and then nothing is chosen."""
    choose: Choice
    trial: Trial
    state: OptimiseState
    job_id: str | None
    baseline: Variant
    """The parent, measured like its variants."""
    variants: tuple[Variant, ...]
    chosen: str | None
    """`name@number` of the cheapest that is not worse, which may be the parent."""
    reason: str
    """Why that one, or why none; while it is queued, what it waits for."""
    error: str | None
    author: str
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None


def is_worse(quality: Quality, choice: Choice) -> bool:
    """Whether a variant's difference shows a loss, or may hide one larger than the margin.

    The p-value is used as it is: correcting it for many variants would let losses pass. An interval that could
    not be made fails a margin.
    """
    if quality.delta is None or quality.p_value is None:
        return True
    gain = quality.delta if quality.higher_is_better else -quality.delta
    if gain < 0 and quality.p_value < choice.alpha:
        return True
    if choice.margin is None:
        return False
    cautious = quality.delta_low if quality.higher_is_better else quality.delta_high
    if cautious is None:
        return True
    return (cautious if quality.higher_is_better else -cautious) < -choice.margin


def choose(baseline: Variant, variants: tuple[Variant, ...], choice: Choice) -> tuple[str | None, str]:
    """Return the reference of the cheapest that is not worse than the parent, and one sentence why.

    The parent is a candidate too. Nothing is chosen when the parent or no variant was judged.
    """
    if baseline.quality is None or baseline.figures is None:
        return None, "Nothing was chosen: without a suite, quality was not judged."
    judged = [v for v in variants if v.version and v.figures and v.quality]
    if not judged:
        return None, "Nothing was chosen: no variant could be measured and judged."
    fit = [baseline, *(v for v in judged if v.quality and v.quality.worse is False)]
    best = min(fit, key=lambda variant: _cost(variant, choice.by))
    worse = len(judged) + 1 - len(fit)
    rest = f"{worse} of {len(judged)} variants are worse than the parent in {baseline.quality.metric}"
    what = "the parent itself" if best.position == 0 else f"{best.version} ({best.method})"
    return best.version, f"{what} is the cheapest by {choice.by} that is not worse; {rest}."


def _cost(variant: Variant, by: str) -> tuple[float, int]:
    """Return what sorts variants by cost; the smaller file wins a draw."""
    assert variant.figures is not None
    return COSTS[by] * float(getattr(variant.figures, by)), variant.figures.size_bytes


def pareto(baseline: Variant, variants: tuple[Variant, ...], by: str) -> tuple[int, ...]:
    """Return the positions no other beats in both quality and the cost `by`: the edge of the trade-off."""
    points = []
    for variant in (baseline, *variants):
        if variant.figures is not None and variant.quality is not None:
            good = variant.quality.value if variant.quality.higher_is_better else -variant.quality.value
            points.append((COSTS[by] * float(getattr(variant.figures, by)), -good, variant.position))
    found, best = [], float("inf")
    for _cheap, bad, position in sorted(points):
        if bad < best:
            found.append(position)
            best = bad
    return tuple(sorted(found))
