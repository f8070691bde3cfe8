"""The verbs of feedback."""

import re
from dataclasses import dataclass, replace
from typing import Any

from penstock.core import clock, ids
from penstock.core.errors import Invalid, NotFound
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.feedback import store
from penstock.feedback.answers import describe_call
from penstock.feedback.events import FeedbackGiven
from penstock.feedback.model import (
    Feedback,
    Value,
    check_ids,
    check_value,
)
from penstock.feedback.selecting import accepted, build_dataset, corrections, to_preference_rows, to_sft_rows
from penstock.feedback.transcript import messages_of, text_of
from penstock.traces import service as traces
from penstock.traces.model import TraceScore

_REQUEST_ID = re.compile(r"req_([0-9a-f]{32})([0-9a-f]{16})")


def give(  # noqa: PLR0913 - each is a noun of its own, all by keyword, most with a default
    uow: UnitOfWork,
    actor: Actor,
    *,
    trace_id: str = "",
    span_id: str | None = None,
    session: str = "",
    request_id: str = "",
    response_id: str = "",
    name: str,
    value: Any,
    comment: str = "",
    source: str = "user",
    subject: str = "",
    key: str | None = None,
) -> Feedback:
    """Record a judgement about an answer or a session and return it.

    The answer is named by `trace_id` (and `span_id`), by the gateway's x-request-id when that carries them, or by the
    `response_id` (the answer's `id`) of a call that is stored; a session by its name. A trace may arrive later. With a
    `key` that was used before, the first judgement is returned unchanged. Raises Invalid for a malformed id or name,
    or a value that its form or the project's score config does not allow; NotFound for an unknown response.
    """
    uow.may(actor, "feedback.write", trace_id)
    if not session:
        trace_id, span_id = _answer_ids(uow, actor, (trace_id, span_id), request_id, response_id)
    elif trace_id or request_id or response_id:
        raise Invalid("Feedback is about a session or about an answer, not both.")
    given = Given(name, check_value(name, value, store.config_named(uow.conn, actor.scope, name)))
    given = replace(given, comment=comment, source=source, subject=subject, key=key)
    return record(uow, actor, About(trace_id, span_id, session), given)


def _answer_ids(
    uow: UnitOfWork, actor: Actor, named: tuple[str, str | None], request_id: str, response_id: str
) -> tuple[str, str | None]:
    if named[0]:
        return named
    if response_id:
        found = traces.find_response(uow, actor, response_id=response_id)
        if found is None:
            raise NotFound(
                f"No stored call has the response id {response_id!r}.",
                hint="Send x-penstock-trace-id or x-request-id, which need not be stored yet.",
            )
        return found
    return ids_of_request(request_id)


@dataclass(frozen=True, slots=True)
class About:
    """What a judgement is about: a trace or one of its spans, or a session."""

    trace_id: str
    span_id: str | None = None
    session: str = ""


@dataclass(frozen=True, slots=True)
class Given:
    """A checked judgement and who gave it."""

    name: str
    value: Value
    comment: str = ""
    source: str = "user"
    subject: str = ""
    key: str | None = None


def record(uow: UnitOfWork, actor: Actor, about: About, given: Given) -> Feedback:
    """Store a checked judgement and return it, or the one that was given with the same key before."""
    uow.may(actor, "feedback.write", about.trace_id)
    if not about.session:
        check_ids(about.trace_id, about.span_id)
    if len(about.session) > 200:
        raise Invalid("The name of a session has at most 200 characters.")
    if len(given.comment) > 20_000 or len(given.source) > 100 or len(given.subject) > 200:
        raise Invalid(
            "The comment, source or subject is too long.", hint="Limits: 20000, 100 and 200 characters."
        )
    if given.key is not None and (found := store.by_key(uow.conn, actor.scope, given.key)) is not None:
        return found
    item = _made(uow, actor, about, given)
    if not store.insert(uow.conn, actor.scope, item) and given.key is not None:
        return store.by_key(uow.conn, actor.scope, given.key) or item
    _tell(uow, actor, item)
    return item


def _made(uow: UnitOfWork, actor: Actor, about: About, given: Given) -> Feedback:
    value = given.value
    route, user = ("", "") if about.session else describe_call(uow, actor, about.trace_id, about.span_id)
    return Feedback(
        id=ids.new_id("fbk"),
        trace_id=about.trace_id,
        span_id=about.span_id,
        session=about.session,
        name=given.name,
        kind=value.kind,
        number=value.number,
        text=value.text,
        chosen=value.chosen,
        rejected=value.rejected,
        comment=given.comment,
        source=given.source,
        subject=given.subject or user,
        route=route,
        actor=actor.name,
        key=given.key,
        created_at=clock.now(),
    )


def withdraw(uow: UnitOfWork, actor: Actor, *, id: str) -> None:
    """Take a judgement back; taking back what is not there changes nothing."""
    uow.may(actor, "feedback.write", id)
    gone = store.remove(uow.conn, actor.scope, id)
    if gone is not None:
        traces.remove_score(uow, actor.scope, trace_id=gone.trace_id, ref=gone.id)  # none for a session
        uow.audit(actor, "feedback.withdraw", id, trace_id=gone.trace_id, name=gone.name)


def _tell(uow: UnitOfWork, actor: Actor, item: Feedback) -> None:
    """Let traces be found by it, link it to its trace, and say that it was given."""
    if item.session:
        uow.publish(FeedbackGiven(feedback_id=item.id, trace_id="", feedback_name=item.name), actor.scope)
        return
    score = TraceScore(
        trace_id=item.trace_id, ref=item.id, origin="feedback", name=item.name, value=item.number
    )
    traces.put_scores(uow, actor.scope, scores=[score])
    uow.link(actor.scope, ("feedback", item.id), [Link("trace", item.trace_id, "about")])
    given = FeedbackGiven(feedback_id=item.id, trace_id=item.trace_id, feedback_name=item.name)
    uow.publish(given, actor.scope)


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
    session: str | None = None,
    name: str | None = None,
    route: str | None = None,
    before: str | None = None,
    limit: int = 100,
) -> list[Feedback]:
    """Return feedback, newest first; `before` is the id to go on from."""
    uow.may(actor, "feedback.read")
    wanted = {"trace_id": trace_id, "session": session, "name": name, "route": route}
    equal = {column: value for column, value in wanted.items() if value is not None}
    return store.newest(uow.conn, actor.scope, equal=equal, before=before, limit=limit)


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


__all__ = [
    "About",
    "Given",
    "accepted",
    "build_dataset",
    "corrections",
    "count",
    "erase",
    "export",
    "give",
    "ids_of_request",
    "list_feedback",
    "messages_of",
    "record",
    "text_of",
    "to_preference_rows",
    "to_sft_rows",
    "withdraw",
]
