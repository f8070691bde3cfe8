"""Training rows made of judgements: preference pairs, corrected and accepted answers."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.datasets import service as datasets
from penstock.datasets.model import DatasetVersion
from penstock.feedback import store
from penstock.feedback.answers import find_answer
from penstock.feedback.model import Answer, DatasetKind, Feedback, Judged, Kind, Selection

NOT_RECORDED = "the answer is not recorded as text"
NOT_ONE = "it is about a session, not one answer"
SAME = "the correction says the same as the answer"
SUPERSEDED = "a later one about the same answer counts"
CORRECTED = "the answer was corrected"


def _judged(
    uow: UnitOfWork, actor: Actor, items: Iterable[Feedback], route: str | None, skipped: Counter[str]
) -> list[Judged]:
    found: list[Judged] = []
    cache: dict[tuple[str, str | None], Answer | None] = {}
    for item in items:
        if item.session:
            skipped[NOT_ONE] += 1
            continue
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
    """Return `{id, prompt, completion}` rows whose completion is the correction or demonstration."""
    uow.may(actor, "feedback.read")
    skipped: Counter[str] = Counter()
    kinds = [Kind.CORRECTION, Kind.DEMONSTRATION]
    items = store.of_kinds(uow.conn, actor.scope, kinds, since=since, until=until)
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
