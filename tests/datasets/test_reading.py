"""An ingest that was killed goes on where it was, and ends with the same content as one that was not."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import Upstream
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import reading, service
from penstock.datasets.request import Feed

COUNT = 45_000
INGEST = """
import os, signal, sys
from pathlib import Path
from penstock.core.home import Home
from penstock.core.scope import system_actor
from penstock.datasets import service

def watch(report):
    if report["stage"] == "reading" and report["rows"] >= 43_000:
        os.kill(os.getpid(), signal.SIGKILL)

with Home.open(sys.argv[1]) as home:
    service.ingest(home, system_actor(), name="d", source=Path(sys.argv[2]), on_bad_rows="quarantine", progress=watch)
"""


def jsonl(path: Path) -> Path:
    lines = [json.dumps({"n": n, "text": f"row {n}"}) if n % 1000 else "broken" for n in range(1, COUNT)]
    path.write_text("\n".join(lines))
    return path


def csv(path: Path) -> Path:
    lines = [f'{n},"row\n{n}",{n / 2}' if n % 1000 else "broken" for n in range(1, COUNT)]
    path.write_text("n,text,half\n" + "\n".join(lines))
    return path


@pytest.mark.parametrize("write", [jsonl, csv])
def test_a_killed_ingest_goes_on_where_it_was(
    sqlite_home: Home, owner: Actor, tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    path = write(tmp_path / f"rows.{write.__name__}")
    killed = subprocess.run(
        [sys.executable, "-c", INGEST, str(sqlite_home.path), str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    reports: list[dict[str, Any]] = []
    options: dict[str, Any] = {"source": path, "on_bad_rows": "quarantine"}
    again = service.ingest(sqlite_home, owner, name="d", progress=reports.append, **options)
    assert reports[0] == {"stage": "resuming", "rows": 39_960}
    assert min(report["rows"] for report in reports if report["stage"] == "reading") > 39_960
    fresh = service.ingest(sqlite_home, owner, name="fresh", **options)
    assert (again.hash, again.rows, again.quarantined) == (fresh.hash, fresh.rows, fresh.quarantined)
    assert again.schema == fresh.schema
    assert [row.line for row in service.left_out(sqlite_home, owner, "d@1")] == [
        row.line for row in service.left_out(sqlite_home, owner, "fresh@1")
    ]
    assert not (sqlite_home.path / "datasets/default/default/d/work").exists()


def test_a_file_that_changed_is_read_from_the_start(sqlite_home: Home, owner: Actor, tmp_path: Path) -> None:
    feed = broken_feed(COUNT, "one")
    with pytest.raises(Upstream):
        service.ingest(sqlite_home, owner, name="d", source=feed)
    reports: list[dict[str, Any]] = []
    other = broken_feed(10**9, "another")
    version = service.ingest(sqlite_home, owner, name="d", source=other, progress=reports.append)
    assert version.rows == COUNT
    assert "resuming" not in {report["stage"] for report in reports}


def broken_feed(breaks_at: int, fingerprint: str) -> Feed:
    """Return COUNT rows whose source is out of reach at row `breaks_at`."""

    def rows(skip: int) -> Iterator[dict[str, Any]]:
        for n in range(skip, COUNT):
            if n == breaks_at - 1:
                raise Upstream("The database went away.")
            yield {"n": n}

    return Feed(name="feed", format="sql", rows=rows, fingerprint=fingerprint)


def test_a_source_out_of_reach_is_gone_on_with(sqlite_home: Home, owner: Actor) -> None:
    with pytest.raises(Upstream):
        service.ingest(sqlite_home, owner, name="d", source=broken_feed(COUNT, "one"))
    reports: list[dict[str, Any]] = []
    feed = broken_feed(10**9, "one")
    version = service.ingest(sqlite_home, owner, name="d", source=feed, progress=reports.append)
    assert reports[0] == {"stage": "resuming", "rows": 2 * reading.NOTE_EVERY}
    assert list(service.rows(sqlite_home, owner, "d")) == [{"n": n} for n in range(COUNT)]
    assert version.rows == COUNT


def test_a_feed_nobody_can_name_starts_over(sqlite_home: Home, owner: Actor) -> None:
    with pytest.raises(Upstream):
        service.ingest(sqlite_home, owner, name="d", source=broken_feed(COUNT, ""))
    version = service.ingest(sqlite_home, owner, name="d", source=broken_feed(10**9, ""))
    assert version.rows == COUNT


def test_work_files_that_are_shorter_than_noted_are_not_trusted(sqlite_home: Home, owner: Actor) -> None:
    with pytest.raises(Upstream):
        service.ingest(sqlite_home, owner, name="d", source=broken_feed(COUNT, "one"))
    spool = sqlite_home.path / "datasets/default/default/d/work/raw.spool"
    spool.write_bytes(spool.read_bytes()[:1000])
    version = service.ingest(sqlite_home, owner, name="d", source=broken_feed(10**9, "one"))
    assert list(service.rows(sqlite_home, owner, version.ref, limit=2)) == [{"n": 0}, {"n": 1}]
    assert version.rows == COUNT
