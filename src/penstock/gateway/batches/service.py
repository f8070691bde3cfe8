"""The verbs of files and batches. A key sees what it brought; administrators see all of the project's."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from penstock.core import clock, ids, jobs
from penstock.core.errors import Conflict, Invalid, LimitExceeded, NotFound
from penstock.core.home import Home
from penstock.core.jobs import JobState
from penstock.core.scope import Actor, Role, system_actor
from penstock.core.uow import OpenedHome, UnitOfWork
from penstock.gateway.batches import store
from penstock.gateway.batches.model import (
    ENDPOINTS,
    PURPOSES,
    WINDOW,
    WINDOW_HOURS,
    Batch,
    BatchState,
    StoredFile,
)
from penstock.gateway.batches.store import Window
from penstock.gateway.batches.store import blobs_named as blobs_named
from penstock.gateway.settings import GatewaySettings

JOB = "gateway.batch"
"""Kind of the job that works a batch off."""
CALL = "gateway.call"
MIN_LIFE_SECONDS, MAX_LIFE_SECONDS = 3600, 2_592_000
MAX_NAME = 255


def _sees_all(actor: Actor) -> bool:
    return actor.role.rank >= Role.ADMIN.rank


def window_for(
    actor: Actor, *, after: str | None, limit: int, ascending: bool = False, purpose: str | None = None
) -> Window:
    """Return the part of a list that the actor asked for and may see."""
    return Window(None if _sees_all(actor) else actor.id, after, limit, ascending, purpose)


# -- files -------------------------------------------------------------------------------------------------


def check_purpose(purpose: str) -> None:
    """Raise Invalid for a purpose that files cannot have."""
    if purpose not in PURPOSES:
        raise Invalid(
            f"{purpose!r} is not a purpose of files.",
            hint=f"Use one of {', '.join(PURPOSES)}.",
            details={"param": "purpose", "code": "invalid_value"},
        )


def check_life(seconds: int, name: str) -> None:
    """Raise Invalid for a life that files cannot have (an hour to 30 days)."""
    if not MIN_LIFE_SECONDS <= seconds <= MAX_LIFE_SECONDS:
        raise Invalid(
            f"{name} must be {MIN_LIFE_SECONDS} to {MAX_LIFE_SECONDS} seconds.",
            details={"param": name, "code": "invalid_value"},
        )


def begin_file(actor: Actor, *, filename: str, purpose: str) -> StoredFile:
    """Return a file that is about to be stored: its blob begins with its `salt`; then `keep_file` records it."""
    return StoredFile(
        id=ids.new_id("file"),
        scope=actor.scope,
        owner=actor.id,
        filename=Path(filename.replace("\\", "/")).name[:MAX_NAME] or "file",
        purpose=purpose,
        size=0,
        sha256="",
        created_at=clock.now(),
    )


def begin_result(actor: Actor, batch: Batch, *, name: str, purpose: str) -> StoredFile:
    """Return a result file of a batch that is about to be stored; it belongs to the batch's creator."""
    file = begin_file(actor, filename=name, purpose=purpose)
    life = batch.output_seconds
    return file if life is None else replace(file, expires_at=expiry(file.created_at, life))


def sized(file: StoredFile, size: int, sha256: str) -> StoredFile:
    """Return the file with its content's size and its blob's name."""
    return replace(file, size=size, sha256=sha256)


def expiry(created_at: datetime, life_seconds: int) -> datetime:
    """Return when a file made then expires."""
    return created_at + timedelta(seconds=life_seconds)


def check_room(uow: UnitOfWork, actor: Actor, size: int) -> None:
    """Raise LimitExceeded when the project's files would be too large with `size` bytes more."""
    uow.may(actor, CALL)
    limit = uow.home.settings.section(GatewaySettings).files_total_mb
    if store.bytes_stored(uow.conn, actor.scope) + size > limit * 1024 * 1024:
        raise LimitExceeded(
            f"The project's files would be larger than {limit} MB.", hint="Delete files that are done with."
        )


def keep_file(uow: UnitOfWork, actor: Actor, file: StoredFile) -> StoredFile:
    """Record a file whose blob is stored; raises LimitExceeded when the project's files would be too large."""
    check_room(uow, actor, file.size)
    store.insert_file(uow.conn, file)
    return file


def get_file(uow: UnitOfWork, actor: Actor, file_id: str) -> StoredFile:
    """Return a file; raises NotFound, also for somebody else's."""
    uow.may(actor, CALL, file_id)
    file = store.file_by_id(uow.conn, actor.scope, file_id, clock.now())
    if file is None or not (_sees_all(actor) or file.owner == actor.id):
        raise NotFound(f"No such File object: {file_id}", details={"param": "id"})
    return file


def list_files(uow: UnitOfWork, actor: Actor, window: Window) -> list[StoredFile]:
    """Return a part of the files."""
    uow.may(actor, CALL)
    return store.list_files(uow.conn, actor.scope, window, clock.now())


def delete_file(uow: UnitOfWork, actor: Actor, file_id: str) -> StoredFile:
    """Forget a file and return it; remove its blob after the commit. Raises NotFound, or Conflict when in use."""
    file = get_file(uow, actor, file_id)
    if store.uses_open(uow.conn, file):
        raise Conflict(f"A batch is working on {file_id}.", hint="Cancel the batch, or wait for its end.")
    store.delete_file(uow.conn, file)
    uow.audit(actor, "files.delete", file_id, filename=file.filename)
    return file


