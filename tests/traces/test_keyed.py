"""Traces are found by the keys of their metadata, those from before there were entries for them too."""

import pytest
from sqlalchemy import text

from penstock.core import clock
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.traces import background, erasure, service
from penstock.traces.model import SpanRecord, TraceFilters
from penstock.traces.store import keyed, labels, looking, search, terms
from tests.traces.build import call


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "_FEW_NAMES", 1)
    for module in (search, terms):
        monkeypatch.setattr(module, "RARE", 3)


def found(home: Home, actor: Actor, query: str) -> list[str]:
    with home.read() as uow:
        return [
            item.trace_id
            for item in service.list_traces(uow, actor, filters=TraceFilters(query=query), limit=100).items
        ]


def stored(home: Home, actor: Actor) -> list[SpanRecord]:
    """Store traces, newest first: ten without a ticket, then ten with one of their own each."""
    now = clock.now_ns()
    made = [
        call(
            start_ns=now - number * 10**9,
            metadata={"customer": f"c{number % 3}"} | ({"ticket": f"T-{number}"} if number >= 10 else {}),
        )
        for number in range(20)
    ]
    service.ingest(home, actor.scope, made)
    service.ingest(home, actor.within("other").scope, [call(metadata={"ticket": "T-1"})])
    background.catch_up(home)
    return made


def as_before(home: Home, actor: Actor) -> None:
    """Take away what the version before did not write."""
    with home.begin() as uow:
        names = "SELECT id FROM traces_facet_names WHERE key = 'metadata'"
        uow.conn.execute(text(f"DELETE FROM traces_facets WHERE facet IN ({names})"))
        uow.conn.execute(text("DELETE FROM traces_facet_names WHERE key = 'metadata'"))
        uow.conn.execute(text("UPDATE traces_marks SET value = value + 1 WHERE name = 'facet_names'"))
        uow.conn.execute(
            text("UPDATE traces_marks SET value = (SELECT max(id) FROM traces_traces) WHERE name = 'keyed'")
        )


def entries(home: Home) -> int:
    query = (
        "SELECT count(*) FROM traces_facets f JOIN traces_facet_names n ON n.id = f.facet "
        "WHERE n.key = 'metadata'"
    )
    with home.read() as uow:
        return int(uow.conn.execute(text(query)).scalar_one())


def test_no_span_is_looked_into_for_a_key(home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    made = stored(home, actor)

    def never(*_given: object) -> object:
        raise AssertionError("A body was unpacked.")

    monkeypatch.setattr(looking, "looked", never)
    assert found(home, actor, "metadata.ticket:*") == [span.trace_id for span in made[10:]]
    assert found(home, actor, "-metadata.ticket:*") == [span.trace_id for span in made[:10]]
    assert found(home, actor, "metadata.customer:* metadata.ticket:*") == [
        span.trace_id for span in made[10:]
    ]
    assert found(home, actor, "metadata.none:*") == []


def test_a_pattern_is_tried_on_traces_with_the_key_alone(
    home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, tried = stored(home, actor), []
    look = looking.looked

    def noted(*given: object) -> looking.Looked:
        seen = look(*given)  # type: ignore[arg-type]
        tried.append(seen.metadata)
        return seen

    monkeypatch.setattr(looking, "looked", noted)
    assert found(home, actor, "metadata.ticket:T-1*") == [span.trace_id for span in made[10:]]
    assert tried
    assert all("ticket" in metadata for metadata in tried)


def test_traces_from_before_are_found_and_get_their_entries(home: Home, actor: Actor) -> None:
    made = stored(home, actor)
    held = entries(home)
    as_before(home, actor)
    later = call(metadata={"ticket": "T-later"})
    service.ingest(home, actor.scope, [later])
    wanted = [later.trace_id, *(span.trace_id for span in made[10:])]
    steps = 0
    while True:
        assert found(home, actor, "metadata.ticket:*") == wanted
        assert found(home, actor, "metadata.ticket:T-1*") == wanted[1:]
        with home.read() as uow:
            step = keyed.next_step(uow.conn, spans=6)
        if step is None:
            break
        with home.begin() as uow:
            assert keyed.write(uow.conn, step)
        steps += 1
    assert steps > 2
    assert entries(home) == held + 1
    with home.read() as uow:
        assert keyed.complete(uow.conn)


def test_the_background_gives_them_theirs(home: Home, actor: Actor) -> None:
    stored(home, actor)
    held = entries(home)
    as_before(home, actor)
    background.tick(home)
    assert entries(home) == held


def test_a_span_that_left_meanwhile_gets_no_entry(home: Home, actor: Actor) -> None:
    made = stored(home, actor)
    as_before(home, actor)
    with home.read() as uow:
        step = keyed.next_step(uow.conn, spans=1000)
    assert step is not None
    erasure.delete_trace(home, actor, trace_id=made[19].trace_id)
    service.ingest(home, actor.scope, [call(trace_id=made[18].trace_id, span_id=made[18].span_id)])
    with home.begin() as uow:
        assert keyed.write(uow.conn, step)
    assert found(home, actor, "metadata.ticket:*") == [span.trace_id for span in made[10:18]]
    with home.begin() as uow:
        assert not keyed.write(uow.conn, step), "the mark has moved"


def test_erasing_takes_the_entries_of_a_trace(home: Home, actor: Actor) -> None:
    made = stored(home, actor)
    erasure.erase_traces(home, actor, trace_ids=[span.trace_id for span in made])
    assert entries(home) == 1, "that of the other project"


@pytest.mark.parametrize("name", ["k" * 300, "ключ", "a.b", "metadata.x"])
def test_any_key_is_found(home: Home, actor: Actor, name: str) -> None:
    made = [call(metadata={name: f"v{number}"}) for number in range(5)]
    service.ingest(home, actor.scope, [*made, call(metadata={"other": "x"})])
    assert sorted(found(home, actor, f'metadata."{name}":*')) == sorted(span.trace_id for span in made)
