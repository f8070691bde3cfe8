"""What a queue's answers become: labelled rows, SFT rows or preference pairs, as a dataset version with its lineage."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.datasets import service as datasets
from penstock.datasets.model import DatasetVersion
from penstock.feedback.model import Kind
from penstock.feedback.queues import contents, labels
from penstock.feedback.queues.access import find
from penstock.feedback.queues.judging import JUDGEMENT, origin_of
from penstock.feedback.queues.model import Item, Label, LabelType, Queue, QueueKind, Values, Work, WorkState
from penstock.feedback.queues.store import reports

_BATCH = 200
GONE = "what it was about is no longer stored"
NOT_TEXT = "the question or answer is not recorded as text"
NO_MAJORITY = "its annotators do not agree, and nobody decided"
TIE = "the answers are equally good"
SAME = "the correction says the same as the answer"
NO_TEXT = "it has no correction, and was not accepted"


class ExportKind(StrEnum):
    """What to make of answers."""

    LABELS = "labels"
    """What was judged, with a column per label."""
    SFT = "sft"
    """`{prompt, completion}`: corrected answers, and those that were accepted as they are."""
    PREFERENCE = "preference"
    """`{prompt, chosen, rejected}`: preferred answers, and corrections over what they correct."""


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset version made of a queue, and what was left out."""

    version: DatasetVersion
    rows: int
    skipped: dict[str, int]
    """Reason → how many items were left out for it."""


class _Left(Exception):
    """An item that gives no row, with the reason."""


def export(
    home: Home,
    actor: Actor,
    *,
    name: str,
    dataset: str,
    kind: ExportKind | str = ExportKind.LABELS,
    accept: Mapping[str, Any] | None = None,
    splits: Mapping[str, float] | None = None,
    seed: int = 0,
    description: str = "",
) -> Exported:
    """Make a version of `dataset` of the queue's done items, linked to every judgement, trace and dataset behind it.

    An item counts with what was adjudicated, else with what most of its annotators said. `accept` are values that make
    an answer good as it is, for `sft`. Raises NotFound, Invalid when there is no row, with the reasons.
    """
    try:
        wanted = ExportKind(kind)
    except ValueError as error:
        known = ", ".join(ExportKind)
        raise Invalid(f"{kind!r} cannot be exported.", hint=f"Use one of {known}.") from error
    with home.read() as uow:
        uow.may(actor, "datasets.write", dataset)
        queue = find(uow, actor, name)
    accepted = labels.check_values(queue.spec.labels, accept, partly=True) if accept else {}
    run = _Export(home, actor, queue, wanted, accepted)
    with tempfile.TemporaryDirectory(prefix="penstock-queue-") as folder:
        path = Path(folder) / "rows.jsonl"
        with path.open("wb") as file:
            for row in run.rows():
                file.write(msgspec.json.encode(row) + b"\n")
        if not run.count:
            left = "; ".join(f"{count} left out: {why}" for why, count in sorted(run.skipped.items()))
            raise Invalid(
                f"The queue {name!r} gives no {wanted} rows. {left}".strip(), hint="Answer some items first."
            )
        version = datasets.ingest(
            home,
            actor,
            name=dataset,
            source=path,
            format="jsonl",
            key="id",
            splits=splits,
            seed=seed,
            parents=run.parents(),
            description=description or f"{wanted} of the queue {name}",
        )
    return Exported(version=version, rows=run.count, skipped=dict(sorted(run.skipped.items())))


