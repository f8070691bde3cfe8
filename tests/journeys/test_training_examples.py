"""The example programs, run as they stand against a real server; what they logged is there afterwards."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from penstock.sdk.client import Client
from tests.docs.pages import environment, serving

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "training"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder: Path = tmp_path_factory.mktemp("examples")
    with serving(folder, environment(folder)) as env:
        yield env


@pytest.fixture
def client(server: dict[str, str]) -> Client:
    return Client(server["PENSTOCK_URL"], server["PENSTOCK_API_KEY"])


def run(
    server: dict[str, str], *command: str, cwd: Path | None = None, **more: str
) -> subprocess.CompletedProcess[str]:
    url, key = server["PENSTOCK_URL"], server["PENSTOCK_API_KEY"]
    set_for_all = {
        "MLFLOW_TRACKING_URI": f"{url}/mlflow",
        "MLFLOW_TRACKING_TOKEN": key,
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.run(
        command,
        env={**os.environ, **server, **set_for_all, **more},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
        cwd=cwd,
    )


def losses(client: Client, run_id: str) -> list[float]:
    points = client.get(f"/runs/{run_id}/metrics/loss")["items"]
    return [point["value"] for point in sorted(points, key=lambda point: point["step"])]


def artifacts(client: Client, run_id: str) -> set[str]:
    """Return the names of the files and folders right below a run."""
    listed: Any = client.transport.send("GET", f"/api/v1/runs/{run_id}/artifacts").json()
    return {one["path"] for one in listed}


def tracked(client: Client, ended: "subprocess.CompletedProcess[str]", steps: int) -> dict[str, Any]:
    """Check what every example logs: parameters, a curve that falls, code and environment; returns the run."""
    assert ended.returncode == 0, ended.stderr
    run_id = ended.stdout.split()[-1]
    found = client.runs.get(run_id)
    assert (found["status"], found["params"]["steps"]) == ("finished", str(steps))
    logged = losses(client, run_id)
    assert len(logged) == steps
    assert logged[-1] < logged[0] / 2
    if which("git") is not None:
        assert len(found["tags"]["mlflow.source.git.commit"]) == 40
    return found


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("program", "needs", "steps", "data", "model", "file"),
    [
        ("pytorch.py", ("torch",), 60, "line", "line-pytorch", "slope.json"),
        ("jax_flax.py", ("jax", "flax", "optax"), 60, "rings", "rings-flax", "layers.txt"),
        ("keras_callback.py", ("keras", "tensorflow"), 30, "sides", "sides-keras", "architecture.json"),
        ("keras_callback.py", ("keras", "jax"), 30, "sides", "sides-keras", "architecture.json"),
        ("tensorflow_loop.py", ("tensorflow",), 60, "line", "line-tensorflow", "slope.json"),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else None,
)
def test_a_program_in_python_is_tracked(
    server: dict[str, str],
    client: Client,
    program: str,
    needs: tuple[str, ...],
    steps: int,
    data: str,
    model: str,
    file: str,
) -> None:
    for library in needs:
        if find_spec(library) is None:
            pytest.skip(f"{library} is not installed")
    ended = run(server, sys.executable, str(EXAMPLES / program), KERAS_BACKEND=needs[-1])
    found = tracked(client, ended, steps)
    assert artifacts(client, found["id"]) == {file, "model", "environment.json"}
    (read,) = found["datasets"]
    assert (read["name"], read["source_type"]) == (data, "penstock")
    assert read["source"].startswith(f"{data}@")
    assert found["tags"]["mlflow.source.name"] == str(EXAMPLES / program)
    assert found["tags"]["penstock.entry_point"] == f"python {program}"
    assert found["tags"]["penstock.python"].startswith(f"{sys.version_info.major}.")
    registered = ended.stdout.split()[-2]
    name, _, number = registered.partition("@")
    assert name == model
    version = client.models.version(name, int(number))
    assert version["files"]
    parents = {(edge["kind"], edge["ref"]) for edge in version["lineage"]}
    assert ("run", found["id"]) in parents
    graph = client.models.lineage(name, int(number), direction="up")
    assert ("dataset_version", read["source"]) in {(node["kind"], node["ref"]) for node in graph["nodes"]}


@pytest.mark.heavy
def test_a_program_is_tracked_through_mlflows_client(server: dict[str, str], client: Client) -> None:
    if find_spec("mlflow") is None:
        pytest.skip("mlflow is not installed")
    found = tracked(client, run(server, sys.executable, str(EXAMPLES / "mlflow_numpy.py")), 40)
    assert "weights.txt" in artifacts(client, found["id"])


def test_a_command_that_knows_nothing_of_penstock_is_tracked(server: dict[str, str], client: Client) -> None:
    if which("awk") is None:
        pytest.skip("awk is not installed")
    ended = run(server, "sh", str(EXAMPLES / "any_command.sh"), cwd=EXAMPLES)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.splitlines()[0].startswith("step=0 loss=")
    told = ended.stderr.split("penstock: run ")[1].split(",")
    found = client.runs.get(told[0].strip())
    logged = losses(client, found["id"])
    assert (len(logged), logged[-1] < logged[0] / 100) == (40, True)
    assert found["params"] == {"rate": "0.1", "steps": "40"}
    assert artifacts(client, found["id"]) == {"output.log", "points.txt", "model", "environment.json"}
    assert found["tags"]["exit_code"] == "0"
    assert found["tags"]["mlflow.note.content"] == "Does awk find the slope?"
    assert (found["datasets"][0]["name"], found["datasets"][0]["source_type"]) == ("points.txt", "local")
    assert told[1].strip() == "model line-awk@1"
    assert [one["path"] for one in client.models.version("line-awk", 1)["files"]] == ["weights.txt"]


def test_what_a_command_ends_with_is_what_its_run_tells(server: dict[str, str], client: Client) -> None:
    """Its exit code passes through; JSON lines are metrics; a signal is a killed run."""
    lines = 'echo \'{"step": 3, "loss": 0.5, "note": "x"}\'; echo \'{"broken\' >&2; exit 7'
    penstock = (sys.executable, "-m", "penstock", "runs", "exec", "--metrics", "json", "--")
    ended = run(server, *penstock, "sh", "-c", lines)
    assert (ended.returncode, '{"broken' in ended.stderr) == (7, True)
    found = client.runs.get(ended.stderr.split("penstock: run ")[1].split()[0])
    assert (found["status"], found["tags"]["exit_code"]) == ("failed", "7")
    loss = found["metrics"]["loss"]
    assert (loss["value"], loss["step"]) == (0.5, 3)
    killed = run(server, *penstock, "sh", "-c", "kill -TERM $$")
    assert killed.returncode == 128 + 15
    assert client.runs.get(killed.stderr.split("penstock: run ")[1].split()[0])["status"] == "killed"
    missing = run(server, *penstock, "no-such-program")
    assert (missing.returncode, "cannot be started" in missing.stderr) == (1, True)


def test_any_command_is_tracked_by_the_shell(server: dict[str, str], client: Client) -> None:
    if which("curl") is None:
        pytest.skip("curl is not installed")
    work = "for n in 1 2 3; do echo step $n loss 0.$((9 - n)); done"
    ended = run(server, "sh", str(EXAMPLES / "command.sh"), "shell", "sh", "-c", work)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    run_id = ended.stdout.split()[-1]
    assert client.runs.get(run_id)["status"] == "finished"
    assert losses(client, run_id) == [0.8, 0.7, 0.6]
    failed = run(server, "sh", str(EXAMPLES / "command.sh"), "shell again", "sh", "-c", "exit 3")
    assert failed.returncode == 1
    assert client.runs.get(failed.stdout.split()[-1])["status"] == "failed"


def test_a_block_that_raises_is_a_failed_run(client: Client) -> None:
    with pytest.raises(ZeroDivisionError), client.runs.start("it's broken", name="x") as tracked:
        tracked.log(1, loss=2.0)
        raise ZeroDivisionError
    found = client.runs.get(tracked.id)
    assert (found["status"], found["metrics"]["loss"]["value"]) == ("failed", 2.0)
    again = client.runs.start("it's broken", tags={"team": "mail"})
    again.end("killed")
    shown = list(client.runs.list(experiment=found["experiment_id"]))
    assert {one["id"] for one in shown} == {tracked.id, again.id}
    assert client.runs.get(again.id)["tags"]["team"] == "mail"


def test_the_environment_of_a_run_is_an_artifact(client: Client) -> None:
    with client.runs.start("surroundings") as tracked:
        pass
    place = f"/mlflow/api/2.0/mlflow-artifacts/artifacts/{tracked.id}/environment.json"
    told = json.loads(client.transport.send("GET", place).body)
    assert told["packages"]["pytest"]
    assert told["python"] == ".".join(map(str, sys.version_info[:3]))
    assert told["memory_bytes"] > 1 << 20
