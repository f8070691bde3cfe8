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
    program = code.this_program()
    assert program.folder is None
    assert code.tags(program)["mlflow.source.name"] == "train.py"
    assert code.changes(program) == {}


@needs_git
def test_changes_that_are_not_committed_are_told(checkout: Path, tmp_path: Path) -> None:
    program = code.Program("train.py", "python train.py", checkout)
    (checkout / "train.py").write_text("one")
    assert code.changes(program) == {code.DIRTY: "false"}, "what Git does not track is no change"
    git(checkout, "add", "train.py")
    assert code.changes(program) == {code.DIRTY: "true"}
    git(checkout, "commit", "-q", "-m", "program")
    assert code.changes(program) == {code.DIRTY: "false"}
    (checkout / "train.py").write_text("two")
    assert code.changes(program) == {code.DIRTY: "true"}
    assert code.changes(code.Program("train.py", "", tmp_path)) == {}


@needs_git
def test_a_tracked_run_says_which_code_it_was(
    server: FakeServer, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = str(checkout / "train.py")
    monkeypatch.setattr(sys, "argv", [program])
    server.answer("GET /api/v1/experiments", {"items": [{"id": "e1", "name": "Default"}], "next": None})
    server.answer("GET /api/v1/runs", {"items": [], "next": None})
    server.answer("POST /api/v1/runs", {"id": "r1", "name": "x"}, status=201)

    def told(**tags: str) -> dict[str, str]:
        Client(server.url, "psk_1").runs.start(tags=tags).end()
        made = [asked for asked in server.asked if (asked.method, asked.path) == ("POST", "/api/v1/runs")]
        found: dict[str, str] = made[-1].json()["tags"]
        return found

    first = told(team="mail")
    assert first["mlflow.source.name"] == program
    assert first["mlflow.source.git.commit"] == git(checkout, "rev-parse", "HEAD")
    assert first["team"] == "mail"
    assert told(**{"mlflow.source.git.commit": "said"})["mlflow.source.git.commit"] == "said"
