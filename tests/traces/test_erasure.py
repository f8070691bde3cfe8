"""Erasing: nothing of the person is left in any table, nor, once scrubbed, in any file."""

import re
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from penstock.core.db import is_sqlite
from penstock.core.errors import Denied, Invalid, NotFound, Unavailable
from penstock.core.home import Home, exclusive
from penstock.core.scope import Actor, Role, Scope
from penstock.traces import background, body, erasure, intake, keeper, service, spool, talks, words
from penstock.traces.intake import Intake
from penstock.traces.model import TraceFilters
from penstock.traces.recorder import Recorder
from penstock.traces.store import erase, read
from penstock.traces.store.erase import Removed
from penstock.traces.store.prepare import prepare
from penstock.traces.store.write import ScopeIds
from penstock.traces.writer import write
from tests.traces.build import call


def listed(home: Home, actor: Actor, **filters: object) -> list[str]:
    with home.read() as uow:
        page = service.list_traces(uow, actor, filters=TraceFilters(**filters), limit=1000)  # type: ignore[arg-type]
    return [trace.trace_id for trace in page.items]


def scrub(home: Home) -> None:
    for _ in range(20):
        keeper.sweep(home)
        if keeper.scrubbed(home):
            return
    raise AssertionError("the scrubbing does not end")


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def said(words: str, **given: object) -> dict[str, object]:
    return {"output": f'"{words}"'.encode(), "metadata": {"note": words}, **given}


def test_nothing_of_a_user_is_left_in_the_files(sqlite_home: Home) -> None:
    home, actor = sqlite_home, _owner(sqlite_home)
    hers = [call(user="zyxwvu", session="plugh-1", **said(f"xyzzyfrob {n} quuxmarker")) for n in range(40)]
    others = [call(user=f"other{n}", **said(f"ordinary text {n}")) for n in range(400)]
    for start in range(0, 40, 10):
        service.ingest(home, actor.scope, [*hers[start : start + 10], *others[start * 10 : start * 10 + 100]])
        background.catch_up(home)
    packed = [
        body.pack(span)[30:] for span in hers
    ]  # bodies are compressed: their words cannot be looked for
    secrets = (b"zyxwvu", b"xyzzyfrob", b"quuxmarker", b"plugh-1", *packed)
    before = bytes_of(home.path)
    assert all(secret in before for secret in secrets)
    assert service.erase_traces(home, actor, user="zyxwvu") == (40, 40, 0, 0)
    scrub(home)
    after = bytes_of(home.path)
    assert [secret for secret in secrets if secret in after] == []
    assert len(listed(home, actor)) == len(listed(home, actor, q="ordinary text")) == 400


def _owner(home: Home) -> Actor:
    return Actor(id="prs_1", name="owner", role=Role.OWNER)


def test_a_users_traces_go_and_the_projects_sums_stay(home: Home, actor: Actor) -> None:
    spans = [call(user="ada", output=b'"walrus"') for _ in range(3)]
    spans.append(call(trace_id=spans[0].trace_id, user=None, output=b'"walrus too"'))
    spans.append(call(user="bob", output=b'"walrus three"'))
    service.ingest(home, actor.scope, spans)
    background.catch_up(home)
    assert service.erase_traces(home, actor, user="ada", dry_run=True) == (3, 4, 0, 0)
    assert len(listed(home, actor)) == 4
    assert service.erase_traces(home, actor, user="ada") == (3, 4, 0, 0)
    assert service.erase_traces(home, actor, user="ada") == (0, 0, 0, 0)
    assert listed(home, actor) == listed(home, actor, q="walrus") == [spans[-1].trace_id]
    assert listed(home, actor, user="ada") == []
    with home.read() as uow:
        assert [row.group for row in service.usage(uow, actor, group_by="user")] == ["bob"]
        assert [row.calls for row in service.usage(uow, actor, group_by="model")] == [5]
        for table in ("traces_spans", "traces_bodies"):
            assert uow.conn.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() == 1
    scrub(home)
    assert listed(home, actor, q="walrus") == [spans[-1].trace_id]


def test_spans_that_came_after_the_roll_up_are_counted_before_they_go(home: Home, actor: Actor) -> None:
    service.ingest(home, actor.scope, [call(user="ada")])
    assert service.erase_traces(home, actor, user="ada").traces == 1
    with home.read() as uow:
        assert [row.calls for row in service.usage(uow, actor)] == [1]


