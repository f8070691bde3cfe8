"""PostgreSQL databases for tests: new ones, and one that is emptied after each test.

Making and dropping a database costs most of a second on a busy machine, because PostgreSQL writes all its buffers
out each time; finding which of some hundred tables hold rows, and emptying these, costs a few hundredths.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg

from penstock.core.db import Database
from penstock.core.ids import new_span_id
from penstock.core.migrate import migrate

SHAPE = """
    SELECT md5(string_agg(
        concat_ws(' ', c.relname, c.relkind, a.attname, a.atttypid, a.attnotnull), ',' ORDER BY c.relname, a.attnum
    ))
    FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
    WHERE c.relnamespace = 'public'::regnamespace
"""
SEEDS = """
    CREATE SCHEMA seeds;
    DO $$
    DECLARE
        one record; found boolean;
    BEGIN
        FOR one IN
            SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'
        LOOP
            EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I)', one.name) INTO found;
            IF found THEN
                EXECUTE format('CREATE TABLE seeds.%I AS SELECT * FROM public.%I', one.name, one.name);
            END IF;
        END LOOP;
    END $$
"""
"""Keeps the rows that the migrations write."""
EMPTY = """
    DO $$
    DECLARE
        one record; found boolean; names text[] := '{}';
    BEGIN
        FOR one IN
            SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'
        LOOP
            EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I)', one.name) INTO found;
            IF found THEN names := names || quote_ident(one.name); END IF;
        END LOOP;
        IF names <> '{}' THEN EXECUTE 'TRUNCATE ' || array_to_string(names, ', ') || ' CASCADE'; END IF;
        FOR one IN SELECT tablename AS name FROM pg_tables WHERE schemaname = 'seeds' LOOP
            EXECUTE format('INSERT INTO public.%I SELECT * FROM seeds.%I', one.name, one.name);
        END LOOP;
        PERFORM setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
            FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL;
    END $$
"""
PATIENCE = "SET lock_timeout = '5s'"
ALONE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@contextmanager
def new_database(server: str) -> Iterator[str]:
    """Yield the URL of a new, empty database on `server`; drop it at the end."""
    name = f"penstock_test_{new_span_id()}"
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute(f'CREATE DATABASE "{name}"')
    yield urlsplit(server)._replace(path=f"/{name}").geturl()
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


class Recycled:
    """One up-to-date database that looks new each time; another one where a test changed its tables."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._make()

    def _make(self) -> None:
        self._made = new_database(self._server)
        self.url = self._made.__enter__()
        db = Database(self.url)
        migrate(db)
        db.close()
        with psycopg.connect(self.url, autocommit=True) as conn:
            conn.execute(SEEDS)
            self._shape = conn.execute(SHAPE).fetchone()

    def clear(self) -> None:
        """End what is still connected, and take out every row."""
        if not self._cleared():
            self.close()
            self._make()

    def _cleared(self) -> bool:
        with psycopg.connect(self.url, autocommit=True) as conn:
            conn.execute(PATIENCE)
            conn.execute(ALONE)
            if conn.execute(SHAPE).fetchone() != self._shape:
                return False
            try:
                conn.execute(EMPTY)
            except (psycopg.errors.DeadlockDetected, psycopg.errors.LockNotAvailable):
                return False  # a process that the test left behind has connected again
            return True

    def close(self) -> None:
        """Drop the database."""
        self._made.__exit__(None, None, None)
