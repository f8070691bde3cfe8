"""Blobs, vault and home: content is checked, secrets are sealed, mistakes are told."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DBAPIError, IntegrityError

from penstock.core.blobs import Blobs
from penstock.core.db import Database, numbered
from penstock.core.errors import Busy, Conflict, Invalid, NotFound, StorageFull, Unavailable
from penstock.core.home import Home, exclusive
from penstock.core.vault import Vault


def test_a_blob_is_stored_once_and_read_back_whole(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    source = tmp_path / "big"
    source.write_bytes(os.urandom(3_000_000))
    ref, again = blobs.put_file(source), blobs.put_bytes(source.read_bytes())
    assert ref == again
    blobs.fetch(ref.sha256, tmp_path / "out" / "copy")
    assert (tmp_path / "out" / "copy").read_bytes() == source.read_bytes()
    blobs.delete(ref.sha256)
    blobs.delete(ref.sha256)
    assert not blobs.exists(ref.sha256)
    with pytest.raises(NotFound):
        blobs.read(ref.sha256)


def test_a_damaged_blob_is_never_handed_out(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    ref = blobs.put_bytes(b"what was stored")
    (file,) = [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]
    file.chmod(0o600)
    file.write_bytes(b"what was changed")
    with pytest.raises(Invalid, match="damaged"):
        blobs.fetch(ref.sha256, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@given(st.binary(max_size=300))
def test_sealed_secrets_open_and_do_not_show(secret: bytes) -> None:
    vault = Vault(Path(os.environ["PENSTOCK_HOME"]).parent / "vault.key")
    sealed = vault.seal(secret, purpose="provider")
    assert vault.open(sealed, purpose="provider") == secret
    assert len(secret) < 4 or secret.decode(errors="replace") not in sealed


def test_a_changed_secret_another_purpose_or_another_key_is_refused(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "a.key")
    sealed = vault.seal(b"sk-123", purpose="p")
    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600
    for wrong in (sealed[:-4] + "AAA=", "v0.x", "", "v1.!!!"):
        with pytest.raises(Invalid, match="cannot be opened"):
            vault.open(wrong, purpose="p")
    with pytest.raises(Invalid, match="cannot be opened"):
        vault.open(sealed, purpose="q")
    with pytest.raises(Invalid, match="cannot be opened"):
        Vault(tmp_path / "b.key").open(sealed, purpose="p")


def test_a_home_is_private_and_opens_again(tmp_path: Path) -> None:
    with Home.open(tmp_path / "h") as home:
        assert home.path.stat().st_mode & 0o777 == 0o700
    with Home.open(tmp_path / "h"):
        assert (tmp_path / "h" / "penstock.db").exists()


def test_a_home_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageFull, match="cannot be used"):
        Home.open(tmp_path / "file" / "h")


def test_a_database_of_a_newer_version_is_left_alone(sqlite_home: Home) -> None:
    with sqlite_home.db.begin() as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Conflict, match="does not know"):
        Home.open(sqlite_home.path)


@pytest.mark.parametrize("url", ["mysql://x/y", "not a url", "sqlite://"])
def test_wrong_database_urls_are_told(url: str) -> None:
    with pytest.raises(Invalid):
        Database(url)


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    with exclusive(tmp_path / "x.lock"), pytest.raises(Busy), exclusive(tmp_path / "x.lock"):
        pass


def test_a_full_disk_is_one_clear_sentence(sqlite_home: Home) -> None:
    with pytest.raises(StorageFull, match="is full"), sqlite_home.db.begin() as conn:
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar() or 0
        conn.exec_driver_sql(f"PRAGMA max_page_count = {pages + 1}")
        conn.exec_driver_sql("CREATE TABLE filler (x)")
        conn.exec_driver_sql("INSERT INTO filler VALUES (zeroblob(5000000))")
    with sqlite_home.read() as uow:
        assert uow.conn.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_revisions_of_several_topics_come_in_the_order_asked_for(home: Home) -> None:
    with home.begin() as uow:
        uow.bump("glance.a")
        uow.bump("glance.b")
        uow.bump("glance.b")
    with home.begin() as uow:
        uow.bump("glance.a")
        assert home.revision("glance.b") == 2, "what is not committed yet is not seen, and holds nobody up"
    before = home.revisions("glance.b", "glance.never", "glance.a")
    assert before == (2, 0, home.revision("glance.a")) and before[2] == 2
    with Home.open(home.path) as other, other.begin() as uow:
        uow.bump("glance.never")
    assert home.revisions("glance.never") == (1,), "what another connection commits is seen at once"


def test_a_glance_that_fails_is_told_as_any_query_is_and_gives_its_connection_back(sqlite_home: Home) -> None:
    for _ in range(40):  # more than the pool has connections
        with pytest.raises(DBAPIError, match="no such table"):
            sqlite_home.db.glance("SELECT * FROM nowhere", ())
    assert sqlite_home.db.glance("SELECT ?", (7,)) == [(7,)]


def test_a_mark_is_known_again_by_key_and_purpose_alone(tmp_path: Path) -> None:
    ours, theirs = Vault(tmp_path / "ours.key"), Vault(tmp_path / "theirs.key")
    mark = ours.mark("ada", purpose="p")
    assert mark == Vault(tmp_path / "ours.key").mark("ada", purpose="p") and len(mark) == 64
    others = {theirs.mark("ada", purpose="p"), ours.mark("ada", purpose="q"), ours.mark("bob", purpose="p")}
    assert len({mark, *others}) == 4


def test_a_numbered_statement_fails_as_any_other_and_a_lost_connection_is_told(postgres_url: str) -> None:
    db = Database(postgres_url)
    insert = "INSERT INTO notes (topic, number) VALUES ($1, $2)"
    with db.begin() as conn:
        conn.exec_driver_sql("CREATE TABLE notes (topic TEXT PRIMARY KEY, number BIGINT)")
        assert numbered(conn, insert, ["numbered", 7]).rowcount == 1
        found = numbered(conn, "SELECT number FROM notes WHERE topic = $1", ["numbered"])
        assert found.fetchall() == [(7,)]
    with pytest.raises(IntegrityError, match="numbered"), db.begin() as conn:
        numbered(conn, insert, ["numbered", 8])
    with pytest.raises(Unavailable, match="cannot be reached"), db.begin() as conn:
        pid = conn.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        with db.engine.connect() as other:
            other.exec_driver_sql("SELECT pg_terminate_backend(%s)", (pid,))
        numbered(conn, insert, ["other", 1])
    with db.begin() as conn:  # by another connection
        assert numbered(conn, insert, ["other", 2]).rowcount == 1
    db.close()
