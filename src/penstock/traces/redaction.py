"""Redacting after the fact: stored spans are written anew without what must not be known any more."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import msgspec

from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.jobs import Job, enqueue
from penstock.core.scope import Actor
from penstock.core.stopping import Stop
from penstock.core.uow import UnitOfWork
from penstock.traces import policy, query
from penstock.traces.erasure import MAX_IDS, PAUSE_SECONDS, trace_key
from penstock.traces.exporter import listed
from penstock.traces.masking import SpanMasker
from penstock.traces.model import SpanRecord, TraceFilters
from penstock.traces.policy import Masking
from penstock.traces.policy_service import hash_key
from penstock.traces.store import erase, keeping, read, redact
from penstock.traces.store.deadline import Deadline, within
from penstock.traces.store.prepare import facets_of, prepare
from penstock.traces.store.write import ScopeIds, Writing

_PAGE, _BATCH = 100, 50
JOB_KIND = "traces.redact"
"""Spec: `sealed`, a JSON object of `masking`, `filters`, `trace_ids` that the vault sealed, for rules may say what must
not be known any more, and jobs stay on record. Progress and result: the fields of `Redacted`."""


class Redacted(NamedTuple):
    """What a redaction looked at and changed, or would change."""

    looked_at: int
    """Traces."""
    traces: int
    spans: int


def redact_traces(
    home: Home,
    actor: Actor,
    *,
    masking: dict[str, Any],
    filters: TraceFilters | None = None,
    trace_ids: Sequence[str] = (),
    dry_run: bool = False,
    progress: Callable[[dict[str, Any]], None] | None = None,
    seconds: float | None = None,
    stop: Stop | None = None,
) -> Redacted:
    """Apply `masking` (as in a project's policies) to the traces that are named or that `filters` select.

    Rows, previews, bodies, facets, sums by user and the text index hold only what is left; there is no way back. What
    is left can be searched once the background has indexed it. Steps are short transactions; `progress` hears
    `looked_at`, `traces` and `spans` about every hundred traces, and may raise to end it. Raises Invalid for rules
    that do nothing; NotFound for what is no trace id; of a `dry_run` that is given `seconds`, Unprocessable when it
    takes longer and Cancelled when `stop` was asked.
    """
    wanted = _rules(masking, filters, trace_ids)
    with home.read() as uow:
        uow.may(actor, "traces.admin", "redact")
        key = hash_key(uow, actor.scope)
    if key is None and any(rule.action == "hash" for rule in wanted.keys):
        raise Invalid("This project has no key for hashes yet.", hint="Set its policies first.")
    masker = SpanMasker(wanted, key or b"")
    deadline = Deadline(seconds, stop or Stop()) if dry_run and seconds is not None else None
    if not dry_run:
        with home.begin() as uow:
            rules = {"patterns": len(wanted.patterns), "keys": len(wanted.keys)}
            uow.audit(actor, "traces.redact", "traces", detectors=sorted(wanted.detectors), **rules)
    looked_at = traces = spans = 0
    for row, trace_id in _selected(home, actor, filters, trace_ids, deadline):
        if progress is not None and looked_at % _PAGE == 0:
            progress(Redacted(looked_at, traces, spans)._asdict())
        looked_at += 1
        changed = _changed(home, actor, row, trace_id, masker, deadline)
        said = _logs(home, actor, trace_id, masker, dry_run, deadline)
        traces += bool(changed or said)
        spans += len(changed)
        if changed and not dry_run:
            _rewrite(home, actor, row, changed, masker)
    if not dry_run:
        with home.begin() as uow:
            keeping.move(uow.conn, keeping.SCRUB, 1)
            uow.audit(actor, "traces.redacted", "traces", traces=traces, spans=spans)
    return Redacted(looked_at, traces, spans)


def _rules(masking: dict[str, Any], filters: TraceFilters | None, trace_ids: Sequence[str]) -> Masking:
    wanted = policy.parse({"masking": masking}).masking
    if wanted == Masking():
        raise Invalid("There is nothing to redact.", hint="Give detectors, patterns or keys.")
    if (filters is None) == (not trace_ids):
        raise Invalid("Say which traces to redact: by filters or by ids.")
    return wanted


@contextmanager
def _reading(home: Home, deadline: Deadline | None) -> Iterator[UnitOfWork]:
    with home.read() as uow, within(uow.conn, deadline) if deadline else nullcontext():
        yield uow


def _changed(
    home: Home, actor: Actor, row: int, trace_id: str, masker: SpanMasker, deadline: Deadline | None
) -> list[SpanRecord]:
    """Return the spans that hold something to take out; none of a trace that was erased meanwhile."""
    changed = []
    with _reading(home, deadline) as uow:
        if read.trace_row(uow.conn, actor.scope, bytes.fromhex(trace_id)) != row:
            return []
        for record in read.records(uow.conn, row, trace_id):
            if deadline is not None:
                deadline.check()
            if masker.apply(record) != record:
                changed.append(record)
    return changed


def start(
    uow: UnitOfWork,
    actor: Actor,
    *,
    masking: dict[str, Any],
    filters: TraceFilters | None = None,
    trace_ids: Sequence[str] = (),
) -> Job:
    """Queue what `redact_traces` does; after a crash it begins again, and what is redacted stays as it is.

    Raises Invalid for rules that do nothing and for a query that cannot be read.
    """
    uow.may(actor, "traces.admin", "redact")
    _rules(masking, filters, trace_ids)
    if filters is not None:
        query.of_filters(filters)
    wanted = None if filters is None else msgspec.to_builtins(filters)
    asked = msgspec.json.encode({"masking": masking, "filters": wanted, "trace_ids": list(trace_ids)})
    return enqueue(uow, actor, JOB_KIND, {"sealed": uow.home.vault.seal(asked, purpose=JOB_KIND)})


def run(
    home: Home, actor: Actor, spec: dict[str, Any], progress: Callable[[dict[str, Any]], None]
) -> Redacted:
    """Do what `start` queued."""
    asked = msgspec.json.decode(home.vault.open(spec["sealed"], purpose=JOB_KIND))
    filters = None if asked["filters"] is None else msgspec.convert(asked["filters"], TraceFilters)
    return redact_traces(
        home,
        actor,
        masking=asked["masking"],
        filters=filters,
        trace_ids=asked["trace_ids"],
        progress=progress,
    )


def _selected(
    home: Home,
    actor: Actor,
    filters: TraceFilters | None,
    trace_ids: Sequence[str],
    deadline: Deadline | None,
) -> Iterator[tuple[int, str]]:
    if len(trace_ids) > MAX_IDS:
        raise Invalid(f"At most {MAX_IDS} traces can be named at once.")
    keys = [trace_key(trace_id) for trace_id in trace_ids]
    after: tuple[int, int] | None = None
    while filters is not None:
        with home.read() as uow:
            page = listed(uow, actor, filters, after, _PAGE, deadline)
        yield from _rows(home, actor, [bytes.fromhex(item.trace_id) for item in page.items])
        after = page.next
        if after is None:
            return
    yield from _rows(home, actor, keys)


def _rows(home: Home, actor: Actor, keys: Sequence[bytes]) -> list[tuple[int, str]]:
    with home.read() as uow:
        rows = [(read.trace_row(uow.conn, actor.scope, key), key.hex()) for key in keys]
    return [(row, trace_id) for row, trace_id in rows if row is not None]


def _logs(
    home: Home, actor: Actor, trace_id: str, masker: SpanMasker, dry_run: bool, deadline: Deadline | None
) -> int:
    """Redact the log records of a trace first: what they say is joined to spans that are written anew."""
    key = bytes.fromhex(trace_id)
    if dry_run:
        with _reading(home, deadline) as uow:
            return len(redact.changed_logs(uow.conn, actor.scope, key, masker.apply_content))
    with home.begin() as uow:
        found = redact.changed_logs(uow.conn, actor.scope, key, masker.apply_content)
        redact.rewrite_logs(uow.conn, actor.scope, found)
    return len(found)


def _rewrite(home: Home, actor: Actor, row: int, spans: Sequence[SpanRecord], masker: SpanMasker) -> None:
    pairs: set[tuple[str, str]] = set()
    for start in range(0, len(spans), _BATCH):
        batch = spans[start : start + _BATCH]
        with home.begin() as uow:
            if not redact.hold(uow.conn, actor.scope, row):
                return  # written anew, what was erased would be there again
            # Read again: another version may have come meanwhile, and must not be lost.
            current = [
                record
                for span in batch
                for record in read.records(uow.conn, row, span.trace_id, bytes.fromhex(span.span_id))
            ]
            pairs.update(pair for record in current for pair in facets_of(record))
            writing = Writing(uow.conn, ScopeIds())
            writing.write([prepare(actor.scope, masker.apply(record)) for record in current])
        threading.Event().wait(PAUSE_SECONDS)
    with home.begin() as uow:
        erase.forget_names(uow.conn, actor.scope, erase.facet_ids(uow.conn, actor.scope, pairs))
