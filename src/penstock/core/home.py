"""The home: one data folder with the database, blobs, secrets and settings of an installation."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from penstock.core import revisions
from penstock.core.blobs import Blobs
from penstock.core.db import Database, sqlite_url
from penstock.core.errors import Busy, StorageFull
from penstock.core.migrate import migrate
from penstock.core.settings import CoreSettings, Settings, load
from penstock.core.uow import UnitOfWork
from penstock.core.vault import Vault

ENVIRONMENT_NAME = "PENSTOCK_HOME"
DEFAULT = Path("~/.penstock")


def locate(path: str | Path | None = None) -> Path:
    """Return the home's folder: `path`, else $PENSTOCK_HOME, else ~/.penstock."""
    return Path(path or os.environ.get(ENVIRONMENT_NAME) or DEFAULT).expanduser().absolute()


class Home:
    """An opened home; close it, or use it as a context manager."""

    def __init__(self, path: Path, settings: Settings, db: Database, blobs: Blobs, vault: Vault) -> None:
        self.path = path
        self.settings = settings
        self.db = db
        self.blobs = blobs
        self.vault = vault

    @classmethod
    def open(cls, path: str | Path | None = None, *, upgrade: bool = True) -> Self:
        """Open (and make, if need be) the home at `path`; brings the database up to date when `upgrade`.

        Raises StorageFull when the folder cannot be made or written, Invalid for wrong settings.
        """
        folder = locate(path)
        make_folder(folder)
        settings = load(folder / "penstock.toml")
        core = settings.section(CoreSettings)
        db = Database(core.database_url or sqlite_url(folder / "penstock.db"), durability=core.durability)
        if upgrade:
            with exclusive(folder / "migrate.lock", wait=True):
                migrate(db)
        return cls(
            folder, settings, db, Blobs(core.blob_url or folder / "blobs"), Vault(folder / "secret.key")
        )

    @contextmanager
    def begin(self) -> Iterator[UnitOfWork]:
        """Yield a unit of work in a write transaction that commits when the block ends."""
        with self.db.begin() as conn:
            yield UnitOfWork(self, conn)

    @contextmanager
    def read(self) -> Iterator[UnitOfWork]:
        """Yield a unit of work on a consistent snapshot; nothing in it is committed."""
        with self.db.read() as conn:
            yield UnitOfWork(self, conn)

    def revision(self, topic: str) -> int:
        """Return the revision counter of `topic`; it grows whenever a process bumps it."""
        return revisions.current(self.db, (topic,))[0]

    def revisions(self, *topics: str) -> tuple[int, ...]:
        """Return the revision counters of several topics, read at one moment."""
        return revisions.current(self.db, topics)

    def folder(self, *names: str) -> Path:
        """Return (and make) a private folder inside the home."""
        made = self.path.joinpath(*names)
        make_folder(made)
        return made

    def close(self) -> None:
        """Close the database's connections."""
        self.db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter; raises StorageFull when it cannot be made or written."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "no permission to write")
    except OSError as error:
        raise StorageFull(
            f"The data folder {folder} cannot be used: {error.strerror}.",
            hint="Choose another with --home, or fix its permissions.",
        ) from error


@contextmanager
def exclusive(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock file `path` for the block; the kernel frees it when the process dies.

    Raises Busy when another process holds it and `wait` is false.
    """
    with _locked(path, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)):
        yield


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold the lock file `path` beside others who share it; raises Busy while one holds it exclusively."""
    with _locked(path, fcntl.LOCK_SH | fcntl.LOCK_NB):
        yield


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageFull(f"{path} cannot be written: {error.strerror}.", hint="Check the folder.") from error
    try:
        try:
            fcntl.flock(descriptor, how)
        except BlockingIOError as error:
            raise Busy(
                f"Another process holds {path}.", hint="Stop it first, or use another home."
            ) from error
        yield
    finally:
        os.close(descriptor)
