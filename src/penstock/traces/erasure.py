"""Erasing everything of a user, of a session, or of named traces: out of sight at once, then gone in small steps."""

import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from penstock.core import clock
from penstock.core.errors import Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.traces import background, intake, naming
from penstock.traces.store import erase, going, keeping, logs, read
from penstock.traces.store.erase import Known, Removed, Subject

STEP_SECONDS, PAUSE_SECONDS = 0.1, 0.02
"""How long a transaction that deletes may take, and how long it leaves the lock to others afterwards at least."""
LONG_PAUSE_SECONDS = 0.12
"""The pause after one that took longer: who waits for SQLite's lock looks for it every 0.1 seconds."""
_LOOK = 500
_FIRST, _FEWEST, _MOST = 20, 5, 100
"""Traces of the first step, and of any: a fast machine takes more of them at once."""
_ROUNDS = 3
"""How often a name's sums are looked for: what was rolled up since the look before is found by the next."""
MAX_IDS = 10_000


class Erased(NamedTuple):
    """What an erasure removed, or would remove."""

    traces: int
    spans: int
    logs: int = 0
    """Log records that name the user or session and belong to none of these traces."""
    left: int = 0
    """Traces of the project that nobody finds any more and whose rows are still being deleted: not erased yet."""


def erase_traces(
    home: Home,
    actor: Actor,
    *,
    user: str | None = None,
    session: str | None = None,
    trace_ids: Sequence[str] = (),
    dry_run: bool = False,
    seconds: float | None = None,
) -> Erased:
    """Delete every trace with a span of `user` or of `session`, or the traces named; exactly one of the three.

    First nobody finds them any more; then rows, bodies, facets, roll-ups by user and the text index forget them, and so
    do log records that name the user or session in an attribute; what the project spent stays in its sums, without the
    name. A name that masking hashed is found as well; spans recorded before the call are waited for. Steps are short
    transactions: writers go on. With `seconds`, what is not gone by then is `left` to the background (`keeper`), which
    also finishes what was interrupted. Raises Invalid; NotFound for what is no trace id; Unavailable when recorded
    spans wait too long for the database.
    """
    if sum((user is not None, session is not None, bool(trace_ids))) != 1:
        raise Invalid("Say whose traces to erase: a user, a session or trace ids, one of them.")
    if user == "" or session == "":
        raise Invalid("The name of whom to erase is empty.")
    until = None if seconds is None else clock.monotonic() + seconds
    with home.read() as uow:
        uow.may(actor, "traces.admin", "erase")
        names = naming.names(uow, actor.scope, user or session or "")
    if names:
        intake.arrive(home)
    what = "user" if user is not None else "session" if session is not None else "traces"
    if dry_run:
        return _foreseen(home, actor, what, names, trace_ids)
    with home.begin() as uow:
        # First, so that it is on record even when the machine stops half-way. The name is not: it is to be forgotten.
        uow.audit(actor, "traces.erase", what, named=len(trace_ids))
    subject: Subject = "user" if what == "user" else "session"
    hidden = [hide(home, actor, _rows(home, actor, trace_ids))]
    hidden += [_hide_subject(home, actor, subject, name) for name in names]
    traces, spans = (sum(one[place] for one in hidden) for place in (0, 1))
    lines = _forget_logs(home, actor, subject, names)
    left = finish(home, actor, until=until)
    with home.begin() as uow:
        said = {"traces": traces, "spans": spans, "logs": lines}
        uow.audit(actor, "traces.hidden" if left else "traces.erased", what, **said)
    return Erased(traces, spans, lines, left)


def delete_trace(home: Home, actor: Actor, *, trace_id: str) -> None:
    """Delete a trace and take it out of all sums, a large one in short transactions; raises NotFound.

    One that was interrupted half-way is finished by asking again.
    """
    with home.begin() as uow:
        uow.may(actor, "traces.admin", trace_id)
        row = read.trace_row(uow.conn, actor.scope, trace_key(trace_id))
        if row is None:
            raise NotFound(f"There is no trace {trace_id!r} in the project {actor.scope.project!r}.")
        uow.audit(actor, "traces.delete", trace_id)
        began = clock.monotonic()
        gone = _gone(uow, actor, row, Removed(), began + STEP_SECONDS, keep_sums=False)
    while not gone:
        breathe(clock.monotonic() - began)
        with home.begin() as uow:
            began = clock.monotonic()
            gone = _gone(uow, actor, row, Removed(), began + STEP_SECONDS, keep_sums=False)


