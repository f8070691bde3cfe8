"""The nouns of annotation queues."""

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

Values = dict[str, Any]
"""Label name → what was answered."""


class QueueKind(StrEnum):
    """What the items of a queue are."""

    TRACE = "trace"
    """Recorded answers."""
    ROW = "row"
    """Rows of a dataset."""
    PAIR = "pair"
    """Two answers to the same question, one to be preferred."""


class LabelType(StrEnum):
    """What kind of answer a label takes."""

    CATEGORICAL = "categorical"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TEXT = "text"
    CORRECTION = "correction"
    """What the answer should have been."""
    PREFERENCE = "preference"
    """`a`, `b` or `tie`."""


class Order(StrEnum):
    """Which open item comes next."""

    FIFO = "fifo"
    UNCERTAINTY = "uncertainty"
    """Those whose suggestion is least sure; without a suggestion, least sure of all."""
    DISAGREEMENT = "disagreement"
    """Those whose answers and suggestion differ most so far."""
    DIVERSITY = "diversity"
    """Those that resemble least what was handed out before."""
    DRIFT = "drift"
    """New ones that resemble least what the queue began with."""


class ItemState(StrEnum):
    """Where an item stands."""

    OPEN = "open"
    DONE = "done"
    GONE = "gone"
    """What it was about is no longer stored."""


class WorkState(StrEnum):
    """What an annotator did with an item."""

    RESERVED = "reserved"
    ANSWERED = "answered"
    SKIPPED = "skipped"


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """One question that is asked of every item."""

    name: str
    type: LabelType
    options: tuple[str, ...] = ()
    range: tuple[float, float] | None = None
    """Least and greatest number."""
    required: bool = True
    key: str = ""
    """Key that answers or focuses it."""
    help: str = ""


class Gold(msgspec.Struct, frozen=True, kw_only=True):
    """A question whose answer is known: a trace or a content of its own, with the right values."""

    values: Values
    trace_id: str = ""
    content: dict[str, Any] | None = None


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where items come from: one of a query of traces, a dataset version, a run, ids, or pairs of ids."""

    query: str | None = None
    """Traces that it finds, newest first; an empty query finds all."""
    dataset: str | None = None
    """Rows of `name@3`, `name@latest` or `dsv_…`."""
    split: str | None = None
    run: str | None = None
    """Samples of an evaluation run."""
    trace_ids: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    """Two traces each."""
    share: float = 1.0
    """This part of the traces or rows, always the same ones."""
    limit: int = 1000
    follow: bool = False
    """Keep adding new traces that the query finds, while fewer than `limit` items are open."""
    fields: dict[str, str] = {}
    """messages, output, reference, a, b or suggestion → the dataset's column."""


class QueueSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a queue asks, of whom and in which order."""

    name: str
    kind: QueueKind = QueueKind.TRACE
    guidelines: str = ""
    labels: tuple[Label, ...]
    overlap: int = 1
    """How many people answer each item."""
    reserve_minutes: float = 15.0
    order: Order = Order.FIFO
    source: Source | None = None
    gold: tuple[Gold, ...] = ()
    gold_every: int = 10
    """One gold question first, then one after so many items."""
    annotators: tuple[str, ...] = ()
    """Names of those who may answer; empty: every member."""
    suggestions: bool = True
    """Whether annotators may see suggestions."""


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue as it is stored."""

    id: str
    spec: QueueSpec
    created_by: str
    created_at: datetime
    fed_at: datetime | None = None
    """Up to when new traces were looked at for `follow`."""
    swept_at: datetime | None = None
    """When traces that arrive late were looked for last."""


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """What a model would answer."""

    values: Values
    confidence: dict[str, float] = {}
    """Label → how sure, 0 to 1."""
    model: str = ""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to judge."""

    id: str
    queue_id: str
    key: str
    """What makes it the same item when it is added again."""
    trace_id: str = ""
    span_id: str = ""
    other_trace_id: str = ""
    """Of a pair: the second answer's."""
    content: dict[str, Any] | None = None
    """Of rows; what a trace holds is read from the trace when it is needed."""
    suggestion: Suggestion | None = None
    gold: Values | None = None
    assigned: str = ""
    """Name of the only annotator who gets it; empty: anyone."""
    state: ItemState = ItemState.OPEN
    answers: int = 0
    uncertainty: float = 1.0
    disagreement: float = 0.0
    sketch: str = ""
    final: Values | None = None
    """What an adjudicator decided."""
    adjudicated_by: str = ""
    created_at: datetime


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What one annotator did with one item: a judgement once it is answered."""

    id: str
    queue_id: str
    item_id: str
    annotator: str
    annotator_name: str
    state: WorkState
    reserved_until: datetime | None = None
    draft: Values | None = None
    answer: Values | None = None
    comment: str = ""
    gold_right: float | None = None
    """Of gold questions: the share of labels answered right."""
    saw_suggestion: bool = False
    updated_at: datetime


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """An item in an annotator's hands."""

    item: Item
    content: dict[str, Any]
    work: Work
    suggestion: Suggestion | None
    """None too when it is hidden."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a queue is; gold questions do not count."""

    items: int = 0
    done: int = 0
    open: int = 0
    reserved: int = 0
    """Open items that somebody is at."""
    skipped: int = 0
    """Open items that somebody skipped."""
    disputed: int = 0
    """Done items whose answers differ and that nobody adjudicated."""
    gone: int = 0


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """How far people agree on one label beyond chance."""

    label: str
    kind: str
    """cohen, fleiss, alpha, or `same`: the share of items on which all answers are the same."""
    value: float
    low: float
    high: float
    n: int
    """Items with at least two answers."""


class Annotator(msgspec.Struct, frozen=True, kw_only=True):
    """What one person did in a queue."""

    name: str
    answered: int
    skipped: int
    gold_asked: int
    gold_right: float
    """Gold questions' worth of right labels."""
    gold_low: float | None
    gold_high: float | None
    """95 % interval of the share of right gold answers; None before the first."""
