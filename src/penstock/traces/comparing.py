"""The verb that lays two traces beside each other."""

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.core.errors import Invalid, NotFound
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.traces import transcript, wording
from penstock.traces.alignment import Step as SpanStep
from penstock.traces.alignment import align
from penstock.traces.model import SpanRecord, SpanRow, TraceSummary
from penstock.traces.store import spans
from penstock.traces.store.talks import TURN_CHARS, cut
from penstock.traces.wording import Step

MAX_PAGE = 1000
MAX_SPANS = 100_000
_MAX_ATTRIBUTES = 100
_FIELDS = (
    "name",
    "kind",
    "status",
    "error",
    "model",
    "requested_model",
    "provider",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "cost_usd",
    "price_version",
    "ttft_ns",
    "user",
    "session",
    "route",
    "environment",
    "prompt",
    "duplicate_of",
)

Change = tuple[Any, Any]


class SpanPair(msgspec.Struct, frozen=True, kw_only=True):
    """Two spans that belong together, or one that stands alone."""

    left: SpanRow | None
    right: SpanRow | None
    changes: dict[str, Change]
    """Field → (left, right) where they differ: fields of spans, `duration_ns`, `input` and `output` as text, `tags`,
    `parameters.…`, `metadata.…`, `attributes.…`."""
    texts: dict[str, list[Step]]
    """For a changed `input` or `output`, the steps from left to right."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Two traces and a page of their spans, in the order of the drawn trees."""

    left: TraceSummary
    right: TraceSummary
    pairs: tuple[SpanPair, ...]
    total: int
    """How many pairs there are."""
    next: int | None = None
    """Pass as `after` to go on; None at the end."""


def diff_traces(
    uow: UnitOfWork, actor: Actor, *, left: str, right: str, after: int = 0, limit: int = 200
) -> Difference:
    """Return a page of the spans of two traces, aligned, with what differs; raises NotFound, Invalid when too large."""
    uow.may(actor, "traces.read", left)
    if not 1 <= limit <= MAX_PAGE:
        raise Invalid(f"limit must be 1 to {MAX_PAGE}, not {limit}.")
    sides = [_load(uow, actor, trace_id) for trace_id in (left, right)]
    pairs = align(sides[0][2], sides[1][2])
    page = pairs[after : after + limit]
    both = [pair for pair in page if None not in pair]
    rows, bodies = [], []
    for place, (number, _, steps) in enumerate(sides):
        shown = [steps[pair[place] or 0].span_id for pair in page if pair[place] is not None]
        matched = [steps[pair[place] or 0].span_id for pair in both]
        rows.append(spans.rows(uow.conn, actor.scope, number, shown))
        bodies.append(spans.bodies(uow.conn, actor.scope, number, matched))
    made = []
    for pair in page:
        names = ["" if index is None else sides[place][2][index].span_id for place, index in enumerate(pair)]
        one, two = rows[0].get(names[0]), rows[1].get(names[1])
        made.append(_pair(one, two, (bodies[0].get(names[0]), bodies[1].get(names[1]))))
    return Difference(
        left=sides[0][1],
        right=sides[1][1],
        pairs=tuple(made),
        total=len(pairs),
        next=after + limit if after + limit < len(pairs) else None,
    )


def _load(uow: UnitOfWork, actor: Actor, trace_id: str) -> tuple[int, TraceSummary, list[SpanStep]]:
    found = spans.summary(uow.conn, actor.scope, trace_id)
    if found is None:
        raise NotFound(f"There is no trace {trace_id!r} in the project {actor.scope.project!r}.")
    if found[1].spans > MAX_SPANS:
        raise Invalid(f"The trace {trace_id} has {found[1].spans} spans: too many to compare ({MAX_SPANS}).")
    return *found, spans.steps(uow.conn, actor.scope, found[0])


def _pair(
    left: SpanRow | None, right: SpanRow | None, full: tuple[SpanRecord | None, SpanRecord | None]
) -> SpanPair:
    if left is None or right is None:
        return SpanPair(left=left, right=right, changes={}, texts={})
    changes: dict[str, Change] = {}
    for name in _FIELDS:
        _note(changes, name, getattr(left, name), getattr(right, name))
    _note(changes, "duration_ns", left.end_ns - left.start_ns, right.end_ns - right.start_ns)
    texts: dict[str, list[Step]] = {}
    if full[0] is not None and full[1] is not None:
        _bodies(full[0], full[1], changes, texts)
    return SpanPair(left=left, right=right, changes=changes, texts=texts)


def _note(changes: dict[str, Change], name: str, left: Any, right: Any) -> None:
    if left != right:
        changes[name] = (left, right)


def _bodies(
    left: SpanRecord, right: SpanRecord, changes: dict[str, Change], texts: dict[str, list[Step]]
) -> None:
    for name, of in (("input", transcript.of_input), ("output", transcript.of_output)):
        documents = getattr(left, name), getattr(right, name)
        if documents[0] == documents[1]:
            continue
        said = [cut(transcript.shown(of(document)), TURN_CHARS) for document in documents]
        if said[0] != said[1]:
            changes[name] = (said[0], said[1])
            texts[name] = wording.steps(said[0], said[1])
    _note(changes, "tags", list(left.tags), list(right.tags))
    _maps("parameters", left.parameters, right.parameters, changes)
    _maps("metadata", left.metadata, right.metadata, changes)
    _maps("attributes", left.attributes, right.attributes, changes)


def _maps(name: str, left: Mapping[str, Any], right: Mapping[str, Any], changes: dict[str, Change]) -> None:
    differing = [key for key in {**left, **right} if left.get(key) != right.get(key)]
    for key in differing[:_MAX_ATTRIBUTES]:
        changes[f"{name}.{key}"] = (_short(left.get(key)), _short(right.get(key)))


def _short(value: Any) -> Any:
    return cut(value, TURN_CHARS) if isinstance(value, str) else value
