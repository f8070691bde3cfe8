"""Recorded calls become datasets, on both databases."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.feedback.test_service import record_call
from typer.testing import CliRunner

from penstock.core import clock, ids, lineage
from penstock.core.errors import Denied, Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.datasets import service as datasets
from penstock.feedback import cli, collecting
from penstock.feedback.collecting import Each
from penstock.traces import service as traces
from penstock.traces.model import SpanRecord, TraceFilters


def rows_of(home: Home, actor: Actor, ref: str) -> list[dict[str, Any]]:
    return [dict(row) for row in datasets.rows(home, actor, ref)]


def test_what_a_query_finds_becomes_rows_with_lineage(home: Home, actor: Actor) -> None:
    made = [record_call(home, actor, f"question {n}", f"answer {n}", model="m") for n in range(5)]
    record_call(home, actor, "other", "route", route="other")
    found = collecting.collect(home, actor, name="cases", filters=TraceFilters(route="ticket-triage"))
    assert (found.traces, found.rows, found.skipped, found.version.ref) == (5, 5, {}, "cases@1")
    rows = rows_of(home, actor, "cases@1")
    assert {row["trace_id"] for row in rows} == set(made)
    first = next(row for row in rows if row["trace_id"] == made[0])
    assert first["prompt"] == [{"role": "user", "content": "question 0"}]
    assert (first["completion"], first["model"]) == ("answer 0", "m")
    assert first["id"] == f"{made[0]}/{first['span_id']}"
    with home.read() as uow:
        edges = lineage.neighbours(uow.conn, actor.scope, "dataset_version", found.version.ref)
        edges = edges or lineage.neighbours(uow.conn, actor.scope, "dataset_version", found.version.id)
    assert {edge.parent_ref for edge in edges if edge.parent_kind == "trace"} == set(made)


def test_more_traces_are_added_behind(home: Home, actor: Actor) -> None:
    one, two = record_call(home, actor, "q1", "a1"), record_call(home, actor, "q2", "a2")
    collecting.collect(home, actor, name="cases", trace_ids=[one])
    found = collecting.collect(home, actor, name="cases", trace_ids=[two, two, ids.new_trace_id()])
    assert (found.version.ref, found.version.rows, found.rows) == ("cases@2", 2, 1)
    assert found.skipped == {collecting.GONE: 1}
    assert [row["completion"] for row in rows_of(home, actor, "cases@2")] == ["a1", "a2"]


def test_each_call_or_the_last_of_each_trace(home: Home, actor: Actor) -> None:
    trace_id, now = ids.new_trace_id(), clock.now_ns()
    spans = [
        SpanRecord(
            trace_id=trace_id,
            span_id=ids.new_span_id(),
            name="chat",
            kind="llm",
            status=status,
            start_ns=now + n,
            end_ns=now + n + 10,
            input=json.dumps(asked).encode(),
            output=json.dumps(said).encode(),
        )
        for n, (status, asked, said) in enumerate(
            [
                ("ok", [{"role": "user", "parts": [{"type": "text", "content": "one"}]}], "first"),
                (
                    "ok",
                    [{"role": "user", "content": "two"}],
                    [{"role": "assistant", "parts": [{"type": "text", "content": "second"}]}],
                ),
                ("ok", [{"role": "user", "content": [{"type": "image_url"}]}], "third"),
                ("error", "four", "fourth"),
            ]
        )
    ]
    traces.ingest(home, actor.scope, spans)
    every = collecting.collect(home, actor, name="every", trace_ids=[trace_id], each=Each.ALL)
    assert [row["completion"] for row in rows_of(home, actor, "every@1")] == ["first", "second"]
    assert every.skipped == {collecting.NOT_TEXT: 1}
    with pytest.raises(Invalid, match="not recorded as text"):
        collecting.collect(home, actor, name="last", trace_ids=[trace_id])


def test_who_may_and_what_is_refused(home: Home, actor: Actor) -> None:
    trace_id = record_call(home, actor, "q", "a")
    viewer = Actor(id="v", name="v", role=Role.VIEWER, scope=actor.scope)
    with pytest.raises(Denied):
        collecting.collect(home, viewer, name="cases", trace_ids=[trace_id])
    for wrong in ({}, {"trace_ids": [trace_id], "filters": TraceFilters()}):
        with pytest.raises(Invalid):
            collecting.collect(home, actor, name="cases", **wrong)
    with pytest.raises(Invalid, match="no such trace"):
        collecting.collect(home, actor.within("other"), name="cases", trace_ids=[trace_id])


def test_over_http(client: TestClient, home: Home, actor: Actor) -> None:
    made = [record_call(home, actor, f"q{n}", f"a{n}") for n in range(3)]
    path = "/api/v1/feedback/datasets/from-traces"
    answer = client.post(path, json={"name": "cases", "where": {"user": "ada"}, "limit": 2})
    assert (answer.status_code, answer.json()["added"], answer.json()["rows"]) == (201, 2, 2)
    answer = client.post(path, json={"name": "cases", "trace_ids": [made[0]]})
    assert (answer.json()["number"], answer.json()["rows"], answer.json()["traces"]) == (2, 3, 1)
    since = "2100-01-01T00:00:00"
    assert client.post(path, json={"name": "cases", "where": {"since": since}}).status_code == 400
    assert client.post(path, json={"name": "cases", "where": {"unknown": 1}}).status_code == 422


def test_on_the_command_line(sqlite_home: Home) -> None:
    actor = Actor(id="o", name="o", role=Role.OWNER)
    trace_id = record_call(sqlite_home, actor, "where is it", "there")
    options = ["--home", str(sqlite_home.path)]
    shown = CliRunner().invoke(cli.app, ["collect", "cases", "--trace", trace_id, *options])
    assert shown.output.strip() == "Added 1 rows of 1 traces: cases@1 has 1."
    shown = CliRunner().invoke(cli.app, ["collect", "others", "--user", "ada", "--json", *options])
    assert json.loads(shown.output)["traces"] == 1
