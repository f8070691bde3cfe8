"""Sending: what happens to spans when the server is away, slow, picky or back, and when the program ends or forks."""

import gc
import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import penstock
from penstock.sdk import otlp, runtime
from penstock.sdk.exporter import Exporter
from penstock.sdk.spool import Spool
from penstock.sdk.transport import Answer
from tests.architecture.code import PACKAGE
from tests.sdk.fake_server import FakeServer, serving


@pytest.fixture
def warnings_of(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    logger = logging.getLogger("penstock.sdk")
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


@pytest.fixture(autouse=True)
def off() -> Iterator[None]:
    yield
    runtime.configure(tracing=False)


class Stuck:
    """A transport that holds every call until released."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.bodies: list[bytes] = []

    def send(self, method: str, path: str, *, body: Any = None, **more: Any) -> Answer:
        self.released.wait(10)
        self.bodies.append(body)
        return Answer(200, {}, b"{}")


def _names(bodies: list[bytes]) -> list[str]:
    return [
        span["name"]
        for body in bodies
        for resource in json.loads(body)["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def _make(sink: Any, names: range) -> None:
    for number in names:
        penstock.Span(name=f"s{number}", sink=sink).end()


def test_a_full_queue_drops_the_oldest_with_one_warning(warnings_of: pytest.LogCaptureFixture) -> None:
    transport = Stuck()
    exporter = Exporter(transport, capacity=20)
    _make(exporter, range(50))
    assert exporter.dropped == 30
    transport.released.set()
    assert exporter.flush()
    exporter.close()
    assert _names(transport.bodies) == [f"s{number}" for number in range(30, 50)]
    warned = {id(record): record.levelname for record in warnings_of.records}
    assert list(warned.values()) == ["WARNING"]


def test_the_queue_is_bounded_in_bytes_too() -> None:
    transport = Stuck()
    exporter = Exporter(transport, capacity_bytes=1_000_000)
    for number in range(50):
        penstock.Span(name=f"s{number}", sink=exporter).set_input("x" * 90_000).end()
    assert 1 < 50 - exporter.dropped <= 12
    transport.released.set()
    exporter.close()


def test_large_spans_travel_in_small_batches() -> None:
    transport = Stuck()
    transport.released.set()
    exporter = Exporter(transport)
    for number in range(20):
        penstock.Span(name=f"s{number}", sink=exporter).set_input("x" * 900_000).end()
    exporter.close()
    assert _names(transport.bodies) == [f"s{number}" for number in range(20)]
    assert max(len(body) for body in transport.bodies) < 3_500_000


def test_a_batch_that_is_too_large_is_halved(server: FakeServer) -> None:
    server.answer("POST /v1/traces", {"detail": "too large"}, status=413)
    server.answer("POST /v1/traces", {})
    runtime.configure(server.url, "psk_1")
    for number in range(4):
        penstock.span(f"s{number}").end()
    assert penstock.flush()
    assert len(server.asked) == 3
    assert [span["name"] for span in server.spans()[4:]] == ["s0", "s1", "s2", "s3"]
    assert penstock.dropped() == 0


def test_retry_after_is_waited_for_even_by_a_flush(server: FakeServer, spool: Path) -> None:
    server.answer("POST /v1/traces", {"detail": "slow down"}, status=429, headers={"retry-after": "1"})
    server.answer("POST /v1/traces", {})
    runtime.configure(server.url, "psk_1")
    started = time.monotonic()
    penstock.span("s").end()
    assert penstock.flush(timeout=0.5) is False
    assert len(server.asked) == 1
    assert penstock.flush()
    assert time.monotonic() - started >= 1
    assert len(server.asked) == 2
    assert list(spool.glob("*/*.spans")) == []


def test_spans_the_server_left_out_are_counted(
    server: FakeServer, warnings_of: pytest.LogCaptureFixture
) -> None:
    partial = {"partialSuccess": {"rejectedSpans": "2", "errorMessage": "no trace id"}}
    server.answer("POST /v1/traces", partial)
    runtime.configure(server.url, "psk_1")
    for _ in range(3):
        penstock.span("s").end()
    assert penstock.flush()
    assert penstock.dropped() == 2
    assert "no trace id" in warnings_of.text


def test_spans_wait_on_disk_and_are_sent_in_order_by_the_next_program(free_port: int, spool: Path) -> None:
    url = f"http://127.0.0.1:{free_port}"
    runtime.configure(url, "psk_1")
    for number in range(1000):
        penstock.span(f"s{number}").end()
    assert penstock.flush(timeout=0.5) is False
    runtime.exporter().close(timeout=0.1)
    assert list(spool.glob("*/*.spans")), "nothing was kept"
    with serving(free_port) as late:
        late.answer("POST /v1/traces", {})
        runtime.configure(url, "psk_1")  # as a program that starts anew
        penstock.span("new").end()
        assert penstock.flush()
        first_seen = list(dict.fromkeys(span["name"] for span in late.spans()))
        assert first_seen == [*(f"s{number}" for number in range(1000)), "new"]
        runtime.configure(tracing=False)
    assert list(spool.glob("*/*.spans")) == []


def test_spans_of_another_key_stay_apart(free_port: int, spool: Path) -> None:
    url = f"http://127.0.0.1:{free_port}"
    runtime.configure(url, "psk_secret_one")
    penstock.span("private").end()
    runtime.exporter().close(timeout=0.1)
    with serving(free_port) as late:
        late.answer("POST /v1/traces", {})
        runtime.configure(url, "psk_secret_two")
        penstock.span("other").end()
        assert penstock.flush()
        assert [span["name"] for span in late.spans()] == ["other"]
        runtime.configure(tracing=False)
    (kept,) = spool.glob("*/*.spans")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert "secret" not in str(kept)


def test_the_folder_is_bounded_and_lets_the_oldest_go(spool: Path) -> None:
    kept = Spool(spool, limit=1_000)
    for number in range(10):
        kept.add(b"%d" % number * 300, 5)
    assert [kept.read(name) for name in kept.names()] == [b"%d" % number * 300 for number in (7, 8, 9)]
    assert kept.lost == 35


def test_a_disk_that_refuses_leaves_spans_in_memory(server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    server.answer("POST /v1/traces", {"detail": "starting"}, status=503)
    server.answer("POST /v1/traces", {})
    runtime.configure(server.url, "psk_1", spool=tmp_path / "file")
    penstock.span("s").end()
    assert penstock.flush()
    assert server.spans()[-1]["name"] == "s"


def test_broken_batches_on_disk_are_passed_over(server: FakeServer, spool: Path) -> None:
    server.answer("POST /v1/traces", {"detail": "not JSON"}, status=400)
    server.answer("POST /v1/traces", {})
    runtime.configure(server.url, "psk_1")
    folder = runtime.exporter()._spool.folder  # type: ignore[union-attr]
    folder.mkdir(parents=True)
    (folder / "00000000000000000001-1-0-7.spans").write_bytes(b'{"resource')
    penstock.span("s").end()
    assert penstock.flush()
    assert server.asked[0].body == b'{"resource'
    assert json.loads(server.asked[-1].body)
    assert penstock.dropped() == 7


KILLED = """
import os, sys, time, penstock
penstock.configure(sys.argv[1], "psk_1")
for number in range(400):
    penstock.span(f"s{number}").end()
    if number % 100 == 99:
        penstock.flush(timeout=0.4)
print("ready", flush=True)
time.sleep(60)
"""


def _run(code: str, *arguments: str, **env: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent), **env},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_killed_program_loses_nothing_that_was_on_disk(free_port: int) -> None:
    url = f"http://127.0.0.1:{free_port}"
    with _run(KILLED, url) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        program.send_signal(signal.SIGKILL)
    with serving(free_port) as late:
        late.answer("POST /v1/traces", {})
        runtime.configure(url, "psk_1")
        penstock.span("new").end()
        assert penstock.flush()
        spans = late.spans()
        runtime.configure(tracing=False)
    assert list(dict.fromkeys(span["name"] for span in spans)) == [*(f"s{n}" for n in range(400)), "new"]
    assert len({span["spanId"] for span in spans}) == 401, "sent again under another id"


def test_the_end_of_the_program_sends_what_waits(server: FakeServer) -> None:
    server.answer("POST /v1/traces", {})
    code = """
import atexit, sys, threading, penstock
atexit.register(lambda: penstock.span("after the last flush").end())
penstock.configure(sys.argv[1], "psk_1")
def late():
    penstock.span("in a thread").end()
with penstock.span("first"):
    threading.Thread(target=late).start()
class Dying:
    def __del__(self, penstock=penstock):
        with penstock.span("in a dying interpreter"):
            pass
dying = Dying()
"""
    with _run(code, server.url) as program:
        assert program.wait(20) == 0
    assert {"first", "in a thread"} <= {span["name"] for span in server.spans()}


def test_children_of_multiprocessing_send_their_own_spans(server: FakeServer) -> None:
    server.answer("POST /v1/traces", {})
    code = """
import multiprocessing, sys, penstock
penstock.configure(sys.argv[1], "psk_1")
def child(number):
    with penstock.span(f"child {number}"):
        pass
if __name__ == "__main__":
    with penstock.span("parent"):
        context = multiprocessing.get_context("fork")
        children = [context.Process(target=child, args=(n,)) for n in range(3)]
        [one.start() for one in children]
        [one.join() for one in children]
"""
    with _run(code, server.url) as program:
        assert program.wait(30) == 0
    spans = {span["name"]: span for span in server.spans()}
    assert sorted(spans) == ["child 0", "child 1", "child 2", "parent"]
    assert len(server.spans()) == 4, "a child sent its parent's spans again"
    assert len({span["spanId"] for span in spans.values()}) == 4
    assert spans["child 1"]["parentSpanId"] == spans["parent"]["spanId"]


def test_prefork_workers_start_afresh(server: FakeServer) -> None:
    """As gunicorn and celery do it: the parent has traced, holds a connection and a lock, and forks workers."""
    server.answer("POST /v1/traces", {})
    code = """
import os, sys, threading, penstock
from penstock.sdk import runtime
penstock.configure(sys.argv[1], "psk_1")
penstock.span("before").end()
penstock.flush()
busy = threading.Event()
def hold():
    with runtime.exporter()._lock, runtime._runtime.lock:
        busy.set()
        release.wait(20)
release = threading.Event()
threading.Thread(target=hold, daemon=True).start()
busy.wait(10)
workers = []
for number in range(3):
    pid = os.fork()
    if pid == 0:
        penstock.span(f"worker {number}").end()
        assert penstock.flush(5), "not sent"
        os._exit(0)
    workers.append(pid)
codes = [os.waitpid(pid, 0)[1] for pid in workers]
release.set()
sys.exit(max(codes))
"""
    with _run(code, server.url) as program:
        assert program.wait(30) == 0
    assert sorted(span["name"] for span in server.spans()) == ["before", "worker 0", "worker 1", "worker 2"]


def test_several_processes_share_the_folder(free_port: int) -> None:
    url = f"http://127.0.0.1:{free_port}"
    code = """
import sys, penstock
penstock.configure(sys.argv[1], "psk_1")
for number in range(50):
    penstock.span(f"{sys.argv[2]}-{number}").end()
penstock.flush(0.2)
print("ready", flush=True)
sys.exit(0 if penstock.flush(20) else 3)
"""
    programs = [_run(code, url, name) for name in "abc"]
    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
    with serving(free_port) as late:
        late.answer("POST /v1/traces", {})
        codes = [program.wait(30) for program in programs]
        names = list(dict.fromkeys(span["name"] for span in late.spans()))
    for program in programs:
        assert program.stdout is not None
        program.stdout.close()
    assert codes == [0, 0, 0]
    assert len(names) == 150
    for letter in "abc":
        assert [name for name in names if name[0] == letter] == [f"{letter}-{n}" for n in range(50)]


def test_masks_see_every_content_and_their_faults_let_nothing_through(server: FakeServer) -> None:
    server.answer("POST /v1/traces", {})
    runtime.configure(server.url, "psk_1", mask=lambda text: text.replace("4111", "****"))
    penstock.span("a").set_input({"card": "4111"}).set_output("4111").end()
    assert penstock.flush()
    runtime.configure(server.url, "psk_1", mask=lambda text: text.nonsense)  # type: ignore[attr-defined]
    penstock.span("b").set_input({"card": "4111"}).end()
    assert penstock.flush()
    first, second = server.spans()
    assert first["attributes"]["input.value"] == '{"card": "****"}'
    assert first["attributes"]["output.value"] == "****"
    assert second["attributes"]["input.value"] == "<the mask failed>"
    assert b"4111" not in b"".join(asked.body for asked in server.asked)


def test_one_odd_span_does_not_cost_the_others() -> None:
    class Odd:
        size = 1

        def otlp(self, mask: Any) -> Any:
            raise RuntimeError("odd")

    transport = Stuck()
    transport.released.set()
    exporter = Exporter(transport, encoder=otlp.Encoder({"service.name": "x"}))
    exporter.put(Odd())
    _make(exporter, range(2))
    assert exporter.flush()
    exporter.close()
    assert _names(transport.bodies) == ["s0", "s1"]
    assert exporter.dropped == 1


def test_text_no_encoding_knows_and_numbers_of_any_size_are_sent(server: FakeServer) -> None:
    server.answer("POST /v1/traces", {})
    runtime.configure(server.url, "psk_1")
    with penstock.span("odd \ud800 name") as span:
        span.set_input({"half": "\ud800", "nul": "\0", "huge": 10**400, "inf": float("inf")})
        span.set(big=2**70, nan=float("nan"), raw=b"\xff\xfe", nothing=None)
    assert penstock.flush()
    attributes = server.spans()[0]["attributes"]
    assert json.loads(attributes["input.value"])["inf"] == "inf"
    assert attributes["big"] == str(2**70)


def test_nothing_is_left_behind_by_many_exporters(server: FakeServer) -> None:
    server.answer("POST /v1/traces", {})
    for _ in range(5):
        runtime.configure(server.url, "psk_1")
        penstock.span("s").end()
        assert penstock.flush()
    runtime.configure(tracing=False)
    gc.collect()
    names = [thread.name for thread in threading.enumerate()]
    assert names.count("penstock-traces") == 0
    assert multiprocessing.active_children() == []
