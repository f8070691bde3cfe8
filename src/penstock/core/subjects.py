"""What is kept of one person or session: every slice hands in how it erases and exports its own part.

The composition root lists the handlers, upper slices first: what hangs on a trace is found by the trace, and so has
to go before it does. Nothing here knows what a slice keeps.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from penstock.core import lineage
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor

MAX_NAME = 200
_ON_RECORD = 100
"""Things made of what goes that the audit log names."""

Thing = tuple[str, str]
"""(kind, ref) as in lineage."""


class SubjectKind(StrEnum):
    """Whom a name means."""

    USER = "user"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Subject:
    """A person or a session as the application named it in its calls."""

    kind: SubjectKind
    name: str

    def __post_init__(self) -> None:
        """Raise Invalid for a name that is empty or longer than any that is stored."""
        if not self.name.strip() or len(self.name) > MAX_NAME:
            raise Invalid(
                f"The name of a {self.kind} has 1 to {MAX_NAME} characters.",
                hint="Give it as the application sent it.",
            )

    def named(self, kind: SubjectKind) -> str | None:
        """Return the name where the subject is of this kind, else None."""
        return self.name if self.kind is kind else None


def one_subject(*, user: str | None, session: str | None) -> Subject:
    """Return whom exactly one of the two names; raises Invalid for none, both, or an empty name."""
    if (user is None) == (session is None):
        raise Invalid("Say whom it is about: a user or a session, one of them.")
    if user is not None:
        return Subject(SubjectKind.USER, user)
    return Subject(SubjectKind.SESSION, session or "")


class Record(msgspec.Struct, frozen=True):
    """One record of a slice about a subject, ready to be written as JSON."""

    kind: str
    """span, log, feedback, …"""
    data: Any
    """What msgspec writes as JSON, or `msgspec.Raw`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """How one slice erases and exports what it keeps about a subject.

    Each opens its own short transactions, works in the actor's project alone, asks for its permission, and raises what
    the slice raises. Erasing again after an interruption finishes.
    """

    name: str
    """The slice."""
    erase: Callable[[Home, Actor, Subject, bool], Mapping[str, int]]
    """(home, actor, subject, dry run) → what → how many were erased; with dry run: would be."""
    export: Callable[[Home, Actor, Subject], Iterator[Record]]
    """Yields everything that `erase` would remove and a person can read."""
    things: Callable[[Home, Actor, Subject], Sequence[Thing]]
    """What `erase` would remove of that which lineage may name."""
    settle: Callable[[Home], None] | None = None
    """Waits until what was accepted before the call can be found; raises Unavailable when that takes too long."""


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure removed, or would remove, and what it cannot take back."""

    removed: dict[str, dict[str, int]]
    """Slice → what → how many."""
    made_from: tuple[Thing, ...]
    """Things that were made of what goes and stay as they are: dataset versions, models trained on them, …"""
    dry_run: bool


def erase(
    home: Home, actor: Actor, handlers: Sequence[Handler], subject: Subject, *, dry_run: bool = False
) -> Erased:
    """Erase what every slice keeps about `subject` in the actor's project, and return what was made of it.

    The audit log gets both ends of it, never the name: that is to be forgotten. Raises Denied below the role admin, and
    what handlers raise; erasing again then goes on.
    """
    made_from = _prepared(home, actor, handlers, subject)
    if not dry_run:
        with home.begin() as uow:
            # First, so that it is on record even when the machine stops half-way.
            refs = [f"{kind} {ref}" for kind, ref in made_from[:_ON_RECORD]]
            uow.audit(actor, "subjects.erase", subject.kind, made_from=refs, made=len(made_from))
    removed = {one.name: dict(one.erase(home, actor, subject, dry_run)) for one in handlers}
    if not dry_run:
        with home.begin() as uow:
            uow.audit(actor, "subjects.erased", subject.kind, removed=removed)
    return Erased(removed=removed, made_from=made_from, dry_run=dry_run)


def _prepared(home: Home, actor: Actor, handlers: Sequence[Handler], subject: Subject) -> tuple[Thing, ...]:
    """Return what was made of that which goes, once all of it can be found."""
    with home.read() as uow:
        uow.may(actor, "subjects.admin", "erase")
    _settle(home, handlers)
    going = {thing for one in handlers for thing in one.things(home, actor, subject)}
    with home.read() as uow:
        return tuple(lineage.made_of(uow.conn, actor.scope, sorted(going)))


def _settle(home: Home, handlers: Sequence[Handler]) -> None:
    for one in handlers:
        if one.settle is not None:
            one.settle(home)


def export(home: Home, actor: Actor, handlers: Sequence[Handler], subject: Subject) -> Iterator[bytes]:
    """Yield what every slice keeps about `subject` in the actor's project, as lines of JSON `{slice, kind, data}`.

    It is on record before the first line is read. Raises Denied below the role admin at once.
    """
    with home.begin() as uow:
        uow.may(actor, "subjects.admin", "export")
        uow.audit(actor, "subjects.export", subject.kind)
    _settle(home, handlers)
    return _lines(home, actor, handlers, subject)


def _lines(home: Home, actor: Actor, handlers: Sequence[Handler], subject: Subject) -> Iterator[bytes]:
    for one in handlers:
        for record in one.export(home, actor, subject):
            line = {"slice": one.name, "kind": record.kind, "data": record.data}
            yield msgspec.json.encode(line) + b"\n"
