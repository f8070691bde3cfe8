"""Fields with texts, looked up among the entries of the side table."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import text

from penstock.traces import words
from penstock.traces.model import KINDS
from penstock.traces.query.nodes import Label, Pattern
from penstock.traces.store import keyed, rollup
from penstock.traces.store.looking import Looked
from penstock.traces.store.prepare import METADATA, MORE_ATTRIBUTES, MORE_LABELS, SERVICE, clean_label
from penstock.traces.store.terms import (
    All,
    Asking,
    Body,
    Column,
    Constant,
    Either,
    Facets,
    Pair,
    Score,
    Span,
    Term,
    Text,
    told_in_hits,
)

_FEW_NAMES = 100
"""So many entries are looked up one by one for each trace."""
_LAST = "\U0010ffff"
_COLUMNS = {
    "model": "model",
    "provider": "provider",
    "user": "user",
    "session": "session",
    "key": "key_id",
    "route": "route",
    "environment": "environment",
    "prompt": "prompt",
    "name": "name",
    "requested_model": "requested_model",
}
"""Facet → column of spans with the same text."""


def pattern_sql(asking: Asking, column: str, pattern: Pattern) -> str:
    """Return the condition that `column` meets `pattern`; case counts on every engine."""
    if pattern.exact is not None:
        return f"{column} = {asking.bind(pattern.exact)}"
    if pattern.anything:
        return f"{column} IS NOT NULL"
    if not asking.sqlite:
        escaped = (
            part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for part in pattern.parts
        )
        return f"{column} LIKE {asking.bind('%'.join(escaped))}"
    globbed = "*".join(
        part.replace("[", "[[]").replace("*", "[*]").replace("?", "[?]") for part in pattern.parts
    )
    start = pattern.parts[0]
    bounds = f" AND {column} >= {asking.bind(start)} AND {column} < {asking.bind(start + _LAST)}"
    return f"{column} GLOB {asking.bind(globbed)}" + (bounds if start else "")


@dataclass(frozen=True, slots=True)
class Names(Term):
    """Traces with one of many entries of the side table; `instead` tells it of a trace without the table."""

    condition: str
    instead: Term

    def sql(self, asking: Asking, relaxed: bool | None) -> str:
        """Ask the trace's spans."""
        return self.instead.sql(asking, relaxed)

    def pairs(self, asking: Asking, cap: int) -> list[Pair] | None:
        """Read the ranges of all entries."""
        return asking.pairs(
            "SELECT g.at_ms, g.trace FROM traces_facet_names n JOIN traces_facets g ON g.facet = n.id "
            f"WHERE {self.condition}{asking.window('g.at_ms')}",
            cap,
        )

    def bodies(self) -> Iterator[Body]:
        """Yield those of its substitute."""
        yield from self.instead.bodies()


def _facet(asking: Asking, key: str, *patterns: Pattern) -> Term:
    """Return the traces with an entry under `key` that meets one of `patterns`."""
    either = " OR ".join(pattern_sql(asking, "n.value", pattern) for pattern in patterns)
    condition = f"n.scope_id = :scope AND n.key = {asking.bind(clean_label(key))} AND ({either})"
    query = f"SELECT n.id FROM traces_facet_names n WHERE {condition} LIMIT {_FEW_NAMES + 1}"
    ids = tuple(row[0] for row in asking.conn.execute(text(query), asking.values))
    if len(ids) > _FEW_NAMES:
        found: Term = _narrowed(asking, key, patterns, Names(condition, _of_spans(asking, key, patterns)))
    else:
        found = Facets(ids) if ids else Constant(met=False)
    if key == "tag" or key.startswith("metadata."):
        return _or_in_spans(asking, found, MORE_LABELS, lambda: _of_spans(asking, key, patterns))
    return found


def _narrowed(asking: Asking, key: str, patterns: tuple[Pattern, ...], found: Names) -> Term:
    """Return `found`, asked only of traces that have that key of metadata, where an entry says which these are.

    Traces up to the mark came before there were such entries.
    """
    if not key.startswith(f"{METADATA}."):
        return found
    having = _facet(asking, METADATA, Pattern((clean_label(key).removeprefix(f"{METADATA}."),)))
    anything = any(pattern.anything for pattern in patterns)
    narrowed = having if anything else All((having, found))
    if keyed.complete(asking.conn):
        return narrowed
    before = rollup.mark(asking.conn, rollup.KEYED)
    return Either((narrowed, All((Column(f"t.id <= {before}"), found))))


def _or_in_spans(asking: Asking, found: Term, more: tuple[str, str], told: Callable[[], Term]) -> Term:
    """Return `found`, or what `told` tells of the traces that the entry `more` says hold more than is indexed."""
    query = f"SELECT id FROM traces_facet_names WHERE scope_id = :scope AND key = {asking.bind(more[0])} AND value = "
    marked = asking.conn.execute(text(query + asking.bind(more[1])), asking.values).scalar()
    if marked is None:
        return found
    looked_into = All((Facets((int(marked),)), told()))
    return looked_into if isinstance(found, Constant) else Either((found, looked_into))


