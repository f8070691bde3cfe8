"""Running the migrations with Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config

from penstock.core.db import Database


def upgrade(db: Database, folder: Path, to: str) -> None:
    """Apply the migrations in `folder` up to the revision `to`, in one transaction."""
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    with db.begin() as conn:
        config.attributes["connection"] = conn
        command.upgrade(config, to)
