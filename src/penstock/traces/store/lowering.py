"""From the tree of a query to terms."""

import math
from collections.abc import Sequence
from datetime import datetime

from penstock.core import clock
from penstock.traces import words
from penstock.traces.query.nodes import And, Label, Node, Not, Number, Or, Time, Words
from penstock.traces.store.labels import of_label
from penstock.traces.store.looking import Looked
from penstock.traces.store.spoken import Spoken
from penstock.traces.store.terms import (
    All,
    Asking,
    Body,
    Column,
    Constant,
    Either,
    Inverse,
    Score,
    Span,
    Term,
    Text,
    told_in_hits,
)

_NUMBERS = {
    "latency": ("t.duration_ns", 1e9),
    "cost": ("t.cost_nano", 1e9),
    "tokens": ("(t.input_tokens + t.output_tokens)", 1),
    "input_tokens": ("t.input_tokens", 1),
    "output_tokens": ("t.output_tokens", 1),
    "cached": ("t.cached_tokens", 1),
    "spans": ("t.spans", 1),
    "calls": ("t.calls", 1),
    "errors": ("t.errors", 1),
}
"""Field → (column, stored units per unit asked for)."""
_LISTED = frozenset({"latency", "cost"})
_COLUMNS = {"input": "s.input_preview", "output": "s.output_preview", "error": "s.error"}
_LARGEST = (1 << 63) - 1


def lower(asking: Asking, node: Node | None, now: datetime) -> Term:
    """Return the term of a query asked at `now`; what it says of time at its top becomes the window of `asking`."""
    if asking.scope_id < 0:
        return Constant(met=False)  # nothing was ever stored in this project
    if node is None:
        return Constant(met=True)
    items = node.items if isinstance(node, And) else (node,)
    rest = []
    for item in items:
        if isinstance(item, Time):
            _narrow(asking, item, now)
        else:
            rest.append(item)
    return _all(asking, rest, now)


def _narrow(asking: Asking, node: Time, now: datetime) -> None:
    since, until = _ends(node, now)
    if since is not None:
        asking.since = since if asking.since is None else max(since, asking.since)
    if until is not None:
        asking.until = until if asking.until is None else min(until, asking.until)


def _ends(node: Time, now: datetime) -> tuple[int | None, int | None]:
    ends = (node.since, node.until)
    since, until = (None if end is None else clock.to_ns(end.resolve(now)) // 1_000_000 for end in ends)
    return since, until


def _lower(asking: Asking, node: Node, now: datetime) -> Term:
    if isinstance(node, And):
        return _all(asking, node.items, now)
    if isinstance(node, Or):
        return _either([_lower(asking, item, now) for item in node.items])
    if isinstance(node, Not):
        return Inverse(_lower(asking, node.item, now))
    if isinstance(node, Label):
        return of_label(asking, node)
    if isinstance(node, Number):
        return _number(asking, node)
    if isinstance(node, Time):
        return _time(asking, node, now)
    return _words(asking, [node])


def _all(asking: Asking, items: Sequence[Node], now: datetime) -> Term:
    """Words that stand together are looked for in one span."""
    said = [item for item in items if isinstance(item, Words) and item.text]
    terms = [_lower(asking, item, now) for item in items if not (isinstance(item, Words) and item.text)]
    if said:
        terms.append(_words(asking, said))
    return terms[0] if len(terms) == 1 else All(tuple(terms)) if terms else Constant(met=True)


def _either(terms: Sequence[Term]) -> Term:
    """One look into the index serves all words."""
    texts = [term for term in terms if isinstance(term, Text)]
    rest: list[Term] = [term for term in terms if not isinstance(term, Text)]
    if texts:
        rest.append(Text(tuple(option for term in texts for option in term.options)))
    return rest[0] if len(rest) == 1 else Either(tuple(rest))


def _time(asking: Asking, node: Time, now: datetime) -> Term:
    since, until = _ends(node, now)
    conditions = [] if since is None else [f"t.at_ms >= {asking.bind(since)}"]
    conditions += [] if until is None else [f"t.at_ms < {asking.bind(until)}"]
    return Column("(" + " AND ".join(conditions) + ")")


def _range(asking: Asking, column: str, node: Number, unit: float, *, whole: bool = True) -> str:
    found = []
    for bound, included, sign in ((node.low, node.low_in, ">"), (node.high, node.high_in, "<")):
        if bound is None:
            continue
        value: float = bound * unit
        if whole:
            # Columns hold whole numbers: what is asked between two of them is rounded inwards. A little slack
            # takes back what the decimal point lost, so that latency>=0.3s includes 300 ms.
            near = round(value)
            exact = abs(value - near) <= 1e-6 * max(1.0, abs(value)) * 1e-3
            step = near if exact else math.ceil(value) if sign == ">" else math.floor(value)
            included = included or not exact
            value = max(-_LARGEST, min(_LARGEST, step))
        found.append(f"{column} {sign}{'=' if included else ''} {asking.bind(value)}")
    return " AND ".join(found)


def _number(asking: Asking, node: Number) -> Term:
    if node.field == "ttft":
        return Span(_range(asking, "s.ttft_ns", node, 1e9))
    if node.field in ("score", "rating"):
        name = asking.bind(node.key or node.field)
        return Score(f"c.name = {name} AND {_range(asking, 'c.value', node, 1, whole=False)}")
    column, unit = _NUMBERS[node.field]
    return Column(_range(asking, column, node, unit), listed=node.field in _LISTED and (node.low or 0) > 0)


def _words(asking: Asking, said: Sequence[Words]) -> Term:
    if not said[0].text:
        return Span(f"{_COLUMNS[said[0].where]} IS NOT NULL")
    wanted: list[tuple[str, bool]] = []
    for item in said:
        found = words.split(item.text)
        if not found:
            return Constant(met=False)
        wanted += [(words.marked(word, asking.scope_id), False) for word in found[:-1]]
        wanted.append((words.marked(found[-1], asking.scope_id), item.prefix))
    spoken = [Spoken(item) for item in said]

    def told(span: Looked) -> bool:
        return all(one.occurs(span) for one in spoken)

    if asking.fresh:
        return Body(told)
    indexed = Text((tuple(dict.fromkeys(wanted[: words.QUERY_WORDS])),))
    if all(_told_by_index(item) for item in said):
        return indexed
    return told_in_hits(indexed, told)


def _told_by_index(item: Words) -> bool:
    return item.where == "text" and (not item.phrase or len(words.split(item.text)) == 1)