def _of_spans(asking: Asking, key: str, patterns: tuple[Pattern, ...]) -> Term:
    if key in _COLUMNS:
        column = f's."{_COLUMNS[key]}"'
        either = " OR ".join(pattern_sql(asking, column, pattern) for pattern in patterns)
        if key == "model":
            either += "".join(f" OR {pattern_sql(asking, 's.requested_model', p)}" for p in patterns)
        return Span(f"({either})")
    if key == "tag":
        return Body(lambda span: any(pattern.matches(tag) for tag in span.tags for pattern in patterns))
    if key in ("agent", "tool"):

        def names(span: Looked) -> bool:
            value = span.agent if key == "agent" else span.tool
            return value is not None and any(pattern.matches(clean_label(value)) for pattern in patterns)

        return Body(names)
    name = key.removeprefix("metadata.")

    def told(span: Looked) -> bool:
        value = span.metadata.get(name)
        return value is not None and any(pattern.matches(value) for pattern in patterns)

    return Body(told)


def _status(asking: Asking, label: Label) -> Term:
    wanted = [value for value in ("ok", "error") if label.pattern.matches(value)]
    if len(wanted) != 1:
        return Constant(met=bool(wanted))
    return Column("t.errors = 0") if wanted == ["ok"] else _facet(asking, "status", Pattern(("error",)))


def _kind(asking: Asking, label: Label) -> Term:
    wanted = [Pattern((kind,)) for kind in KINDS if label.pattern.matches(kind)]
    return _facet(asking, "kind", *wanted) if wanted else Constant(met=False)


def _id(asking: Asking, label: Label) -> Term:
    digits = label.pattern.parts[0]
    low, high = bytes.fromhex(digits.ljust(32, "0")), bytes.fromhex(digits.ljust(32, "f"))
    return Column(f"t.trace_id BETWEEN {asking.bind(low)} AND {asking.bind(high)}", listed=True)


def _prompt(asking: Asking, label: Label) -> Term:
    name = label.pattern.exact
    if name is None or "@" in name:
        return _facet(asking, "prompt", label.pattern)
    return _facet(asking, "prompt", label.pattern, Pattern((name + "@", "")))


def _guard(asking: Asking, label: Label) -> Term:
    first, *rest = label.pattern.parts
    return _facet(asking, "tag", Pattern(("guard:" + first, *rest)))


def _requested(asking: Asking, label: Label) -> Term:
    column = pattern_sql(asking, "s.requested_model", label.pattern)
    return All((_facet(asking, "model", label.pattern), Span(column)))


def _metadata(asking: Asking, label: Label) -> Term:
    return _facet(asking, f"metadata.{label.key}", label.pattern)


def _service(asking: Asking, label: Label) -> Term:
    return _facet(asking, f"metadata.{SERVICE}", label.pattern)


def _attribute(asking: Asking, label: Label) -> Term:
    def told(span: Looked) -> bool:
        pairs = words.attribute_pairs(words.searched(span.attributes, span.parameters))
        return any(name == label.key and label.pattern.matches(value) for name, value in pairs)

    if asking.fresh:
        return Body(told)
    return _or_in_spans(asking, _indexed(asking, label, told), MORE_ATTRIBUTES, lambda: Body(told))


def _indexed(asking: Asking, label: Label, told: Callable[[Looked], bool]) -> Term:
    key, exact = label.key, label.pattern.exact
    if exact is not None:
        return Text((((words.of_attribute(key, exact, asking.scope_id), False),),))
    named = Text((((words.of_attribute_key(key, asking.scope_id), False),),))
    if label.pattern.anything:
        return named
    return told_in_hits(named, told)


def _feedback(asking: Asking, label: Label) -> Term:
    given = "c.origin = 'feedback'"
    thumb = {"up": "c.value = 1", "down": "c.value = 0"}.get(label.pattern.exact or "")
    if thumb is not None:
        return Score(f"{given} AND c.name = 'thumb' AND {thumb}")
    return Score(
        given if label.pattern.anything else f"{given} AND {pattern_sql(asking, 'c.name', label.pattern)}"
    )


_SPECIAL: dict[str, Callable[[Asking, Label], Term]] = {
    "status": _status,
    "kind": _kind,
    "id": _id,
    "prompt": _prompt,
    "guard": _guard,
    "requested_model": _requested,
    "metadata": _metadata,
    "service": _service,
    "attributes": _attribute,
    "feedback": _feedback,
}


def of_label(asking: Asking, label: Label) -> Term:
    """Return the term of a label."""
    special = _SPECIAL.get(label.field)
    return special(asking, label) if special else _facet(asking, label.field, label.pattern)


__all__ = ["Either", "of_label", "pattern_sql"]
