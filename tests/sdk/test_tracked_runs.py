"""Runs of somebody's own trainer: what they send, and that nothing of it ever breaks the trainer."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.sdk import code, environment, run_files, run_outbox, run_spool
from penstock.sdk.client import Client
from penstock.sdk.run_acts import KEY
from penstock.sdk.run_spool import folder_for
from penstock.sdk.tracked_run import TrackedRun
from tests.sdk.fake_server import FakeServer, serving

ARTIFACTS = "/mlflow/api/2.0/mlflow-artifacts/artifacts/r1"
MLFLOW = "/mlflow/api/2.0/mlflow"


def scripted(server: FakeServer) -> FakeServer:
    server.answer("GET /api/v1/experiments", {"items": [{"id": "e1", "name": "Default"}], "next": None})
    server.answer("GET /api/v1/runs", {"items": [], "next": None})
    server.answer("POST /api/v1/runs", {"id": "r1", "name": "fast-otter"}, status=201)
    server.answer("PATCH /api/v1/runs/r1", {})
    for path in (
        "environment.json",
        "model/weights.bin",
        "model/deep/config.json",
        "notes.txt",
        "weights.bin",
    ):
        server.answer(f"PUT {ARTIFACTS}/{path}", {})
    server.answer(f"POST {MLFLOW}/runs/log-inputs", {})
    return server


@pytest.fixture
def answering(server: FakeServer) -> FakeServer:
    return scripted(server)


def bodies(server: FakeServer, call: str) -> list[Any]:
    return [
        asked.json() for asked in server.asked if f"{asked.method} {asked.path.partition('?')[0]}" == call
    ]


def merged(server: FakeServer) -> dict[str, Any]:
    """Return everything that was said of the run."""
    found: dict[str, Any] = {"metrics": []}
    for change in bodies(server, "PATCH /api/v1/runs/r1"):
        found["metrics"] += [(m["key"], m["step"], m["value"]) for m in change.get("metrics", [])]
        for part in ("params", "tags"):
            found.setdefault(part, {}).update(change.get(part, {}))
        found["status"] = change.get("status", found.get("status"))
    return found


def begun(url: str, **options: Any) -> TrackedRun:
    return Client(url, "psk_1").runs.start(**{"capture": False, **options})


def away(free_port: int) -> str:
    return f"http://127.0.0.1:{free_port}"


def waiting(url: str) -> list[Path]:
    folder = folder_for(Client(url, "psk_1").config)
    assert folder is not None
    return sorted(folder.glob("*.run"))


def test_everything_that_is_logged_arrives(answering: FakeServer, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    (folder / "deep").mkdir(parents=True)
    (folder / "weights.bin").write_bytes(b"w" * 100_000)
    (folder / "deep" / "config.json").write_text("{}")
    (folder / "outside").symlink_to("/etc/hostname")
    answering.answer(f"POST {MLFLOW}/registered-models/create", {}, status=200)
    answering.answer(f"POST {MLFLOW}/model-versions/create", {"model_version": {"version": "3"}})
    answering.answer("GET /api/v1/datasets/tickets/versions/2", {"hash": "abc", "ref": "tickets@2"})
    with begun(answering.url, params={"rate": 0.1}) as run:
        assert (run.id, run.name) == ("r1", "fast-otter")
        for step in range(2500):
            run.log(step, loss=1.0 / (step + 1))
        run.tags(team="mail").note("tried again").dataset("tickets@2").text("all well", "notes.txt")
        assert run.model(folder, "triage") == "triage@3"
    found = merged(answering)
    assert [step for _, step, _ in found["metrics"]] == list(range(2500))
    assert (found["params"], found["status"]) == ({"rate": "0.1"}, "finished")
    assert found["tags"] == {"team": "mail", "mlflow.note.content": "tried again"}
    stored = {
        asked.path.removeprefix(ARTIFACTS): asked.body for asked in answering.asked if asked.method == "PUT"
    }
    assert stored == {
        "/model/weights.bin": b"w" * 100_000,
        "/model/deep/config.json": b"{}",
        "/notes.txt": b"all well",
    }
    (inputs,) = bodies(answering, f"POST {MLFLOW}/runs/log-inputs")
    told = {"name": "tickets", "digest": "abc", "source_type": "penstock", "source": "tickets@2"}
    assert inputs["datasets"] == [
        {"dataset": told, "tags": [{"key": "mlflow.data.context", "value": "training"}]}
    ]
    (made,) = bodies(answering, f"POST {MLFLOW}/model-versions/create")
    assert made == {"name": "triage", "source": "runs:/r1/model", "run_id": "r1"}
    assert run.dropped == 0


def test_a_file_that_was_read_is_told_by_its_hash(answering: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n")
    with begun(answering.url) as run:
        run.dataset(tmp_path / "rows.csv", role="test")
    (inputs,) = bodies(answering, f"POST {MLFLOW}/runs/log-inputs")
    dataset = inputs["datasets"][0]["dataset"]
    assert (dataset["name"], dataset["source_type"], len(dataset["digest"])) == ("rows.csv", "local", 64)


def test_code_and_environment_come_by_themselves(
    answering: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py"])
    with begun(answering.url, capture=True):
        pass
    (made,) = bodies(answering, "POST /api/v1/runs")
    assert made["tags"][code.ENTRY].startswith("python ")
    assert merged(answering)["tags"][environment.PYTHON] == ".".join(map(str, sys.version_info[:3]))
    (stored,) = (asked for asked in answering.asked if asked.path == f"{ARTIFACTS}/environment.json")
    told = stored.json()
    assert told["packages"]["pytest"]
    assert told["cores"] == os.cpu_count()


def test_what_was_logged_while_the_server_was_away_is_sent_by_the_next_program(
    free_port: int, tmp_path: Path
) -> None:
    url = away(free_port)
    file = tmp_path / "weights.bin"
    file.write_bytes(b"weights")
    with begun(url, name="lonely", params={"rate": 1}) as run:
        assert run.id == ""
        for step in range(3):
            run.log(step, loss=float(step))
        run.artifact(file)
        file.unlink()
    (left,) = waiting(url)
    with serving(free_port, scripted) as server:
        with begun(url):
            pass
        # Two runs: that of the second program, and the first one's, found by its key before it is made.
        names = [made["name"] for made in bodies(server, "POST /api/v1/runs")]
        assert names == ["", "lonely"]
        found = merged(server)
        assert [step for _, step, _ in found["metrics"]] == [0, 1, 2]
        assert (found["params"], found["status"]) == ({"rate": "1"}, "finished")
        assert [asked.body for asked in server.asked if asked.method == "PUT"] == [b"weights"]
        assert not left.exists()
        assert list(left.parent.iterdir()) == []


def test_a_run_goes_on_when_the_server_comes_back(free_port: int) -> None:
    url = away(free_port)
    run = begun(url)
    run.log(1, loss=1.0)
    assert run.flush(0.2) is False
    with serving(free_port, scripted) as server:
        run.log(2, loss=2.0)
        assert run.flush(60)
        assert run.id == "r1"
        run.end()
        assert [step for _, step, _ in merged(server)["metrics"]] == [1, 2]
        assert waiting(url) == []


def test_a_program_that_was_killed_leaves_its_run_to_the_next_one(free_port: int, spool: Path) -> None:
    url = away(free_port)
    program = (
        "import sys, time\nfrom penstock.sdk.client import Client\n"
        "run = Client(sys.argv[1], 'psk_1').runs.start(capture=False)\n"
        "run.log(1, loss=0.5)\nprint('logged', flush=True)\ntime.sleep(600)\n"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PENSTOCK_SPOOL": str(spool),
    }
    with subprocess.Popen(
        [sys.executable, "-c", program, url], stdout=subprocess.PIPE, env=environment
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        deadline = time.monotonic() + 60
        while not (waiting(url) and b"loss" in waiting(url)[0].read_bytes()):
            assert time.monotonic() < deadline, "nothing was put on disk"
            time.sleep(0.02)
        (left,) = waiting(url)
        assert run_spool.RunSpool(left.parent, left.stem).hold(make=False) is False, (
            "it belongs to a living process"
        )
        child.send_signal(signal.SIGKILL)
    with left.open("ab") as torn:
        torn.write(b'{"do": "change", "metr')
    with serving(free_port, scripted) as server:
        with begun(url):
            pass
        assert merged(server)["metrics"] == [("loss", 1, 0.5)]
    assert waiting(url) == []


def test_a_run_whose_creation_was_not_answered_is_not_made_twice(server: FakeServer) -> None:
    server.answer("GET /api/v1/experiments", {"items": [{"id": "e1", "name": "Default"}], "next": None})
    server.answer("GET /api/v1/runs", {"items": [{"id": "r1", "name": "known"}], "next": None})
    server.answer("PATCH /api/v1/runs/r1", {})
    with begun(server.url) as run:
        pass
    assert (run.id, bodies(server, "POST /api/v1/runs")) == ("r1", [])
    asked = next(one.path for one in server.asked if one.path.startswith("/api/v1/runs?"))
    assert KEY in asked


Breaks = Callable[[TrackedRun], object]


@pytest.mark.parametrize(
    "breaks",
    [
        lambda run: run.log(loss="no number"),
        lambda run: run.log(**{"a\\b": 1.0}),
        lambda run: run.artifact("/no/such/file"),
        lambda run: run.model("/no/such/folder", "x"),
        lambda run: run.dataset(Path("/no/such/file")),
        lambda run: run.dataset("no-such-dataset@3"),
        lambda run: run.text("x", "refused.txt"),
        lambda run: run.end().log(loss=1.0),
    ],
)
def test_mistakes_are_said_and_never_raised(
    answering: FakeServer, caplog: pytest.LogCaptureFixture, breaks: Breaks
) -> None:
    with begun(answering.url) as run:
        breaks(run)
        run.flush()
    assert [record.levelname for record in caplog.records if record.name == "penstock.sdk"][:1] == ["WARNING"]


@pytest.mark.parametrize("status", [401, 403, 422])
def test_a_server_that_refuses_the_run_stops_nobody(
    server: FakeServer, caplog: pytest.LogCaptureFixture, status: int, tmp_path: Path
) -> None:
    server.answer("GET /api/v1/runs", {"detail": "No."}, status=status)
    (tmp_path / "x").write_text("x")
    with begun(server.url) as run:
        run.log(1, loss=1.0).artifact(tmp_path / "x")
    assert (run.id, run.dropped > 0) == ("", True)
    assert "the run is not tracked: No." in caplog.text
    assert waiting(server.url) == []


def test_what_is_too_large_is_left_out_with_a_warning(
    answering: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(run_files, "LARGEST_FILE", 10)
    monkeypatch.setattr(run_files, "MOST_FILES", 2)
    for number in range(3):
        (tmp_path / f"{number}").write_bytes(b"x" * (20 if number == 0 else 5))
    answering.answer(f"PUT {ARTIFACTS}/all/1", {})
    with begun(answering.url) as run:
        run.artifact(tmp_path, "all")
    assert [asked.path for asked in answering.asked if asked.method == "PUT"] == [f"{ARTIFACTS}/all/1"]
    assert "holds 3 files: the first 2 are logged" in caplog.text
    assert "is not logged: it holds" in caplog.text


def test_memory_is_bounded_and_what_goes_is_counted(free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_SPOOL", "off")
    monkeypatch.setattr(run_outbox, "CAPACITY", 100)
    monkeypatch.setattr(run_outbox, "MOST_SENT", 10)
    monkeypatch.setattr(run_outbox, "AWAY_PATIENCE", 0.2)
    run = begun(away(free_port))
    for step in range(1000):
        run.log(step, loss=1.0)
    assert run.dropped >= 890
    run.end()
    assert run.dropped >= 990


def test_the_run_itself_is_never_what_goes(free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_SPOOL", "off")
    monkeypatch.setattr(run_outbox, "CAPACITY", 100)
    monkeypatch.setattr(run_outbox, "MOST_SENT", 10)
    run = begun(away(free_port), name="patient")
    for step in range(1000):
        run.log(step, loss=1.0)
    with serving(free_port, scripted) as server:
        assert run.flush(60)
        run.end()
        assert [made["name"] for made in bodies(server, "POST /api/v1/runs")] == ["patient"]
        steps = [step for _, step, _ in merged(server)["metrics"]]
    assert steps[-1] == 999
    assert len(steps) + run.dropped == 1000


def test_long_texts_that_wait_are_bounded_as_well(free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_SPOOL", "off")
    monkeypatch.setattr(run_outbox, "AWAY_PATIENCE", 0.2)
    run = begun(away(free_port))
    for number in range(100):
        run.text("x" * 1_000_000, f"{number}.txt")
    assert run.dropped >= 70
    run.end()


def test_one_bad_name_does_not_cost_the_values_beside_it(answering: FakeServer) -> None:
    with begun(answering.url) as run:
        run.log(1, loss=0.5).log(2, **{"line\nbreak": 1.0}).log(3, loss=0.25)
    assert merged(answering)["metrics"] == [("loss", 1, 0.5), ("loss", 3, 0.25)]


@pytest.mark.parametrize("large", [True, False])
def test_a_model_of_which_a_file_is_lost_is_not_registered(
    answering: FakeServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    large: bool,
) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "weights.bin").write_bytes(b"w" * 100)
    (tmp_path / "made" / "refused.json").write_text("{}")
    answering.answer(f"PUT {ARTIFACTS}/model/refused.json", {"detail": "No."}, status=200 if large else 403)
    if large:
        monkeypatch.setattr(run_files, "LARGEST_FILE", 10)
    with begun(answering.url) as run:
        assert run.model(tmp_path / "made", "triage") == ""
    assert bodies(answering, f"POST {MLFLOW}/model-versions/create") == []
    assert "is not registered as triage: not all of it could be stored" in caplog.text


def test_a_broken_answer_is_asked_again(answering: FakeServer, pauses: list[float], tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"w" * 50_000)
    call = f"PUT {ARTIFACTS}/weights.bin"
    answering.answers.pop(call)
    answering.answer(call, {"detail": "busy"}, status=503)
    answering.answer(call, {})
    with begun(answering.url) as run:
        run.artifact(tmp_path / "weights.bin")
    sent = [asked.body for asked in answering.asked if asked.method == "PUT"]
    assert sent == [b"w" * 50_000] * 2
    assert pauses == [0.5]


def test_the_file_of_a_run_holds_only_so_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_spool, "LIMIT", 100)
    spool = run_spool.RunSpool(tmp_path, "k")
    assert spool.hold(make=True)
    assert [spool.add({"do": "text", "text": "x" * 30}) for _ in range(3)] == [True, False, False]
    monkeypatch.setattr(run_spool, "FILES_LIMIT", 10)
    (tmp_path / "large").write_bytes(b"x" * 11)
    assert spool.copy(tmp_path / "large") is None
    spool.remove()
    assert json.dumps([path.name for path in tmp_path.iterdir()]) == '["large"]'


def test_the_server_hears_that_the_program_is_there(
    answering: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_outbox, "BEAT_SECONDS", 0.01)
    answering.answer("POST /api/v1/runs/r1/heartbeat", {})
    beats = "POST /api/v1/runs/r1/heartbeat"
    with begun(answering.url) as run:
        deadline = time.monotonic() + 60
        while len(bodies(answering, beats)) < 3:
            assert time.monotonic() < deadline, "nothing was logged, and nothing was heard"
            time.sleep(0.01)
    assert run.dropped == 0
    assert merged(answering)["status"] == "finished"
    deadline = time.monotonic() + 60
    while any(thread.name == "penstock-run" for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "the ended run is still spoken for"
        time.sleep(0.01)


def test_a_server_that_knows_no_heartbeats_is_told_once(
    answering: FakeServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(run_outbox, "BEAT_SECONDS", 0.0)
    with begun(answering.url) as run:
        for step in range(3):
            run.log(step, loss=1.0)
            assert run.flush(60)
    assert len(bodies(answering, "POST /api/v1/runs/r1/heartbeat")) == 1
    assert (run.dropped, caplog.text) == (0, "")
