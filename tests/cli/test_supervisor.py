"""Restarts and crashes of a real `penstock up` under load: no request may fail because of them."""

import asyncio
import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from tests.cli.test_up import Up, get, penstock
from tests.conftest import owner_of
from tests.fakes.openai import chat_events, completion
from tests.fakes.server import END, Received, ScriptedServer, Step, answer, chunk, stream_head

from penstock.core.auth import service as auth
from penstock.core.home import Home
from penstock.core.scope import Role
from penstock.gateway import service
from penstock.gateway.model import Route, Target


def upstream_script(request: Received) -> Iterable[Step]:
    """Answer at once, or stream for a second."""
    body = request.json
    if not body.get("stream"):
        yield 0.01
        yield answer(completion(body["model"], {"role": "assistant", "content": "hello"}))
        return
    yield stream_head()
    for event in chat_events(body):
        yield chunk(event)
        yield 0.1
    yield END


class Load:
    """Clients that keep their connections and ask one thing after the other; `failures` says what went wrong."""

    def __init__(self, port: int, key: str, *, plain: int = 6, streams: int = 4) -> None:
        self._port, self._key = port, key
        self._kinds = [False] * plain + [True] * streams
        self.done = {False: 0, True: 0}
        self.failures: list[str] = []
        self.failed: Counter[int] = Counter()
        """How many calls of each client failed."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()

    async def _main(self) -> None:
        await asyncio.gather(*(self._client(n, stream) for n, stream in enumerate(self._kinds)))

    async def _client(self, number: int, stream: bool) -> None:
        reader = writer = None
        while not self._stop.is_set():
            try:
                if writer is None or reader is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                if not await self._ask(reader, writer, stream):
                    writer.close()
                    writer = None
                self.done[stream] += 1
            except (OSError, EOFError, ValueError, asyncio.LimitOverrunError) as error:
                self.failures.append(f"{'stream' if stream else 'plain'}: {type(error).__name__} {error}")
                self.failed[number] += 1
                if writer is not None:
                    writer.close()
                writer = None
            await asyncio.sleep(0.01)
        if writer is not None:
            writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stream: bool) -> bool:
        """Ask once; returns whether the connection may be used again."""
        body = json.dumps(
            {"model": "chat", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
        ).encode()
        writer.write(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (self._key.encode(), len(body), body)
        )
        head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)).lower()
        if not head.startswith(b"http/1.1 200"):
            raise ValueError(head.partition(b"\r\n")[0].decode())
        if b"transfer-encoding: chunked" in head:
            got = await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n"), 30)
            if b"[DONE]" not in got:
                raise ValueError("a stream without its end")
        else:
            length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
            await asyncio.wait_for(reader.readexactly(length), 30)
        return b"connection: close" not in head


@pytest.fixture
def stage(tmp_path: Path, free_port: int) -> Iterator[tuple[Up, str]]:
    """A server with two workers, a route to a fake provider, and a key for it."""
    with ScriptedServer(upstream_script) as upstream:
        with Home.open(tmp_path / "home") as home:
            actor = owner_of(home)
            with home.begin() as uow:
                service.put_provider(
                    uow, actor, "fake", kind="openai", base_url=f"{upstream.url}/v1", api_key="sk-x"
                )
                target = Target(provider="fake", model="gpt-fake")
                service.put_route(uow, actor, "chat", Route(strategy="weighted", targets=(target,)))
                _, key = auth.create_key(uow, actor, name="load", role=Role.MEMBER)
        started = Up(tmp_path / "home", free_port, "--workers", "2")
        wait_for_children(started, 3)
        until(lambda: metric(started, key, 'penstock_processes{process="web"}') >= 2)
        yield started, key
        if started.process.poll() is None:
            started.stop()
        for pipe in (started.process.stdout, started.process.stderr):
            if pipe is not None:
                pipe.close()


def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, at most a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.1)


def wait_for_children(up: Up, count: int) -> list[int]:
    until(lambda: len(up.children()) == count)
    return up.children()


def workers(up: Up) -> list[int]:
    return [pid for pid in up.children() if b"web_worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def metric(up: Up, key: str, name: str) -> float:
    _, page = get(f"{up.url}/metrics", {"authorization": f"Bearer {key}"})
    return next(float(line.rpartition(" ")[2]) for line in page.splitlines() if line.startswith(name + " "))


def test_a_restart_under_load_fails_no_request(stage: tuple[Up, str]) -> None:
    up, key = stage
    before = set(wait_for_children(up, 3))
    with Load(int(up.url.rpartition(":")[2]), key) as load:
        time.sleep(2)
        told = penstock("restart", "--home", str(up.home))
        assert (told.returncode, told.stdout.strip()) == (0, "Every process was replaced."), told.stderr
        time.sleep(1)
    assert load.failures == []
    assert load.done[False] > 100 and load.done[True] > 10
    assert before & set(wait_for_children(up, 3)) == set()
    # What the replaced workers counted is still there; each process tells it now and then.
    until(lambda: metric(up, key, "penstock_http_requests_total") >= load.done[False] + load.done[True])


def test_a_stop_under_load_finishes_what_was_begun(stage: tuple[Up, str]) -> None:
    up, key = stage
    with Load(int(up.url.rpartition(":")[2]), key, plain=0, streams=6) as load:
        time.sleep(1.5)
        code, _, err = up.stop()
    assert code == 0, err
    assert load.done[True] > 0
    assert {failure.split()[1] for failure in load.failures} <= {
        "ConnectionRefusedError",
        "ConnectionResetError",
    }
    assert not any("without its end" in failure or "Incomplete" in failure for failure in load.failures)


def test_when_a_worker_is_killed_the_other_goes_on(stage: tuple[Up, str]) -> None:
    up, key = stage
    victim = workers(up)[0]
    with Load(int(up.url.rpartition(":")[2]), key) as load:
        time.sleep(1)
        os.kill(victim, signal.SIGKILL)
        time.sleep(2)
    assert all(count == 1 for count in load.failed.values()), (
        load.failures
    )  # the call that a client had there
    assert victim not in wait_for_children(up, 3)


def test_a_worker_that_cannot_start_leaves_the_old_ones_alone(stage: tuple[Up, str]) -> None:
    up, _ = stage
    before = workers(up)
    (up.home / "penstock.toml").write_text('[server]\nmetrics = "everybody"\n')
    told = penstock("restart", "--home", str(up.home))
    assert (told.returncode, "The new web 1 did not start" in told.stderr) == (1, True)
    assert workers(up) == before
    assert get(f"{up.url}/readyz")[0] == 200


def test_connections_are_shared_evenly(stage: tuple[Up, str]) -> None:
    up, _ = stage
    port = int(up.url.rpartition(":")[2])
    with ExitStack() as stack:
        opened = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(40)]
        callers = {one.getsockname()[1] for one in opened}
        until(lambda: sum(_held(up, port, callers)) == 40)
        counts = _held(up, port, callers)
    assert abs(counts[0] - counts[1]) <= 6, counts


def _held(up: Up, port: int, callers: set[int]) -> list[int]:
    """Return how many of the connections from some local ports each worker has accepted."""
    theirs = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        here, there = (int(address.rpartition(":")[2], 16) for address in fields[1:3])
        if here == port and there in callers:
            theirs.add(f"socket:[{fields[9]}]")
    return [len(theirs & set(_links(pid))) for pid in workers(up)]


def _links(pid: int) -> list[str]:
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            found.append(str(link.readlink()))
    return found


def test_restart_needs_a_server(tmp_path: Path) -> None:
    told = penstock("restart", "--home", str(tmp_path / "none"))
    assert (told.returncode, "No server runs" in told.stderr) == (1, True)
