"""The verbs of users and sessions."""

from datetime import datetime

from penstock.core import clock
from penstock.core.errors import Invalid, NotFound
from penstock.core.scope import Actor
from penstock.core.stopping import Stop
from penstock.core.uow import UnitOfWork
from penstock.traces import query
from penstock.traces.model import TraceFilters, TraceSummary
from penstock.traces.persons import PeoplePage, Person, SessionPage
from penstock.traces.settings import TracesSettings
from penstock.traces.store import search, talks
from penstock.traces.store.deadline import limited
from penstock.traces.store.talks import SESSION, USER, Listing, Order

MAX_PAGE, MAX_TURNS = 1000, 200


def _check(limit: int, largest: int) -> None:
    if not 1 <= limit <= largest:
        raise Invalid(f"limit must be 1 to {largest}, not {limit}.")


def list_users(
    uow: UnitOfWork,
    actor: Actor,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    prefix: str | None = None,
    order: Order = "last",
    after: tuple[int, str] | None = None,
    limit: int = 50,
) -> PeoplePage:
    """Return users with their totals, the last seen first (`order="cost"`: the costliest).

    Totals are of all time; `since` and `until` ask who was there meanwhile. A span counts a second after it arrived.
    """
    uow.may(actor, "traces.read")
    _check(limit, MAX_PAGE)
    listing = Listing(uow.conn, actor.scope, USER, order)
    listing.since(since, until)
    listing.prefix(prefix)
    return talks.users(uow.conn, actor.scope, listing, after=after, limit=limit)


def list_sessions(
    uow: UnitOfWork,
    actor: Actor,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    user: str | None = None,
    prefix: str | None = None,
    order: Order = "last",
    after: tuple[int, str] | None = None,
    limit: int = 50,
) -> PeoplePage:
    """Return sessions with their totals and what they began with, the last seen (or costliest) first."""
    uow.may(actor, "traces.read")
    _check(limit, MAX_PAGE)
    listing = Listing(uow.conn, actor.scope, SESSION, order)
    listing.since(since, until)
    listing.user(user)
    listing.prefix(prefix)
    return talks.sessions(uow.conn, actor.scope, listing, after=after, limit=limit)


def find_people(
    uow: UnitOfWork,
    actor: Actor,
    *,
    kind: int,
    filters: TraceFilters,
    after: tuple[int, int] | None = None,
    limit: int = 50,
    stop: Stop | None = None,
) -> tuple[tuple[Person, ...], tuple[int, int] | None]:
    """Return sessions (or users) that have a trace which `filters` match, by their newest such trace, and a cursor.

    Walks the matching traces for half of `[traces] query_seconds`; raises Unprocessable when nobody is found in all of
    it, Cancelled when `stop` was asked. A page may hold more than `limit`, and a later one may name somebody again
    whose older traces match too.
    """
    uow.may(actor, "traces.read")
    _check(limit, MAX_PAGE)
    names: dict[str, None] = {}
    node = query.of_filters(filters)
    seconds = uow.home.settings.section(TracesSettings).query_seconds
    with limited(uow.conn, seconds, stop) as deadline:
        while len(names) < limit:
            page = search.list_traces(
                uow.conn, actor.scope, node, now=clock.now(), deadline=deadline, after=after, limit=2 * limit
            )
            after = page.next
            names |= dict.fromkeys(name for trace in page.items if (name := _name(trace, kind)))
            if after is None or (names and deadline.near()):
                break
    found = {}
    listing = Listing(uow.conn, actor.scope, kind, "last")
    listing.named(list(names))
    list_of = talks.users if kind == USER else talks.sessions
    for person in list_of(uow.conn, actor.scope, listing, after=None, limit=max(1, len(names))).items:
        found[person.name] = person
    return tuple(found[name] for name in names if name in found), after


def _name(trace: TraceSummary, kind: int) -> str | None:
    return trace.user if kind == USER else trace.session


def get_user(uow: UnitOfWork, actor: Actor, *, user: str) -> Person:
    """Return a user with totals; raises NotFound."""
    uow.may(actor, "traces.read")
    found = talks.find(uow.conn, actor.scope, USER, user)
    if found is None:
        raise NotFound(f"There is no trace of a user {user!r}.", hint="A new user is known a second later.")
    return found


def get_session(
    uow: UnitOfWork,
    actor: Actor,
    *,
    session: str,
    after: tuple[int, int] | None = None,
    limit: int = 50,
) -> tuple[Person | None, SessionPage]:
    """Return a session's totals (None until the background has seen it) and a page of its turns, oldest first.

    Raises NotFound for a session that no trace names.
    """
    uow.may(actor, "traces.read")
    _check(limit, MAX_TURNS)
    page = talks.turns(uow.conn, actor.scope, session, after=after, limit=limit)
    if page is None:
        raise NotFound(f"There is no session {session!r} in the project {actor.scope.project!r}.")
    return talks.find(uow.conn, actor.scope, SESSION, session), page


__all__ = [
    "MAX_PAGE",
    "MAX_TURNS",
    "SESSION",
    "USER",
    "find_people",
    "get_session",
    "get_user",
    "list_sessions",
    "list_users",
]
