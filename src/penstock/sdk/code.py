"""Which code a run is carried out by: the program, and the commit of the Git checkout that it lies in.

Format: https://git-scm.com/docs/gitrepository-layout. Read from files, so that no program is called; whether the
checkout holds changes that are not committed is not told.
"""

import re
import sys
from pathlib import Path

SOURCE, COMMIT = "mlflow.source.name", "mlflow.source.git.commit"
"""The tags in which MLflow's client says the same."""
_HASH = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


def tags() -> dict[str, str]:
    """Return the tags of the program that runs: its path and its commit, as far as they are known."""
    program = Path(sys.argv[0]) if sys.argv and sys.argv[0] not in ("", "-c", "-m") else None
    found = {} if program is None else {SOURCE: str(program)}
    try:
        folder = Path.cwd() if program is None else program.absolute().parent
    except OSError:
        return found  # the working folder was taken away
    commit = commit_of(folder)
    return {**found, COMMIT: commit} if commit else found


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
