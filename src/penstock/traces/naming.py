"""Whom spans and log records name: the spellings of a name, the traces and the records that carry it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.core.uow import UnitOfWork
from penstock.traces import dialects, documents, policy_service, settled
from penstock.traces.log_model import LogRecord
from penstock.traces.masking import hash_of
from penstock.traces.store import erase, logs
from penstock.traces.store.erase import Subject

_PAGE = 500
_PLAIN: Mapping[Subject, tuple[str, ...]] = {
    "user": ("user", *settled.USER_KEYS),
    "session": ("session", *settled.SESSION_KEYS),
}
KEYS: Mapping[Subject, frozenset[str]] = {
    subject: frozenset({*plain, *(key for one in dialects.DIALECTS for key in one.fields.get(subject, ()))})
    for subject, plain in _PLAIN.items()
}
"""Attributes in which instrumentations name a user or session."""


def names(uow: UnitOfWork, scope: Scope, name: str) -> tuple[str, ...]:
    """Return how `name` may be stored: as it is, and as the hash that the project's masking makes of it."""
    if not name:
        return ()
    key = policy_service.hash_key(uow, scope)
    return (name,) if key is None else (name, hash_of(key, name))


def traces_of(
    uow: UnitOfWork, actor: Actor, *, user: str | None = None, session: str | None = None
) -> list[str]:
    """Return the ids of all traces that hold a span of a user or of a session, sorted."""
    uow.may(actor, "traces.read")
    subject: Subject = "user" if user is not None else "session"
    spelled = names(uow, actor.scope, user or session or "")
    found = (erase.ids_of_subject(uow.conn, actor.scope, subject, name) for name in spelled)
    return sorted({trace for some in found for trace in some})


def log_pages(
    home: Home, actor: Actor, subject: Subject, spelled: Sequence[str]
) -> Iterator[list[LogRecord]]:
    """Yield log records that name the subject in an attribute, some at a time.

    Every record of the project is looked at, 500 in one short transaction: nothing indexes their attributes.
    """
    after, wanted = 0, frozenset(spelled)
    while wanted:
        with home.read() as uow:
            page = logs.walk(uow.conn, actor.scope, after=after, limit=_PAGE)
        if found := [record for record in page if _names(record, KEYS[subject], wanted)]:
            yield found
        if len(page) < _PAGE:
            return
        after = page[-1].id


def _names(record: LogRecord, keys: frozenset[str], wanted: frozenset[str]) -> bool:
    said = record.content
    places: list[Any] = [said.attributes, said.resource, said.body]
    return any(
        documents.as_text(place[key]) in wanted
        for place in places
        if isinstance(place, dict)
        for key in keys & place.keys()
    )