def test_a_session_and_named_traces_can_be_erased(home: Home, actor: Actor) -> None:
    spans = [call(session="s1"), call(session="s1"), call(session="s2"), call()]
    service.ingest(home, actor.scope, spans)
    assert service.erase_traces(home, actor, session="s1").traces == 2
    ids = [spans[3].trace_id, spans[0].trace_id]
    assert service.erase_traces(home, actor, trace_ids=ids, dry_run=True).traces == 1
    assert service.erase_traces(home, actor, trace_ids=ids).traces == 1
    assert listed(home, actor) == [spans[2].trace_id]


def test_an_erased_user_who_comes_back_is_found_again(home: Home, actor: Actor) -> None:
    first, second = call(user="ada"), call(user="ada")
    known = ScopeIds()  # long-lived writers remember the numbers of names
    write(home, known, [prepare(actor.scope, first)])
    service.erase_traces(home, actor, user="ada")
    write(home, known, [prepare(actor.scope, second)])
    assert listed(home, actor, user="ada") == [second.trace_id]


def test_a_trace_of_many_spans_goes_in_several_steps(home: Home, actor: Actor) -> None:
    first = call(user="ada", metadata={"n": "0"})
    more = [call(trace_id=first.trace_id, metadata={"n": str(n)}) for n in range(1, 450)]
    service.ingest(home, actor.scope, [first, *more])
    assert service.erase_traces(home, actor, user="ada") == (1, 450, 0, 0)
    with home.read() as uow:
        for table in ("spans", "bodies", "facets", "facet_names", "traces"):
            assert uow.conn.exec_driver_sql(f"SELECT count(*) FROM traces_{table}").scalar_one() == 0
        assert [row.calls for row in service.usage(uow, actor)] == [450]


def test_another_projects_namesake_stays(home: Home, actor: Actor) -> None:
    other = type(actor.scope)(actor.scope.tenant, "other")
    service.ingest(home, other, [call(user="ada")])
    service.ingest(home, actor.scope, [call(user="ada")])
    assert service.erase_traces(home, actor, user="ada").traces == 1
    with home.read() as uow:
        assert uow.conn.exec_driver_sql("SELECT count(*) FROM traces_traces").scalar_one() == 1
        query = "SELECT count(*) FROM traces_facet_names WHERE value = 'ada'"
        assert uow.conn.exec_driver_sql(query).scalar_one() == 1


def test_the_audit_log_says_that_and_not_who(home: Home, actor: Actor) -> None:
    service.ingest(home, actor.scope, [call(user="anni")])
    service.erase_traces(home, actor, user="anni")
    with home.read() as uow:
        rows = uow.conn.exec_driver_sql("SELECT action, target, detail FROM core_audit").all()
    acts = [tuple(map(str, row)) for row in rows if row[0].startswith("traces.")]
    assert [act[:2] for act in acts] == [("traces.erase", "user"), ("traces.erased", "user")]
    assert "anni" not in str(acts)


def test_wrong_requests_are_refused(home: Home, actor: Actor) -> None:
    for wrong in ({}, {"user": "a", "session": "b"}, {"user": ""}):
        with pytest.raises(Invalid):
            service.erase_traces(home, actor, **wrong)  # type: ignore[arg-type]
    with pytest.raises(NotFound):
        service.erase_traces(home, actor, trace_ids=["xyz"])
    viewer = Actor(id="p", name="p", role=Role.MEMBER)
    with pytest.raises(Denied):
        service.erase_traces(home, viewer, user="a")


def test_spans_in_the_spool_are_waited_for(home: Home, actor: Actor) -> None:
    recorder = Recorder(home)
    try:
        for _ in range(20):
            recorder.record(actor.scope, call(user="ada"))
        # On a starved machine the writer's thread may need longer than erasing gives what is only in memory.
        assert recorder.flush()
        # The writer still holds its segment.
        assert service.erase_traces(home, actor, user="ada") == (20, 20, 0, 0)
    finally:
        recorder.close()
    with_intake = Intake(home)
    assert with_intake.drain() == 0
    with_intake.close()
    assert listed(home, actor) == []


