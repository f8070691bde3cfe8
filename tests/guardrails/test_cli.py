import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from penstock.guardrails.cli import app

RULES = """
routes = ["chat"]
[[guards]]
kind = "pii"
action = "mask"
[[guards]]
kind = "urls"
options = { allow = ["docs.example"] }
"""


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "rules.toml").write_text(RULES)
    return str(tmp_path / "home")


def run(folder: str, *words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--home", folder])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_policy_is_set_shown_tried_and_removed(folder: str, tmp_path: Path) -> None:
    file = str(tmp_path / "rules.toml")
    assert run(folder, "set", "default", "--file", file) == "default@1 is in force: pii, urls.\n"
    assert "default@1" in run(folder, "list")
    shown = json.loads(run(folder, "show", "default", "--json"))
    assert shown["guards"][1] == {
        "kind": "urls",
        "on_error": "closed",
        "options": {"allow": ["docs.example"]},
    }
    (tmp_path / "rules.json").write_text(json.dumps({"guards": [{"kind": "pii"}]}))
    run(folder, "set", "default", "--file", str(tmp_path / "rules.json"))
    assert [
        each["number"] for each in json.loads(run(folder, "show", "default", "--versions", "--json"))
    ] == [2, 1]
    assert json.loads(run(folder, "show", "default", "--version", "1"))["routes"] == ["chat"]
    assert run(folder, "check", "a@example.com").splitlines()[-1] == "[EMAIL]"
    found = json.loads(
        run(folder, "check", "![x](https://evil.example/a)", "--stage", "output", "--file", file, "--json")
    )
    assert (found["text"], found["verdicts"][0]["rule"]) == ("[IMAGE]", "image")
    run(folder, "remove", "default")
    assert json.loads(run(folder, "list", "--json")) == []


def test_kinds_are_listed() -> None:
    result = CliRunner().invoke(app, ["kinds", "--json"])
    assert "pii" in {each["kind"] for each in json.loads(result.output)}


@pytest.mark.parametrize(
    ("text", "said"),
    [("guards = 3", "needs guards"), ("[[guards]]\nkind = 'pi'", "'pi'"), ("x ==", "cannot be understood")],
)
def test_what_cannot_be_is_said_in_a_sentence(folder: str, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "bad.toml").write_text(text)
    result = CliRunner().invoke(app, ["set", "x", "--file", str(tmp_path / "bad.toml"), "--home", folder])
    assert result.exit_code == 1
    assert said in result.stderr
