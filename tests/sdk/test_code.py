"""The commit of a checkout, as Git itself tells it."""

import subprocess
import sys
from pathlib import Path
from shutil import which

import pytest

from penstock.sdk import code
from penstock.sdk.client import Client
from tests.sdk.fake_server import FakeServer

needs_git = pytest.mark.skipif(which("git") is None, reason="needs git")


def git(folder: Path, *words: str) -> str:
    author = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *author, *words], cwd=folder, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "deep" / "er").mkdir(parents=True)
    git(folder, "init", "-q", "-b", "feature/one")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


@needs_git
def test_the_commit_is_the_one_that_git_tells(checkout: Path, tmp_path: Path) -> None:
    first = git(checkout, "rev-parse", "HEAD")
    assert code.commit_of(checkout / "deep" / "er") == first
    git(checkout, "pack-refs", "--all")
    assert code.commit_of(checkout) == first
    git(checkout, "commit", "-q", "--allow-empty", "-m", "second")
    second = git(checkout, "rev-parse", "HEAD")
    assert code.commit_of(checkout) == second != first
    git(checkout, "worktree", "add", "-q", "-b", "other", str(tmp_path / "beside"), first)
    assert code.commit_of(tmp_path / "beside") == first
    git(checkout, "checkout", "-q", "--detach", first)
    assert code.commit_of(checkout) == first


@needs_git
def test_where_there_is_no_commit_none_is_told(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert code.commit_of(tmp_path) == ""
    (tmp_path / ".git" / "HEAD").write_bytes(b"\xff")
    assert code.commit_of(tmp_path) == ""
    (tmp_path / ".git" / "HEAD").unlink()
    assert code.commit_of(tmp_path) == ""


def test_a_working_folder_that_was_taken_away_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setattr(sys, "argv", ["train.py"])
    assert code.tags() == {"mlflow.source.name": "train.py"}


@needs_git
def test_a_tracked_run_says_which_code_it_was(
    server: FakeServer, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = str(checkout / "train.py")
    monkeypatch.setattr(sys, "argv", [program])
    server.answer("GET /api/v1/experiments", {"items": [{"id": "e1", "name": "Default"}], "next": None})
    server.answer("POST /api/v1/runs", {"id": "r1", "name": "x"}, status=201)
    runs = Client(server.url, "psk_1").runs
    runs.start(tags={"team": "mail"})
    commit = git(checkout, "rev-parse", "HEAD")
    assert server.asked[-1].json()["tags"] == {
        "mlflow.source.name": program,
        "mlflow.source.git.commit": commit,
        "team": "mail",
    }
    runs.start(tags={"mlflow.source.git.commit": "said"})
    assert server.asked[-1].json()["tags"]["mlflow.source.git.commit"] == "said"
