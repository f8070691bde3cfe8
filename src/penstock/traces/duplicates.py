"""Which spans report the same call of a model, and which of them counts.

Two rules, neither of which asks in what order spans arrived:

- A call within a call (same kind, through http, chain and other spans between) is one: the outer span is a
  client's report of what the inner ones did. The inner ones count, unless only the outer one was told the usage.
- Spans of different instrumentations that name the same response and overlap in time are one call, wherever they are.
  The one whose usage was reported counts; of several the one inside a larger trace, then the one that knows user or
  session, then the innermost.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

THROUGH = frozenset({"http", "chain", "other"})
"""Kinds of spans that may stand between two reports of one call."""
_SLACK_NS = 50_000_000
"""Clocks and exporters of two instrumentations differ a little about when a call began and ended."""


class Report(NamedTuple):
    """A span as far as these rules look at it; `row` is its number in the store, `trace` its trace's."""

    row: int
    trace: int
    span_id: bytes
    parent_id: bytes | None
    kind: str
    start_ns: int
    end_ns: int
    tokens: int
    estimated: bool
    known: bool
    """Whether it names a user or a session."""
    response_id: str | None
    duplicate_of: str | None

    @property
    def call(self) -> bool:
        """Whether it is a call of a model."""
        return self.kind in ("llm", "embedding")

    @property
    def rank(self) -> int:
        """How well its usage is known: reported 2, estimated 1, not at all 0."""
        return 0 if not self.tokens else 1 if self.estimated else 2

    @property
    def order(self) -> tuple[int, bytes]:
        """Earlier first; ids decide where times do not."""
        return self.start_ns, self.span_id


def nested(spans: Iterable[Report]) -> dict[int, Report]:
    """Return, for each call of a trace that does not count, the call that counts in its place (row → report)."""
    by_id = {span.span_id: span for span in spans}
    calls = [span for span in by_id.values() if span.call]
    if len(calls) < 2:
        return {}
    inner: dict[bytes, list[Report]] = {}
    outer: dict[bytes, Report] = {}
    for call, above in _enclosing(by_id, calls):
        inner.setdefault(above.span_id, []).append(call)
        outer[call.span_id] = above
    return _resolved(calls, inner, outer) if inner else {}


def _enclosing(by_id: Mapping[bytes, Report], calls: Sequence[Report]) -> Iterable[tuple[Report, Report]]:
    """Yield (call, nearest call around it); each span on the way is looked at once, and cycles end."""
    above: dict[bytes, Report | None] = {}
    for call in calls:
        way: list[bytes] = []
        at = by_id.get(call.parent_id or b"")
        while at is not None and at.kind in THROUGH and at.span_id not in above:
            above[at.span_id] = None  # also what a cycle meets again
            way.append(at.span_id)
            at = by_id.get(at.parent_id or b"")
        found = above.get(at.span_id) if at is not None and at.kind in THROUGH else at
        for span_id in way:
            above[span_id] = found
        if found is not None and found.kind == call.kind and found.span_id != call.span_id:
            yield call, found


def _resolved(
    calls: Sequence[Report], inner: Mapping[bytes, list[Report]], outer: Mapping[bytes, Report]
) -> dict[int, Report]:
    """Decide from the innermost calls outwards, then hand the decision down."""
    best: dict[bytes, int] = {}
    stands: dict[bytes, Report] = {}
    order = _outermost_first(calls, inner, outer)
    for call in reversed(order):
        children = sorted(inner.get(call.span_id, ()), key=lambda one: (-best.get(one.span_id, 0), one.order))
        children = [child for child in children if child.span_id in stands]
        if children and best[children[0].span_id] >= call.rank:
            best[call.span_id], stands[call.span_id] = best[children[0].span_id], stands[children[0].span_id]
        else:
            best[call.span_id], stands[call.span_id] = call.rank, call
    found: dict[int, Report] = {}
    covered: dict[bytes, Report] = {}
    for call in order:
        above = outer.get(call.span_id)
        cover = covered.get(above.span_id) if above is not None else None
        if cover is None and stands[call.span_id] is call:
            if call.span_id in inner:
                covered[call.span_id] = call
            continue
        found[call.row] = stand = cover or stands[call.span_id]
        if cover is not None:
            covered[call.span_id] = stand
    return found


def _outermost_first(
    calls: Sequence[Report], inner: Mapping[bytes, list[Report]], outer: Mapping[bytes, Report]
) -> list[Report]:
    """Return the calls with every call before those inside it; calls in a ring of parents are left out."""
    order = [call for call in calls if call.span_id not in outer]
    for call in order:
        order.extend(inner.get(call.span_id, ()))
    return order


class Named(NamedTuple):
    """A report with the instrumentation that sent it."""

    report: Report
    emitter: str


def same_response(reports: Sequence[Named]) -> dict[int, Report]:
    """Return, of calls that name one response and count so far, those that do not and the one that does for them."""
    found: dict[int, Report] = {}
    left = sorted(reports, key=lambda one: _preference(one.report), reverse=True)
    while left:
        first, rest = left[0], list[Named]()
        told = {first.emitter}
        for one in left[1:]:
            if one.emitter in told or not _overlap(first.report, one.report):
                rest.append(one)  # one instrumentation tells a call once: this is another call
                continue
            told.add(one.emitter)
            found[one.report.row] = first.report
        left = rest
    return found


def _preference(one: Report) -> tuple[int, bool, bool, int, bytes]:
    return one.rank, one.parent_id is not None, one.known, one.start_ns, one.span_id


def _overlap(one: Report, other: Report) -> bool:
    same = one.kind == other.kind
    return same and one.start_ns <= other.end_ns + _SLACK_NS and other.start_ns <= one.end_ns + _SLACK_NS
