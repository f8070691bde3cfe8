"""`penstock releases` on the command line."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from penstock.core.home import Home
from penstock.gateway import service as gateway
from penstock.release.cli import app
from tests.conftest import owner_of
from tests.release.conftest import table

runner = CliRunner()


@pytest.fixture
def file(sqlite_home: Home, tmp_path: Path) -> Path:
    tables = {
        "providers": {"mo": {"kind": "openai", "base_url": "http://127.0.0.1:9/v1"}},
        "routes": {"chat": {"targets": [{"provider": "mo", "model": "old"}]}},
    }
    owner = owner_of(sqlite_home)
    with sqlite_home.begin() as uow:
        gateway.apply(uow, owner, tables)
    path = tmp_path / "release.yaml"
    path.write_text(yaml.safe_dump(table()))
    return path


def test_the_whole_life_of_a_release(sqlite_home: Home, file: Path) -> None:
    def run(*words: str) -> str:
        result = runner.invoke(app, [*words, "--home", str(sqlite_home.path)])
        assert result.exit_code == 0, result.output
        return result.output

    assert "new-model" in run("start", str(file))
    assert json.loads(run("show", "new-model", "--json"))["release"]["state"] == "running"
    for words, state in (
        (("step", "new-model"), "running"),
        (("pause", "new-model"), "paused"),
        (("resume", "new-model"), "running"),
        (("promote", "new-model", "--reason", "good"), "promoted"),
        (("rollback", "new-model"), "rolled_back"),
    ):
        assert json.loads(run(*words, "--json"))["release"]["state"] == state
    assert "control" in run("show", "new-model")
    log = json.loads(run("log", "new-model", "--json"))
    assert [each["decision"] for each in log][:2] == ["roll_back", "promote"]
    assert "new-model" in run("list")


@pytest.mark.parametrize("text", ["[1, 2]", "{", "name: x"])
def test_a_file_that_is_no_release(sqlite_home: Home, tmp_path: Path, text: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    result = runner.invoke(app, ["start", str(path), "--home", str(sqlite_home.path)])
    assert result.exit_code == 1
    missing = runner.invoke(app, ["start", str(tmp_path / "no.yaml"), "--home", str(sqlite_home.path)])
    assert missing.exit_code == 1
