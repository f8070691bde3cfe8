"""The verbs of feedback."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from penstock.core import clock, ids
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.datasets import service as datasets
from penstock.datasets.model import DatasetVersion
from penstock.feedback import store
from penstock.feedback.answers import describe_call, find_answer
from penstock.feedback.events import FeedbackGiven
from penstock.feedback.model import (
    Answer,
    DatasetKind,
    Feedback,
    Judged,
    Kind,
    Selection,
    check_ids,
    check_value,
)
from penstock.traces import service as traces
from penstock.traces.model import TraceScore

_REQUEST_ID = re.compile(r"req_([0-9a-f]{32})([0-9a-f]{16})")
NOT_RECORDED = "the answer is not recorded as text"
SAME = "the correction says the same as the answer"
SUPERSEDED = "a later one about the same answer counts"
CORRECTED = "the answer was corrected"


def give(
    uow: UnitOfWork,
    actor: Actor,
    *,
    trace_id: str = "",
    span_id: str | None = None,
    request_id: str = "",
    name: str,
    value: Any,
    comment: str = "",
    source: str = "user",
    subject: str = "",
    key: str | None = None,
) -> Feedback:
    """Record a judgement about an answer and return it.

    The answer is named by `trace_id` (and `span_id`), or by the gateway's x-request-id when that carries them.
    Its trace may arrive later. With a `key` that was used before, the first judgement is returned unchanged.
    Raises Invalid for a malformed id, name or value.
    """
    uow.may(actor, "feedback.write", trace_id)
    if not trace_id:
        trace_id, span_id = ids_of_request(request_id)
    check_ids(trace_id, span_id)
    if len(comment) > 20_000 or len(source) > 100 or len(subject) > 200:
        raise Invalid(
            "The comment, source or subject is too long.", hint="Limits: 20000, 100 and 200 characters."
        )
    checked = check_value(name, value)
    if key is not None and (found := store.by_key(uow.conn, actor.scope, key)) is not None:
        return found
    route, user = describe_call(uow, actor, trace_id, span_id)
    item = Feedback(
        id=ids.new_id("fbk"),
        trace_id=trace_id,
        span_id=span_id,
        name=name,
        kind=checked.kind,
        number=checked.number,
        text=checked.text,
        chosen=checked.chosen,
        rejected=checked.rejected,
        comment=comment,
        source=source,
        subject=subject or user,
        route=route,
        actor=actor.name,
        key=key,
        created_at=clock.now(),
    )
    if not store.insert(uow.conn, actor.scope, item) and key is not None:
        return store.by_key(uow.conn, actor.scope, key) or item
    score = TraceScore(trace_id=trace_id, ref=item.id, origin="feedback", name=name, value=checked.number)
    traces.put_scores(uow, actor.scope, scores=[score])
    uow.link(actor.scope, ("feedback", item.id), [Link("trace", trace_id, "about")])
    uow.publish(FeedbackGiven(feedback_id=item.id, trace_id=trace_id, feedback_name=name), actor.scope)
    return item


def withdraw(uow: UnitOfWork, actor: Actor, *, id: str) -> None:
    """Take a judgement back; taking back what is not there changes nothing."""
    uow.may(actor, "feedback.write", id)
    gone = store.remove(uow.conn, actor.scope, id)
    if gone is not None:
        uow.audit(actor, "feedback.withdraw", id, trace_id=gone.trace_id, name=gone.name)


def ids_of_request(request_id: str) -> tuple[str, str]:
    """Return the (trace id, span id) that a gateway request id carries; raises Invalid when it carries none."""
    match = _REQUEST_ID.fullmatch(request_id)
    if match is None:
        raise Invalid(
            "Feedback needs the trace id of the answer.",
            hint="Send the x-penstock-trace-id header of the answer.",
        )
    return match.group(1), match.group(2)


def list_feedback(
    uow: UnitOfWork,
    actor: Actor,
    *,
    trace_id: str | None = None,
    name: str | None = None,
    route: str | None = None,
    before: str | None = None,
    limit: int = 100,
) -> list[Feedback]:
    """Return feedback, newest first; `before` is the id to go on from."""
    uow.may(actor, "feedback.read")
    wanted = {"trace_id": trace_id, "name": name, "route": route}
    equal = {column: value for column, value in wanted.items() if value is not None}
    return store.newest(uow.conn, actor.scope, equal=equal, before=before, limit=limit)


def _judged(
    uow: UnitOfWork, actor: Actor, items: Iterable[Feedback], route: str | None, skipped: Counter[str]
) -> list[Judged]:
    found: list[Judged] = []
    cache: dict[tuple[str, str | None], Answer | None] = {}
    for item in items:
        place = (item.trace_id, item.span_id)
        if place not in cache:
            cache[place] = find_answer(uow, actor, *place)
        answer = cache[place]
        if answer is None:
            skipped[NOT_RECORDED] += 1
        elif route is None or answer.route == route:
            found.append(Judged(item, answer))
    return found


def _last_word(judged: Sequence[Judged], skipped: Counter[str]) -> list[Judged]:
    """Keep the last judgement about each answer, in the order of the answers' first one."""
    last: dict[tuple[str, str], Judged] = {}
    for one in judged:
        place = (one.answer.trace_id, one.answer.span_id)
        skipped[SUPERSEDED] += place in last
        last[place] = one
    return list(last.values())


