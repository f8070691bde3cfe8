"""From sleep to answers and back, through a real gateway and a reconciler that works in the background."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.core.home import Home
from penstock.registry import service as registry
from penstock.serving import operating, service
from penstock.serving.model import Autoscale
from penstock.serving.reconciler import Reconciler
from tests.conftest import owner_of
from tests.fakes.engine import FakeEngine
from tests.gateway.conftest import Running
from tests.gateway.waiting.test_waking import Callers


@pytest.fixture
def gateway(sqlite_home: Home) -> Iterator[Running]:
    running = Running(sqlite_home, owner_of(sqlite_home))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def working(sqlite_home: Home, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reconciler]:
    """A reconciler that works in a thread, measuring often."""
    monkeypatch.setattr("penstock.serving.runner._NOTICE_SECONDS", 0.4)
    made, stop = Reconciler(sqlite_home, lambda name: engine), threading.Event()
    monkeypatch.setattr("penstock.serving.reconciler.FULL_LOOK_SECONDS", 0.1)
    monkeypatch.setattr("penstock.serving.fleet.ASKED_SECONDS", 1.5)
    thread = threading.Thread(target=made.run, args=(stop,))
    thread.start()
    yield made
    stop.set()
    thread.join()


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within a minute"
        time.sleep(0.02)


def test_the_first_callers_wait_for_the_cold_start_and_nobody_is_refused(
    sqlite_home: Home,
    gateway: Running,
    working: Reconciler,
    engine: FakeEngine,
    tmp_path: Path,
) -> None:
    home, actor = sqlite_home, owner_of(sqlite_home)
    engine.delay = 0.5
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "m.gguf").write_bytes(b"GGUF\3\0\0\0")
    ref = registry.register(home, actor, name="triage", folder=tmp_path / "model", kind="gguf").ref
    with home.begin() as uow:
        service.deploy(uow, actor, name="triage", model=ref)
        operating.scale(uow, actor, name="triage", autoscale=Autoscale(min=0, max=2, idle=1.0))

    def state() -> str:
        with home.read() as uow:
            return service.status(uow, actor, name="triage").state

    eventually(lambda: state() == "asleep")
    assert engine.started == []
    for wave in (1, 2):
        callers = Callers(gateway, 20)
        assert callers.join() == [200] * 20, callers.bodies
        assert len(engine.started) == wave, "one start serves them all"
        eventually(lambda: state() == "asleep" and engine.alive() == [])
