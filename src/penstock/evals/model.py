"""The nouns of evaluations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class RunState(StrEnum):
    """Where an evaluation stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class MetricKind(StrEnum):
    """What a metric's per-sample values are, which decides its interval and its paired test."""

    PROPORTION = "proportion"
    """0 or 1 per sample: Wilson interval, exact McNemar test."""
    MEAN = "mean"
    """Any number per sample: bootstrap interval of the mean, paired permutation test."""
    DISTRIBUTION = "distribution"
    """Like MEAN, and its 50th, 95th and 99th percentiles are reported too."""
    CORPUS = "corpus"
    """A function of sums over all samples (BLEU): bootstrap interval, approximate randomisation test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """How to read one metric."""

    kind: MetricKind
    higher_is_better: bool = True
    unit: str = "fraction"
    """fraction, s, tokens/s, points …"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One row of the dataset, ready to be put to a target."""

    id: str
    """The row's own id, or a hash of its input; what two runs are paired by."""
    ordinal: int
    messages: tuple[Mapping[str, Any], ...]
    """Chat messages in the OpenAI form, without the expected answer."""
    references: tuple[str, ...] = ()
    """Right answers; the first one is `expected`."""
    split: str = ""
    content_hash: str = ""
    """SHA-256 of messages and references: two runs are only paired on rows that did not change."""

    @property
    def expected(self) -> str:
        """The first right answer, or an empty text when the row has none."""
        return self.references[0] if self.references else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a target answered to one sample; `error` set means that there is no answer."""

    sample_id: str
    text: str = ""
    latency_s: float | None = None
    """Seconds from the request to the end of the answer; of the whole batch for batched local targets."""
    ttft_s: float | None = None
    """Seconds to the first token, when the target streams."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    finish_reason: str = ""
    error: str | None = None
    trace_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleResult:
    """One finished sample of a run, as stored."""

    run_id: str
    sample_id: str
    ordinal: int
    split: str
    content_hash: str
    messages: tuple[Mapping[str, Any], ...]
    references: tuple[str, ...]
    output: Output
    scores: Mapping[str, float]
    """Metric name → value of this sample; empty when the target failed."""
    sums: Mapping[str, tuple[float, ...]]
    """Scorer name → what corpus metrics add up."""
    finished_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure of a run with its 95 % interval."""

    name: str
    split: str = ""
    """Empty for all samples together."""
    value: float
    low: float | None
    """None when so few samples cannot bound it."""
    high: float | None
    n: int
    method: str
    kind: MetricKind
    higher_is_better: bool = True
    unit: str = "fraction"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRun:
    """One evaluation of one target on one dataset version."""

    id: str
    suite: str
    spec: Mapping[str, Any]
    """The suite as it was run, without secrets."""
    dataset: str
    """`name@number`, pinned when the run was made."""
    dataset_version: str
    dataset_hash: str
    target: str
    """The target plug-in's name."""
    model: str
    """Model, route or deployment that answered."""
    state: RunState
    error: str = ""
    total: int = 0
    done: int = 0
    errors: int = 0
    metrics: tuple[Metric, ...] = ()
    key: str | None = None
    job_id: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None

    def metric(self, name: str, split: str = "") -> Metric | None:
        """Return the metric `name` of `split`, or None when the run has none."""
        return next((m for m in self.metrics if m.name == name and m.split == split), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One metric of two runs on the samples they share."""

    name: str
    split: str
    baseline: float
    candidate: float
    difference: float
    """Candidate minus baseline."""
    low: float | None
    high: float | None
    n: int
    """Pairs."""
    p_value: float
    p_adjusted: float
    """After Holm's correction over all metrics of the comparison and split."""
    test: str
    """mcnemar_exact, paired_permutation or approximate_randomisation."""
    interval: str
    higher_is_better: bool
    unit: str
    kind: MetricKind
    detectable: float | None = None
    """For proportions: the smallest true difference these pairs would show with 80 % power."""

    def verdict(self, alpha: float = 0.05) -> str:
        """Return `better`, `worse` or `not shown` at `alpha` after correction."""
        if self.p_adjusted >= alpha or self.difference == 0:
            return "not shown"
        return "better" if (self.difference > 0) == self.higher_is_better else "worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two runs, compared on the samples whose id and content they share."""

    baseline_id: str
    candidate_id: str
    shared: int
    only_baseline: int
    only_candidate: int
    changed: int
    """Same id but different content: not compared."""
    failed: int
    """Shared, but the target failed in at least one of the runs: not compared."""
    differences: tuple[Difference, ...] = ()

    def difference(self, name: str, split: str = "") -> Difference | None:
        """Return the difference in the metric `name` of `split`, or None."""
        return next((d for d in self.differences if d.name == name and d.split == split), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRule:
    """One condition of a gate: exactly one of `min`, `max`, `not_worse_than` and `better_than` is set."""

    metric: str
    split: str = ""
    min: float | None = None
    max: float | None = None
    bound: str = "value"
    """For `min` and `max`: check the `value`, or the cautious end of the interval (`low` or `high`)."""
    not_worse_than: str | None = None
    """`baseline`: the paired interval of the difference must exclude a loss larger than `margin`."""
    margin: float = 0.0
    better_than: str | None = None
    """`baseline`: a gain with a Holm-adjusted p-value below `alpha`."""
    alpha: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class GateCheck:
    """One rule's outcome."""

    rule: str
    passed: bool
    reason: str
    """One sentence with the figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    """Whether a run may go on, and why."""

    id: str
    run_id: str
    baseline_id: str | None
    passed: bool
    checks: tuple[GateCheck, ...]
    rules: tuple[Mapping[str, Any], ...] = field(default=())
    actor: str = ""
    created_at: datetime

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons of the checks that failed; all reasons when the gate passed."""
        return tuple(check.reason for check in self.checks if self.passed or not check.passed)
