"""Garbage collection of blobs: what no record names any more is set aside, and deleted later.

Bytes are stored before the record that names them is committed, so a process killed in between leaves blobs that
nobody will ever ask for. Each slice hands in which blobs its records name; a blob that none names and that is older
than the grace is set aside: writers no longer find it and store their own, readers still do. It is deleted when, a
whole grace later, still no record names it, so a registration that found it stored has that long to commit.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

import msgspec
from sqlalchemy import Connection

from penstock.core import clock, installation, log
from penstock.core.errors import Busy, Conflict, Invalid, PenstockError
from penstock.core.home import Home, exclusive
from penstock.core.scope import Actor, system_actor
from penstock.core.settings import CoreSettings

logger = log.get("core.garbage")

Names = Callable[[Connection], Iterator[str]]
"""Yields the SHA-256 of every blob that a slice's records name, of all projects; repeats and empty ones are fine."""

FIRST_SECONDS = 300.0
"""After the start, so that a server that is only being restarted does not list its store each time."""
SECONDS = 6 * 3600.0


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What one collection did, or would do."""

    blobs: int
    """Stored blobs that were looked at."""
    set_aside: int
    set_aside_bytes: int
    taken_back: int
    """Set aside before, and named by a record since."""
    deleted: int
    deleted_bytes: int
    halves: int
    """Files that killed writers left half-written; deleted."""
    dry_run: bool


def collect(home: Home, actor: Actor, names: Sequence[Names], *, dry_run: bool = False) -> Collected:
    """Set aside the blobs that no record names, and delete those that were set aside a grace ago.

    Raises Denied below the role admin, Invalid for a grace of no time, Busy when another process is at it, Conflict
    when another installation keeps its blobs in the same store: nobody could tell then what is garbage.
    """
    with home.read() as uow:
        uow.may(actor, "storage.admin")
    with exclusive(home.path / "garbage.lock"):
        _only_owner(home)
        done = _collect(home, names, dry_run=dry_run)
    if not dry_run and (done.deleted or done.set_aside or done.taken_back):
        with home.begin() as uow:
            uow.audit(actor, "storage.clean", "blobs", **msgspec.to_builtins(done))
    return done


def _only_owner(home: Home) -> None:
    with home.begin() as uow:
        name = installation.name_of(uow.conn)
    owners = home.blobs.add_owner(name)
    if owners != [name]:
        others = ", ".join(each for each in owners if each != name)
        raise Conflict(
            f"Another database's installation keeps its files in the same store: {others}.",
            hint="Give each its own core.blob_url. If that one is gone, delete its object in installations/.",
        )


def _collect(home: Home, names: Sequence[Names], *, dry_run: bool) -> Collected:
    grace = timedelta(hours=home.settings.section(CoreSettings).blob_grace_hours)
    if grace <= timedelta(0):
        raise Invalid("core.blob_grace_hours must be above 0.", hint="24 is the default.")
    blobs, now = home.blobs, clock.now()
    before = now - grace
    # Listed first: whatever a record names by the time the records are read was either listed or is too young.
    aside = list(blobs.list_aside())
    count, old = 0, dict[bytes, int]()
    for stored in blobs.list_stored():
        count += 1
        if stored.since < before:
            old[bytes.fromhex(stored.sha256)] = stored.size
    unwanted = {bytes.fromhex(each.sha256) for each in aside}
    with home.db.read() as conn:
        for slice_names in names:
            for name in filter(None, slice_names(conn)):
                digest = bytes.fromhex(name)
                old.pop(digest, None)
                unwanted.discard(digest)
    back = [each for each in aside if bytes.fromhex(each.sha256) not in unwanted]
    gone = [each for each in aside if bytes.fromhex(each.sha256) in unwanted and each.since < before]
    halves = 0
    if not dry_run:
        for each in back:
            blobs.take_back(each)
        for each in gone:
            blobs.delete_aside(each)
        for digest in old:
            blobs.set_aside(digest.hex(), now)
        halves = blobs.delete_halves(before)
    return Collected(
        blobs=count,
        set_aside=len(old),
        set_aside_bytes=sum(old.values()),
        taken_back=len(back),
        deleted=len(gone),
        deleted_bytes=sum(each.size for each in gone),
        halves=halves,
        dry_run=dry_run,
    )


def run(home: Home, names: Sequence[Names], stop: threading.Event) -> None:
    """Collect every six hours until `stop`."""
    _tell_owner(home)
    wait = FIRST_SECONDS
    while not stop.wait(wait):
        wait = SECONDS
        try:
            done = collect(home, system_actor(), names)
        except Busy:
            continue  # another process of this home is at it
        except PenstockError as error:
            logger.warning("stored files not cleaned up", extra={"reason": str(error)})
        else:
            logger.info("stored files cleaned up", extra=msgspec.to_builtins(done))


def _tell_owner(home: Home) -> None:
    with home.begin() as uow:
        name = installation.name_of(uow.conn)
    home.blobs.add_owner(name)
