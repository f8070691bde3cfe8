"""Imports: what other programs export becomes the same kind of span, once, and broken rows are named."""

import json
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from penstock.core.errors import Denied, Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.traces import service
from penstock.traces.importer import Imported, Problem
from penstock.traces.importing import rows
from penstock.traces.lines import as_line
from penstock.traces.model import SpanRecord, TraceFilters
from tests.traces import import_samples as samples
from tests.traces.build import call


def imported(home: Home, actor: Actor, tmp_path: Path, format: str, content: Any) -> Imported:
    file = tmp_path / "given"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        file.write_text(json.dumps(content))
    done = service.import_traces(home, actor, source=file, format=format)
    again = service.import_traces(home, actor, source=file, format=format)
    assert (again.spans, again.quarantined) == (done.spans, done.quarantined)
    return done


def spans(home: Home, actor: Actor) -> dict[str, SpanRecord]:
    return {span.name: span for span in service.export_spans(home, actor)}


def lines(items: Iterable[Any]) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


def test_a_langfuse_trace_with_its_observations(home: Home, actor: Actor, tmp_path: Path) -> None:
    done = imported(home, actor, tmp_path, "langfuse", [samples.LANGFUSE_TRACE])
    assert (done.rows, done.spans, done.traces, done.quarantined) == (1, 4, 1, 0)
    found = spans(home, actor)
    root, answer, failed = found["support-chat"], found["answer"], found["track"]
    assert {span.trace_id for span in found.values()} == {"3f8a1c9e52b74c1e9d7a0a1b2c3d4e5f"}
    assert root.parent_id is None and found["retrieve"].parent_id == root.span_id
    assert answer.parent_id == failed.parent_id == found["retrieve"].span_id
    assert (root.user, root.session, root.environment) == ("user-42", "session-7", "production")
    assert root.tags == ("beta", "de")
    assert root.metadata == {
        "tenant": "acme",
        "plan": '{"tier":2}',
        "evaluation.helpfulness": "0.9",
        "evaluation.tone": "friendly",
    }
    assert root.duration_ns == 2_500_000_000
    assert json.loads(root.input or b"") == {"question": "Where is my parcel?"}
    assert (answer.kind, answer.model, answer.prompt) == ("llm", "gpt-4o-mini", "support@3")
    assert (answer.input_tokens, answer.cached_tokens, answer.output_tokens) == (100, 40, 20)
    assert (answer.cost_usd, answer.price_version) == (0.00123, "given")
    assert (answer.ttft_ns, answer.duration_ns) == (500_000_000, 2_000_000_000)
    assert (failed.kind, failed.status, failed.error) == ("tool", "error", "no such parcel")
    assert [(verdict.name, verdict.score) for verdict in root.evaluations][:1] == [("helpfulness", 0.9)]
    assert [verdict.label for verdict in root.evaluations if verdict.name == "tone"] == ["friendly"]
    with home.read() as uow:
        (listed,) = service.list_traces(uow, actor, filters=TraceFilters(user="user-42")).items
    assert (listed.spans, listed.calls, listed.input_tokens) == (4, 1, 100)


def test_langfuse_tables_one_after_the_other(home: Home, actor: Actor, tmp_path: Path) -> None:
    done = imported(home, actor, tmp_path, "langfuse", lines(samples.LANGFUSE_TABLES))
    assert (done.spans, done.traces, done.quarantined) == (2, 1, 0)
    found = spans(home, actor)
    assert found["call"].parent_id == found["job"].span_id
    assert (found["call"].model, found["call"].input_tokens) == ("claude-sonnet-4-5", 10)
    assert found["call"].cost_usd == 0.0002
    assert found["job"].user == "u1"


def test_langfuse_enriched_observations_stand_for_themselves(
    home: Home, actor: Actor, tmp_path: Path
) -> None:
    imported(home, actor, tmp_path, "langfuse", lines([samples.LANGFUSE_ENRICHED]))
    span = spans(home, actor)["embed"]
    assert (span.trace_id, span.span_id) == ("0af7651916cd43dd8448eb211c80319c", "a1b2c3d4e5f60718")
    assert (span.kind, span.parent_id, span.user, span.session) == ("embedding", None, "u9", "s9")
    assert span.input_tokens == 7


def test_langfuse_scores_are_scores_and_no_traces(home: Home, actor: Actor, tmp_path: Path) -> None:
    done = imported(home, actor, tmp_path, "langfuse", lines(samples.LANGFUSE_SCORES))
    assert (done.rows, done.spans, done.traces, done.scores, done.quarantined) == (3, 0, 0, 1, 2)
    assert [problem.reason.partition(",")[0] for problem in done.problems] == [
        "a score without a name or a number",
        "a score of a session or a dataset run",
    ]
    traces, scores = samples.LANGFUSE_TABLES, samples.LANGFUSE_SCORES
    done = imported(home, actor, tmp_path, "langfuse", {"traces": traces, "scores": scores[:1]})
    assert (done.rows, done.spans, done.scores) == (3, 2, 1)
    with home.read() as uow:
        (found,) = service.list_traces(uow, actor, filters=TraceFilters(query="score.helpfulness<0.5")).items
        (score,) = service.scores_of(uow, actor, trace_id=found.trace_id)
    assert found.name == "job"
    assert (score.name, score.value, score.origin) == ("helpfulness", 0.25, "langfuse")