def corrections(
    uow: UnitOfWork,
    actor: Actor,
    *,
    route: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[Judged]:
    """Return the last correction of each answer together with the answer, oldest first."""
    uow.may(actor, "feedback.read")
    skipped: Counter[str] = Counter()
    items = store.of_kinds(uow.conn, actor.scope, [Kind.CORRECTION], since=since, until=until)
    return _last_word(_judged(uow, actor, items, route, skipped), skipped)


def _prompt(answer: Answer) -> list[dict[str, Any]]:
    return [dict(message) for message in answer.messages]


def to_preference_rows(
    uow: UnitOfWork,
    actor: Actor,
    *,
    route: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Selection:
    """Return `{id, prompt, chosen, rejected}` rows from corrections and preferences.

    `prompt` is a list of `{role, content}`; a correction is chosen over the answer it corrects.
    """
    uow.may(actor, "feedback.read")
    skipped: Counter[str] = Counter()
    items = store.of_kinds(
        uow.conn, actor.scope, [Kind.CORRECTION, Kind.PREFERENCE], since=since, until=until
    )
    used, rows = [], []
    for one in _last_word(_judged(uow, actor, items, route, skipped), skipped):
        chosen = one.feedback.chosen or one.feedback.text or ""
        rejected = one.feedback.rejected or one.answer.text
        if chosen == rejected:
            skipped[SAME] += 1
            continue
        used.append(one)
        rows.append(
            {"id": one.feedback.id, "prompt": _prompt(one.answer), "chosen": chosen, "rejected": rejected}
        )
    return Selection(rows=tuple(rows), used=tuple(used), skipped=_counted(skipped))


def to_sft_rows(
    uow: UnitOfWork,
    actor: Actor,
    *,
    route: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Selection:
    """Return `{id, prompt, completion}` rows whose completion is the correction."""
    uow.may(actor, "feedback.read")
    skipped: Counter[str] = Counter()
    items = store.of_kinds(uow.conn, actor.scope, [Kind.CORRECTION], since=since, until=until)
    used = _last_word(_judged(uow, actor, items, route, skipped), skipped)
    rows = [
        {"id": one.feedback.id, "prompt": _prompt(one.answer), "completion": one.feedback.text or ""}
        for one in used
    ]
    return Selection(rows=tuple(rows), used=tuple(used), skipped=_counted(skipped))


def accepted(
    uow: UnitOfWork,
    actor: Actor,
    *,
    route: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Selection:
    """Return `{id, prompt, completion}` rows of answers whose last thumb is up and that nobody corrected."""
    uow.may(actor, "feedback.read")
    skipped: Counter[str] = Counter()
    scope = actor.scope
    thumbs = store.of_kinds(uow.conn, scope, [Kind.THUMB], since=since, until=until)
    fixes = store.of_kinds(uow.conn, scope, [Kind.CORRECTION], since=None, until=None)
    corrected = {
        (one.answer.trace_id, one.answer.span_id) for one in _judged(uow, actor, fixes, None, Counter())
    }
    used = []
    for one in _last_word(_judged(uow, actor, thumbs, route, skipped), skipped):
        if (one.answer.trace_id, one.answer.span_id) in corrected:
            skipped[CORRECTED] += 1
        elif one.feedback.number == 1.0:
            used.append(one)
    rows = [
        {"id": one.feedback.id, "prompt": _prompt(one.answer), "completion": one.answer.text} for one in used
    ]
    return Selection(rows=tuple(rows), used=tuple(used), skipped=_counted(skipped))


def _counted(skipped: Counter[str]) -> Mapping[str, int]:
    return {reason: count for reason, count in sorted(skipped.items()) if count}


_SELECT: Mapping[DatasetKind, Callable[..., Selection]] = {
    DatasetKind.PREFERENCE: to_preference_rows,
    DatasetKind.SFT: to_sft_rows,
    DatasetKind.ACCEPTED: accepted,
}


def build_dataset(
    home: Home,
    actor: Actor,
    *,
    name: str,
    kind: DatasetKind | str = DatasetKind.PREFERENCE,
    route: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    splits: dict[str, float] | None = None,
    seed: int = 0,
    description: str = "",
) -> DatasetVersion:
    """Make a new version of the dataset `name` from feedback, linked to every trace and judgement it came from.

    Raises Invalid for an unknown kind, or when nothing usable was given, with what was left out and why.
    """
    try:
        wanted = DatasetKind(kind)
    except ValueError as error:
        known = ", ".join(DatasetKind)
        raise Invalid(f"{kind!r} is not a kind of feedback dataset.", hint=f"Use one of {known}.") from error
    with home.read() as uow:
        uow.may(actor, "datasets.write", name)
        selection = _SELECT[wanted](uow, actor, route=route, since=since, until=until)
    if not selection.rows:
        left = "; ".join(f"{count} left out: {reason}" for reason, count in selection.skipped.items())
        raise Invalid(
            f"There is no feedback to make {wanted} rows of. {left}".strip(),
            hint="Give corrections or thumbs first.",
        )
    links = {Link("trace", one.answer.trace_id, "source") for one in selection.used}
    links |= {Link("feedback", one.feedback.id, "label") for one in selection.used}
    return datasets.ingest(
        home,
        actor,
        name=name,
        source=list(selection.rows),
        key="id",
        splits=splits,
        seed=seed,
        parents=sorted(links, key=lambda link: (link.kind, link.ref)),
        description=description or f"{wanted} rows from feedback" + (f" on {route}" if route else ""),
    )


def export(uow: UnitOfWork, actor: Actor, subject: str) -> list[Feedback]:
    """Return everything given by or about the person `subject`."""
    uow.may(actor, "feedback.admin", subject)
    return store.of_subject(uow.conn, actor.scope, subject)


def erase(uow: UnitOfWork, actor: Actor, subject: str) -> int:
    """Delete everything given by or about the person `subject`; returns how many items."""
    uow.may(actor, "feedback.admin", subject)
    for item in store.of_subject(uow.conn, actor.scope, subject):
        traces.remove_score(uow, actor.scope, trace_id=item.trace_id, ref=item.id)
    erased = store.erase_subject(uow.conn, actor.scope, subject)
    uow.audit(actor, "feedback.erase", "subject", erased=erased)
    return erased


def count(uow: UnitOfWork, actor: Actor) -> int:
    """Return how many judgements the project has."""
    uow.may(actor, "feedback.read")
    return store.count(uow.conn, actor.scope)
