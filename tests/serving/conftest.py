import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.registry import service as registry
from penstock.serving import service
from penstock.serving.reconciler import Reconciler
from tests.fakes.engine import FakeEngine


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    fake = FakeEngine()
    monkeypatch.setattr(service, "load_engine", lambda name: fake)
    return fake


@pytest.fixture
def model(home: Home, actor: Actor, tmp_path: Path) -> Callable[[int], str]:
    """Register a made-up GGUF model and return its reference; each number is another version."""

    def make(number: int) -> str:
        folder = tmp_path / f"gguf-{number}"
        folder.mkdir(exist_ok=True)
        (folder / "m.gguf").write_bytes(b"GGUF" + bytes([3, 0, 0, 0, number]))
        return registry.register(home, actor, name="triage", folder=folder, kind="gguf").ref

    return make


@pytest.fixture
def reconciler(home: Home, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reconciler]:
    monkeypatch.setattr("penstock.serving.runner._NOTICE_SECONDS", 0.05)
    monkeypatch.setattr("penstock.serving.reconciler.FULL_LOOK_SECONDS", 0.1)
    made = Reconciler(home, lambda name: engine)
    yield made
    made.close()
    made.end_measuring()


@pytest.fixture
def until(reconciler: Reconciler) -> Callable[[Callable[[], bool]], None]:
    """Tick until a condition holds."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, "it did not happen within a minute"
            reconciler.tick()
            time.sleep(0.01)

    return wait