def test_tables_in_one_object(home: Home, actor: Actor, tmp_path: Path) -> None:
    trace, observation = samples.LANGFUSE_TABLES
    both = {"traces": [trace], "observations": [observation, 7]}
    done = imported(home, actor, tmp_path, "langfuse", json.dumps(both, indent=1).encode())
    assert (done.rows, done.spans, done.quarantined) == (3, 2, 1)


def said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}


def check_phoenix(found: dict[str, SpanRecord]) -> None:
    chain, llm = found["query"], found["ChatCompletion"]
    assert (chain.kind, chain.session, chain.user, chain.metadata) == (
        "chain",
        "chat-1",
        "u-1",
        {"team": "search"},
    )
    assert chain.duration_ns == 3 * 10**9 and llm.parent_id == chain.span_id
    assert json.loads(chain.input or b"") == "What is it?"
    assert (llm.kind, llm.model, llm.provider) == ("llm", "gpt-4o-mini", "openai")
    assert (llm.input_tokens, llm.output_tokens, llm.status) == (12, 4, "error")
    assert llm.error == "Timeout: too late"
    assert json.loads(llm.input or b"") == [said("user", "What is it?")]
    assert json.loads(llm.output or b"") == [said("assistant", "A test.")]
    assert llm.cost_usd is not None and llm.price_version != "given"


def test_phoenix_rows_as_lines(home: Home, actor: Actor, tmp_path: Path) -> None:
    done = imported(home, actor, tmp_path, "phoenix", lines(samples.PHOENIX_ROWS))
    assert (done.spans, done.traces, done.quarantined) == (2, 1, 0)
    check_phoenix(spans(home, actor))


def test_phoenix_rows_as_parquet(home: Home, actor: Actor, tmp_path: Path) -> None:
    given = [dict(row) for row in samples.PHOENIX_ROWS]
    given[1]["attributes.llm.output_messages"] = [{"message.role": "assistant", "message.content": "A test."}]
    moments = {
        name: pyarrow.array(values, pyarrow.timestamp("ns", tz="UTC"))
        for name, values in (
            ("start_time", [1772359200 * 10**9, 1772359201 * 10**9]),
            ("end_time", [1772359203 * 10**9, 1772359202 * 10**9]),
        )
    }
    names = list(dict.fromkeys(name for row in given for name in row))
    columns = {name: moments.get(name, [row.get(name) for row in given]) for name in names}
    columns["events"] = [[], [json.loads(json.dumps(given[1]["events"][0]))]]
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "given")
    done = imported(home, actor, tmp_path, "phoenix", (tmp_path / "given").read_bytes())
    assert (done.spans, done.quarantined) == (2, 0)
    check_phoenix(spans(home, actor))


def test_phoenix_api_pages(home: Home, actor: Actor, tmp_path: Path) -> None:
    done = imported(home, actor, tmp_path, "phoenix", samples.PHOENIX_API)
    assert (done.spans, done.quarantined) == (1, 0)
    span = spans(home, actor)["tool call"]
    assert (span.kind, span.input, span.parent_id) == ("tool", b'{"a": 1}', "00f067aa0ba902b7")


def test_mlflow_traces_of_both_generations(home: Home, actor: Actor, tmp_path: Path) -> None:
    done = imported(home, actor, tmp_path, "mlflow", lines([samples.MLFLOW_V3, samples.MLFLOW_V2]))
    assert (done.spans, done.traces, done.quarantined) == (3, 2, 0)
    found = spans(home, actor)
    root, model, old = found["predict"], found["Completions"], found["f"]
    assert (root.trace_id, root.span_id) == ("0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7")
    assert (root.kind, root.user, root.session) == ("chain", "ada", "s-5")
    assert root.metadata == {"build": "77", "team": "nlp"}
    assert json.loads(root.output or b"") == "hello"
    assert (model.kind, model.model, model.parent_id) == ("llm", "gpt-4o-mini", root.span_id)
    assert (model.input_tokens, model.output_tokens, model.status) == (9, 3, "error")
    assert model.error == "ValueError: bad"
    assert (old.trace_id, old.span_id, old.kind) == (
        "5be1b9d2c0a04e2f8f3a1e8b6b6f0c11",
        "6fc32f36ef591f60",
        "tool",
    )


def test_mlflow_tables_hold_traces_as_text(home: Home, actor: Actor, tmp_path: Path) -> None:
    row = {"trace_id": "tr-0af7651916cd43dd8448eb211c80319c", "trace": json.dumps(samples.MLFLOW_V3)}
    table = {"trace_id": "5be1b9d2c0a04e2f8f3a1e8b6b6f0c11", "spans": samples.MLFLOW_V2["data"]["spans"]}
    done = imported(home, actor, tmp_path, "mlflow", [row, table])
    assert (done.spans, done.traces, done.quarantined) == (3, 2, 0)


