"""Rules 6 and 14: SQL only in stores, every query under a scope, migrations forward and complete."""

import ast
import importlib
import json
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

import penstock
from penstock.core.db import Database, metadata, sqlite_url
from penstock.core.migrate import FOLDER, head, migrate
from tests.architecture.code import PACKAGE, RATCHET, imports, modules, name_of, shown, tree

ALL_SCOPES = "every scope"
"""A store function that works across tenants and projects says so in its docstring, in these words."""


def _is_store(path: Path) -> bool:
    return path.name == "store.py" or "store" in path.relative_to(PACKAGE).parts[:-1]


def test_sql_is_in_stores_and_core_only() -> None:
    offenders = [
        f"{shown(path)}:{line} {dotted}"
        for path in modules()
        for line, dotted in imports(path)
        if dotted.partition(".")[0] in ("sqlalchemy", "sqlite3", "psycopg", "alembic")
        and not _is_store(path)
        and not path.is_relative_to(PACKAGE / "core")
    ]
    assert not offenders, "move the query into the slice's store:\n" + "\n".join(offenders)


def _stores() -> list[Path]:
    return [path for path in modules() if _is_store(path) and not path.is_relative_to(PACKAGE / "core")]


def _nouns(slice_name: str) -> set[str]:
    """Names a slice's model defines: a noun was itself loaded under a scope."""
    found: set[str] = set()
    for path in (PACKAGE / slice_name).rglob("*.py"):
        if not _is_store(path):
            found |= {node.name for node in tree(path).body if isinstance(node, ast.ClassDef)}
    return found


def _unscoped(path: Path) -> list[str]:
    scoped = {"Scope", "Actor", *_nouns(path.relative_to(PACKAGE).parts[0])}
    found = []
    for node in tree(path).body:
        if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
            continue
        arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
        if not any("Connection" in ast.unparse(a.annotation) for a in arguments if a.annotation):
            continue
        types = " ".join(ast.unparse(a.annotation) for a in arguments if a.annotation)
        words = set(types.replace("[", " ").replace("]", " ").replace(",", " ").replace("|", " ").split())
        names = {word.rpartition(".")[2] for word in words}
        if not names & scoped and ALL_SCOPES not in (ast.get_docstring(node) or ""):
            found.append(f"unscoped {shown(path)}:{node.name}")
    return found


def test_every_query_takes_a_scope() -> None:
    known = json.loads(RATCHET.read_text())
    found = {what for path in _stores() for what in _unscoped(path)}
    offenders = sorted(found - set(known))
    gone = {what for what in known if what.startswith("unscoped ")} - found
    assert not gone, f"scoped by now; take these out of {shown(RATCHET)}: {sorted(gone)}"
    message = f"take a Scope, or a noun loaded under one, or say {ALL_SCOPES!r} in the docstring:\n"
    assert not offenders, message + "\n".join(offenders)


def test_migrations_are_one_line_and_named_alike() -> None:
    scripts = ScriptDirectory(str(FOLDER))
    assert len(scripts.get_heads()) == 1
    chain = [script.revision for script in reversed(list(scripts.walk_revisions()))]
    assert chain == sorted(chain)
    assert len(chain) == len(list((FOLDER / "versions").glob("[0-9]*.py")))


def test_migrations_have_no_way_back() -> None:
    for path in (FOLDER / "versions").glob("[0-9]*.py"):
        downgrade = [n for n in tree(path).body if isinstance(n, ast.FunctionDef) and n.name == "downgrade"]
        assert not downgrade, f"{shown(path)}: migrations only go forward"


def _load_all_tables() -> None:
    for path in modules():
        is_core = (
            path.is_relative_to(PACKAGE / "core") and "migrations" not in path.parts and path.stem != "child"
        )
        if _is_store(path) or is_core:
            importlib.import_module(name_of(path))


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    url = (
        sqlite_url(tmp_path / "empty.db")
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_url")
    )
    db = Database(url)
    request.addfinalizer(db.close)
    return db


def _differences(db: Database) -> list[str]:
    _load_all_tables()
    with db.engine.connect() as conn:
        virtual = _virtual_tables(conn)

        def declared(thing: object, name: str | None, kind: str, reflected: bool, compare_to: object) -> bool:
            """Leave out what metadata cannot declare: full-text tables with their shadows, and Alembic's own."""
            if kind != "table" or not reflected or compare_to is not None:
                return True
            return not (name or "").startswith(("alembic_version", "sqlite_", *virtual))

        options = {"compare_type": True, "include_object": declared, "target_metadata": metadata}
        context = MigrationContext.configure(conn, opts=options)
        return [str(difference) for difference in compare_metadata(context, metadata)]


def _virtual_tables(conn: Connection) -> tuple[str, ...]:
    if conn.dialect.name != "sqlite":
        words = "SELECT table_name FROM information_schema.columns WHERE data_type = 'tsvector'"
        return tuple(row[0] for row in conn.execute(text(words)))
    found = conn.execute(text("SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL TABLE%'"))
    return tuple(row[0] for row in found)


def test_migrated_schema_is_the_declared_one(empty: Database) -> None:
    migrate(empty)
    assert _differences(empty) == []


def test_every_earlier_revision_leads_to_the_newest(empty: Database) -> None:
    chain = [s.revision for s in reversed(list(ScriptDirectory(str(FOLDER)).walk_revisions()))]
    for revision in chain:
        migrate(empty, to=revision)
    migrate(empty)
    with empty.engine.connect() as conn:
        assert conn.execute(text("SELECT version_num FROM alembic_version")).scalar() == head()
    assert _differences(empty) == []


def test_there_are_stores_to_check() -> None:
    found = {name_of(path) for path in _stores() if "prompts" in path.parts}
    assert found == {"penstock.prompts.store", "penstock.prompts.labels.store"}
    assert penstock.__version__
