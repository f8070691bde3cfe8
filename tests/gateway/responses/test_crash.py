"""kill -9 right after the answer: what was answered as stored is there."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.gateway.responses.conftest import Clients, Gateway

from penstock.core.home import Home

ROOT = Path(__file__).parents[3]
CHILD = """
import sys, time
from penstock.core.home import Home
from tests.gateway.responses.conftest import Clients, Gateway
with Home.open(sys.argv[1]) as home:
    app = Gateway(home)
    send_id = lambda event: print(event.response.id, flush=True)

    async def work(client):
        async for event in await client.responses.create(model="m", input="Hello", stream=True):
            if event.type == "response.completed":
                send_id(event)
                time.sleep(60)  # blocks the loop: nothing runs after the event went out

    Clients(app).run(work)
"""


@pytest.mark.parametrize("step", [64, 100_000])
def test_an_answer_survives_the_process(sqlite_home: Home, step: int) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    code = CHILD.replace("app = Gateway(home)", f"app = Gateway(home); app.step = {step}")
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(sqlite_home.path)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        name = child.stdout.readline().strip()
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
    assert name.startswith("resp_")
    clients = Clients(Gateway(sqlite_home))
    assert clients.get(name).output_text == "item 1"
    assert clients.create(previous_response_id=name).output_text == "item 3"
