"""Lineage: walked both ways, cycles end, projects are apart."""

from penstock.core import lineage
from penstock.core.home import Home
from penstock.core.lineage import Link
from penstock.core.scope import Actor, Scope


def test_edges_are_walked_up_and_down(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        for child, parent in (("b", "a"), ("c", "b"), ("c", "b"), ("d", "c"), ("a", "d")):
            uow.link(actor.scope, ("thing", child), [Link("thing", parent)])
    with home.read() as uow:
        up = lineage.neighbours(uow.conn, actor.scope, "thing", "d")
        down = lineage.neighbours(uow.conn, actor.scope, "thing", "a", direction="down", depth=2)
        other = lineage.neighbours(uow.conn, Scope("default", "other"), "thing", "d")
    assert [e.parent_ref for e in up] == ["c", "b", "a", "d"]
    assert [e.child_ref for e in down] == ["b", "c"]
    assert other == []
