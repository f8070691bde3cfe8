"""The whole server on a bad day: its database is locked, its disk is full, a worker is killed with streams in hand."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from penstock.core.home import Home
from tests.app.conftest import Build
from tests.app.stack import (
    MOST_TOKENS,
    TOKEN_USD,
    Client,
    Paid,
    Reply,
    Stack,
    callers_of_each_worker,
    crowd,
    eventually,
    locked,
    together,
)

pytestmark = pytest.mark.slow


def calling(seconds: float, pause: float = 0.05) -> Callable[[Client, int], list[Reply]]:
    """Return work that asks for so long."""
    until = time.monotonic() + seconds

    def work(client: Client, number: int) -> list[Reply]:
        replies = []
        while time.monotonic() < until:
            replies.append(client.chat(f"{number} {len(replies)}"))
            time.sleep(pause)
        return replies

    return work


def test_a_locked_database_stops_nothing_and_loses_nothing(build: Build, paid: Paid) -> None:
    # Twenty minutes of the pace: on a busy machine what these few seconds show of it is far from what comes later.
    stack = build(2, PENSTOCK_LIMITS__LEASE_AHEAD_SECONDS="1200")
    stack.budget(100.0)
    _, secret = stack.key()
    stack.start()
    callers = callers_of_each_worker(stack, secret, each=10)  # the same later: each worker leases for its own
    replies = together(callers, calling(3))  # the pace of these is leased ahead
    with locked(stack.home.path / "penstock.db"):
        began = time.monotonic()
        replies += together(callers, calling(8))
        assert time.monotonic() - began < 12
        known = stack.traced()[0]
    for caller in callers:
        caller.close()
    assert [reply for reply in replies if reply.status != 200] == []
    assert len(replies) == len(paid.tokens) > known
    eventually(lambda: stack.traced()[0] == len(replies))
    assert stack.traced()[1] == pytest.approx(paid.usd)
    eventually(lambda: stack.spent().spent == pytest.approx(paid.usd))
    time.sleep(1)
    assert (stack.traced()[0], stack.spent().spent) == (len(replies), pytest.approx(paid.usd))


def test_a_worker_killed_while_it_streams_takes_only_its_own_streams_along(build: Build, paid: Paid) -> None:
    stack = build(2, PENSTOCK_LIMITS__DEAD_AFTER_SECONDS="3", PENSTOCK_LIMITS__IDLE_SECONDS="2")
    stack.budget(10.0)
    _, secret = stack.key()
    stack.start()
    paid.events = 50
    victim = stack.webs()[0]
    callers = callers_of_each_worker(stack, secret, each=5)

    def kill() -> None:
        eventually(
            lambda: len(paid.tokens) == 10
        )  # every stream has begun, and lasts for two seconds and a half
        os.kill(victim, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    more = {"model": "stream", "stream": True, "stream_options": {"include_usage": True}}
    with ThreadPoolExecutor(10) as pool:
        replies = list(pool.map(lambda number: callers[number].chat(str(number), **more), range(10)))
    killer.join()
    for caller in callers:
        caller.close()
    whole = [reply for reply in replies if reply.status == 200]
    assert [reply.status for reply in replies] == [0] * 5 + [200] * 5
    assert all(reply.body.endswith(b"data: [DONE]\n\n") for reply in whole)
    assert len(paid.tokens) == 10  # nothing was sent a second time
    eventually(lambda: len(stack.webs()) == 2 and victim not in stack.webs() and stack.served() == 3)
    costs = [chunk["usage"]["completion_tokens"] * TOKEN_USD for chunk in map(last_chunk, whole)]
    # The survivor's calls are all traced; of the killed worker's, those that ended in its last moments may not be, and
    # one may be whose end its caller did not see.
    eventually(lambda: len(whole) - 2 <= stack.traced()[0] <= len(whole) + 2)
    assert stack.traced()[1] == pytest.approx(sum(costs), abs=2 * max(costs))
    # What the killed worker had reserved counts as spent, once: at most its slice and its calls in flight.
    eventually(lambda: buried(stack, secret))
    state = stack.spent()
    slice_of_one = 10.0 * 0.05 + 10 * MOST_TOKENS * TOKEN_USD
    assert paid.usd - 1e-9 <= state.spent <= paid.usd + slice_of_one
    assert "ended with -9; starting it again" in stack.log


def last_chunk(reply: Reply) -> dict:
    """Return the chunk of a stream that tells its usage."""
    lines = [line for line in reply.body.split(b"\n") if line.startswith(b"data: {")]
    return Reply(200, {}, lines[-1].removeprefix(b"data: ")).json


def buried(stack: Stack, secret: str) -> bool:
    """Whether the killed worker's lease counts as spent by now: another one that is used sees to that."""
    with Client(stack.port, secret) as client:
        assert client.chat("again", max_tokens=1).status == 200
    time.sleep(0.3)
    return "a process is gone" in stack.log


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 48 MB at the home's place; skips where none can be mounted."""
    place = tmp_path / "home"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a disk")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_stops_no_call_and_loses_nothing(small_disk: Path, paid: Paid) -> None:
    with Home.open(small_disk) as home:
        stack = Stack(home, 2)
        stack.configure(paid.server.url)
        stack.budget(100.0)
        _, secret = stack.key()
        stack.start()
        try:
            replies = full_disk(stack, secret, small_disk / "filler")
            eventually(lambda: stack.traced()[0] == len(replies) == len(paid.tokens))
            assert stack.traced()[1] == pytest.approx(paid.usd)
            eventually(lambda: stack.spent().spent == pytest.approx(paid.usd))
            assert "No space left" in stack.log
            assert "Traceback" not in stack.log
            with Client(stack.port, secret) as client:
                assert client.post("/api/v1/prompts", {"name": "there-is-room"}).status == 201
        finally:
            stack.stop()


def full_disk(stack: Stack, secret: str, filler: Path) -> list[Reply]:
    """Call before and while the disk is full; returns all answers."""
    replies = crowd(stack, [secret] * 10, calling(3))
    eventually(lambda: stack.traced()[0] == len(replies))
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        while True:
            file.write(bytes(4096))
    text = "x" * 4000
    replies += crowd(stack, [secret] * 10, lambda client, number: [client.chat(text) for _ in range(20)])
    assert {reply.status for reply in replies} == {200}
    with Client(stack.port, secret) as client:
        made = (
            client.post("/api/v1/prompts", {"name": f"p-{n}", "description": text[:500]}) for n in range(300)
        )
        refused = next(reply for reply in made if reply.status != 201)
    assert (refused.status, refused.json["code"]) == (507, "storage_full"), refused
    assert "disk" in refused.json["detail"]
    assert stack.get("/healthz").status == 200
    filler.unlink()
    return replies
