"""What goes over HTTP for annotation queues."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from penstock.feedback.queues.exporting import ExportKind
from penstock.feedback.queues.filling import parse_source
from penstock.feedback.queues.model import (
    ItemState,
    LabelType,
    Order,
    QueueKind,
    Source,
    WorkState,
)
from penstock.feedback.queues.store.reports import LISTS

STATES = f"One of {', '.join(LISTS)}; default: all"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LabelModel(_Body):
    """One question that is asked of every item."""

    name: str
    type: LabelType | None = None
    """Without it, the project's score config of this name says what it takes."""
    options: list[str] = []
    range: tuple[float, float] | None = None
    required: bool | None = None
    """Left out: yes, but for corrections and texts."""
    key: str = ""
    """Key that answers or focuses it."""
    help: str = ""


class SourceModel(_Body):
    """Where items come from: one of query, dataset, run, trace_ids and pairs."""

    query: str | None = None
    """Traces that it finds; an empty query finds all."""
    dataset: str | None = None
    """`name@3`, `name@latest` or `dsv_…`."""
    split: str | None = None
    run: str | None = None
    """Samples of this evaluation run."""
    trace_ids: list[str] = Field(default=[], max_length=20_000)
    pairs: list[tuple[str, str]] = Field(default=[], max_length=20_000)
    """Two traces each."""
    share: float = 1.0
    """This part of what is found, always the same."""
    limit: int = 1000
    follow: bool = False
    """Keep adding new traces that the query finds, while fewer than `limit` items are open."""
    fields: dict[str, str] = {}
    """messages, output, reference, a, b, suggestion → column of the dataset."""


class GoldModel(_Body):
    """A question whose answer is known."""

    values: dict[str, Any]
    trace_id: str = ""
    content: dict[str, Any] | None = None


class NewQueue(_Body):
    """A queue to make."""

    name: str
    kind: QueueKind = QueueKind.TRACE
    guidelines: str = ""
    labels: list[LabelModel]
    overlap: int = 1
    reserve_minutes: float = 15.0
    order: Order = Order.FIFO
    source: SourceModel | None = None
    gold: list[GoldModel] = []
    gold_every: int = 10
    annotators: list[str] = []
    """Names of those who may answer; empty: every member."""
    suggestions: bool = True
    """Whether annotators may see suggestions."""

    def spec(self) -> dict[str, Any]:
        """Return it as the service takes it."""
        return self.model_dump(mode="json")


class QueueChanges(_Body):
    """What to change of a queue."""

    guidelines: str | None = None
    labels: list[LabelModel] | None = None
    overlap: int | None = None
    reserve_minutes: float | None = None
    order: Order | None = None
    source: SourceModel | None = None
    gold: list[GoldModel] | None = None
    gold_every: int | None = None
    annotators: list[str] | None = None
    suggestions: bool | None = None

    def given(self) -> dict[str, Any]:
        """Return what is to be changed."""
        found = self.model_dump(mode="json", exclude_unset=True)
        return {name: value for name, value in found.items() if value is not None or name == "source"}


class MoreItems(SourceModel):
    """Items to add."""

    assign_to: str = ""
    """Name of the only annotator who gets them."""

    def source(self) -> Source:
        """Return where they come from."""
        return parse_source(self.model_dump(mode="json", exclude={"assign_to"}))


class AddedModel(BaseModel):
    """What adding did."""

    added: int
    known: int
    skipped: dict[str, int]
    """Reason → how many were left out for it."""


class ProgressModel(BaseModel):
    """How far a queue is, gold questions apart."""

    items: int
    done: int
    open: int
    reserved: int
    skipped: int
    disputed: int
    """Done items whose answers differ and that nobody adjudicated."""
    gone: int


class AgreementModel(BaseModel):
    """How far people agree on a label beyond chance, with a 95 % interval."""

    label: str
    kind: str
    """cohen, fleiss, alpha, or same (the share of items on which all answers are alike)."""
    value: float
    low: float
    high: float
    n: int


