"""The audit log: a change, a gap or a swap breaks the chain where it happened."""

import pytest
from sqlalchemy import delete, update

from penstock.core import audit
from penstock.core.home import Home
from penstock.core.scope import Actor


def fill(home: Home, actor: Actor, count: int) -> int:
    with home.begin() as uow:
        first = audit.count(uow.conn)
        for number in range(count):
            uow.audit(actor, "things.do", f"thing {number}", number=number, text="ü")
    return first


def test_an_untouched_chain_is_whole(home: Home, actor: Actor) -> None:
    fill(home, actor, 5)
    with home.read() as uow:
        assert audit.verify(uow.conn) is None
        assert [e.target for e in audit.page(uow.conn, actor.scope, limit=2)] == ["thing 4", "thing 3"]


@pytest.mark.parametrize("how", ["change", "remove"])
def test_tampering_shows(home: Home, actor: Actor, how: str) -> None:
    target = fill(home, actor, 5) + 3
    table = audit.entries
    with home.begin() as uow:
        if how == "change":
            uow.conn.execute(update(table).where(table.c.number == target).values(target="something else"))
        else:
            uow.conn.execute(delete(table).where(table.c.number == target))
    with home.read() as uow:
        broken = audit.verify(uow.conn)
    assert broken == (target if how == "change" else target + 1)
