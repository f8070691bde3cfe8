"""`penstock traces` export, import, erase, redact, policies."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from penstock.core.home import Home
from penstock.core.scope import Scope
from penstock.traces import background, cli, parquet, service
from tests.traces.build import call


@pytest.fixture
def folder(tmp_path: Path) -> str:
    with Home.open(tmp_path / "home") as home:
        spans = [call(user="ada", output=b'"ada@example.com"'), call(user="bob", model="m")]
        service.ingest(home, Scope(), spans)
        background.catch_up(home)
    return str(tmp_path / "home")


def run(folder: str, *words: str, code: int = 0, given: str | None = None) -> str:
    result = CliRunner().invoke(cli.app, [*words, "--home", folder], input=given)
    assert result.exit_code == code, result.output
    return result.output


def test_exports_and_imports(folder: str, tmp_path: Path) -> None:
    run(folder, "export", "--format", "parquet", "--to", str(tmp_path / "x.parquet"))
    assert len(list(parquet.rows(tmp_path / "x.parquet"))) == 2
    out = tmp_path / "x.jsonl"
    assert "Wrote 1 spans" in run(folder, "export", "--query", "model:m", "--to", str(out))
    assert json.loads(run(folder, "export", "--user", "bob"))["model"] == "m"
    assert json.loads(run(folder, "export", "--user", "bob", "--format", "otlp"))["resourceSpans"]
    out.write_bytes(out.read_bytes() + b"{broken\n")
    bad = tmp_path / "bad.jsonl"
    done = run(folder, "import", str(out), "--format", "jsonl", "--quarantine", str(bad), "--json")
    assert json.loads(done)["spans"] == 1
    assert json.loads(bad.read_text())["line"] == 2
    assert "line 2" in run(folder, "import", str(out), "--format", "jsonl")
    for words in (
        ("export", "--format", "parquet"),
        ("export", "--format", "xml"),
        ("export", "--since", "yesterday"),
        ("export", "--to-url", "http://127.0.0.1:9/", "--header", "x"),
        ("export", "--to-url", "ftp://x/"),
        ("import", str(out), "--format", "csv"),
    ):
        assert run(folder, *words, code=1), words


def test_erases_after_asking(folder: str) -> None:
    assert "Would erase 1 traces" in run(folder, "erase", "--user", "ada", "--dry-run")
    run(folder, "erase", "--user", "ada", code=1, given="n\n")
    assert "Erased 1 traces with 1 spans" in run(folder, "erase", "--user", "ada", given="y\n")
    gone = {"traces": 0, "spans": 0, "logs": 0, "left": 0}
    assert json.loads(run(folder, "erase", "--user", "ada", "--yes", "--json")) == gone
    run(folder, "erase", "--yes", code=1)


def test_redacts(folder: str) -> None:
    words = ("redact", "--detector", "pii", "--all")
    assert "Would change 1 spans in 1 of 2 traces" in run(folder, *words, "--dry-run")
    assert "Changed 1 spans in 1 of 2 traces" in run(folder, *words, "--yes")
    assert "Changed 0 spans" in run(folder, *words, "--yes")
    assert "Changed 1 spans" in run(folder, "redact", "--field", "output", "--query", "user:bob", "--yes")
    assert json.loads(run(folder, "export", "--user", "bob"))["output"] == "[MASKED]"
    run(folder, "redact", "--detector", "pii", "--yes", code=1)


def test_policies_are_set_from_a_file(folder: str, tmp_path: Path) -> None:
    file = tmp_path / "policies.json"
    file.write_text('{"retention": {"days": 7}}')
    run(folder, "policies", "set", str(file))
    shown = run(folder, "policies", "show")
    assert '"days": 7' in shown and "Keeps days: 7." in shown and "Keeps traces: all." in shown
    run(folder, "policies", "set", "-", given="{}")
    assert json.loads(run(folder, "policies", "show", "--json"))["effective"] == {"days": 0, "traces": 0}
    for wrong in ("[", "[]", '{"x": 1}'):
        file.write_text(wrong)
        run(folder, "policies", "set", str(file), code=1)
    run(folder, "policies", "set", str(tmp_path / "none"), code=1)
