"""kill -9 in the middle of a batch: finished lines are not called again."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from tests.fakes import openai as fake
from tests.fakes.server import Received, Step
from tests.gateway.batches.conftest import Recorder, request_line, results, soon, submit
from tests.gateway.conftest import Running

from penstock.core.home import Home
from penstock.core.jobs import Worker, runner
from penstock.gateway import jobs as gateway_jobs

ROOT = Path(__file__).parents[3]
CHILD = """
import sys
from penstock.core.home import Home
from penstock.core.jobs import Worker, runner
from penstock.gateway import jobs
from tests.fakes.server import Received, Step
from tests.gateway.batches.conftest import Recorder
runner.LEASE_SECONDS = 2.0
with Home.open(sys.argv[1]) as home:
    Worker(home, jobs.batch_handlers(lambda _: Recorder())).tick()
"""


class Held:
    """A provider that answers so many calls and keeps the others waiting, so that no batch ends too early."""

    def __init__(self, upstream: fake.MockUpstream, allowed: int) -> None:
        self.upstream, self.allowed = upstream, allowed
        self._answered, self._numbers = upstream.script, itertools.count(1)
        upstream.script = self._script  # type: ignore[assignment]

    def _script(self, request: Received) -> Iterator[Step]:
        number = next(self._numbers)
        while number > self.allowed:
            yield 0.02
        yield from self._answered(request)


@pytest.fixture
def held(gateway: Running, openai_upstream: fake.MockUpstream) -> Held:
    """The provider of the gateway's routes, which answers twenty calls."""
    return Held(openai_upstream, 20)


def start(home: Home) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    return subprocess.Popen([sys.executable, "-c", CHILD, str(home.path)], env=environment)


def test_a_killed_batch_goes_on_where_it_was(
    gateway: Running, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LEASE_SECONDS", 2.0)
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key) as client:
        lines = [request_line(f"r{number}") for number in range(60)]
        for number, line in enumerate(lines):
            line["body"]["user"] = f"r{number}"
        made = submit(client, *lines)
        child = start(gateway.home)
        soon(lambda: client.batches.retrieve(made.id).request_counts.completed >= 8)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        finished = client.batches.retrieve(made.id).request_counts.completed
        assert 8 <= finished <= 20
        held.allowed = 1000
        worker = Worker(gateway.home, gateway_jobs.batch_handlers(lambda _: Recorder()))
        soon(worker.tick)  # once the dead worker's lease has run out
        done = client.batches.retrieve(made.id)
        assert (done.status, done.request_counts.completed) == ("completed", 60)
        assert list(results(client, done.output_file_id)) == [f"r{number}" for number in range(60)]
    called = [json.loads(request.body)["user"] for request in held.upstream.requests]
    repeated = len(called) - len(set(called))
    assert set(called) == {f"r{number}" for number in range(60)}
    assert repeated <= 4  # batch_concurrency: what was in flight when it was killed
    assert not list((gateway.home.path / "cache" / "batches").iterdir())


def test_a_stopped_process_hands_the_batch_on(gateway: Running, held: Held) -> None:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key) as client:
        made = submit(client, *(request_line(f"r{number}") for number in range(40)))
        handlers, stop = gateway_jobs.batch_handlers(lambda _: Recorder()), threading.Event()
        thread = threading.Thread(target=Worker(gateway.home, handlers).run, args=(stop, 0.05))
        thread.start()
        soon(lambda: client.batches.retrieve(made.id).request_counts.completed >= 4)
        stop.set()
        while thread.is_alive():  # it takes no more calls, and those in flight end
            assert held.allowed < 40, "it did not hear that it shall stop"
            held.allowed += 1
            thread.join(0.5)
        held.allowed = 1000
        assert client.batches.retrieve(made.id).status == "in_progress"
        assert Worker(gateway.home, handlers).tick()  # at once: nobody holds it
        assert client.batches.retrieve(made.id).status == "completed"
    assert len(held.upstream.requests) == 40  # none twice
