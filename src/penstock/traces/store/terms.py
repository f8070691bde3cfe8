"""The parts of a query as SQL: each a condition on a trace `t`, and, where an index gives it, a short list of traces.

Values are always bound; only row numbers, which come from the database, are written into statements.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from sqlalchemy import Connection, text

from penstock.core.db import is_sqlite
from penstock.core.scope import Scope
from penstock.traces.store import matching, read
from penstock.traces.store.looking import Looked
from penstock.traces.store.sql import CUT, planned, price_words

RARE = 4000
"""What matches fewer traces than this is looked up first; what matches more is met soon when walking through time."""

RARE_ROWS = 1500
"""The same where each match costs a look at a row somewhere else."""

RARE_WORDS, _NEWEST = 100, 10_000
"""The same for words on PostgreSQL, where each span that the index names costs a row or three; and among how many
of the newest spans no more may have them."""

Pair: TypeAlias = tuple[int, int]
"""(at_ms, row number) of a trace: the order of lists."""


class Asking:
    """One query being answered: its connection, scope, time window and bound values."""

    def __init__(self, conn: Connection, scope: Scope, *, fresh: bool = False) -> None:
        self.conn = conn
        self.fresh = fresh
        """Whether the full-text index may not know the traces yet."""
        self.scope = scope
        self.scope_id = read.scope_id(conn, scope)
        self.sqlite = is_sqlite(conn)
        self.values: dict[str, Any] = {"scope": self.scope_id}
        self.since: int | None = None
        self.until: int | None = None
        self.found: dict[int, set[int]] = {}
        """By body term, the traces of the current chunk that meet it."""
        self.at, self.number = "t.at_ms", "t.id"
        """When the trace began and its row number, in the statement that is being written."""

    def bind(self, value: Any) -> str:
        """Return the name of a parameter with `value`."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f":{name}"

    def window(self, at: str) -> str:
        """Return the condition that the time `at` lies in the window, beginning with AND."""
        found = ""
        if self.since is not None:
            found += f" AND {at} >= {self.bind(self.since)}"
        if self.until is not None:
            found += f" AND {at} < {self.bind(self.until)}"
        return found

    def pairs(self, statement: str, cap: int) -> list[Pair] | None:
        """Return the pairs of a statement, None when there are more than `cap`."""
        rows = self.conn.execute(text(f"{statement} LIMIT {cap + 1}"), self.values).all()
        return None if len(rows) > cap else [(row[0], row[1]) for row in rows]

    def fewer(self, statement: str, limit: int) -> bool:
        """Whether a statement, best one that an index alone answers, has at most `limit` rows."""
        return self.count(statement, limit + 1) <= limit

    def count(self, statement: str, most: int) -> int:
        """Return how many rows a statement has, `most` when more."""
        query = text(f"SELECT count(*) FROM ({statement} LIMIT {most}) AS found")
        return int(self.conn.execute(query, self.values).scalar_one())


class Term:
    """A statement about a trace."""

    def sql(self, asking: Asking, relaxed: bool | None) -> str:
        """Return the condition on `t`.

        With `relaxed` True or False a body term, whose traces are not known yet, counts as that; with None the
        traces in `asking.found` decide.
        """
        raise NotImplementedError

    def pairs(self, asking: Asking, cap: int) -> list[Pair] | None:
        """Return every trace that meets it (more than once, perhaps), None when no index lists at most `cap`."""
        del asking, cap
        return None

    def bodies(self) -> "Iterator[Body]":
        """Yield the body terms inside."""
        yield from ()


@dataclass(frozen=True, slots=True)
class Constant(Term):
    """Met by every trace, or by none."""

    met: bool

    def sql(self, asking: Asking, relaxed: bool | None) -> str:  # noqa: ARG002 - as in Term
        """Return what is always so."""
        return "1 = 1" if self.met else "1 = 0"

    def pairs(self, asking: Asking, cap: int) -> list[Pair] | None:  # noqa: ARG002 - as in Term
        """Nothing, or not listed."""
        return None if self.met else []


@dataclass(frozen=True, slots=True)
class Facets(Term):
    """Traces with one of a few entries of the side table."""

    ids: tuple[int, ...]

    def _in(self) -> str:
        return ", ".join(str(int(number)) for number in self.ids)

    def sql(self, asking: Asking, relaxed: bool | None) -> str:  # noqa: ARG002 - as in Term
        """Return one look-up per entry."""
        return (
            f"EXISTS (SELECT 1 FROM traces_facets g WHERE g.facet IN ({self._in()}) "
            f"AND g.at_ms = {asking.at} AND g.trace = {asking.number})"
        )

    def pairs(self, asking: Asking, cap: int) -> list[Pair] | None:
        """Read the index ranges, if they are short."""
        window = asking.window("at_ms")
        query = f"SELECT at_ms, trace FROM traces_facets WHERE facet IN ({self._in()}){window}"
        return asking.pairs(query, cap) if asking.count(query, cap + 1) <= cap else None

    def size(self, asking: Asking, limit: int) -> int:
        """Return how many entries lie in the window, `limit` when more."""
        query = f"SELECT 1 FROM traces_facets WHERE facet IN ({self._in()}){asking.window('at_ms')}"
        return asking.count(query, limit)


