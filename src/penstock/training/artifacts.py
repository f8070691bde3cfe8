"""Files that a run leaves: its log and the weights of its last checkpoints."""

import hashlib
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from penstock.core import clock
from penstock.core.errors import NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.training import store
from penstock.training.model import RunArtifact, TrainingRun
from penstock.training.supervisor import LOG

_STATE = (
    "optimizer",
    "scheduler",
    "rng_state",
    "training_args",
    "scaler",
    "global_step",
    "zero_to_",
    "latest",
    "pytorch_model_fsdp",
)
"""What a checkpoint holds only so that training can go on from it."""
_CHUNK = 1 << 20


def weights_hash(folder: Path) -> str:
    """Return the SHA-256 over the names and contents of the weight files in `folder`, in the order of their names."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        whole.update(path.relative_to(folder).as_posix().encode() + b"\0")
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                whole.update(chunk)
    return whole.hexdigest()


def tidy(folder: Path) -> None:
    """Remove what a run that succeeded no longer needs."""
    for name in ("checkpoints", "model", "cache", "verdicts"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "train.jsonl").unlink(missing_ok=True)


def _checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """Return steps and folders of finished checkpoints, the newest first."""
    found = (folder / "checkpoints").glob("checkpoint-*")
    whole = [path for path in found if (path / "trainer_state.json").exists()]
    return sorted(((int(path.name.rpartition("-")[2]), path) for path in whole), reverse=True)


def _files(folder: Path, keep: int) -> Iterator[tuple[str, str, int | None, Path]]:
    """Yield path, kind, step and place of everything that is an artifact."""
    if (folder / LOG).exists():
        yield LOG, "log", None, folder / LOG
    for step, checkpoint in _checkpoints(folder)[:keep]:
        for path in sorted(checkpoint.rglob("*")):
            inside = path.relative_to(checkpoint)
            if path.is_file() and not inside.parts[0].startswith(_STATE):
                yield (
                    f"checkpoints/{step}/{inside.as_posix()}",
                    "checkpoint",
                    step,
                    path,
                )


def collect(home: Home, run: TrainingRun, folder: Path) -> None:
    """Put the log and the weights of the kept checkpoints where every server of the installation finds them."""
    keep = int(run.recipe.get("running", {}).get("keep_checkpoints", 0))
    found = []
    for path, kind, step, place in _files(folder, keep):
        blob = home.blobs.put_file(place)
        found.append(
            RunArtifact(
                path=path,
                kind=kind,
                step=step,
                size=blob.size,
                sha256=blob.sha256,
                created_at=clock.now(),
            )
        )
    with home.begin() as uow:
        store.put_artifacts(uow.conn, run.id, found)


def listing(uow: UnitOfWork, actor: Actor, run: TrainingRun) -> list[RunArtifact]:
    """Return a run's files by path; those of a run that goes on as they lie on this machine, not yet hashed."""
    found = {file.path: file for file in store.list_artifacts(uow.conn, actor.scope, run.id)}
    folder = uow.home.path / "training" / run.id
    keep = int(run.recipe.get("running", {}).get("keep_checkpoints", 0)) or 1
    for path, kind, step, place in _files(folder, keep) if folder.is_dir() else ():
        try:
            stat = place.stat()
        except FileNotFoundError:
            continue  # rotated away meanwhile
        made = datetime.fromtimestamp(stat.st_mtime, UTC)
        local = RunArtifact(path=path, kind=kind, step=step, size=stat.st_size, sha256="", created_at=made)
        found.setdefault(path, local)
    return [found[path] for path in sorted(found)]


def read(uow: UnitOfWork, actor: Actor, run: TrainingRun, *, path: str) -> Iterator[bytes]:
    """Return the content of a stored file in pieces; raises NotFound."""
    known = {file.path: file for file in store.list_artifacts(uow.conn, actor.scope, run.id)}
    if path not in known:
        raise NotFound(
            f"The run {run.id} has no stored file {path!r}.",
            hint="Files are stored when a run ends or pauses.",
        )
    return uow.home.blobs.stream(known[path].sha256)
