"""Putting items into a queue: of traces, dataset rows, pairs and gold questions. What is there already stays."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec

from penstock.core import clock, ids, plugins
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.datasets import service as datasets
from penstock.feedback.ports import QueueSource
from penstock.feedback.queues import contents, labels
from penstock.feedback.queues.model import Gold, Item, Order, Queue, QueueKind, Source, Suggestion
from penstock.feedback.queues.sketch import sketch
from penstock.feedback.queues.store import items as store
from penstock.traces import service as traces
from penstock.traces.model import TraceFilters

GONE = "there is no such trace"
NO_PAIR = "no other answer to the same question"
_BATCH = 200
_LOOK = 10
"""Traces looked at for each pair that is wanted."""
_SKETCHED = (Order.DIVERSITY, Order.DRIFT)


class Added(msgspec.Struct, frozen=True, kw_only=True):
    """What filling did."""

    added: int
    known: int
    """Items that the queue had already."""
    skipped: dict[str, int]
    """Reason → how many were left out for it."""


def sampled(key: str, share: float) -> bool:
    """Whether `key` is in a sample of this share: always the same keys, and more of them for a larger share."""
    return share >= 1 or int(hashlib.sha256(key.encode()).hexdigest()[:13], 16) < share * 16**13


def certainty(suggestion: Suggestion | None) -> float:
    """Return how sure a suggestion is of its least sure label: 0 without one, 0.5 when it does not say."""
    if suggestion is None:
        return 0.0
    return min((min(1.0, max(0.0, value)) for value in suggestion.confidence.values()), default=0.5)


def fill(home: Home, actor: Actor, queue: Queue, source: Source, *, assigned: str = "") -> Added:
    """Put what `source` finds into the queue, in short transactions; filling again adds only what is new.

    Raises Invalid for a source that does not fit the queue's kind, NotFound for an unknown dataset.
    """
    labels.check_source(queue.spec.kind, source)
    skipped: Counter[str] = Counter()
    made = _SOURCES[_origin(source)](home, actor, queue, source, skipped)
    chosen = (item for item in made if sampled(item.key, source.share))
    return _store(home, actor, islice(chosen, source.limit), skipped, assigned)


def _store(
    home: Home, actor: Actor, made: Iterable[Item], skipped: Counter[str], assigned: str = ""
) -> Added:
    added = known = 0
    items = iter(made)
    while batch := list(islice(items, _BATCH)):
        batch = [msgspec.structs.replace(item, assigned=assigned) for item in batch]
        with home.begin() as uow:
            uow.may(actor, "feedback.write")
            new = store.add_items(uow.conn, actor.scope, batch)
        added, known = added + new, known + len(batch) - new
    return Added(added=added, known=known, skipped=dict(sorted(skipped.items())))


def fill_gold(uow: UnitOfWork, actor: Actor, queue: Queue) -> int:
    """Put the spec's gold questions into the queue; returns how many are new."""
    made = [_gold(queue, gold) for gold in queue.spec.gold]
    return store.add_items(uow.conn, actor.scope, made)


def _gold(queue: Queue, gold: Gold) -> Item:
    values = labels.check_gold_values(queue.spec, gold.values)
    key = f"gold:{gold.trace_id or contents.digest(gold.content)}"
    item = _item(queue, key, trace_id=gold.trace_id, content=gold.content)
    return msgspec.structs.replace(item, gold=values)


def _item(queue: Queue, key: str, **values: Any) -> Item:
    return Item(id=ids.new_id("itm"), queue_id=queue.id, key=key, created_at=clock.now(), **values)


def _origin(source: Source) -> str:
    names = ("dataset", "run", "trace_ids", "pairs")
    return next((name for name in names if getattr(source, name)), "query")


def _matching(home: Home, actor: Actor, source: Source) -> Iterator[str]:
    after: tuple[int, int] | None = None
    filters = TraceFilters(query=source.query or None)
    while True:
        with home.read() as uow:
            page = traces.list_traces(uow, actor, filters=filters, after=after, limit=_BATCH)
        yield from (trace.trace_id for trace in page.items)
        after = page.next
        if after is None:
            return


def trace_items(
    home: Home, actor: Actor, queue: Queue, trace_ids: Iterable[str], skipped: Counter[str]
) -> Iterator[Item]:
    """Yield items of traces that are stored; what is not is counted in `skipped`."""
    wanted = iter(dict.fromkeys(one.lower() for one in trace_ids))
    while batch := list(islice(wanted, _BATCH)):
        with home.read() as uow:
            stored = traces.known(uow, actor, trace_ids=batch)
            made = [
                _item(queue, one, trace_id=one, sketch=_trace_sketch(uow, actor, queue, one))
                for one in batch
                if one in stored
            ]
        if len(made) < len(batch):
            skipped[GONE] += len(batch) - len(made)
        yield from made


def _trace_sketch(uow: UnitOfWork, actor: Actor, queue: Queue, trace_id: str) -> str:
    if queue.spec.order not in _SKETCHED:
        return ""
    call = contents.call_of(uow, actor, trace_id)
    return "" if call is None else sketch(contents.text_for_sketch(contents.shown(call)))


def _of_query(
    home: Home, actor: Actor, queue: Queue, source: Source, skipped: Counter[str]
) -> Iterator[Item]:
    found = _matching(home, actor, source)
    if queue.spec.kind is QueueKind.PAIR:
        return _pairs_of_query(home, actor, queue, islice(found, _LOOK * source.limit), skipped)
    return trace_items(home, actor, queue, found, skipped)


def _of_ids(home: Home, actor: Actor, queue: Queue, source: Source, skipped: Counter[str]) -> Iterator[Item]:
    return trace_items(home, actor, queue, source.trace_ids, skipped)