@dataclass(frozen=True, slots=True)
class Column(Term):
    """A condition on the trace's own row; `listed` when an index leads to it."""

    condition: str
    listed: bool = False

    def sql(self, asking: Asking, relaxed: bool | None) -> str:  # noqa: ARG002 - as in Term
        """Return it; when there are many, SQLite's planner had better not start from their index and sort."""
        return self.condition.replace("t.", "+t.") if self.listed and asking.sqlite else self.condition

    def pairs(self, asking: Asking, cap: int) -> list[Pair] | None:
        """Read the index."""
        if not self.listed or not self.fewer(asking, min(cap, RARE_ROWS)):
            return None
        return asking.pairs(f"SELECT t.at_ms, t.id {self._source()}", cap)

    def fewer(self, asking: Asking, limit: int) -> bool:
        """Whether at most `limit` traces meet it, at any time."""
        return asking.fewer(f"SELECT 1 {self._source()}", limit)

    def _source(self) -> str:
        return f"FROM traces_traces t WHERE t.scope_id = :scope AND {self.condition}"


@dataclass(frozen=True, slots=True)
class Span(Term):
    """A condition on some span `s` of the trace; `listed` when an index leads to it."""

    condition: str
    listed: bool = False

    def sql(self, asking: Asking, relaxed: bool | None) -> str:  # noqa: ARG002 - as in Term
        """Return a look at the trace's spans."""
        return f"EXISTS (SELECT 1 FROM traces_spans s WHERE s.trace = t.id AND {self.condition})"

    def pairs(self, asking: Asking, cap: int) -> list[Pair] | None:
        """Read the index of spans, then their traces."""
        if not self.listed:
            return None
        return asking.pairs(
            "SELECT t.at_ms, t.id FROM traces_spans s JOIN traces_traces t ON t.id = s.trace "
            f"WHERE s.scope_id = :scope AND {self.condition}",
            cap,
        )


@dataclass(frozen=True, slots=True)
class Score(Term):
    """A condition on some score `c` of the trace."""

    condition: str

    def sql(self, asking: Asking, relaxed: bool | None) -> str:  # noqa: ARG002 - as in Term
        """Return a look at the trace's scores."""
        # The plus keeps SQLite's planner with the few scores of the trace, away from the index by value.
        condition = self.condition.replace("c.name", "+c.name") if asking.sqlite else self.condition
        return (
            "EXISTS (SELECT 1 FROM traces_scores c WHERE c.scope_id = t.scope_id AND c.trace_id = t.trace_id "
            f"AND {condition})"
        )

    def pairs(self, asking: Asking, cap: int) -> list[Pair] | None:
        """Read the index of scores, then their traces."""
        scores = f"SELECT 1 FROM traces_scores c WHERE c.scope_id = :scope AND {self.condition}"
        if not asking.fewer(scores, min(cap, RARE_ROWS)):
            return None
        return asking.pairs(
            "SELECT t.at_ms, t.id FROM traces_scores c JOIN traces_traces t "
            "ON t.scope_id = c.scope_id AND t.trace_id = c.trace_id "
            f"WHERE c.scope_id = :scope AND {self.condition}",
            cap,
        )


