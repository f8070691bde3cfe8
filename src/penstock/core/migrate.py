"""Bringing the database up to date with Alembic; migrations only go forward."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from penstock.core.db import Database
from penstock.core.errors import Conflict

FOLDER = Path(__file__).parent / "migrations"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.set_main_option("path_separator", "os")
    return config


def migrate(db: Database, *, to: str = "head") -> None:
    """Apply all migrations up to `to`; does nothing on a database that is up to date.

    Raises Conflict when a newer Penstock has already changed the database.
    """
    scripts = ScriptDirectory(str(FOLDER))
    with db.engine.connect() as conn:
        current = MigrationContext.configure(conn).get_current_revision()
        conn.rollback()
    if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
        raise Conflict(
            f"The database is at revision {current}, which this version of Penstock does not know.",
            hint="Install the newer Penstock that wrote it, or restore a backup.",
        )
    if current == (scripts.get_current_head() if to == "head" else to):
        return
    config = _config()
    with db.begin() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, to)


def head() -> str:
    """Return the newest revision this version knows."""
    return ScriptDirectory(str(FOLDER)).get_current_head() or ""
