"""The nouns of prompt optimisation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from penstock.evals.calls.model import digest
from penstock.evals.model import Output
from penstock.prompts.model import Body


class SearchState(StrEnum):
    """Where an optimisation stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Part(StrEnum):
    """What a row of the dataset is used for; no row has two uses."""

    LEARN = "learn"
    """Examples and remarks come from these rows."""
    SELECT = "select"
    """Candidates are chosen by these rows."""
    HELD_OUT = "held_out"
    """The figures that are reported come from these rows, which nothing was chosen by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """A worked example: what was asked, and a good answer."""

    sample_id: str
    query: tuple[Mapping[str, Any], ...]
    """Messages as they are sent, not templates."""
    answer: str
    own: bool
    """Whether the model gave the answer itself; else it is the dataset's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a candidate changes of the prompt it began from."""

    model: str
    instruction: str | None = None
    """The template of the instructions; None leaves them as they are."""
    demos: tuple[Demo, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A candidate's figure on some rows."""

    value: float
    n: int
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """A candidate's held-out figure minus the original prompt's, on the same rows."""

    difference: float
    low: float | None
    high: float | None
    p_adjusted: float
    """After Holm's correction over all measured candidates."""
    verdict: str
    """better, worse or not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One prompt that was tried."""

    number: int
    parents: tuple[int, ...]
    method: str
    """start, few_shot, rewrite or cross."""
    draft: Draft
    body: Body
    note: str = ""
    """How it came about, and why it was dropped where it was."""
    dropped: bool = False
    """Whether it was no better than its parent on the rows it was rewritten for."""
    selection: Standing | None = None
    """On the rows that candidates are chosen by."""
    held_out: Standing | None = None
    """On the held-out rows; None for one that was not measured there."""
    gain: Gain | None = None
    cost: Standing | None = None
    """What an answer costs on the held-out rows, in the optimisation's `cost_unit`."""

    @property
    def id(self) -> str:
        """What it is called."""
        return f"c{self.number}"

    @property
    def hash(self) -> str:
        """What its answers are known by: two candidates that say the same to the same model are one."""
        return digest(self.body.hash, self.draft.model)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A candidate's answer to one row, with its scores."""

    sample_id: str
    part: str
    output: Output
    scores: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    """Why there is no answer or no verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What was spent."""

    calls: int = 0
    """Answers paid for: candidates', judges' and the rewriter's."""
    cost_usd: float = 0.0
    lost: int = 0
    """Calls in flight when a process died: perhaps paid for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimisation:
    """A search for a better version of a prompt."""

    id: str
    prompt: str
    """`name@number`, the version it began from."""
    dataset: str
    """`name@number`."""
    metric: str
    spec: Mapping[str, Any]
    """The plan, as it was given, with versions pinned and without secrets."""
    state: SearchState
    stage: str = ""
    """What is being done: start, few_shot, rewrite, race, cross, held_out."""
    steps: tuple[str, ...] = ()
    """What the budget was found to allow; not asked again when the work is taken up after a crash."""
    error: str = ""
    spent: Spending = Spending()
    best: str | None = None
    """The candidate that did best on the rows for choosing; its held-out figure is therefore not flattered."""
    pareto: tuple[str, ...] = ()
    """Measured candidates that no other beats in both held-out quality and cost."""
    cost_unit: str = "USD"
    """USD, tokens where nobody knows a price, or nothing."""
    accepted: Mapping[str, Any] | None = None
    """{"candidate", "prompt_version", "by", "at"}."""
    key: str | None = None
    job_id: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