@dataclass(slots=True)
class Text(Term):
    """Traces with a span that holds all words of one of `options`: (word as indexed, whether it may go on)."""

    options: tuple[tuple[tuple[str, bool], ...], ...]
    common: bool = True
    """Whether there are too many to list; known after `pairs`."""
    most: int = RARE
    """How many spans are listed at most."""
    given: bool = False
    """Whether what is asked about now are traces of spans that the index named for it."""
    body: "Body | None" = None
    """What the words must also be told by, in the same span."""
    hits: frozenset[int] | None = None
    """Row numbers of all spans that the index names, where `pairs` found few."""
    near: frozenset[int] | None = None
    """Row numbers of those that it names of the traces that are asked about now, where they were looked up."""
    _name: str = ""

    def match(self, asking: Asking) -> str:
        """Return the condition on the index `x`."""
        if not self._name:
            price_words(asking.conn)
            self._name = asking.bind(
                matching.fts5(self.options) if asking.sqlite else matching.tsquery(self.options)
            )
        if asking.sqlite:
            return f"x.traces_text MATCH {self._name}"
        return f"x.words @@ to_tsquery('simple', {self._name})"

    def sql(self, asking: Asking, relaxed: bool | None) -> str:  # noqa: ARG002 - as in Term
        """Return a look into the index: once for all when it lists few, else for each span."""
        if self.given:
            return "1 = 1"
        if not self.common:
            return f"t.id IN (SELECT s.trace FROM traces_spans s WHERE s.id IN ({self._hits(asking)}))"
        number = "x.rowid" if asking.sqlite else "x.id"
        return (
            "EXISTS (SELECT 1 FROM traces_spans s CROSS JOIN traces_text x WHERE s.trace = t.id "
            f"AND {number} = s.id AND {self.match(asking)})"
        )

    def fewer(self, asking: Asking, limit: int) -> bool:
        """Whether the index names at most `limit` spans."""
        return asking.fewer(self._hits(asking), limit)

    def _hits(self, asking: Asking) -> str:
        number = "x.rowid" if asking.sqlite else "x.id"
        return f"SELECT {number} AS id FROM traces_text x WHERE {self.match(asking)}"

    def pairs(self, asking: Asking, cap: int) -> list[Pair] | None:
        """Read the index, then the traces of the spans it names."""
        hits, limit = self._hits(asking), min(cap, self.most)
        last = (
            None if asking.sqlite else asking.conn.execute(text("SELECT max(id) FROM traces_text")).scalar()
        )
        with planned(asking.conn, CUT):
            # PostgreSQL's index gathers all that it names, however few are asked for: first a look at the newest.
            if last is not None and not asking.fewer(f"{hits} AND x.id > {last - _NEWEST}", limit):
                return None
            if not asking.fewer(hits, limit):
                return None
            numbers = [row[0] for row in asking.conn.execute(text(hits), asking.values)]
        self.common = False  # as a condition; whether to start from it is another question
        self.hits = frozenset(numbers)
        if len(numbers) > RARE_ROWS:
            return None
        if not numbers:
            return []
        listed = ", ".join(str(int(one)) for one in numbers)
        return asking.pairs(
            "SELECT DISTINCT t.at_ms, t.id FROM traces_spans s JOIN traces_traces t ON t.id = s.trace "
            f"WHERE s.id IN ({listed})",
            cap,
        )


@dataclass(slots=True, eq=False)
class Body(Term):
    """A condition that only the unpacked span tells; tried on the traces that meet everything else."""

    check: Callable[[Looked], bool]
    index: Text | None = None
    """What names every span that meets it, and more."""
    given: bool = False
    """Whether what is asked about now are traces of spans that meet it."""

    def sql(self, asking: Asking, relaxed: bool | None) -> str:
        """Return the traces found by looking, or what stands in for them."""
        if self.given:
            return "1 = 1"
        if relaxed is not None:
            return "1 = 1" if relaxed else "1 = 0"
        listed = ", ".join(str(int(number)) for number in asking.found.get(id(self), ()))
        return f"t.id IN ({listed})" if listed else "1 = 0"

    def bodies(self) -> "Iterator[Body]":
        """Yield itself, unless it is known."""
        if not self.given:
            yield self


def told_in_hits(words: Text, check: Callable[[Looked], bool]) -> "All":
    """Return what the index narrows down to `words` and `check` tells of each span it names."""
    words.body = Body(check, index=words)
    return All((words, words.body))


@dataclass(frozen=True, slots=True)
class All(Term):
    """Every one of `items`."""

    items: tuple[Term, ...]

    def sql(self, asking: Asking, relaxed: bool | None) -> str:
        """Join with AND."""
        return "(" + " AND ".join(item.sql(asking, relaxed) for item in self.items) + ")"

    def pairs(self, asking: Asking, cap: int) -> list[Pair] | None:
        """Return the shortest list of its items."""
        best: list[Pair] | None = None
        for item in sorted(self.items, key=_eagerness):
            found = item.pairs(asking, cap if best is None else len(best))
            if found is not None:
                best = found
                if len(best) <= _FEW:
                    break
        return best

    def bodies(self) -> "Iterator[Body]":
        """Yield those of its items."""
        for item in self.items:
            yield from item.bodies()


_FEW = 200
"""So few that no better list is worth looking for."""


def _eagerness(term: Term) -> int:
    return 0 if isinstance(term, Constant | Facets) else 1 if isinstance(term, Score | Column) else 2


@dataclass(frozen=True, slots=True)
class Either(Term):
    """At least one of `items`."""

    items: tuple[Term, ...]

    def sql(self, asking: Asking, relaxed: bool | None) -> str:
        """Join with OR."""
        return "(" + " OR ".join(item.sql(asking, relaxed) for item in self.items) + ")"

    def pairs(self, asking: Asking, cap: int) -> list[Pair] | None:
        """Return the lists of all items together."""
        found: list[Pair] = []
        for item in self.items:
            part = item.pairs(asking, cap - len(found)) if len(found) <= cap else None
            if part is None:
                return None
            found += part
        return found

    def bodies(self) -> "Iterator[Body]":
        """Yield those of its items."""
        for item in self.items:
            yield from item.bodies()


@dataclass(frozen=True, slots=True)
class Inverse(Term):
    """What does not meet `item`."""

    item: Term

    def sql(self, asking: Asking, relaxed: bool | None) -> str:
        """Negate; what may be so must not be excluded."""
        return f"NOT {self.item.sql(asking, None if relaxed is None else not relaxed)}"

    def bodies(self) -> "Iterator[Body]":
        """Yield those of its item."""
        yield from self.item.bodies()
