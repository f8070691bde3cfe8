"""The seam: handlers in order, who may, what is on record, and what lineage names."""

from collections.abc import Iterator, Mapping

import msgspec
import pytest

from penstock.core import audit, lineage, subjects
from penstock.core.errors import Denied, Invalid
from penstock.core.home import Home
from penstock.core.lineage import Link
from penstock.core.scope import Actor, Role
from penstock.core.subjects import Handler, Record, Subject, SubjectKind, Thing

ANNI = Subject(SubjectKind.USER, "anni")


class Slice:
    """A slice in memory that remembers what it was asked."""

    def __init__(self, name: str, said: list[str], *held: Thing) -> None:
        self.name, self.said, self.held = name, said, list(held)

    def erase(self, home: Home, actor: Actor, subject: Subject, dry_run: bool) -> Mapping[str, int]:
        self.said.append(f"{self.name} erase {subject.kind} {subject.name} {dry_run}")
        count = len(self.held)
        if not dry_run:
            self.held.clear()
        return {"things": count}

    def export(self, home: Home, actor: Actor, subject: Subject) -> Iterator[Record]:
        yield from (Record(kind, {"ref": ref}) for kind, ref in self.held)

    def things(self, home: Home, actor: Actor, subject: Subject) -> list[Thing]:
        return list(self.held)

    def settle(self, home: Home) -> None:
        self.said.append(f"{self.name} settles")

    def handler(self) -> Handler:
        return Handler(
            name=self.name, erase=self.erase, export=self.export, things=self.things, settle=self.settle
        )


def test_handlers_go_in_order_and_what_was_made_is_named(home: Home, actor: Actor) -> None:
    said: list[str] = []
    upper, lower = (
        Slice("upper", said, ("note", "n1")),
        Slice("lower", said, ("trace", "t1"), ("trace", "t2")),
    )
    handlers = [upper.handler(), lower.handler()]
    with home.begin() as uow:
        uow.link(actor.scope, ("note", "n1"), [Link("trace", "t1")])
        uow.link(actor.scope, ("dataset_version", "d@1"), [Link("note", "n1"), Link("trace", "t2")])
        uow.link(actor.scope, ("model_version", "m@1"), [Link("dataset_version", "d@1")])
        uow.link(actor.scope, ("dataset_version", "other@1"), [Link("trace", "t3")])
    made = (("dataset_version", "d@1"), ("model_version", "m@1"))
    dry = subjects.erase(home, actor, handlers, ANNI, dry_run=True)
    assert (dry.removed, dry.made_from, dry.dry_run) == (
        {"upper": {"things": 1}, "lower": {"things": 2}},
        made,
        True,
    )
    exported = [msgspec.json.decode(line) for line in subjects.export(home, actor, handlers, ANNI)]
    assert exported[0] == {"slice": "upper", "kind": "note", "data": {"ref": "n1"}} and len(exported) == 3
    done = subjects.erase(home, actor, handlers, ANNI)
    assert (done.removed, done.made_from) == (dry.removed, made)
    assert said[-4:] == [
        "upper settles",
        "lower settles",
        "upper erase user anni False",
        "lower erase user anni False",
    ]
    assert list(subjects.export(home, actor, handlers, ANNI)) == []
    with home.read() as uow:
        records = [one for one in audit.page(uow.conn, actor.scope) if "subjects" in one.action]
        assert [one.action for one in records][:3] == ["subjects.export", "subjects.erased", "subjects.erase"]
        assert records[2].detail["made_from"] == ["dataset_version d@1", "model_version m@1"]
        assert "anni" not in repr([(one.target, one.detail) for one in records])
        assert lineage.made_of(uow.conn, actor.within("elsewhere").scope, [("trace", "t1")]) == []


def test_lineage_that_turns_in_a_circle_ends(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        uow.link(actor.scope, ("b", "1"), [Link("a", "1")])
        uow.link(actor.scope, ("a", "1"), [Link("b", "1")])
        assert lineage.made_of(uow.conn, actor.scope, [("a", "1")]) == [("b", "1")]


def test_admins_only(home: Home) -> None:
    member = Actor(id="key_1", name="m", role=Role.MEMBER)
    said: list[str] = []
    handlers = [Slice("one", said, ("trace", "t1")).handler()]
    with pytest.raises(Denied):
        subjects.erase(home, member, handlers, ANNI)
    with pytest.raises(Denied):
        subjects.export(home, member, handlers, ANNI)
    assert said == []


@pytest.mark.parametrize(
    ("user", "session"), [(None, None), ("a", "b"), ("", None), (None, ""), (" ", None), ("x" * 201, None)]
)
def test_whom_must_be_clear(user: str | None, session: str | None) -> None:
    with pytest.raises(Invalid):
        subjects.one_subject(user=user, session=session)
    assert subjects.one_subject(user=None, session="s") == Subject(SubjectKind.SESSION, "s")
