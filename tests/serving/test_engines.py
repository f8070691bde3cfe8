"""The contract of engines, on the in-memory twin and on llama.cpp."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.core.errors import Cancelled, ChildFailed, Invalid, PenstockError
from penstock.serving import probe
from penstock.serving.engines.llamacpp import LlamaCppEngine
from penstock.serving.ports import Engine, EngineProcess
from tests.fakes import trained
from tests.fakes.engine import FakeEngine

Start = Callable[..., EngineProcess]
real = [pytest.mark.heavy, pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def made_up(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "m.gguf").write_bytes(b"GGUF\3\0\0\0")
    return folder


@pytest.fixture(params=["fake", pytest.param("llamacpp", marks=real)])
def engine(request: pytest.FixtureRequest) -> Engine:
    return FakeEngine() if request.param == "fake" else LlamaCppEngine()


@pytest.fixture
def start(engine: Engine, tmp_path: Path) -> Iterator[Start]:
    running: list[EngineProcess] = []
    folder = made_up(tmp_path) if isinstance(engine, FakeEngine) else trained.gguf_folder()

    def begin(**more: Any) -> EngineProcess:
        options = engine.check(more.pop("options", {}))
        given = {"name": "tiny@1", "log": tmp_path / "log", "timeout": 60.0, "cancelled": lambda: False}
        process = engine.start(more.pop("folder", folder), options=options, **{**given, **more})
        running.append(process)
        return process

    yield begin
    for process in running:
        process.stop()


def test_a_started_engine_generates_a_token_on_loopback(start: Start) -> None:
    process = start()
    assert process.url.startswith("http://127.0.0.1:")
    assert process.exit_reason() is None
    probe.generate_one(process.url, "tiny@1", 30)
    assert process.busy() is False


def test_two_engines_live_side_by_side(start: Start) -> None:
    first, second = start(), start(name="tiny@2")
    assert first.url != second.url
    first.stop()
    probe.generate_one(second.url, "tiny@2", 30)


def test_a_stopped_engine_is_gone_and_may_be_stopped_again(start: Start) -> None:
    process = start()
    process.stop()
    assert process.exit_reason()
    process.stop()
    with pytest.raises(ChildFailed, match="did not generate a first token"):
        probe.generate_one(process.url, "tiny@1", 5)


def test_options_are_checked(engine: Engine) -> None:
    assert engine.check({})["threads"] == 1
    assert engine.check({"threads": 2})["threads"] == 2
    with pytest.raises(Invalid, match="option"):
        engine.check({"thread": 2})


def test_a_folder_without_a_model_is_refused(start: Start, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(Invalid, match=r"\.gguf"):
        start(folder=tmp_path / "empty")


class TestLlamaCpp:
    pytestmark = real

    @pytest.fixture
    def engine(self) -> Engine:
        return LlamaCppEngine()

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            ({"treads": 1}, "Did you mean 'threads'"),
            ({"threads": 0}, "between 1 and 256"),
            ({"context": "much"}, "Expected `int`"),
            ({"cache": "q4"}, "Invalid enum value 'q4'"),
        ],
    )
    def test_wrong_options_say_what_is_right(self, engine: Engine, options: dict[str, Any], why: str) -> None:
        with pytest.raises(Invalid, match=why):
            engine.check(options)

    def test_a_killed_child_says_so(self, start: Start) -> None:
        process = start()
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        deadline = time.monotonic() + 5
        while process.exit_reason() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert "killed by signal 9" in (process.exit_reason() or "")

    def test_a_damaged_file_names_llama_cpps_reason(self, start: Start, tmp_path: Path) -> None:
        whole = next(trained.gguf_folder().glob("*.gguf")).read_bytes()
        (tmp_path / "cut").mkdir()
        (tmp_path / "cut" / "m.gguf").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ChildFailed, match=r"(?s)could not start.*failed to load model"):
            start(folder=tmp_path / "cut")

    def test_a_busy_port_is_named(self, start: Start) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(ChildFailed, match=f"couldn't bind HTTP server socket.*{port}"):
                start(options={"port": port})

    def test_cancelling_and_running_out_of_time_leave_nothing(self, start: Start) -> None:
        with pytest.raises(Cancelled):
            start(cancelled=lambda: True)
        with pytest.raises(ChildFailed, match="within 0 seconds"):
            start(timeout=0.0)

    def test_busy_while_it_generates(self, start: Start) -> None:
        process = start(options={"context": 256})
        done = threading.Event()

        def ask() -> None:
            while not done.is_set():
                probe.generate_one(process.url, "tiny@1", 30)

        threads = [threading.Thread(target=ask) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            assert any(process.busy() for _ in range(300)), "a generating slot shows"
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert process.busy() is False

    def test_it_ends_with_the_process_that_started_it(self, tmp_path: Path) -> None:
        program = (
            "import sys, time\nfrom pathlib import Path\n"
            "from penstock.serving.engines.llamacpp import LlamaCppEngine\n"
            "engine = LlamaCppEngine()\n"
            "process = engine.start(Path(sys.argv[1]), name='t', options=engine.check({}),"
            " log=Path(sys.argv[2]), timeout=60, cancelled=lambda: False)\n"
            "print(process.pid, flush=True)\ntime.sleep(60)\n"
        )
        command = [sys.executable, "-c", program, str(trained.gguf_folder()), str(tmp_path / "log")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
            assert parent.stdout is not None
            pid = int(parent.stdout.readline())
            assert Path(f"/proc/{pid}").exists()
            parent.kill()
        deadline = time.monotonic() + 5
        while Path(f"/proc/{pid}").exists():
            assert time.monotonic() < deadline, "the engine outlived its parent"
            time.sleep(0.05)


def test_an_engine_that_never_answers_is_not_ready(tmp_path: Path) -> None:
    process = FakeEngine().start(
        made_up(tmp_path), name="x", options={}, log=tmp_path / "log", timeout=1, cancelled=lambda: False
    )
    try:
        process.hold.clear()
        with pytest.raises(PenstockError, match="did not generate a first token"):
            probe.generate_one(process.url, "x", 0.2)
    finally:
        process.hold.set()
        process.stop()
