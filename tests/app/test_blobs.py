"""Garbage collection of blobs beside the slices that store them: kills, registrations in progress, nobody forgotten."""

import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import penstock
from penstock.app.blobs import NAMES
from penstock.cli.storage import app
from penstock.core import clock, garbage
from penstock.core.blobs import BlobRef, Blobs
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import service as datasets
from penstock.gateway.batches import service as batches
from penstock.registry import paper_service, service
from penstock.tracking import service as tracking
from penstock.training import store as training
from penstock.training.model import RunArtifact
from tests.registry.folders import base_folder

KILLED = """
import os, signal, sys
from pathlib import Path
from penstock.core.home import Home
from penstock.registry import service
from penstock.core.scope import system_actor

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

service._added = die
with Home.open(sys.argv[1]) as home:
    service.register(home, system_actor(), name="m", folder=Path(sys.argv[2]), kind="base")
"""


def after(home: Home, actor: Actor, hours: float) -> garbage.Collected:
    """Collect as if so many hours had passed."""
    with clock.frozen(datetime.now(UTC) + timedelta(hours=hours)):
        return garbage.collect(home, actor, NAMES)


def killed_half_way(home: Home, folder: Path) -> None:
    """Register in a process that is killed after its blobs were written and before its record is."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(home.path), str(folder)], env=environment, check=False
    )
    assert done.returncode == -signal.SIGKILL


def stored(home: Home) -> int:
    """How many blobs are stored."""
    return sum(1 for _ in home.blobs.list_stored())


def test_blobs_of_a_killed_registration_go(home: Home, actor: Actor, tmp_path: Path) -> None:
    killed_half_way(home, base_folder(tmp_path / "m", {"own.txt": "nobody else has this"}))
    made = service.register(home, actor, name="other", folder=base_folder(tmp_path / "o"), kind="base")
    assert stored(home) == 3, "two of its files are those of the other model"
    assert after(home, actor, 25).set_aside == 1
    assert after(home, actor, 50).deleted == 1
    assert stored(home) == 2
    assert paper_service.verify_files(home, actor, ref=made.ref).holds


def test_a_registration_after_the_kill_keeps_everything(home: Home, actor: Actor, tmp_path: Path) -> None:
    folder = base_folder(tmp_path / "m", {"own.txt": "again"})
    killed_half_way(home, folder)
    made = service.register(home, actor, name="m", folder=folder, kind="base")
    assert after(home, actor, 25).set_aside == 0
    assert after(home, actor, 50).deleted == 0
    assert paper_service.verify_files(home, actor, ref=made.ref).holds


@pytest.mark.parametrize("last", [False, True], ids=["after each file", "after the last file"])
def test_a_registration_of_the_same_blobs_in_progress_loses_none(
    home: Home, actor: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, last: bool
) -> None:
    folder = base_folder(tmp_path / "m", {"own.txt": "stored long ago"})
    for file in folder.iterdir():
        home.blobs.put_file(file)
    put, seen = Blobs.put_file, 0

    def interrupted(blobs: Blobs, path: Path) -> BlobRef:
        # The file is found stored, and before its record is written it is set aside: it is old, and nobody's.
        nonlocal seen
        ref, seen = put(blobs, path), seen + 1
        if not last or seen == 3:
            assert after(home, actor, 25).set_aside >= (3 if last else 1)
        return ref

    monkeypatch.setattr(Blobs, "put_file", interrupted)
    made = service.register(home, actor, name="m", folder=folder, kind="base")
    monkeypatch.undo()
    assert after(home, actor, 50).deleted == 0
    assert paper_service.verify_files(home, actor, ref=made.ref).holds
    assert (service.materialize(home, actor, ref=made.ref) / "own.txt").read_text() == "stored long ago"


def test_every_slice_that_stores_blobs_tells_which_it_names() -> None:
    root = Path(penstock.__file__).parent
    storing: dict[str, Any] = {}
    for path in root.rglob("*.py"):
        if re.search(r"\bput_(file|bytes)\(", path.read_text("utf-8")) and path.parent != root / "core":
            storing[path.relative_to(root).parts[0]] = path
    telling = {names.__module__.split(".")[1] for names in NAMES}
    # The MLflow front stores an upload as an artifact of tracking.
    assert set(storing) - {"mlflow"} == telling


def test_what_any_slice_keeps_stays(home: Home, actor: Actor, tmp_path: Path) -> None:
    def put(text: str) -> BlobRef:
        return home.blobs.put_bytes(text.encode())

    logged, weights, uploaded = put("logged"), put("weights"), put("uploaded")
    tracking.put_artifact(home, actor, root="run:1", path="a.txt", source=logged)
    artifact = RunArtifact(
        path="child.log",
        kind="log",
        step=None,
        size=weights.size,
        sha256=weights.sha256,
        created_at=clock.now(),
    )
    file = batches.begin_file(actor, filename="in.jsonl", purpose="batch")
    with home.begin() as uow:
        training.put_artifacts(uow.conn, "run_1", [artifact])
        batches.keep_file(uow, actor, batches.sized(file, uploaded.size, uploaded.sha256))
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "good"}\nnot json\n')
    datasets.ingest(home, actor, name="d", source=rows, on_bad_rows="quarantine")
    service.register(home, actor, name="m", folder=base_folder(tmp_path / "m"), kind="base")
    kept = stored(home)
    assert kept == 3 + 1 + 2, "those put here, the rows left out, and the model's"
    lost = put("lost").sha256
    assert after(home, actor, 25).set_aside == 1
    assert after(home, actor, 50).deleted == 1
    assert (stored(home), home.blobs.exists(lost)) == (kept, False)


def test_the_command_tells_what_it_did(home: Home, actor: Actor) -> None:
    home.blobs.put_bytes(b"x")
    shown = CliRunner().invoke(app, ["clean", "--dry-run", "--home", str(home.path)])
    assert shown.exit_code == 0, shown.output
    assert "Looked at 1 stored files." in shown.output
    assert "Would have set aside 0" in shown.output
