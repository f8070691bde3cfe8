"""The example programs, run as they stand against a real server; what they logged is there afterwards."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from shutil import which

import pytest

from penstock.sdk.client import Client
from tests.docs.pages import environment, serving

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "training"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder: Path = tmp_path_factory.mktemp("examples")
    with serving(folder, environment(folder)) as env:
        yield env


def run(server: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    url, key = server["PENSTOCK_URL"], server["PENSTOCK_API_KEY"]
    more = {"MLFLOW_TRACKING_URI": f"{url}/mlflow", "MLFLOW_TRACKING_TOKEN": key, "OMP_NUM_THREADS": "1"}
    more["KERAS_BACKEND"] = "jax"
    return subprocess.run(
        command,
        env={**os.environ, **server, **more},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def losses(client: Client, run_id: str) -> list[float]:
    points = client.get(f"/runs/{run_id}/metrics/loss")["items"]
    return [point["value"] for point in sorted(points, key=lambda point: point["step"])]


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("program", "needs", "steps"),
    [
        ("pytorch.py", "torch", 60),
        ("mlflow_numpy.py", "mlflow", 40),
        ("jax_grad.py", "jax", 60),
        ("keras_callback.py", "keras", 30),
    ],
)
def test_a_program_in_python_is_tracked(server: dict[str, str], program: str, needs: str, steps: int) -> None:
    if find_spec(needs) is None:
        pytest.skip(f"{needs} is not installed")
    ended = run(server, sys.executable, str(EXAMPLES / program))
    assert ended.returncode == 0, ended.stderr
    client = Client(server["PENSTOCK_URL"], server["PENSTOCK_API_KEY"])
    run_id = ended.stdout.split()[-1]
    found = client.runs.get(run_id)
    assert (found["status"], found["params"]["steps"]) == ("finished", str(steps))
    logged = losses(client, run_id)
    assert len(logged) == steps
    assert logged[-1] < logged[0] / 2


def test_any_command_is_tracked_by_the_shell(server: dict[str, str]) -> None:
    if which("curl") is None:
        pytest.skip("curl is not installed")
    work = "for n in 1 2 3; do echo step $n loss 0.$((9 - n)); done"
    ended = run(server, "sh", str(EXAMPLES / "command.sh"), "shell", "sh", "-c", work)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    client = Client(server["PENSTOCK_URL"], server["PENSTOCK_API_KEY"])
    run_id = ended.stdout.split()[-1]
    assert client.runs.get(run_id)["status"] == "finished"
    assert losses(client, run_id) == [0.8, 0.7, 0.6]
    failed = run(server, "sh", str(EXAMPLES / "command.sh"), "shell again", "sh", "-c", "exit 3")
    assert failed.returncode == 1
    assert client.runs.get(failed.stdout.split()[-1])["status"] == "failed"


def test_a_block_that_raises_is_a_failed_run(server: dict[str, str]) -> None:
    client = Client(server["PENSTOCK_URL"], server["PENSTOCK_API_KEY"])
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