def breathe(took: float) -> None:
    """Leave the lock to others, after a transaction of `took` seconds: a writer that waits for it gets it now."""
    threading.Event().wait(_pause(took))


class Pace:
    """Pauses in work of many short transactions, between which the lock is free too shortly for who waits for it."""

    def __init__(self) -> None:
        self._began = clock.monotonic()

    def rest(self) -> None:
        """Leave the lock to others once 0.1 s passed since the last rest; for between two transactions."""
        took = clock.monotonic() - self._began
        if took >= STEP_SECONDS:
            breathe(took)
            self._began = clock.monotonic()


def _pause(took: float) -> float:
    return PAUSE_SECONDS if took <= STEP_SECONDS else LONG_PAUSE_SECONDS


def hide(home: Home, actor: Actor, rows: Sequence[int]) -> tuple[int, int]:
    """Let nobody find the traces with these row numbers any more; returns how many, and how many spans they have."""
    waits, traces, spans, together = list(rows), 0, 0, _FIRST
    while waits:
        # What a trace holds has to be in the roll-ups before it goes: the project's sums keep it.
        background.roll_up(home)
        late: list[int] = []
        while waits:
            batch = waits[:together]
            with home.begin() as uow:
                began = clock.monotonic()
                fresh = going.unrolled(uow.conn, actor.scope, batch)
                count, size = going.hide(uow.conn, actor.scope, [row for row in batch if row not in fresh])
                took = max(clock.monotonic() - began, 1e-3)
            late += fresh
            traces, spans = traces + count, spans + size
            del waits[: len(batch)]
            together = min(_LOOK, 2 * together, max(_FEWEST, int(len(batch) * STEP_SECONDS / took)))
            if waits:
                breathe(clock.monotonic() - began)
        waits = late
    return traces, spans


def _hide_subject(home: Home, actor: Actor, subject: Subject, name: str) -> tuple[int, int]:
    """Hide what a user or session has, and forget the name."""
    traces = spans = 0
    while True:
        with home.read() as uow:
            rows = erase.of_subject(uow.conn, actor.scope, subject, name, limit=_LOOK)
        if not rows:
            break
        count, size = hide(home, actor, rows)
        traces, spans = traces + count, spans + size
    for _ in range(_ROUNDS):
        with home.read() as uow:
            sums = erase.sums_of_subject(uow.conn, actor.scope, subject, name)
        with home.begin() as uow:
            erase.forget_subject(uow.conn, actor.scope, subject, name, sums)
        if not sums:
            break
    return traces, spans


def finish(home: Home, actor: Actor, *, until: float | None = None, newest: bool = False) -> int:
    """Delete the rows of hidden traces of the project until the moment `until`; returns how many traces are left.

    Whoever helps begins with the `newest`, so as not to try what another process is at.
    """
    while until is None or clock.monotonic() < until:
        with home.read() as uow:
            rows = going.waiting(uow.conn, actor.scope, limit=_LOOK, newest=newest)
        if not rows:
            break
        remove(home, actor, rows, Removed(), until=until)
    background.freshen(home)
    with home.begin() as uow:
        left = going.left(uow.conn, actor.scope)
        if not left:
            keeping.move(uow.conn, keeping.SCRUB, 1)
    return left


def _forget_logs(home: Home, actor: Actor, subject: Subject, names: Sequence[str]) -> int:
    gone = 0
    for page in naming.log_pages(home, actor, subject, names):
        with home.begin() as uow:
            gone += logs.forget(uow.conn, actor.scope, [record.id for record in page])
        threading.Event().wait(PAUSE_SECONDS)
    return gone