class PersonModel(BaseModel):
    """What one annotator did; who leads the queue sees it."""

    name: str
    answered: int
    skipped: int
    gold_asked: int
    gold_right: float
    gold_low: float | None
    gold_high: float | None


class QueueModel(BaseModel):
    """A queue."""

    id: str
    name: str
    kind: QueueKind
    guidelines: str
    labels: list[LabelModel]
    overlap: int
    reserve_minutes: float
    order: Order
    source: SourceModel | None
    gold: list[GoldModel]
    """Empty for who does not lead the queue."""
    gold_every: int
    annotators: list[str]
    suggestions: bool
    created_by: str
    created_at: datetime
    leads: bool
    """Whether the caller may change the queue and adjudicate."""
    progress: ProgressModel


class CreatedModel(QueueModel):
    """A queue that was made."""

    added: AddedModel


class OverviewModel(QueueModel):
    """A queue with its agreement and annotators."""

    agreement: list[AgreementModel]
    people: list[PersonModel]


class WorkModel(BaseModel):
    """What one annotator did with an item."""

    id: str
    item_id: str
    annotator: str
    state: WorkState
    reserved_until: datetime | None
    draft: dict[str, Any] | None
    values: dict[str, Any] | None
    comment: str
    gold_right: float | None
    saw_suggestion: bool
    updated_at: datetime


class SuggestionBody(_Body):
    """What a model would answer."""

    values: dict[str, Any]
    confidence: dict[str, float] = {}
    """Label → how sure, 0 to 1."""
    model: str = ""


class ItemModel(BaseModel):
    """An item with the answers that the caller may see."""

    id: str
    state: ItemState
    trace_id: str
    span_id: str
    other_trace_id: str
    assigned_to: str
    suggestion: SuggestionBody | None
    gold: dict[str, Any] | None
    answers: int
    disagreement: float
    final: dict[str, Any] | None
    adjudicated_by: str
    created_at: datetime
    work: list[WorkModel]
    content: dict[str, Any] | None = None
    """With one item only; null in lists, and when it is no longer stored."""


class NextBody(_Body):
    """How to get the next item."""

    suggestions: bool = True


class TakenModel(BaseModel):
    """An item in the caller's hands."""

    id: str
    kind: QueueKind
    content: dict[str, Any]
    suggestion: SuggestionBody | None
    draft: dict[str, Any] | None
    comment: str


class NextModel(BaseModel):
    """The next item, or null when nothing is left for the caller."""

    item: TakenModel | None
    reserved_until: datetime | None


class DraftBody(_Body):
    """An unfinished answer, unchecked."""

    values: dict[str, Any]
    comment: str = ""


class AnswerBody(_Body):
    """An answer: label → value."""

    values: dict[str, Any]
    comment: str = ""


class SkipBody(_Body):
    """Why it is skipped."""

    comment: str = ""


class GoldBody(_Body):
    """The right values, or null."""

    values: dict[str, Any] | None


class SuggestBody(_Body):
    """Which model is to suggest answers."""

    model: str
    """Public name of the gateway."""
    votes: int = Field(default=1, ge=1, le=9)
    """Answers per item; the share that say the same is the confidence."""
    limit: int = Field(default=1000, ge=1, le=100_000)
    """At most so many items."""


class JobModel(BaseModel):
    """Work in the background."""

    job_id: str


class ItemGoldModel(BaseModel):
    """Which values of an item are right; null for an ordinary item."""

    id: str
    gold: dict[str, Any] | None


class ExportBody(_Body):
    """A dataset version to make."""

    dataset: str
    kind: ExportKind = ExportKind.LABELS
    accept: dict[str, Any] | None = None
    """For sft: values that make an answer good as it is."""
    splits: dict[str, float] | None = None
    seed: int = 0
    description: str = ""


class ExportedModel(BaseModel):
    """The version that was made."""

    id: str
    dataset: str
    number: int
    hash: str
    rows: int
    skipped: dict[str, int]
