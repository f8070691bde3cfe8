"""What a killed process and a disk without room leave behind: nothing, or everything."""

import os
import resource
import signal
import subprocess
import sys

import pytest

from penstock.core.errors import StorageFull
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import service

ROWS = [{"id": n, "text": f"row {n} " + "word " * 20} for n in range(4000)]

INGEST = """
import os, signal, sys
from penstock.core.home import Home
from penstock.core.scope import system_actor
from penstock.datasets import ingest, register, service, store, table

point = sys.argv[2]

def die(*_args, **_options):
    os.kill(os.getpid(), signal.SIGKILL)

def watch(report):
    if report["stage"] == point and report["rows"] >= 1000:
        die()

if point == "committed":
    service.register = die
if point == "recorded":
    store.insert_version = die
rows = [{"id": n, "text": f"row {n} " + "word " * 20} for n in range(4000)]
with Home.open(sys.argv[1]) as home:
    print(service.ingest(home, system_actor(), name="d", source=rows, progress=watch).ref)
"""


def ingest_and_die(home: Home, point: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", INGEST, str(home.path), point],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("point", ["reading", "curating", "writing", "committed", "recorded"])
def test_kill_9_registers_nothing_and_the_next_ingest_works(
    sqlite_home: Home, owner: Actor, point: str
) -> None:
    service.ingest(sqlite_home, owner, name="d", source=ROWS[:10])
    killed = ingest_and_die(sqlite_home, point)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with sqlite_home.read() as uow:
        assert [version.number for version in service.list_versions(uow, owner, name="d")] == [1]
    assert list(service.rows(sqlite_home, owner, "d")) == ROWS[:10]
    again = service.ingest(sqlite_home, owner, name="d", source=ROWS)
    assert (again.ref, again.rows) == ("d@2", 4000)
    assert list(service.rows(sqlite_home, owner, "d")) == ROWS
    assert not (sqlite_home.path / "datasets/default/default/d/work").exists()


def test_a_disk_without_room(sqlite_home: Home, owner: Actor) -> None:
    service.ingest(sqlite_home, owner, name="d", source=ROWS[:10])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(StorageFull, match="nothing was kept"):
            service.ingest(sqlite_home, owner, name="d", source=ROWS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with sqlite_home.read() as uow:
        assert service.resolve(uow, owner, "d").number == 1
    assert service.ingest(sqlite_home, owner, name="d", source=ROWS).number == 2
