"""Logs and metrics on the command line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from penstock.core import clock
from penstock.core.auth import service as auth
from penstock.core.console import open_home
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.ids import new_span_id, new_trace_id
from penstock.core.scope import Actor, Role
from penstock.traces import log_cli, log_service, metric_cli
from penstock.traces.log_model import severity_name
from penstock.traces.otlp_app import OtlpApp
from tests.traces.otlp_build import logs_request
from tests.traces.otlp_client import PROTOBUF, post
from tests.traces.test_otlp_metrics import DURATION, TOKENS, Report

TRACE, SPAN = new_trace_id(), new_span_id()


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A home with three log records and two metrics."""
    with open_home(tmp_path / "home", "default") as (home, actor):
        with home.begin() as uow:
            key = {"x-api-key": auth.create_key(uow, actor, name="sender", role=Role.GATEWAY)[1]}
        app = OtlpApp(home)
        now = clock.now_ns()
        records = logs_request(
            {"body": "all is well", "severity": 9, "at_ns": now - 10**9},
            {"event": "app.started", "body": {"port": 1}, "at_ns": now - 2 * 10**9},
            {"body": "it\nbroke", "severity": 17, "at_ns": now, "trace_id": TRACE, "span_id": SPAN},
        )
        assert post(app, records.SerializeToString(), PROTOBUF | key, path="/v1/logs").status == 200
        report = Report().histogram([5, 50, 500], gen_ai__response__model="m")
        report.counter(7, name="mcp.calls", at_ns=now)
        assert post(app, report.message.SerializeToString(), PROTOBUF | key, path="/v1/metrics").status == 200
        app.close()
    return str(tmp_path / "home")


def test_log_records(folder: str) -> None:
    def run(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(log_cli.app, ["list", *words, "--home", folder])
        assert result.exit_code == code, result.output
        return result.output

    def said(*words: str) -> list[object]:
        return [record["body"] for record in json.loads(run(*words, "--json"))]

    assert said() == ["it\nbroke", "all is well", {"port": 1}]
    assert said("--severity", "warning") == ["it\nbroke"]
    assert said("--event", "app.started") == [{"port": 1}]
    assert said("--search", "WELL") == ["all is well"]
    assert said("--trace", TRACE) == ["it\nbroke"]
    assert said("--limit", "1") == ["it\nbroke"]
    assert said("--service", "unknown") == []
    table = run()
    assert "error" in table
    assert "it broke" in table
    run("--severity", "loud", code=1)
    run("--trace", "zz", code=1)
    run("--limit", "0", code=1)


def test_metrics(folder: str) -> None:
    def run(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(metric_cli.app, [*words, "--home", folder])
        assert result.exit_code == code, result.output
        return result.output

    names = {one["name"]: one["kind"] for one in json.loads(run("list", "--json"))}
    assert names == {TOKENS: "histogram", "mcp.calls": "counter"}
    assert "mcp.calls" in run("list")
    (point,) = json.loads(run("show", TOKENS, "--by", "model", "--json"))
    assert (point["group"], point["count"], point["sum"]) == ("m", 3, 555)
    assert "555" in run("show", TOKENS)
    run("show", DURATION, code=1)
    run("show", TOKENS, "--by", "colour", code=1)


def test_the_newest_records_come_from_as_many_pages_as_it_takes(
    home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    with home.begin() as uow:
        key = {"x-api-key": auth.create_key(uow, actor, name="sender", role=Role.GATEWAY)[1]}
    app = OtlpApp(home)
    now = clock.now_ns()
    records = logs_request(*({"body": f"line {n}", "at_ns": now + n} for n in range(7)))
    assert post(app, records.SerializeToString(), PROTOBUF | key, path="/v1/logs").status == 200
    app.close()
    monkeypatch.setattr(log_service, "MAX_LOGS", 2)
    with home.read() as uow:
        found = log_service.newest(uow, actor, limit=5)
        assert [one.content.body for one in found] == [f"line {n}" for n in (6, 5, 4, 3, 2)]
        assert len(log_service.newest(uow, actor, limit=50)) == 7
        with pytest.raises(Invalid, match="limit"):
            log_service.newest(uow, actor, limit=0)


def test_severities_have_names() -> None:
    assert [severity_name(number) for number in (0, 1, 8, 9, 13, 17, 24)] == [
        "",
        "trace",
        "debug",
        "info",
        "warning",
        "error",
        "fatal",
    ]
