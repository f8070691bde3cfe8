"""Nouns of releases: what is released, how it is let in, what it is judged by, and what was decided."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """How a change meets its callers."""

    SHADOW = "shadow"
    """It gets copies of calls; nobody sees its answers."""
    CANARY = "canary"
    """It gets a growing share, and all of it at the end."""
    AB = "ab"
    """Fixed shares until one arm is shown to be better."""
    BANDIT = "bandit"
    """Shares that follow what is known, until the best arm is found."""


class SubjectType(StrEnum):
    """What is released."""

    MODEL = "model"
    PROMPT = "prompt"
    ROUTE = "route"
    PARAMS = "params"


class State(StrEnum):
    """Where a release is."""

    WAITING = "waiting"
    """For a replica of the new model."""
    RUNNING = "running"
    PAUSED = "paused"
    """The shares stay, nothing is decided."""
    DECIDED = "decided"
    """The evidence is in; somebody has to promote or roll back."""
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"


LIVE = (State.WAITING, State.RUNNING, State.PAUSED, State.DECIDED)
"""States in which calls are divided, or soon will be."""


class Verb(StrEnum):
    """What was decided."""

    START = "start"
    GO_ON = "go_on"
    HOLD = "hold"
    DROP = "drop"
    """An arm of several gets no more calls."""
    REWEIGHT = "reweight"
    DECIDE = "decide"
    PROMOTE = "promote"
    ROLL_BACK = "roll_back"
    PAUSE = "pause"
    RESUME = "resume"
    STOP_JUDGING = "stop_judging"
    """Its judges are asked no more; it goes on without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is released: a route's targets or parameters, a deployment's model, or the version behind a label."""

    type: SubjectType
    route: str = ""
    deployment: str = ""
    prompt: str = ""
    label: str = "production"

    @property
    def name(self) -> str:
        """Return what it is called."""
        return self.route or self.deployment or f"{self.prompt}:{self.label}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedArm:
    """One side of a release. The first of a plan is the control, and says nothing but its name and weight."""

    name: str
    weight: float = 1.0
    provider: str = ""
    model: str = ""
    """With `provider` a provider's model; of a deployment a registry reference."""
    route: str = ""
    """A route to go on with, in the place of the subject's targets."""
    version: int | None = None
    """Of the prompt."""
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A share of the traffic, and how long it lasts at least."""

    weight: float
    """From above 0 to 1; of a shadow, the share of the calls that is copied."""
    min_calls: int = 200
    """Calls (of a shadow: pairs) of the new arm in this step."""
    min_seconds: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """Something that a release is judged by."""

    name: str
    """errors, guard_hits, latency, first_token, cost, output_tokens, feedback:NAME or score:NAME."""
    direction: str
    """down where less is better, up where more is."""
    harm: float
    """The loss that matters: in the metric's unit, or as a share of the control's mean where it is `relative`."""
    relative: bool
    binary: bool = False
    """Whether a call either has it or not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A release as it was asked for."""

    name: str
    kind: Kind
    subject: Subject
    arms: tuple[PlannedArm, ...]
    metrics: tuple[Metric, ...]
    steps: tuple[Step, ...] = ()
    alpha: float = 0.05
    """The chance of any wrong stop in the whole release, over all metrics and arms."""
    sticky_by: str = "user"
    evidence: str = "no_harm"
    """What a step needs to end: `no_harm` shown, or every metric `proven` not worse by its harm."""
    goal: str = ""
    """The metric by which A/B tests and bandits choose; the first one unless given."""
    sampler: str = "top_two"
    """How a bandit spreads calls: top_two or track_and_stop."""
    suite: str = ""
    """The stored suite that scorers and judge were taken from: `name@version`."""
    scorers: tuple[Any, ...] = ()
    """Scorers of evaluations, written as in a suite, that look at answers: their figures are `score:NAME`."""
    score_share: float = 1.0
    """Part of the calls whose answers they look at."""
    judges: tuple[Any, ...] = ()
    """Those of the scorers that ask a model: `checked` sorts them out."""
    judge: Mapping[str, Any] = field(default_factory=dict)
    """The model they ask unless they name their own: `{model: ROUTE}`, and options as of a suite's judge."""
    judge_share: float = 0.1
    """Part of the calls whose answers are judged."""
    judge_usd: float = 1.0
    """What judging may cost in the whole release; then it stops, and the release goes on without."""
    auto_promote: bool = False
    max_in_flight: int = 10
    """Copies at once of a shadow, per web process."""
    usd_per_day: float | None = None
    """What copies may cost in a UTC day, per web process."""

    @property
    def control(self) -> str:
        """Return the name of the arm that is as things were."""
        return self.arms[0].name

    @property
    def challengers(self) -> tuple[str, ...]:
        """Return the names of the other arms."""
        return tuple(arm.name for arm in self.arms[1:])

    @property
    def level(self) -> float:
        """Return the error that one comparison may make."""
        return self.alpha / (len(self.metrics) * max(1, len(self.arms) - 1))

    @property
    def target(self) -> Metric:
        """Return the metric that decides."""
        return next((each for each in self.metrics if each.name == self.goal), self.metrics[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A release as it stands."""

    id: str
    plan: Plan
    state: State
    step: int
    """Number of the step, from 0."""
    phase: int
    """Counts up with every change of the shares."""
    shares: Mapping[str, float]
    """Arm → its share of the calls now; of a shadow's arm, the share copied."""
    winner: str
    """The arm that the evidence, or somebody, chose; empty while there is none."""
    before: Mapping[str, Any] | None
    """What a promotion replaced, and by what."""
    author: str
    created_at: datetime
    step_at: datetime
    """When the step, or the pause before it, began."""
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """What judging a release's answers came to so far."""

    share: float
    """Part of the calls whose answers are judged."""
    calls: int
    """Answers of judges that were paid for."""
    spent_usd: float
    """Calls that a killed process left without an answer count at the mean price."""
    cap_usd: float
    stopped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One entry of the decision log."""

    at: datetime
    decision: Verb
    reason: str
    evidence: Mapping[str, Any]
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What happened between two changes of the shares."""

    number: int
    shares: Mapping[str, float]
    units: Mapping[str, int]
    """Arm → people, traces or single calls that were divided into it and were in no phase before."""
    again: Mapping[str, int]
    """Arm → those that had been in an earlier phase."""
    sums: Mapping[str, Mapping[str, tuple[float, ...]]]
    """Arm → metric → sums (see `sums`); a shadow's new arm also has those of its differences to the calls copied."""
    started_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """An arm against the control, in one metric, valid at any moment."""

    arm: str
    metric: str
    difference: float
    """Arm minus control; where `relative`, as a share of the control's mean."""
    low: float
    high: float
    """Interval that holds the truth at every moment at once, but for the release's alpha."""
    relative: bool
    evidence: float
    """ln E against "no difference"; above ln(1/level) the difference is shown."""
    excess: float | None
    """ln E of the exact test that failures, or guard hits, fall on the arm more often than its share."""
    harm: float
    verdict: str
    """harmful, better, safe (worse by less than `harm`, if at all) or open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioCheck:
    """Whether the arms got the shares they were to get."""

    ok: bool
    evidence: float
    """ln E against "they did"."""
    counts: Mapping[str, int]
    expected: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmMetric:
    """A metric's mean in one arm."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmReport:
    """What an arm did so far."""

    name: str
    weight: float
    calls: int
    metrics: Mapping[str, ArmMetric]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that a release's decisions rest on."""

    arms: tuple[ArmReport, ...]
    comparisons: tuple[Comparison, ...]
    ratio: RatioCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A judgement of an answer, on its way to the arm that gave it."""

    id: str
    trace_id: str
    span_id: str
    metric: str
    value: float
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DividedCall:
    """Where a call of a release belongs, kept while something may still be said about it."""

    trace_id: str
    span_id: str
    phase: int
    arm: str
    unit: str
    pair: str
    metrics: Mapping[str, float] | None
    """Of half a pair, what it measured."""
    at: datetime
