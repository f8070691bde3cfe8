"""Which code a run is carried out by: the program, and the commit of the Git checkout that it lies in.

Format: https://git-scm.com/docs/gitrepository-layout. The commit is read from files, so that no program is called;
whether there are changes that are not committed only Git itself can tell, which takes longer and is asked apart.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SOURCE, COMMIT, DIRTY = "mlflow.source.name", "mlflow.source.git.commit", "mlflow.source.git.dirty"
"""The tags in which MLflow's client says the same."""
ENTRY = "penstock.entry_point"
"""How the program was started, without its arguments: these may hold secrets."""
_TIMEOUT_SECONDS = 10
_HASH = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


@dataclass(frozen=True, slots=True)
class Program:
    """What runs: its path, how it was started, and the folder whose checkout its code is in."""

    path: str = ""
    entry_point: str = ""
    folder: Path | None = None


def this_program() -> Program:
    """Return the program that runs here, as far as it is known."""
    path = Path(sys.argv[0]) if sys.argv and sys.argv[0] not in ("", "-c", "-m") else None
    try:
        folder = Path.cwd() if path is None else path.absolute().parent
    except OSError:
        folder = None  # the working folder was taken away
    return Program("" if path is None else str(path), "" if path is None else _entry_point(path), folder)


def tags(program: Program) -> dict[str, str]:
    """Return the tags of a program: its path, entry point and commit, as far as they are known."""
    commit = "" if program.folder is None else commit_of(program.folder)
    found = {SOURCE: program.path, ENTRY: program.entry_point, COMMIT: commit}
    return {name: text for name, text in found.items() if text}


def changes(program: Program) -> dict[str, str]:
    """Return the tag that says whether tracked files differ from the commit; none where Git cannot tell.

    Calls Git, so that it may take a while in a large checkout.
    """
    git = shutil.which("git")
    if program.folder is None or git is None or not commit_of(program.folder):
        return {}
    # A checkout's own settings could make Git start another program.
    command = [git, "-c", "core.fsmonitor=false", "status", "--porcelain", "--untracked-files=no"]
    try:
        told = subprocess.run(
            command,
            cwd=program.folder,
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return {DIRTY: "true" if told.stdout.strip() else "false"} if told.returncode == 0 else {}


def _entry_point(path: Path) -> str:
    """Return how this program was started: `python -m package.train`, or `python train.py`."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    name = str(getattr(spec, "name", "")).removesuffix(".__main__")
    return f"python -m {name}" if name else f"python {path.name}"


def commit_of(folder: Path) -> str:
    """Return the commit that the checkout around `folder` stands at; empty where there is none, or none to read."""
    for place in (folder, *folder.parents):
        try:
            if (place / ".git").exists():
                return _head(_repository(place / ".git"))
        except (OSError, UnicodeDecodeError):
            return ""
    return ""


def _repository(place: Path) -> Path:
    """Return the folder of a repository; in a worktree or submodule `.git` is a file that names it."""
    if place.is_dir():
        return place
    return place.parent / place.read_text("utf-8").strip().removeprefix("gitdir: ")


def _head(repository: Path) -> str:
    said = (repository / "HEAD").read_text("utf-8").strip()
    if not said.startswith("ref: "):
        return said if _HASH.fullmatch(said) else ""
    branch = said.removeprefix("ref: ")
    shared = repository / "commondir"
    whole = repository / shared.read_text("utf-8").strip() if shared.exists() else repository
    loose = whole / branch
    if loose.exists():
        said = loose.read_text("utf-8").strip()
        return said if _HASH.fullmatch(said) else ""
    packed = whole / "packed-refs"
    lines = packed.read_text("utf-8").splitlines() if packed.exists() else []
    return next((line.partition(" ")[0] for line in lines if line.endswith(f" {branch}")), "")
