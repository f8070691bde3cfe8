import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from penstock.datasets.cli import app

RUNNER = CliRunner()


def call(*arguments: object, code: int = 0) -> str:
    result = RUNNER.invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    return result.output


def test_the_whole_way(tmp_path: Path) -> None:
    file = tmp_path / "mails.csv"
    file.write_text(
        "id,text,label\n" + "".join(f"{n},mail number {n} for a@example.org,ab\n" for n in range(20))
    )
    (tmp_path / "recipe.yaml").write_text("steps:\n- {step: redact, columns: [text]}\n")
    said = call(
        "ingest", "mails", file, "--recipe", tmp_path / "recipe.yaml", "--key", "id",
        "--split", "train=0.8", "--split", "test=0.2",
    )  # fmt: skip
    assert "mails@1: 20 rows, train" in said
    assert "mails" in call("list")
    assert json.loads(call("list", "--json"))[0]["latest"] == 1
    assert "email 20" in call("show", "mails")
    assert json.loads(call("rows", "mails", "--limit", 1)) == {
        "id": 0, "text": "mail number 0 for [EMAIL]", "label": "ab",
    }  # fmt: skip
    file.write_text("id,text,label\n20,more,ab\n")
    assert "mails@2: 21 rows" in call("ingest", "mails", file, "--append")
    assert "1 added, 0 removed, 0 changed" in call("diff", "mails@1", "mails@2")
    assert "Wrote 21 rows" in call("export", "mails", tmp_path / "out.jsonl")
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 21


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ingest", "d", "missing.jsonl"], "There is no file missing.jsonl."),
        (["ingest", "d", "."], "is a folder"),
        (["show", "nothing"], "There is no dataset version 'nothing'"),
        (["export", "nothing", "x.parquet"], "neither .jsonl nor .csv"),
        (["ingest", "d", "x", "--on-bad-rows", "skip"], "fail or quarantine"),
        (["ingest", "d", "x", "--split", "train"], "'train' is not a split"),
    ],
)
def test_one_clear_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    said = call(*arguments, code=1)
    assert message in said
    assert "Traceback" not in said


def test_bad_rows_and_how_to_keep_the_rest(tmp_path: Path) -> None:
    file = tmp_path / "mails.jsonl"
    file.write_text('{"a": 1}\nnot json\n')
    said = call("ingest", "mails", file, code=1)
    assert "line 2" in said
    assert "quarantine" in said
    assert "1 quarantined" in call("ingest", "mails", file, "--on-bad-rows", "quarantine")
    assert "not json" in call("left-out", "mails")


def test_a_recipe_that_changes_nothing_says_so(tmp_path: Path) -> None:
    source, recipe = tmp_path / "rows.jsonl", tmp_path / "clean.yaml"
    source.write_text('{"id": "1", "text": "as it should be"}\n')
    recipe.write_text("steps:\n  - {step: html}\n")
    call("ingest", "mails", source, "--key", "id")
    said = call("clean", "mails", "--recipe", recipe)
    assert said == "The recipe changes nothing: mails@1 holds exactly these rows, so no version was made.\n"
