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
    row: Mapping[str, Any] = field(default_factory=dict)
    """The whole row of the dataset: contexts, tests, tool names and whatever else a scorer reads."""

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
    cost_usd: float | None = None
    """US dollars; None when nobody has a price for it."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What came besides the text: `tool_calls` ({name, arguments}), `contexts` (texts), `messages` (a conversation)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One answer to a sample with its scores: a sample has as many as the suite has epochs."""

    epoch: int
    output: Output
    scores: Mapping[str, float] = field(default_factory=dict)
    sums: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    """Scorer → why it judged as it did."""
    score_error: str | None = None
    """Why a judge gave no verdict."""

    @property
    def failed(self) -> bool:
        """Whether the target or a judge failed."""
        return self.output.error is not None or self.score_error is not None


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
    notes: Mapping[str, Any] = field(default_factory=dict)
    """Scorer name → why it judged as it did: a judge's reasons, claims, verdicts."""
    score_error: str | None = None
    """Why a judge gave no verdict; the scores that need none are there."""


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
    progress: Mapping[str, Any] = field(default_factory=dict)
    """As of the last second: done, total, errors, judge_errors, calls, cached, lost, cost_usd, eta_s."""

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
    """mcnemar_exact, paired_permutation, paired_t, clustered_t or approximate_randomisation."""
    interval: str
    higher_is_better: bool
    unit: str
    kind: MetricKind
    detectable: float | None = None
    """The smallest true difference these pairs would show with 80 % power; None for corpus metrics."""
    discordant: float | None = None
    """For the exact McNemar test: the share of pairs on which the two runs differ."""
    sd: float | None = None
    """For other paired tests: the standard deviation of the differences per pair, or per cluster."""
    clusters: int | None = None
    """How many clusters the pairs form, where they do."""

    @property
    def units(self) -> int:
        """How many independent units the test rests on: clusters where there are some, pairs otherwise."""
        return self.n if self.clusters is None else self.clusters

    @property
    def loss(self) -> float:
        """How much worse the candidate is; negative when it is better."""
        return -self.difference if self.higher_is_better else self.difference

    def regression_order(self) -> tuple[bool, str, int, float, str]:
        """Return the key that sorts differences: all samples before splits, shown losses first, gains last."""
        rank = {"worse": 0, "not shown": 1, "better": 2}[self.verdict()]
        half = (self.high - self.low) / 2 if self.low is not None and self.high is not None else 0.0
        # Losses in intervals, so that points, seconds and dollars stand in one order.
        size = self.loss / half if half > 0 else self.loss
        return bool(self.split), self.split, rank, -size, self.name

    def verdict(self, alpha: float = 0.05) -> str:
        """Return `better`, `worse` or `not shown` at `alpha` after correction."""
        if self.p_adjusted >= alpha or self.difference == 0:
            return "not shown"
        return "better" if (self.difference > 0) == self.higher_is_better else "worse"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Ids of samples that were not compared, the first 50 of each kind."""

    only_baseline: tuple[str, ...] = ()
    only_candidate: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


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
    left_out: LeftOut = LeftOut()
    differences: tuple[Difference, ...] = ()

    def difference(self, name: str, split: str = "") -> Difference | None:
        """Return the difference in the metric `name` of `split`, or None."""
        return next((d for d in self.differences if d.name == name and d.split == split), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRule:
    """One condition of a gate: exactly one of its conditions is set."""

    metric: str
    split: str = ""
    min: float | None = None
    max: float | None = None
    bound: str = "value"
    """For `min` and `max`: check the `value`, or the cautious end of the interval (`low` or `high`)."""
    not_worse_than: str | None = None
    """`baseline`: the paired interval of the difference must exclude a loss larger than `margin`."""
    margin: float = 0.0
    no_regression: str | None = None
    """`baseline`: no loss is shown at `alpha`, and one of `margin` would have been with the stated `power`."""
    power: float = 0.8
    max_ratio: float | None = None
    """The figure is at most so many times the baseline's (cost, latency, tokens); needs a figure above 0."""
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
