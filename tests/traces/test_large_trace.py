"""A trace of 50,000 spans over HTTP: bounded answers and pages, and as many queries as for a small one."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import event

from penstock.core.errors import NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.traces import background, erasure, service
from tests.traces.build import call

SPANS, FEW = 50_000, 50
BASE = 1_790_000_000_000_000_000


def put(home: Home, actor: Actor, trace_id: str, count: int) -> None:
    template = call(trace_id=trace_id, start_ns=BASE, input=b'"hi"', output=b'"yo"')
    service.ingest(
        home,
        actor.scope,
        (
            msgspec.structs.replace(
                template,
                span_id=f"{n + 1:016x}",
                parent_id=None if n == 0 else f"{(n - 1) // 100 + 1:016x}",
                name=f"step {n % 7}",
                start_ns=BASE + n,
                end_ns=BASE + n + 1000,
            )
            for n in range(count)
        ),
    )


@pytest.fixture
def asked(home: Home) -> Iterator[list[str]]:
    """The statements about spans of one trace that the home's engine ran."""
    statements: list[str] = []
    engine = home.db.engine

    def heard(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM traces_spans WHERE trace =" in statement:
            statements.append(statement)

    event.listen(engine, "before_cursor_execute", heard)
    yield statements
    event.remove(engine, "before_cursor_execute", heard)


def test_deleting_a_large_trace_lets_others_write_between(
    home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one transaction the lock would be held for as long as all of the spans take."""
    put(home, actor, "7" * 32, 1000)
    put(home, actor, "8" * 32, 1)
    background.catch_up(home)
    monkeypatch.setattr(erasure, "STEP_SECONDS", 0.0)
    breathed = []
    monkeypatch.setattr(erasure, "breathe", breathed.append)
    service.delete_trace(home, actor, trace_id="7" * 32)
    assert len(breathed) == 4  # 200 spans at a time
    background.catch_up(home)
    with home.read() as uow:
        assert [found.trace_id for found in service.list_traces(uow, actor).items] == ["8" * 32]
        assert [row.calls for row in service.usage(uow, actor, group_by="model")] == [1]
        assert uow.conn.exec_driver_sql("SELECT count(*) FROM traces_spans").scalar_one() == 1
    with pytest.raises(NotFound):
        service.delete_trace(home, actor, trace_id="7" * 32)


def test_a_trace_of_50_000_spans_is_answered_in_bounded_pieces(
    client: TestClient, home: Home, actor: Actor, asked: list[str]
) -> None:
    large, small = "7" * 32, "8" * 32
    put(home, actor, large, SPANS)
    put(home, actor, small, FEW)
    queries = {}
    for trace_id, count in ((large, SPANS), (small, FEW)):
        asked.clear()
        answer = client.get(f"/api/v1/traces/{trace_id}/outline")
        drawn = answer.json()
        queries[trace_id] = len(asked)
        assert drawn["spans"] == count
        assert {len(drawn[name]) for name in ("span_id", "parent", "depth", "name", "start")} == {count}
        assert (len(drawn["names"]), max(drawn["depth"])) == (7, 3 if count == SPANS else 1)
        assert len(answer.content) < 2000 + 100 * count
    assert queries == {large: 1, small: 1}

    asked.clear()
    found: list[str] = []
    sizes: list[int] = []
    cursor: str | None = None
    while cursor is not None or not sizes:
        page = client.get(f"/api/v1/traces/{large}", params={"cursor": cursor} if cursor else {}).json()
        found += [span["span_id"] for span in page["spans"]]
        sizes.append(len(page["spans"]))
        cursor = page["next"]
    assert sizes == [5000] * 10
    assert len(asked) == 10
    assert len(set(found)) == SPANS

    asked.clear()
    listed = client.get("/api/v1/traces").json()["items"]
    assert {(row["trace_id"], row["spans"]) for row in listed} == {(large, SPANS), (small, FEW)}
    assert asked == []
    assert client.get(f"/api/v1/traces/{large}/spans/{found[-1]}").json()["name"] == "step 5"
    assert len(asked) <= 1
