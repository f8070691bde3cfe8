"""Tokens with which an application's end user may judge one answer, and do nothing else.

A token is sealed (AES-256-GCM under the installation's key), so nobody but the server can make, read or change one;
nothing is stored for it. It ends by itself.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from penstock.core import clock, ids
from penstock.core.errors import Denied, Invalid, LimitExceeded, Unauthenticated
from penstock.core.home import Home
from penstock.core.scope import Actor, Role, Scope
from penstock.core.uow import UnitOfWork
from penstock.feedback import service, store
from penstock.feedback.events import FeedbackGiven
from penstock.feedback.model import Feedback, Kind, Value, check_ids, check_name, check_value
from penstock.feedback.service import About, Given
from penstock.traces import service as traces
from penstock.traces.model import TraceScore

PREFIX = "pft_"
_PURPOSE = "feedback.token"
NAMES = (Kind.THUMB, Kind.RATING, Kind.COMMENT, Kind.CORRECTION)
MOST_NAMES = 20
LONGEST = timedelta(days=7)
MOST_TEXT = 20_000
"""Longest comment or correction of an end user, in characters."""
PAUSE = timedelta(seconds=1)
"""So long after a judgement the same token may change it."""


class _Token(msgspec.Struct, frozen=True, array_like=True):
    id: str
    scope: Scope
    trace_id: str
    span_id: str | None
    subject: str
    names: tuple[str, ...]
    expires_at: datetime


def make(
    uow: UnitOfWork,
    actor: Actor,
    *,
    trace_id: str = "",
    span_id: str | None = None,
    request_id: str = "",
    names: Sequence[str] = NAMES,
    subject: str = "",
    lifetime: timedelta = timedelta(hours=24),
) -> tuple[str, datetime]:
    """Return a token that may give feedback of these names on one trace, and when it ends (7 days at most).

    The trace may arrive later. `subject` is the end user. Raises Invalid, and Denied below the role member.
    """
    uow.may(actor, "feedback.write", trace_id)
    if not trace_id:
        trace_id, span_id = service.ids_of_request(request_id)
    check_ids(trace_id, span_id)
    if not timedelta(0) < lifetime <= LONGEST:
        raise Invalid(f"A feedback token lives for 1 second to {LONGEST.days} days.")
    if not 0 < len(names) <= MOST_NAMES or len(subject) > 200:
        raise Invalid(
            f"A feedback token has 1 to {MOST_NAMES} names and a subject of at most 200 characters."
        )
    token = _Token(
        id=ids.new_id("tok"),
        scope=actor.scope,
        trace_id=trace_id,
        span_id=span_id,
        subject=subject,
        names=tuple(dict.fromkeys(check_name(name) for name in names)),
        expires_at=clock.now() + lifetime,
    )
    sealed = uow.home.vault.seal(msgspec.json.encode(token), purpose=_PURPOSE)
    return PREFIX + sealed.removeprefix("v1."), token.expires_at


def _opened(home: Home, text: str) -> _Token:
    if not text.startswith(PREFIX):
        raise Unauthenticated("This needs a feedback token.", hint="The application makes one per answer.")
    try:
        raw = home.vault.open("v1." + text.removeprefix(PREFIX), purpose=_PURPOSE)
    except Invalid as error:
        raise Unauthenticated("The feedback token is not valid.") from error
    token = msgspec.json.decode(raw, type=_Token)
    if clock.now() >= token.expires_at:
        raise Unauthenticated("The feedback token has ended.", hint="The application makes a new one.")
    return token


def give(home: Home, text: str, *, name: str, value: Any, comment: str = "") -> None:
    """Record what the end user who holds the token `text` says of its trace, in place of what they said before.

    Raises Unauthenticated for a wrong or ended token, Denied for a name it does not cover, LimitExceeded when the same
    judgement changes within a second, Invalid for the value.
    """
    token = _opened(home, text)
    if name not in token.names:
        raise Denied(f"This token may not give {name!r}.", hint=f"It may give {', '.join(token.names)}.")
    if len(comment) > MOST_TEXT or (isinstance(value, str) and len(value) > MOST_TEXT):
        raise Invalid(f"A text has at most {MOST_TEXT} characters.")
    actor = Actor(id=token.id, name="end user", role=Role.MEMBER, scope=token.scope)
    key = f"{token.id}:{name}"
    with home.begin() as uow:
        checked = check_value(name, value, store.config_named(uow.conn, token.scope, name))
        before = store.by_key(uow.conn, token.scope, key)
        if before is None:
            about = About(token.trace_id, token.span_id)
            service.record(uow, actor, about, Given(name, checked, comment, "end user", token.subject, key))
        else:
            _change(uow, actor, before, checked, comment)


def _change(uow: UnitOfWork, actor: Actor, before: Feedback, value: Value, comment: str) -> None:
    moment = clock.now()
    item = replace(
        before,
        kind=value.kind,
        number=value.number,
        text=value.text,
        chosen=value.chosen,
        rejected=value.rejected,
        comment=comment,
        created_at=moment,
    )
    if replace(item, created_at=before.created_at) == before:
        return
    if moment - before.created_at < PAUSE:
        raise LimitExceeded("This was judged a moment ago.", retry_after=PAUSE.total_seconds())
    store.rewrite(uow.conn, actor.scope, item)
    score = TraceScore(
        trace_id=item.trace_id, ref=item.id, origin="feedback", name=item.name, value=item.number
    )
    traces.put_scores(uow, actor.scope, scores=[score])
    told = FeedbackGiven(feedback_id=item.id, trace_id=item.trace_id, feedback_name=item.name)
    uow.publish(told, actor.scope)
