"""The command line of evaluations."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.conftest import owner_of
from tests.evals.support import answer, ingest, make_suite
from typer.testing import CliRunner

from penstock.core.home import Home
from penstock.evals import service
from penstock.evals.cli import app

runner = CliRunner()


@pytest.fixture
def two_runs(sqlite_home: Home) -> tuple[Home, str, str]:
    actor = owner_of(sqlite_home)
    dataset = ingest(sqlite_home, actor, 40)
    good = service.run(sqlite_home, actor, suite=make_suite(dataset), target=answer({0}))
    bad = service.run(sqlite_home, actor, suite=make_suite(dataset), target=answer(set(range(30))))
    return sqlite_home, good.id, bad.id


def test_gate_exit_codes_and_reports(two_runs: tuple[Home, str, str], tmp_path: Path) -> None:
    home, good, bad = two_runs
    where = ["--home", str(home.path)]
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "rules:\n- {metric: exact, min: 0.7}\n- {metric: exact, not_worse_than: baseline, margin: 0.02}\n"
    )
    junit, markdown = tmp_path / "junit.xml", tmp_path / "gate.md"
    reports = ["--junit", str(junit), "--markdown", str(markdown)]
    refused = runner.invoke(app, ["gate", bad, "--baseline", good, "--rules", str(rules), *reports, *where])
    assert refused.exit_code == 3
    assert "refused" in refused.stdout
    suite = ElementTree.parse(junit).getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "2")
    assert "not at least 70.0%" in str(suite[0][0].get("message"))
    assert "**failed**" in markdown.read_text()
    passed = runner.invoke(app, ["gate", good, "--rule", "{metric: exact, min: 0.7}", "--json", *where])
    assert passed.exit_code == 0
    assert json.loads(passed.stdout)["passed"] is True


def test_list_show_and_compare(two_runs: tuple[Home, str, str], tmp_path: Path) -> None:
    home, good, bad = two_runs
    where = ["--home", str(home.path)]
    listed = runner.invoke(app, ["list", "--json", *where])
    assert [run["id"] for run in json.loads(listed.stdout)] == [bad, good]
    shown = runner.invoke(app, ["show", good, "--samples", "2", *where])
    assert "97.5 %" in shown.stdout
    assert "[t1]" in shown.stdout
    report = tmp_path / "compare.md"
    compared = runner.invoke(app, ["compare", good, bad, "--markdown", str(report), *where])
    assert compared.exit_code == 0
    assert "| exact | all | 97.5 % | 25.0 % | -72.5 |" in report.read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nowhere.yaml"], "cannot be read"),
        (["run", "broken.yaml"], "not valid YAML"),
        (["run", "typo.yaml"], "Unknown key 'datset'"),
        (["gate", "evr_x"], "No rules were given"),
        (["gate", "evr_x", "--rule", "{metric: exact, min: 1}"], "There is no evaluation 'evr_x'"),
        (["gate", "evr_x", "--rule", "{oops"], "not a rule"),
        (["show", "evr_x"], "There is no evaluation"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_code_one(
    sqlite_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("broken.yaml").write_text("a: [")
    Path("typo.yaml").write_text("datset: x")
    result = runner.invoke(app, [*arguments, "--home", str(sqlite_home.path)])
    assert result.exit_code == 1
    assert said in result.stderr
    assert "Traceback" not in result.stderr