def test_broken_rows_are_set_aside_with_their_lines(home: Home, actor: Actor, tmp_path: Path) -> None:
    good = as_line(call())
    content = [
        good,
        b"{broken\n",
        b"\n",
        b'"a text"\n',
        b'{"trace_id": "xyz", "span_id": "1", "name": "n", "start_ns": 1, "end_ns": 2}\n',
        b'{"name": "no ids"}\n',
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        as_line(call()),
    ]
    file = tmp_path / "x.jsonl"
    file.write_bytes(b"".join(content))
    told: list[Problem] = []
    done = service.import_traces(home, actor, source=file, format="jsonl", quarantine=told.append)
    assert (done.rows, done.spans, done.quarantined) == (8, 2, 6)
    assert [problem.line for problem in done.problems] == [2, 4, 5, 6, 7, 8]
    assert tuple(told) == done.problems
    assert "not JSON" in done.problems[0].reason and "span id" in done.problems[2].reason
    assert len(spans(home, actor)) == 1 and len(list(service.export_spans(home, actor))) == 2


@pytest.mark.parametrize("format", ["langfuse", "phoenix", "mlflow", "jsonl"])
def test_rows_of_something_else_are_set_aside(sqlite_home: Home, tmp_path: Path, format: str) -> None:
    odd = [
        {},
        {"a": 1},
        {"id": "t", "timestamp": "yesterday"},
        {"traceId": "t", "type": "SPAN", "id": "x", "startTime": True},
        {"context.trace_id": "t", "context.span_id": "s", "start_time": {}},
        {"info": {"trace_id": "t"}, "data": {"spans": [1]}},
        {"info": {"trace_id": "t"}, "data": {"spans": [{"span_id": "s", "start_time": -5}]}},
        {"trace_id": ["x"], "span_id": {"y": 1}},
    ]
    actor = Actor(id="x", name="x", role=Role.OWNER)
    done = imported(sqlite_home, actor, tmp_path, format, odd)
    assert (done.rows, done.spans, done.quarantined) == (8, 0, 8)


def test_a_file_that_ends_early(home: Home, actor: Actor, tmp_path: Path) -> None:
    whole = json.dumps([samples.LANGFUSE_TABLES[0], samples.LANGFUSE_TABLES[1]], indent=2).encode()
    done = imported(home, actor, tmp_path, "langfuse", whole[:-40])
    assert (done.spans, done.quarantined) == (1, 1)
    assert done.problems[0].line == 13 and "ends inside" in done.problems[0].reason


def test_arrays_are_cut_wherever_a_read_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    items = [
        {"n": n, "s": 'quote " back \\ brace { } [ \\" \u00e9\n', "d": {"e": [{"f": n}]}} for n in range(40)
    ]
    file = tmp_path / "x.json"
    file.write_text(json.dumps(items, indent=1))
    for size in (1, 2, 3, 7, 64):
        monkeypatch.setattr(rows, "_CHUNK", size)
        assert [row.value for row in rows.read(file)] == items


def test_empty_and_foreign_files(sqlite_home: Home, tmp_path: Path) -> None:
    actor = Actor(id="x", name="x", role=Role.OWNER)
    for empty in (b"", b"  \n", b"[]", b"\xef\xbb\xbf"):
        assert imported(sqlite_home, actor, tmp_path, "jsonl", empty).rows == 0
    with pytest.raises(Invalid, match="not JSON"):
        imported(sqlite_home, actor, tmp_path, "jsonl", b"name,value\n1,2\n")
    with pytest.raises(Invalid, match="no import"):
        imported(sqlite_home, actor, tmp_path, "csv", b"")
    with pytest.raises(Invalid, match="cannot be read"):
        service.import_traces(sqlite_home, actor, source=tmp_path / "nothing", format="jsonl")
    with pytest.raises(Denied):
        viewer = Actor(id="x", name="x", role=Role.VIEWER)
        imported(sqlite_home, viewer, tmp_path, "jsonl", b"")


def test_masking_applies_to_imports(home: Home, actor: Actor, tmp_path: Path) -> None:
    with home.begin() as uow:
        service.put_policies(uow, actor, {"masking": {"keys": [{"key": "input"}]}})
    imported(home, actor, tmp_path, "jsonl", as_line(call(name="x")))
    assert spans(home, actor)["x"].input is None


def test_memory_does_not_grow_with_the_file(sqlite_home: Home, tmp_path: Path) -> None:
    actor = Actor(id="x", name="x", role=Role.OWNER)
    file = tmp_path / "x.jsonl"

    def peak(count: int) -> int:
        with file.open("wb") as out:
            for _ in range(count):
                out.write(as_line(call(output=b'"' + b"word " * 400 + b'"')))
        tracemalloc.start()
        service.import_traces(sqlite_home, actor, source=file, format="jsonl")
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(10)
    small = peak(1000)
    assert peak(4000) < 1.5 * small
