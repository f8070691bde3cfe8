"""kill -9 in the middle of registering: a version is there whole, or it is not there at all."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock.core.errors import NotFound
from penstock.core.home import Home
from penstock.registry import paper_service, service
from penstock.registry.workplace import work_folder
from tests.conftest import owner_of
from tests.registry.folders import base_folder

WORKER = """
import itertools, sys
from pathlib import Path
from penstock.core.home import Home
from penstock.registry import service
from penstock.registry.workplace import work_folder
from tests.conftest import owner_of
from tests.registry.folders import base_folder

with Home.open(sys.argv[1]) as home:
    actor = owner_of(home)
    print("ready", flush=True)
    for number in itertools.count():
        with work_folder(home, "imports") as work:
            texts = {f"n{part}.txt": f"{sys.argv[2]} {number} {part}" * 2000 for part in range(8)}
            folder = base_folder(work / "m", texts)
            version = service.register(home, actor, name="m", folder=folder, kind="base")
        print(version.ref, flush=True)
"""


def killed(home: Path, seed: int) -> list[str]:
    """Register versions in another process until it is killed; returns those it was told are there."""
    command = [sys.executable, "-c", WORKER, str(home), str(seed)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.stdout.readline()
        time.sleep(random.Random(seed).uniform(0.05, 0.4))
        child.send_signal(signal.SIGKILL)
        return child.stdout.read().split()


@pytest.mark.slow
def test_nothing_is_half_registered(tmp_path: Path) -> None:
    place = tmp_path / "home"
    with Home.open(place) as home:
        actor = owner_of(home)
    told = [ref for seed in range(4) for ref in killed(place, seed)]
    with Home.open(place) as home:
        with home.read() as uow:
            listed = service.list_versions(uow, actor, name="m", limit=100_000)
        assert [version.number for version in listed] == list(range(len(listed), 0, -1))
        assert set(told) <= {version.ref for version in listed}, "what was acknowledged is there"
        for version in listed:
            assert len(version.files) == 10
            assert paper_service.verify_files(home, actor, ref=version.ref).holds
        with work_folder(home, "imports") as work:
            left = {path.name for path in work.parent.iterdir()}
        assert left == {work.name, f"{work.name}.lock"}, "what the dead left is cleared away"
        again = service.register(
            home, actor, name="m", folder=base_folder(tmp_path / "more", {"x": "y"}), kind="base"
        )
        assert again.number == len(listed) + 1


def test_a_crash_before_the_record_leaves_no_version(
    sqlite_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    actor = owner_of(sqlite_home)

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(service.papers_store, "put_papers", crash)
    with pytest.raises(KeyboardInterrupt):
        service.register(sqlite_home, actor, name="m", folder=base_folder(tmp_path / "m"), kind="base")
    monkeypatch.undo()
    with sqlite_home.read() as uow, pytest.raises(NotFound):
        service.find(uow, actor, name="m")
    made = service.register(sqlite_home, actor, name="m", folder=base_folder(tmp_path / "m"), kind="base")
    assert made.number == 1


def test_a_work_folder_of_a_living_process_stays(sqlite_home: Home) -> None:
    with work_folder(sqlite_home, "imports") as first:
        (first / "x").write_text("x")
        with work_folder(sqlite_home, "imports") as second:
            assert first != second
            assert (first / "x").exists()
        assert not second.exists()
    assert list(sqlite_home.folder("work", "imports").iterdir()) == []
