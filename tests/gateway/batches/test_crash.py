"""kill -9 in the middle of a batch: finished lines are not called again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from tests.fakes import openai as fake
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
from tests.gateway.batches.conftest import Recorder
runner.LEASE_SECONDS = 2.0
with Home.open(sys.argv[1]) as home:
    Worker(home, jobs.batch_handlers(lambda _: Recorder())).tick()
"""


@pytest.fixture
def slow_upstream(gateway: Running, openai_upstream: fake.MockUpstream) -> Iterator[fake.MockUpstream]:
    """The fake takes a moment for each answer."""
    answered = openai_upstream.script

    def slowly(request: object) -> Iterator[object]:
        yield 0.1
        yield from answered(request)  # type: ignore[arg-type, misc]

    openai_upstream.script = slowly  # type: ignore[assignment]
    yield openai_upstream


def start(home: Home) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    return subprocess.Popen([sys.executable, "-c", CHILD, str(home.path)], env=environment)


def test_a_killed_batch_goes_on_where_it_was(
    gateway: Running, slow_upstream: fake.MockUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LEASE_SECONDS", 2.0)
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key) as client:
        lines = [request_line(f"r{number}") for number in range(60)]
        for number, line in enumerate(lines):
            line["body"]["user"] = f"r{number}"
        made = submit(client, *lines)
        child = start(gateway.home)
        soon(lambda: client.batches.retrieve(made.id).request_counts.completed >= 8, seconds=30)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        finished = client.batches.retrieve(made.id).request_counts.completed
        assert 8 <= finished < 60
        worker = Worker(gateway.home, gateway_jobs.batch_handlers(lambda _: Recorder()))
        soon(worker.tick, seconds=30)  # once the dead worker's lease has run out
        done = client.batches.retrieve(made.id)
        assert (done.status, done.request_counts.completed) == ("completed", 60)
        assert list(results(client, done.output_file_id)) == [f"r{number}" for number in range(60)]
    called = [json.loads(request.body)["user"] for request in slow_upstream.requests]
    repeated = len(called) - len(set(called))
    assert set(called) == {f"r{number}" for number in range(60)}
    assert repeated <= 4  # batch_concurrency: what was in flight when it was killed
    assert not list((gateway.home.path / "cache" / "batches").iterdir())


def test_a_stopped_process_hands_the_batch_on(gateway: Running, slow_upstream: fake.MockUpstream) -> None:
    import threading

    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key) as client:
        made = submit(client, *(request_line(f"r{number}") for number in range(40)))
        handlers, stop = gateway_jobs.batch_handlers(lambda _: Recorder()), threading.Event()
        thread = threading.Thread(target=Worker(gateway.home, handlers).run, args=(stop, 0.05))
        thread.start()
        soon(lambda: client.batches.retrieve(made.id).request_counts.completed >= 4, seconds=30)
        began = time.monotonic()
        stop.set()
        thread.join(20)
        assert not thread.is_alive() and time.monotonic() - began < 10
        assert client.batches.retrieve(made.id).status == "in_progress"
        assert Worker(gateway.home, handlers).tick()  # at once: nobody holds it
        assert client.batches.retrieve(made.id).status == "completed"
    assert len(slow_upstream.requests) == 40  # none twice
