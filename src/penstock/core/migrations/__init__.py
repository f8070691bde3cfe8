"""Alembic's folder: forward-only migrations, one file per step."""