def _pairs_of_query(
    home: Home, actor: Actor, queue: Queue, trace_ids: Iterable[str], skipped: Counter[str]
) -> Iterator[Item]:
    """Yield pairs of traces that were asked the same and answered otherwise, each trace in one pair at most."""
    waiting: dict[str, tuple[str, str]] = {}
    for trace_id in trace_ids:
        with home.read() as uow:
            call = contents.call_of(uow, actor, trace_id)
        found = {} if call is None else contents.shown(call)
        if not found.get("messages") or found.get("output") is None:
            continue
        asked = contents.digest(found["messages"])
        before = waiting.get(asked)
        if before is None:
            waiting[asked] = (trace_id, found["output"])
        elif before[1] != found["output"]:
            del waiting[asked]
            yield _pair(queue, before[0], trace_id)
    if waiting:
        skipped[NO_PAIR] += len(waiting)


def _pair(queue: Queue, one: str, two: str) -> Item:
    return _item(queue, f"pair:{contents.digest(sorted((one, two)))}", trace_id=one, other_trace_id=two)


def _of_pairs(
    home: Home, actor: Actor, queue: Queue, source: Source, skipped: Counter[str]
) -> Iterator[Item]:
    for one, two in dict.fromkeys(source.pairs):
        if one == two:
            raise Invalid("A pair is of two traces.")
        with home.read() as uow:
            stored = traces.known(uow, actor, trace_ids=(one, two))
        if len(stored) == 2:
            yield _pair(queue, one.lower(), two.lower())
        else:
            skipped[GONE] += 1


def _of_dataset(
    home: Home, actor: Actor, queue: Queue, source: Source, skipped: Counter[str]
) -> Iterator[Item]:
    unknown = set(source.fields) - set(contents.COLUMNS)
    if unknown:
        raise Invalid(f"{sorted(unknown)[0]!r} is not a part of an item.", hint=", ".join(contents.COLUMNS))
    with home.read() as uow:
        version = datasets.resolve(uow, actor, source.dataset or "")
    origin = {"kind": "dataset_version", "ref": version.ref}
    stored = datasets.stored_rows(home, actor, version.ref, split=source.split)
    rows = ((one.key, one.row) for one in stored)
    return _of_rows(home, actor, queue, (rows, origin, source.fields), skipped)


def _of_run(home: Home, actor: Actor, queue: Queue, source: Source, skipped: Counter[str]) -> Iterator[Item]:
    reader: QueueSource = plugins.load("queue_sources", "run")
    ref = source.run or ""
    rows = ((str(row.get("id", "")), row) for row in reader.rows(home, actor, ref))
    return _of_rows(home, actor, queue, (rows, {"kind": reader.KIND, "ref": ref}, {}), skipped)


_Rows = tuple[Iterable[tuple[str, Mapping[str, Any]]], Mapping[str, str], Mapping[str, str]]
"""(key, row) of each; kind and ref of where they come from; part → column."""


def _of_rows(home: Home, actor: Actor, queue: Queue, given: _Rows, skipped: Counter[str]) -> Iterator[Item]:
    rows, origin, fields = given
    with home.begin() as uow:
        uow.link(actor.scope, ("queue", queue.id), [Link(origin["kind"], origin["ref"], "source")])
    for key, row in rows:
        try:
            content = contents.of_row(queue.spec.kind, row, fields, {"origin": {**origin, "key": key}})
        except Invalid as error:
            skipped[error.message] += 1
            continue
        suggestion = _suggested(queue, row, fields, skipped)
        yield _item(
            queue,
            f"row:{contents.digest(content['row'])}",
            content=content,
            suggestion=suggestion,
            uncertainty=1 - certainty(suggestion),
            sketch=sketch(contents.text_for_sketch(content)) if queue.spec.order in _SKETCHED else "",
        )


def _suggested(
    queue: Queue, row: Mapping[str, Any], fields: Mapping[str, str], skipped: Counter[str]
) -> Suggestion | None:
    found = contents.suggestion_of(row, fields)
    if found is None:
        return None
    try:
        return checked_suggestion(queue, found)
    except Invalid:
        skipped["the suggestion does not fit the labels (the row was added without it)"] += 1
        return None


def checked_suggestion(queue: Queue, found: Suggestion) -> Suggestion:
    """Return a suggestion whose values fit the queue's labels; raises Invalid."""
    if not found.values or len(found.model) > 200 or not set(found.confidence) <= set(found.values):
        raise Invalid("A suggestion has values, and confidences only for those.")
    if not all(0 <= value <= 1 for value in found.confidence.values()):
        raise Invalid("A confidence is 0 to 1.")
    values = labels.check_values(queue.spec.labels, found.values, partly=True)
    return msgspec.structs.replace(found, values=values)


_Make = Callable[[Home, Actor, Queue, Source, "Counter[str]"], Iterator[Item]]
_SOURCES: Mapping[str, _Make] = {
    "query": _of_query,
    "trace_ids": _of_ids,
    "pairs": _of_pairs,
    "dataset": _of_dataset,
    "run": _of_run,
}


def parse_source(data: Mapping[str, Any]) -> Source:
    """Return the source of a mapping; raises Invalid."""
    try:
        return msgspec.convert(data, Source)
    except msgspec.ValidationError as error:
        raise Invalid(f"The source does not fit: {error}.") from error


def parse_gold(data: Sequence[Mapping[str, Any]]) -> tuple[Gold, ...]:
    """Return the gold questions of mappings; raises Invalid."""
    try:
        return tuple(msgspec.convert(one, Gold) for one in data)
    except msgspec.ValidationError as error:
        raise Invalid(f"The gold questions do not fit: {error}.") from error
