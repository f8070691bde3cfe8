"""Reading users, sessions, and sessions turn by turn."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Text, TextClause, bindparam, text

from penstock.core import clock
from penstock.core.scope import Scope
from penstock.traces import body, transcript
from penstock.traces.persons import PeoplePage, Person, SessionPage, Turn
from penstock.traces.store.people import SESSION, USER
from penstock.traces.store.prepare import ERROR, KIND_CODES
from penstock.traces.store.read import scope_id

Order = Literal["last", "cost"]
_ORDERS = {"last": "last_ms", "cost": "cost_nano"}
_COLUMNS = (
    'p.name, p."user", p.traces, p.calls, p.errors, p.input_tokens, p.output_tokens, p.cached_tokens, p.cost_nano, '
    "p.first_ms, p.last_ms"
)
PREVIEW_CHARS, TURN_CHARS = 200, 20_000
_BODY_BYTES, _PAGE_BYTES = 1_000_000, 8_000_000
"""Packed bodies that are opened for one text, and for one page of them; beyond it the stored preview is shown."""


def cut(said: str, chars: int) -> str:
    """Return `said`, or its first `chars` characters and how many follow."""
    said = said.strip()
    return said if len(said) <= chars else f"{said[:chars]}… ({len(said) - chars} more characters)"


def _moment(ms: int) -> datetime:
    return clock.from_ns(ms * 1_000_000)


def _person(row: Any, **more: Any) -> Person:
    return Person(
        name=row.name,
        user=row.user,
        traces=row.traces,
        calls=row.calls,
        errors=row.errors,
        input_tokens=row.input_tokens,
        output_tokens=row.output_tokens,
        cached_tokens=row.cached_tokens,
        cost_usd=row.cost_nano / 1e9,
        first_at=_moment(row.first_ms),
        last_at=_moment(row.last_ms),
        **more,
    )


class Listing:
    """Conditions of a list of users or sessions."""

    def __init__(self, conn: Connection, scope: Scope, kind: int, order: Order) -> None:
        self.order = _ORDERS[order]
        self.where = ["p.scope_id = :scope", "p.kind = :kind", "p.traces > 0"]
        self.values: dict[str, Any] = {"scope": scope_id(conn, scope), "kind": kind}

    def since(self, since: datetime | None, until: datetime | None) -> None:
        """Ask for those that were there in a time: whose last trace is not before, whose first is not after it."""
        for name, column, sign, moment in (
            ("since", "last_ms", ">=", since),
            ("until", "first_ms", "<", until),
        ):
            if moment is not None:
                self.where.append(f"p.{column} {sign} :{name}")
                self.values[name] = clock.to_ns(moment) // 1_000_000

    def user(self, user: str | None) -> None:
        """Ask for the sessions of one user."""
        if user is not None:
            self.where.append('p."user" = :user')
            self.values["user"] = user

    def prefix(self, prefix: str | None) -> None:
        """Ask for names that begin so."""
        if prefix:
            self.where.append("substr(p.name, 1, :chars) = :prefix")
            self.values |= {"prefix": prefix, "chars": len(prefix)}

    def named(self, names: Sequence[str]) -> None:
        """Ask for these."""
        marks = ", ".join(f":n{place}" for place in range(len(names))) or "NULL"
        self.where.append(f"p.name IN ({marks})")
        self.values |= {f"n{place}": name for place, name in enumerate(names)}

    def rows(self, conn: Connection, after: tuple[int, str] | None, limit: int) -> list[Any]:
        """Return up to `limit` rows, the last seen (or the costliest) first."""
        where = list(self.where)
        if after is not None:
            where.append(f"(p.{self.order}, p.name) < (:after_number, :after_name)")
            self.values |= {"after_number": after[0], "after_name": after[1]}
        query = text(
            f"SELECT {_COLUMNS}, p.{self.order} AS place FROM traces_people p WHERE {' AND '.join(where)} "
            f"ORDER BY p.{self.order} DESC, p.name DESC LIMIT :limit"
        )
        return list(conn.execute(query, self.values | {"limit": limit}))


def _following(rows: Sequence[Any], limit: int) -> tuple[int, str] | None:
    return (rows[limit - 1].place, rows[limit - 1].name) if len(rows) > limit else None


def users(conn: Connection, scope: Scope, listing: Listing, *, after: Any, limit: int) -> PeoplePage:
    """Return a page of users with how many sessions each has."""
    rows = listing.rows(conn, after, limit + 1)
    count = text(
        'SELECT "user" AS name, count(*) AS sessions FROM traces_people WHERE scope_id = :scope AND kind = 1 '
        'AND "user" IN :names AND traces > 0 GROUP BY "user"'
    ).bindparams(bindparam("names", type_=Text, expanding=True))
    values = {"scope": scope_id(conn, scope), "names": [row.name for row in rows[:limit]]}
    theirs = {row.name: row.sessions for row in conn.execute(count, values)}
    items = tuple(_person(row, sessions=theirs.get(row.name, 0)) for row in rows[:limit])
    return PeoplePage(items=items, next=_following(rows, limit))


def sessions(conn: Connection, scope: Scope, listing: Listing, *, after: Any, limit: int) -> PeoplePage:
    """Return a page of sessions with what each began with."""
    rows = listing.rows(conn, after, limit + 1)
    texts = _Texts(conn)
    number = scope_id(conn, scope)
    items = []
    for row in rows[:limit]:
        first = next(iter(_traces(conn, number, row.name, None, 1)), None)
        preview = "" if first is None else cut(texts.asked(first), PREVIEW_CHARS)
        items.append(_person(row, preview=preview))
    return PeoplePage(items=tuple(items), next=_following(rows, limit))


def find(conn: Connection, scope: Scope, kind: int, name: str) -> Person | None:
    """Return one user or session with its totals."""
    listing = Listing(conn, scope, kind, "last")
    listing.named([name])
    page = (users if kind == USER else sessions)(conn, scope, listing, after=None, limit=1)
    return page.items[0] if page.items else None


def turns(
    conn: Connection, scope: Scope, session: str, *, after: tuple[int, int] | None, limit: int
) -> SessionPage | None:
    """Return a page of the traces of a session, oldest first; None when there is no such session."""
    number = scope_id(conn, scope)
    rows = list(_traces(conn, number, session, after, limit + 1))
    if not rows and after is None:
        return None
    texts = _Texts(conn)
    found = tuple(
        Turn(
            trace_id=bytes(row.trace_id).hex(),
            name=row.name,
            at=clock.from_ns(row.start_ns),
            user=row.user,
            input=cut(texts.asked(row), TURN_CHARS),
            output=cut(texts.answered(row), TURN_CHARS),
            status="error" if row.errors else "ok",
            errors=row.errors,
            calls=row.calls,
            model=row.model,
            input_tokens=row.input_tokens,
            output_tokens=row.output_tokens,
            cost_usd=row.cost_nano / 1e9,
            duration_ns=row.duration_ns,
        )
        for row in rows[:limit]
    )
    following = (rows[limit - 1].at_ms, rows[limit - 1].id) if len(rows) > limit else None
    return SessionPage(session=session, turns=found, next=following)


def _traces(
    conn: Connection, scope: int, session: str, after: tuple[int, int] | None, limit: int
) -> Iterable[Any]:
    later = "" if after is None else "AND (f.at_ms, f.trace) > (:at, :after)"
    query = text(
        "SELECT t.*, f.at_ms AS place FROM traces_facets f JOIN traces_traces t ON t.id = f.trace WHERE f.facet = "
        "(SELECT id FROM traces_facet_names n WHERE n.scope_id = :scope AND n.key = 'session' AND n.value = :name) "
        f"{later} ORDER BY f.at_ms, f.trace LIMIT :limit"
    )
    values: dict[str, Any] = {"scope": scope, "name": session, "limit": limit}
    if after is not None:
        values |= {"at": after[0], "after": after[1]}
    return conn.execute(query, values)


_LLM = KIND_CODES["llm"]


def _text_of(side: str, condition: str) -> TextClause:
    return text(
        f"SELECT s.{side}_preview AS preview, CASE WHEN length(b.data) <= :most THEN b.data END AS data "
        f"FROM traces_spans s JOIN traces_bodies b ON b.id = s.id "
        f"WHERE s.trace = :trace AND s.{side}_preview IS NOT NULL {condition}"
    )


_ROOT_OF = {side: _text_of(side, "AND s.span_id = :root") for side in ("input", "output")}
_FIRST = f"ORDER BY CASE WHEN s.kind = {_LLM} THEN 0 ELSE 1 END"
_CALL_OF = {
    "input": _text_of("input", f"{_FIRST}, s.start_ns, s.id LIMIT 1"),
    "output": _text_of("output", f"AND s.status <> {ERROR} {_FIRST}, s.end_ns DESC, s.id DESC LIMIT 1"),
}
_ERROR_OF = text(
    "SELECT error FROM traces_spans WHERE trace = :trace AND error IS NOT NULL ORDER BY id LIMIT 1"
)


class _Texts:
    """Finds what a trace was asked and answered, opening only so many bytes of bodies."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._left = _PAGE_BYTES

    def asked(self, trace: Any) -> str:
        """Return the user's text: of the root, else of the first model call."""
        span = self._span(trace, "input")
        if span is None:
            return ""
        opened = self._opened(span)
        return (span.preview or "") if opened is None else transcript.question(opened.input)

    def answered(self, trace: Any) -> str:
        """Return the answer: of the root, else of the last model call that did not fail; else the error."""
        span = self._span(trace, "output")
        if span is None:
            return self._conn.execute(_ERROR_OF, {"trace": trace.id}).scalar() or ""
        opened = self._opened(span)
        return (span.preview or "") if opened is None else transcript.answer(opened.output)

    def _span(self, trace: Any, side: str) -> Any:
        values = {"trace": trace.id, "most": min(_BODY_BYTES, self._left)}
        found = self._conn.execute(_ROOT_OF[side], values | {"root": trace.root}).first()
        return found or self._conn.execute(_CALL_OF[side], values).first()

    def _opened(self, span: Any) -> body.SpanBody | None:
        if span.data is None:
            return None
        self._left -= len(span.data)
        return body.unpack(bytes(span.data))


__all__ = ["SESSION", "USER", "Listing", "Order", "cut", "find", "sessions", "turns", "users"]