def test_another_process_that_empties_the_spool_is_waited_for(home: Home, actor: Actor) -> None:
    recorder = Recorder(home)
    stop = threading.Event()
    running = threading.Thread(target=Intake(home).run, args=(stop,))
    running.start()
    try:
        recorder.record(actor.scope, call(user="ada"))
        assert service.erase_traces(home, actor, user="ada").traces == 1
    finally:
        stop.set()
        running.join()
        recorder.close()
    assert listed(home, actor) == []


def test_a_spool_that_nobody_empties_is_said(home: Home, actor: Actor) -> None:
    recorder = Recorder(home)
    recorder.record(actor.scope, call(user="ada"))
    assert recorder.flush()
    with (
        exclusive(spool.folder_of(home.path) / "intake.lock"),
        pytest.raises(Unavailable, match="still wait"),
    ):
        intake.arrive(home, seconds=0.2)
    recorder.close()
    intake.arrive(home)
    assert len(listed(home, actor, user="ada")) == 1


def test_erasing_looks_rows_up_instead_of_walking_the_project(sqlite_home: Home) -> None:
    home, actor = sqlite_home, _owner(sqlite_home)
    service.ingest(home, actor.scope, [call(user="ada"), call(user="grace")])
    background.catch_up(home)
    seen: list[tuple[str, object]] = []

    def note(_conn: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith(("SELECT", "DELETE", "UPDATE")):
            seen.append((statement, parameters))

    event.listen(home.db.engine, "before_cursor_execute", note)
    try:
        assert service.erase_traces(home, actor, user="ada").traces == 1
    finally:
        event.remove(home.db.engine, "before_cursor_execute", note)
    walked = []
    with home.read() as uow:
        for statement, parameters in list(seen):
            given = parameters[0] if isinstance(parameters, list) else parameters
            plan = uow.conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given).all()
            walked += [(step[3], statement) for step in plan if _WALK.search(step[3])]
    assert len(seen) > 20
    assert walked == []


_WALK = re.compile(r"SEARCH (?!traces_going).*\(scope_id=\?\)$")
"""A step that reads all a project has, of whatever table; what is being erased is a list to be read."""


def test_what_is_redacted_while_it_is_erased_leaves_no_words(home: Home, actor: Actor) -> None:
    span = call(user="ada", output=b'"walrus ada@example.org"')
    service.ingest(home, actor.scope, [span])
    background.catch_up(home)
    with home.read() as uow:
        rows = erase.of_subject(uow.conn, actor.scope, "user", "ada", limit=10)
        before = erase.known(uow.conn, actor.scope, rows)
        assert erase.known(uow.conn, actor.scope, rows, before) == before
        assert _indexed(uow.conn, actor.scope, "example") == 1
    masking = {"detectors": {"pii": {"kinds": ["email"]}}}
    assert service.redact_traces(home, actor, masking=masking, trace_ids=[span.trace_id]).spans == 1
    with home.begin() as uow:
        assert erase.remove_together(uow.conn, actor.scope, rows, Removed(), before) == set(rows)
        for word in ("walrus", "example", "email"):
            assert _indexed(uow.conn, actor.scope, word) == 0, word


def _indexed(conn: Connection, scope: Scope, word: str) -> int:
    """Return how many spans the index itself knows with a word."""
    marked = words.marked(word, read.scope_id(conn, scope))
    if is_sqlite(conn):
        query = "SELECT count(*) FROM traces_text WHERE traces_text MATCH ?"
    else:
        query = "SELECT count(*) FROM traces_text WHERE words @@ to_tsquery('simple', %s)"
    return int(conn.exec_driver_sql(query, (marked,)).scalar_one())