def content(home: OpenedHome, file: StoredFile) -> Iterator[bytes]:
    """Yield the file's bytes in pieces; raises NotFound or Invalid when the blob is gone or damaged."""
    skip = len(file.salt)
    for piece in home.blobs.stream(file.sha256):
        if skip < len(piece):
            yield piece[skip:]
        skip = max(0, skip - len(piece))


def sweep(home: Home, limit: int = 100) -> int:
    """Remove files whose time is over; returns how many."""
    with home.begin() as uow:
        gone = [
            file
            for file in store.expired_files(uow.conn, clock.now(), limit)
            if not store.uses_open(uow.conn, file)
        ]
        for file in gone:
            store.delete_file(uow.conn, file)
    for file in gone:
        home.blobs.delete(file.sha256)
    return len(gone)


# -- batches -----------------------------------------------------------------------------------------------


def create_batch(
    uow: UnitOfWork,
    actor: Actor,
    *,
    input_file: str,
    endpoint: str,
    window: str,
    metadata: Mapping[str, str] | None = None,
    output_seconds: int | None = None,
) -> Batch:
    """Queue a batch over an uploaded file; raises Invalid, NotFound or LimitExceeded."""
    uow.may(actor, CALL, input_file)
    _check_choice("endpoint", endpoint, ENDPOINTS)
    _check_choice("completion_window", window, (WINDOW,))
    _check_metadata(metadata)
    if output_seconds is not None:
        check_life(output_seconds, "output_expires_after.seconds")
    file = get_file(uow, actor, input_file)
    if file.purpose != "batch":
        raise Invalid(
            f"The file {input_file} has the purpose {file.purpose!r}.",
            hint='Upload it with the purpose "batch".',
            details={"param": "input_file_id", "code": "invalid_value"},
        )
    limit = uow.home.settings.section(GatewaySettings).batches_open
    if store.count_open(uow.conn, actor.scope) >= limit:
        raise LimitExceeded(
            f"The project has {limit} batches that are not done.", hint="Wait for one.", retry_after=60
        )
    batch_id, moment = ids.new_id("batch"), clock.now()
    job = jobs.enqueue(uow, actor, JOB, {"batch": batch_id})
    batch = Batch(
        id=batch_id,
        scope=actor.scope,
        owner=actor.id,
        job_id=job.id,
        endpoint=endpoint,
        input_file=input_file,
        window=window,
        metadata=metadata,
        output_seconds=output_seconds,
        state=BatchState.VALIDATING,
        created_at=moment,
        expires_at=moment + timedelta(hours=WINDOW_HOURS),
    )
    store.insert_batch(uow.conn, batch)
    uow.audit(actor, "batches.create", batch_id, endpoint=endpoint, input_file=input_file)
    return batch


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise Invalid(
            f"{name} must be {' or '.join(known)}, not {value!r}.",
            details={"param": name, "code": "invalid_value"},
        )


def _check_metadata(metadata: Mapping[str, str] | None) -> None:
    pairs = metadata or {}
    if len(pairs) > 16 or any(len(key) > 64 or len(value) > 512 for key, value in pairs.items()):
        raise Invalid(
            "metadata takes at most 16 pairs, keys of 64 and values of 512 characters.",
            details={"param": "metadata", "code": "invalid_value"},
        )


def get_batch(uow: UnitOfWork, actor: Actor, batch_id: str) -> Batch:
    """Return a batch; raises NotFound, also for somebody else's."""
    uow.may(actor, CALL, batch_id)
    batch = store.batch_by_id(uow.conn, actor.scope, batch_id)
    if batch is None or not (_sees_all(actor) or batch.owner == actor.id):
        raise NotFound(f"No batch found with id '{batch_id}'.", details={"param": "batch_id"})
    return batch


def settle_batch(home: Home, actor: Actor, batch_id: str) -> Batch:
    """Return a batch like `get_batch`; one whose job was given up is marked failed, with the job's error."""
    with home.read() as uow:
        batch = get_batch(uow, actor, batch_id)
        if batch.state.ended:
            return batch
        job = jobs.get(uow, system_actor(batch.scope), batch.job_id)
    if job.state not in (JobState.FAILED, JobState.CANCELLED):
        return batch
    reason = {"code": "job_" + str(job.state), "message": job.error or "", "param": None, "line": None}
    with home.begin() as uow:
        if change(uow, batch, BatchState.FAILED, errors=[reason]):
            store.delete_lines(uow.conn, batch)
        return get_batch(uow, actor, batch_id)


def list_batches(uow: UnitOfWork, actor: Actor, window: Window) -> list[Batch]:
    """Return a part of the batches, newest first."""
    uow.may(actor, CALL)
    return store.list_batches(uow.conn, actor.scope, window)


def cancel_batch(uow: UnitOfWork, actor: Actor, batch_id: str) -> Batch:
    """Ask a batch to stop: calls in flight end, results so far are kept. Raises NotFound, or Conflict at its end."""
    batch = get_batch(uow, actor, batch_id)
    if batch.state in (BatchState.CANCELLING, BatchState.CANCELLED):
        return batch
    if batch.state not in (BatchState.VALIDATING, BatchState.IN_PROGRESS):
        raise Conflict(f"The batch is {batch.state} and cannot be cancelled.")
    change(uow, batch, BatchState.CANCELLING)
    uow.audit(actor, "batches.cancel", batch_id)
    return get_batch(uow, actor, batch_id)


def change(uow: UnitOfWork, batch: Batch, state: BatchState, **values: Any) -> bool:
    """Move a batch on; returns False when it is in another state by now."""
    at = int(clock.now().timestamp())
    return store.change_batch(uow.conn, batch, values, state=state, at=at)
