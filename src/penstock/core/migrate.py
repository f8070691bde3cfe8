"""Bringing the database up to date; migrations only go forward. Alembic loads only where there is something to do."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect, text

from penstock.core.db import Database
from penstock.core.deferred import deferred
from penstock.core.errors import Conflict

if TYPE_CHECKING:
    from penstock.core.migrations import apply
else:
    # Alembic is 12 MB and a fifth of a second; on almost every start the database is up to date.
    apply = deferred("penstock.core.migrations.apply")

FOLDER = Path(__file__).parent / "migrations"


def migrate(db: Database, *, to: str = "head") -> None:
    """Apply all migrations up to `to`; does nothing on a database that is up to date.

    Raises Conflict when a newer Penstock has already changed the database.
    """
    current = _current(db)
    known = _known()
    if current is not None and current not in known:
        raise Conflict(
            f"The database is at revision {current}, which this version of Penstock does not know.",
            hint="Install the newer Penstock that wrote it, or restore a backup.",
        )
    if current != (known[-1] if to == "head" else to):
        apply.upgrade(db, FOLDER, to)


def head() -> str:
    """Return the newest revision this version knows."""
    return _known()[-1]


def _current(db: Database) -> str | None:
    """Return the revision that Alembic noted in the database; None for a new one."""
    with db.read() as conn:
        if not inspect(conn).has_table("alembic_version"):
            return None
        found = conn.execute(text("SELECT version_num FROM alembic_version")).scalar()
        return None if found is None else str(found)


def _known() -> list[str]:
    """Return all revisions in order: the chain is linear and each file's name begins with its revision."""
    return sorted(path.name.partition("_")[0] for path in (FOLDER / "versions").glob("[0-9]*_*.py"))