class _Export:
    """Reads done items, a short transaction per batch, and makes rows of them."""

    def __init__(self, home: Home, actor: Actor, queue: Queue, kind: ExportKind, accept: Values) -> None:
        self._home, self._actor, self._queue = home, actor, queue
        self._kind, self._accept = kind, accept
        self._links: dict[Link, None] = {Link("queue", queue.id, "source"): None}
        self.skipped: Counter[str] = Counter()
        self.count = 0

    def parents(self) -> list[Link]:
        """Return what the rows came from."""
        return list(self._links)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows, in the order the items were added."""
        after = ""
        while True:
            with self._home.read() as uow:
                found = self._page(uow, after)
                made = [row for item, works in found if (row := self._row(uow, item, works)) is not None]
            yield from made
            if len(found) < _BATCH:
                return
            after = found[-1][0].id

    def _page(self, uow: UnitOfWork, after: str) -> list[tuple[Item, list[Work]]]:
        scope = self._actor.scope
        items = reports.done_items(uow.conn, scope, self._queue, after=after, limit=_BATCH)
        works: dict[str, list[Work]] = {item.id: [] for item in items}
        for one in reports.works_of(uow.conn, scope, list(works)):
            if one.state is WorkState.ANSWERED:
                works[one.item_id].append(one)
        return [(item, works[item.id]) for item in items]

    def _row(self, uow: UnitOfWork, item: Item, works: list[Work]) -> dict[str, Any] | None:
        values = item.final
        if values is None:
            values = labels.consensus(self._queue.spec.labels, [one.answer or {} for one in works])
        try:
            content = contents.of_item(uow, self._actor, item)
            if content is None:
                raise _Left(GONE)
            made = _MAKERS[self._kind](self._queue, content, values, self._accept)
        except _Left as reason:
            self.skipped[str(reason)] += 1
            return None
        self.count += 1
        self._remember(item, works)
        return {
            "id": item.id,
            **made,
            "judgements": [one.id for one in works],
            "adjudicated": bool(item.adjudicated_by),
        }

    def _remember(self, item: Item, works: list[Work]) -> None:
        for one in works:
            self._links[Link(JUDGEMENT, one.id, "label")] = None
        for trace_id in (item.trace_id, item.other_trace_id):
            if trace_id:
                self._links[Link("trace", trace_id, "source")] = None
        for link in origin_of(item.content, "source"):
            self._links[link] = None


def _named(queue: Queue, type: LabelType) -> Label | None:
    return next((label for label in queue.spec.labels if label.type is type), None)


_OWN = ("id", "judgements", "adjudicated")
"""Columns of every exported row; a dataset's columns of these names are kept with `row_` before them."""


def _labelled(queue: Queue, content: Mapping[str, Any], values: Values, _: Values) -> dict[str, Any]:
    if not values:
        raise _Left(NO_MAJORITY)
    found: dict[str, Any]
    if queue.spec.kind is QueueKind.ROW and content.get("row"):
        found = {f"row_{name}" if name in _OWN else name: value for name, value in content["row"].items()}
    else:
        parts = ("messages", "output", "reference", "a", "b")
        found = {name: content[name] for name in parts if content.get(name) is not None}
    # Every row has every label, so that rows agree on their columns.
    return found | {f"label_{label.name}": values.get(label.name) for label in queue.spec.labels}


def _asked(content: Mapping[str, Any]) -> Any:
    if not content.get("messages"):
        raise _Left(NOT_TEXT)
    return content["messages"]


def _correction(queue: Queue, values: Values) -> str | None:
    label = _named(queue, LabelType.CORRECTION)
    found = None if label is None else values.get(label.name)
    return found if found is not None else values.get(str(Kind.DEMONSTRATION))


def _example(queue: Queue, content: Mapping[str, Any], values: Values, accept: Values) -> dict[str, Any]:
    completion = _correction(queue, values)
    if completion is None:
        if not accept or any(values.get(name) != value for name, value in accept.items()):
            raise _Left(NO_TEXT)
        completion = content.get("output")
    if completion is None:
        raise _Left(NOT_TEXT)
    return {"prompt": _asked(content), "completion": completion}


def _preferred(queue: Queue, content: Mapping[str, Any], values: Values, _: Values) -> dict[str, Any]:
    label = _named(queue, LabelType.PREFERENCE)
    if label is None:
        return _corrected(queue, content, values)
    side = values.get(label.name)
    if side is None:
        raise _Left(NO_MAJORITY)
    if side == "tie":
        raise _Left(TIE)
    chosen, rejected = content.get(side), content.get("b" if side == "a" else "a")
    if chosen is None or rejected is None:
        raise _Left(NOT_TEXT)
    return {"prompt": _asked(content), "chosen": chosen, "rejected": rejected}


def _corrected(queue: Queue, content: Mapping[str, Any], values: Values) -> dict[str, Any]:
    chosen, rejected = _correction(queue, values), content.get("output")
    if chosen is None:
        raise _Left(NO_TEXT)
    if rejected is None:
        raise _Left(NOT_TEXT)
    if chosen == rejected:
        raise _Left(SAME)
    return {"prompt": _asked(content), "chosen": chosen, "rejected": rejected}


_MAKERS = {ExportKind.LABELS: _labelled, ExportKind.SFT: _example, ExportKind.PREFERENCE: _preferred}
