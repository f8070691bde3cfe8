import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from penstock.gateway.cache.cli import app


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "home")


def run(folder: str, *words: str) -> str:
    result = CliRunner().invoke(app, [*words, "--home", folder])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_cache_is_put_listed_purged_and_deleted(folder: str) -> None:
    assert "per project" in run(
        folder, "put", "chat", "--ttl", "60", "--scope", "project", "--mode", "semantic"
    )
    run(folder, "put", "*", "--mode", "semantic", "--embedder", "openai/text-embedding-3-small")
    every, chat = json.loads(run(folder, "list", "--json"))
    assert (chat["route"], chat["policy"]["ttl"]) == ("chat", 60)
    assert every["policy"]["embedder"] == {"provider": "openai", "model": "text-embedding-3-small"}
    assert json.loads(run(folder, "purge", "--json")) == {"purged": 0}
    assert json.loads(run(folder, "stats", "--json")) == {"entries": 0, "bytes": 0}
    run(folder, "delete", "chat")
    assert len(json.loads(run(folder, "list", "--json"))) == 1


def test_what_cannot_be_is_said_in_a_sentence(folder: str) -> None:
    result = CliRunner().invoke(app, ["put", "chat", "--mode", "fuzzy", "--home", folder])
    assert result.exit_code == 1
    assert "unknown mode 'fuzzy'" in result.stderr
