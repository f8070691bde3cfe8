"""Alembic's environment: runs on the connection that core.migrate hands in."""

from alembic import context

from penstock.core.db import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,
    render_as_batch=False,
)
context.run_migrations()
