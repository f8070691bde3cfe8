"""kill -9 of the whole server at random moments of a training run, one that waits, and an optimisation.

The seed is KILL_SEED, or 6.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from penstock.core.auth import service as auth
from penstock.core.home import Home
from penstock.core.scope import Role
from penstock.datasets import service as datasets
from penstock.registry import paper_service
from penstock.registry import service as registry
from penstock.sdk.client import Client
from tests.architecture.code import ROOT
from tests.conftest import owner_of
from tests.fakes.tiny_model import save_model

pytestmark = [pytest.mark.heavy, pytest.mark.slow, pytest.mark.timeout(900)]
pytest.importorskip("torch")

MARK = "KILLED_SERVER_TEST"
"""Environment variable by which every process of a server is known, whoever its parent is by now."""
ROWS = [{"text": f"give me {w} {n}", "label": f"word: {w}"} for n in range(12) for w in ("tea", "milk")]
STEPS = 18
RECIPE: dict[str, Any] = {
    "method": "sft",
    "base": "base@1",
    "dataset": "tickets@1",
    "columns": {"prompt": "text", "completion": "label"},
    "epochs": STEPS // 3,
    "batch_size": 8,
    "learning_rate": 0.01,
    "log_steps": 1,
    "checkpoint_steps": 7,
    "adapter": {"rank": 4},
}
VARIANTS = [
    {"method": "prune", "options": {"structure": "neurons", "amount": 0.2}},
]
ENDED = ("succeeded", "failed", "cancelled")
WAYS = ("supervisor", "background", "everything")
"""Who is killed: the supervisor, it and the background process together, or every process at once."""


def processes(mark: str) -> list[int]:
    """Return the processes that carry the mark."""
    found = []
    wanted = f"{MARK}={mark}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted in (entry / "environ").read_bytes().split(b"\0") and not dead(entry):
                found.append(int(entry.name))
    return found


def dead(entry: Path) -> bool:
    """Whether a process is a zombie."""
    return (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def until(holds: Callable[[], Any], what: Callable[[], str], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, what()
        time.sleep(0.05)


class Server:
    """`penstock up` on a home, which can be killed."""

    def __init__(self, home: Path, log: Path) -> None:
        self.mark = uuid.uuid4().hex
        self.log = log
        self._home = home
        with log.open("a") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "penstock", "up", "--home", str(home), "--port", "0"],
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT / "src"), MARK: self.mark},
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        told = re.search(r"http://[\d.]+:\d+", line)
        assert told, f"{line}\n{log.read_text()}"
        self.url = told.group()

    def kill(self, way: str) -> None:
        """Kill what is to be killed, and wait until nothing of the server is left."""
        everything = processes(self.mark)
        chosen = {self.process.pid}
        if way == "background":
            chosen |= {pid for pid in everything if "penstock.cli.boot background" in command(pid)}
        elif way == "everything":
            chosen |= set(everything)
        for pid in chosen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.close()
        until(
            lambda: not processes(self.mark),
            lambda: f"left over ({way}): {[command(pid) for pid in processes(self.mark)]}",
            60,
        )

    def stop(self) -> None:
        """Stop the server in order, and whatever is left of it by force."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)
        self.close()
        for pid in processes(self.mark):
            os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """Close what it talks through."""
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A home with a small model, a dataset, and a key in the file `key`."""
    home_at = tmp_path / "home"
    with Home.open(home_at) as home:
        actor = owner_of(home)
        base = save_model(tmp_path / "base", architecture="llama")
        registry.register(home, actor, name="base", folder=base, kind="base")
        datasets.ingest(home, actor, name="tickets", source=ROWS)
        with home.begin() as uow:
            _, secret = auth.create_key(uow, actor, name="t", role=Role.ADMIN)
    (tmp_path / "key").write_text(secret)
    return home_at


def states(client: Client, runs: list[str], optimisation: str) -> list[str]:
    return [
        *(client.training.get(run)["state"] for run in runs),
        client.optimisations.get(optimisation)["state"],
    ]


def moment(client: Client, runs: list[str], optimisation: str, dice: random.Random) -> str:
    """Wait for a random moment of the work, told by what has happened and not by the clock; returns which."""
    step = dice.randint(1, STEPS)

    def told(place: int) -> int:
        return int(client.training.get(runs[place])["progress"].get("step") or 0)

    moments: dict[str, Callable[[], bool]] = {
        "at once": lambda: True,
        "when the first run has begun": lambda: states(client, runs, optimisation)[0] != "queued",
        f"at step {step} of the first run": lambda: told(0) >= step,
        "at the last step of the first run": lambda: told(0) >= STEPS,
        "when the optimisation has begun": lambda: states(client, runs, optimisation)[2] != "queued",
        f"at step {step} of the second run": lambda: told(1) >= step,
    }
    name = dice.choice(sorted(moments))
    until(moments[name], lambda: f"{name}: {states(client, runs, optimisation)}", 240)
    pause = dice.choice((0.0, dice.uniform(0.0, 3.0)))
    time.sleep(pause)
    return f"{pause:.1f} s after {name}"


def test_a_killed_server_goes_on_where_it_was(place: Path, tmp_path: Path) -> None:
    dice = random.Random(int(os.environ.get("KILL_SEED", "6")))
    secret, log = (tmp_path / "key").read_text(), tmp_path / "up.log"
    server = Server(place, log)
    try:
        client = Client(server.url, secret)
        made = client.optimisations.start("base@1", VARIANTS, trial={"tokens": 8, "repeats": 1})["id"]
        runs = [client.training.start(recipe={**RECIPE, "name": name})["id"] for name in ("one", "two")]
        way = dice.choice(WAYS)
        story = f"{way} {moment(client, runs, made, dice)}: {states(client, runs, made)}"
        print(story)
        server.kill(way)
        server = Server(place, log)
        client = Client(server.url, secret)
        until(
            lambda: all(state in ENDED for state in states(client, runs, made)),
            lambda: f"{story}\n{states(client, runs, made)}\n{json.dumps(list(client.jobs.list()))}",
            240,
        )
        whole(client, runs, made, story)
    finally:
        server.stop()
    assert counts(place) == {"base": 1, "one": 1, "two": 1, "base-pruned": len(VARIANTS)}
    tidy(place)


def whole(client: Client, runs: list[str], optimisation: str, story: str) -> None:
    """Check what the server tells of the work: all of it succeeded, each step once, each file readable."""
    for run_id in runs:
        run = client.training.get(run_id)
        assert (run["state"], run["error"]) == ("succeeded", None), story
        steps = [point["step"] for point in client.training.metrics(run_id)["items"]]
        assert steps == list(range(1, STEPS + 1)), story
        for artifact in client.training.artifacts(run_id):
            assert len(artifact["sha256"]) == 64, artifact
    done = client.optimisations.get(optimisation)
    assert (done["state"], [one["error"] for one in done["variants"]]) == ("succeeded", [None]), story
    made = [one["version"] for one in done["variants"]]
    assert len(set(made)) == len(made) == len(VARIANTS)


def counts(place: Path) -> dict[str, int]:
    """Return how many versions each model has; checks that every file of them is what its manifest says."""
    with Home.open(place) as home:
        actor = owner_of(home)
        with home.read() as uow:
            models = {
                model.name: registry.list_versions(uow, actor, name=model.name)
                for model in registry.list_models(uow, actor)
            }
        for versions in models.values():
            for version in versions:
                assert paper_service.verify_files(home, actor, ref=version.ref).holds, version.ref
    return {name: len(versions) for name, versions in models.items()}


def tidy(place: Path) -> None:
    """Check that no half-written file and no half-done work lies about."""
    left = [path for path in (place / "work").rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert not left
    kept = {path.name for path in (place / "training").glob("run_*/*")}
    assert not kept & {"checkpoints", "model", "cache", "train.jsonl"}, kept
