"""Which code a run is carried out by: the program, and the commit of the Git checkout that it lies in.

Format: https://git-scm.com/docs/gitrepository-layout. The commit is read from files, so that no program is called;
whether there are changes that are not committed only Git itself can tell, which takes longer and is asked apart.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

SOURCE, COMMIT, DIRTY = "mlflow.source.name", "mlflow.source.git.commit", "mlflow.source.git.dirty"
"""The tags in which MLflow's client says the same."""
ENTRY = "penstock.entry_point"
"""How the program was started, without its arguments: these may hold secrets."""
_TIMEOUT_SECONDS = 10
_HASH = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


def tags() -> dict[str, str]:
    """Return the tags of the program that runs: its path, entry point and commit, as far as they are known."""
    program = _program()
    found = {} if program is None else {SOURCE: str(program), ENTRY: entry_point(program)}
    folder = _folder()
    commit = "" if folder is None else commit_of(folder)
    return {**found, COMMIT: commit} if commit else found


def changes() -> dict[str, str]:
    """Return the tag that says whether tracked files differ from the commit; none where Git cannot tell.

    Calls Git, so that it may take a while in a large checkout.
    """
    folder, git = _folder(), shutil.which("git")
    if folder is None or git is None or not commit_of(folder):
        return {}
    # A checkout's own settings could make Git start another program.
    command = [git, "-c", "core.fsmonitor=false", "status", "--porcelain", "--untracked-files=no"]
    try:
        told = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return {DIRTY: "true" if told.stdout.strip() else "false"} if told.returncode == 0 else {}


def entry_point(program: Path) -> str:
    """Return how the program was started: `python -m package.train`, or `python train.py`."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    name = str(getattr(spec, "name", "")).removesuffix(".__main__")
    return f"python -m {name}" if name else f"python {program.name}"


def _program() -> Path | None:
    return Path(sys.argv[0]) if sys.argv and sys.argv[0] not in ("", "-c", "-m") else None


def _folder() -> Path | None:
    program = _program()
    try:
        return Path.cwd() if program is None else program.absolute().parent
    except OSError:
        return None  # the working folder was taken away


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
