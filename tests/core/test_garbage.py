"""Blobs that nobody names are set aside and deleted later; nobody who stored or found one loses it."""

import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
import pytest
from obstore.exceptions import GenericError

from penstock.core import clock, garbage, installation
from penstock.core.blobs import Blobs
from penstock.core.errors import Busy, Conflict, Denied, Invalid, NotFound
from penstock.core.home import Home, exclusive
from penstock.core.scope import Actor, Role

HOUR = timedelta(hours=1)


class Records:
    """Stands for a slice's records."""

    def __init__(self) -> None:
        self.named: set[str] = set()

    def names(self, _conn: Any) -> Iterator[str]:
        """Yield what is named, and an empty one."""
        yield from self.named
        yield ""


def after(home: Home, actor: Actor, records: Records, hours: float, **options: Any) -> garbage.Collected:
    """Collect as if so many hours had passed."""
    with clock.frozen(datetime.now(UTC) + hours * HOUR):
        return garbage.collect(home, actor, [records.names], **options)


def test_what_nobody_names_goes_after_two_graces(home: Home, actor: Actor) -> None:
    records = Records()
    kept, lost = home.blobs.put_bytes(b"kept").sha256, home.blobs.put_bytes(b"lost").sha256
    records.named.add(kept)
    young = after(home, actor, records, 23)
    assert (young.blobs, young.set_aside, young.deleted) == (2, 0, 0), "its record may still come"
    first = after(home, actor, records, 25)
    assert (first.set_aside, first.set_aside_bytes, first.deleted) == (1, 4, 0)
    assert not home.blobs.exists(lost)
    again = after(home, actor, records, 48)
    assert (again.blobs, again.set_aside, again.deleted) == (1, 0, 0), "somebody may have found it before"
    last = after(home, actor, records, 50)
    assert (last.deleted, last.deleted_bytes) == (1, 4)
    with pytest.raises(NotFound):
        home.blobs.read(lost)
    assert home.blobs.read(kept) == b"kept"


def test_a_blob_that_is_named_again_is_taken_back(home: Home, actor: Actor) -> None:
    records = Records()
    blob = home.blobs.put_bytes(b"found stored a moment before").sha256
    after(home, actor, records, 25)
    records.named.add(blob)
    assert after(home, actor, records, 60).taken_back == 1
    assert home.blobs.exists(blob)
    assert after(home, actor, records, 90).deleted == 0


def test_a_reader_finds_what_is_set_aside(home: Home, actor: Actor) -> None:
    blob = home.blobs.put_bytes(b"named meanwhile").sha256
    after(home, actor, Records(), 25)
    assert home.blobs.read(blob) == b"named meanwhile"
    assert home.blobs.exists(blob)


def test_a_writer_stores_its_own_while_the_old_one_waits_to_be_deleted(home: Home, actor: Actor) -> None:
    records = Records()
    blob = home.blobs.put_bytes(b"twice").sha256
    after(home, actor, records, 25)
    home.blobs.put_bytes(b"twice")
    (file,) = (home.path / "blobs" / "sha256").rglob(blob)
    moment = (datetime.now(UTC) + 49 * HOUR).timestamp()
    os.utime(file, (moment, moment))
    assert after(home, actor, records, 50).deleted == 1
    assert home.blobs.read(blob) == b"twice", "its record is about to come"


def test_a_dry_run_changes_nothing(home: Home, actor: Actor) -> None:
    blob = home.blobs.put_bytes(b"x").sha256
    told = after(home, actor, Records(), 25, dry_run=True)
    assert (told.set_aside, told.dry_run) == (1, True)
    assert home.blobs.exists(blob)


def test_half_written_files_of_the_dead_go(home: Home, actor: Actor) -> None:
    blob = home.blobs.put_bytes(b"whole").sha256
    (file,) = (home.path / "blobs" / "sha256").rglob(blob)
    half = file.with_name("f" * 64 + "#1")
    half.write_bytes(b"ha")
    assert after(home, actor, Records(), 23).halves == 0
    assert after(home, actor, Records(), 25).halves == 1
    assert not half.exists()


def test_a_failing_slice_stops_it_before_anything_goes(home: Home, actor: Actor) -> None:
    blob = home.blobs.put_bytes(b"x").sha256

    def broken(_conn: Any) -> Iterator[str]:
        raise Invalid("The table cannot be read.")

    with clock.frozen(datetime.now(UTC) + 25 * HOUR), pytest.raises(Invalid, match="cannot be read"):
        garbage.collect(home, actor, [Records().names, broken])
    assert home.blobs.exists(blob)


def test_a_store_of_two_installations_is_left_alone(home: Home, actor: Actor) -> None:
    after(home, actor, Records(), 0)
    home.blobs.add_owner("ins_another")
    home.blobs.put_bytes(b"theirs")
    with pytest.raises(Conflict, match="ins_another") as refused:
        after(home, actor, Records(), 25)
    assert "core.blob_url" in (refused.value.hint or "")


def test_it_needs_an_admin(home: Home, actor: Actor) -> None:
    member = Actor(id="m", name="member", role=Role.MEMBER, scope=actor.scope)
    with pytest.raises(Denied):
        garbage.collect(home, member, [])


def test_a_grace_of_no_time_is_refused(home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_CORE__BLOB_GRACE_HOURS", "0")
    with Home.open(home.path) as opened, pytest.raises(Invalid, match="blob_grace_hours"):
        garbage.collect(opened, actor, [])


def test_an_object_store_that_cannot_copy_it_at_once_carries_it_over(monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = Blobs("memory:///")
    blob = blobs.put_bytes(b"six gigabytes").sha256

    def too_large(*_: object, **__: object) -> None:
        raise GenericError("EntityTooLarge")

    monkeypatch.setattr(obstore, "rename", too_large)
    now = datetime.now(UTC)
    assert blobs.set_aside(blob, now)
    assert [kept.sha256 for kept in blobs.list_aside()] == [blob]
    assert not blobs.exists(blob)
    assert blobs.read(blob) == b"six gigabytes"
    assert list(blobs.list_aside()) == []


def test_a_url_of_a_folder_is_a_folder(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path.as_uri())
    blobs.put_bytes(b"x")
    (file,) = [path for path in (tmp_path / "sha256").rglob("*") if path.is_file()]
    file.with_name(file.name + "#2").write_bytes(b"half")
    assert blobs.delete_halves(datetime.now(UTC) + HOUR) == 1


def test_the_background_collects_again_and_again(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, rounds = threading.Event(), 0

    def one(*_: object, **__: object) -> garbage.Collected:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            raise Busy("Another process is at it.")
        if rounds == 2:
            raise Conflict("Two installations keep their files in one store.")
        stop.set()
        raise Busy("Enough.")

    monkeypatch.setattr(garbage, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(garbage, "SECONDS", 0.0)
    monkeypatch.setattr(garbage, "collect", one)
    garbage.run(home, [], stop)
    assert rounds == 3
    with home.begin() as uow:
        name = installation.name_of(uow.conn)
    assert home.blobs.add_owner(name) == [name], "it told the store whose it is before the first round"


def test_two_at_once_are_one_too_many(home: Home, actor: Actor) -> None:
    with exclusive(home.path / "garbage.lock"), pytest.raises(Busy):
        after(home, actor, Records(), 0)