def test_a_user_is_out_of_sight_before_the_rows_are_gone(home: Home, actor: Actor) -> None:
    hers = [call(user="ada", session="s1", output=b'"walrus one"', tags=("sea",)) for _ in range(30)]
    his = call(user="bob", output=b'"walrus two"', tags=("sea",))
    service.ingest(home, actor.scope, [*hers, his])
    background.catch_up(home)
    done = service.erase_traces(home, actor, user="ada", seconds=0)
    assert done == (30, 30, 0, 30)
    for query in ("", "walrus", '"walrus one"', "tag:sea", "walrus tag:sea", "user:*", "-user:bob"):
        assert his.trace_id in listed(home, actor, query=query) or query in ('"walrus one"', "-user:bob")
        assert not {span.trace_id for span in hers} & set(listed(home, actor, query=query)), query
    assert listed(home, actor, user="ada") == []
    with home.read() as uow:
        with pytest.raises(NotFound):
            service.get_trace(uow, actor, trace_id=hers[0].trace_id)
        assert [item.value for item in service.facets(uow, actor, key="user")] == ["bob"]
        assert [row.group for row in service.usage(uow, actor, group_by="user")] == ["bob"]
        assert _count(uow.conn, "traces_spans") == 31
        assert _acts(uow.conn) == ["traces.erase", "traces.hidden"]
    scrub(home)
    with home.read() as uow:
        assert [_count(uow.conn, f"traces_{table}") for table in ("spans", "bodies", "going")] == [1, 1, 0]
        assert _acts(uow.conn) == ["traces.erase", "traces.hidden", "traces.erased"]
        assert [row.calls for row in service.usage(uow, actor)] == [31]
    assert service.erase_traces(home, actor, user="ada") == (0, 0, 0, 0)


def _count(conn: Connection, table: str) -> int:
    return int(conn.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())


def _acts(conn: Connection) -> list[str]:
    rows = conn.exec_driver_sql("SELECT action FROM core_audit WHERE action LIKE 'traces.%%' ORDER BY number")
    return [row[0] for row in rows]


def test_a_span_of_a_hidden_trace_that_comes_again_is_a_trace_of_its_own(home: Home, actor: Actor) -> None:
    span = call(user="ada", output=b'"walrus"')
    late = call(trace_id=span.trace_id, user="ada", output=b'"walrus again"')
    service.ingest(home, actor.scope, [span])
    assert service.erase_traces(home, actor, user="ada", seconds=0).left == 1
    service.ingest(home, actor.scope, [late])
    background.catch_up(home)
    scrub(home)
    assert listed(home, actor, q="walrus") == listed(home, actor, user="ada") == [span.trace_id]
    with home.read() as uow:
        (row,) = service.get_trace(uow, actor, trace_id=span.trace_id).spans
        assert row.span_id == late.span_id
    assert service.erase_traces(home, actor, user="ada") == (1, 1, 0, 0)


def test_two_that_finish_what_is_hidden_take_it_away_once(home: Home, actor: Actor) -> None:
    service.ingest(home, actor.scope, [call(user="ada", session="s1") for _ in range(60)])
    service.ingest(home, actor.scope, [call(user="bob", session="s1")])
    background.catch_up(home)
    assert service.erase_traces(home, actor, user="ada", seconds=0).left == 60
    helpers = [
        threading.Thread(target=erasure.finish, args=(home, actor), kwargs={"newest": newest})
        for newest in (False, True, False)
    ]
    for one in helpers:
        one.start()
    for one in helpers:
        one.join(60)
    assert not any(one.is_alive() for one in helpers)
    background.catch_up(home)
    with home.read() as uow:
        assert [_count(uow.conn, f"traces_{table}") for table in ("spans", "bodies", "going")] == [1, 1, 0]
        (session,) = talks.list_sessions(uow, actor).items
    assert (session.name, session.traces, session.calls) == ("s1", 1, 1)


def test_steps_that_take_long_let_other_writers_in(
    sqlite_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for SQLite's lock looks for it every 0.1 seconds: pauses shorter than that are mostly slept through."""
    home, actor = sqlite_home, _owner(sqlite_home)
    service.ingest(home, actor.scope, [call(user="ada") for _ in range(100)])
    background.roll_up(home)
    with home.read() as uow:
        rows = erase.of_subject(uow.conn, actor.scope, "user", "ada", limit=1000)
    step, over = erasure._step, threading.Event()
    steps, writes = [], []

    def slow(*given: Any) -> int:
        steps.append(len(writes))
        threading.Event().wait(0.3)
        return step(*given)

    def write_beside() -> None:
        while not over.is_set():
            with home.begin() as uow:
                uow.audit(actor, "beside", "erasing")
            writes.append(len(steps))
            over.wait(0.13)

    monkeypatch.setattr(erasure, "_step", slow)
    monkeypatch.setattr(erasure, "_MOST", 5)
    monkeypatch.setattr(erasure, "_FIRST", 5)
    writer = threading.Thread(target=write_beside)
    writer.start()
    erasure.remove(home, actor, rows, Removed())
    over.set()
    writer.join()
    assert len(steps) == 20
    assert len({at for at in writes if 0 < at < 20}) >= 14