def _rows(home: Home, actor: Actor, trace_ids: Sequence[str]) -> list[int]:
    if len(trace_ids) > MAX_IDS:
        raise Invalid(f"At most {MAX_IDS} traces can be named at once.")
    found = []
    with home.read() as uow:
        for trace_id in trace_ids:
            row = read.trace_row(uow.conn, actor.scope, trace_key(trace_id))
            if row is not None:
                found.append(row)
    return found


def trace_key(trace_id: str) -> bytes:
    """Return the bytes of a trace id; raises NotFound for what is none."""
    try:
        raw = bytes.fromhex(trace_id)
    except ValueError:
        raw = b""
    if len(raw) != 16:
        raise NotFound(f"There is no trace {trace_id!r}.", hint="A trace id is 32 hex digits.")
    return raw


def _foreseen(home: Home, actor: Actor, what: str, names: Sequence[str], trace_ids: Sequence[str]) -> Erased:
    rows = set(_rows(home, actor, trace_ids))
    subject: Subject = "user" if what == "user" else "session"
    with home.read() as uow:
        for name in names:
            rows.update(erase.of_subject(uow.conn, actor.scope, subject, name, limit=1 << 40))
        ordered = sorted(rows)
        spans = sum(
            erase.spans_in(uow.conn, actor.scope, ordered[start : start + _LOOK])
            for start in range(0, len(ordered), _LOOK)
        )
        hers = {
            trace for name in names for trace in erase.ids_of_subject(uow.conn, actor.scope, subject, name)
        }
    lines = [record for page in naming.log_pages(home, actor, subject, names) for record in page]
    return Erased(len(ordered), spans, sum(record.trace_id not in hers for record in lines))


def remove(
    home: Home, actor: Actor, rows: Sequence[int], done: Removed, *, until: float | None = None
) -> None:
    """Delete the traces with these row numbers, hidden or not, keeping the sums, until the moment `until`.

    In transactions of about 0.1 s; adds to `done`.
    """
    left, together = list(rows), _FIRST

    def over() -> bool:
        return until is not None and clock.monotonic() > until

    while left and not over():
        # What a trace holds has to be in the roll-ups before it goes: the project's sums keep it.
        background.roll_up(home)
        late: list[int] = []
        held = 0.0
        while left and not over():
            rest = clock.monotonic() + _pause(held)  # a writer that waits for the lock gets it now
            batch = left[:together]
            with home.read() as uow:
                known = erase.known(uow.conn, actor.scope, batch)
            threading.Event().wait(max(0.0, rest - clock.monotonic()))
            with home.begin() as uow:
                began = clock.monotonic()
                gone = _step(uow, actor, batch, late, done, known)
                took = max(clock.monotonic() - began, 1e-3)
            held = clock.monotonic() - began
            del left[:gone]
            together = min(_MOST, 2 * together, max(_FEWEST, int(len(batch) * STEP_SECONDS / took)))
        left = late if not left else []
    with home.begin() as uow:
        erase.forget_names(uow.conn, actor.scope, done.facets)
    done.facets.clear()


def _step(
    uow: UnitOfWork,
    actor: Actor,
    batch: Sequence[int],
    late: list[int],
    done: Removed,
    known: Mapping[int, Known],
) -> int:
    """Delete traces; returns how many of `batch`, from its beginning, need no other step."""
    until = clock.monotonic() + STEP_SECONDS
    fresh = going.unrolled(uow.conn, actor.scope, batch)
    small = [row for row in batch if row not in fresh]
    gone = erase.remove_together(uow.conn, actor.scope, small, done, known)
    for place, row in enumerate(batch):
        if row in fresh:
            late.append(row)
        elif row not in gone and not _gone(uow, actor, row, done, until):
            return place  # a large trace: the next transaction goes on with it
    return len(batch)


def _gone(
    uow: UnitOfWork, actor: Actor, row: int, done: Removed, until: float, *, keep_sums: bool = True
) -> bool:
    """Delete a trace as far as there is time; returns whether all of it is gone."""
    while not erase.remove_some(uow.conn, actor.scope, row, done, keep_sums=keep_sums):
        if clock.monotonic() > until:
            return False
    return True
