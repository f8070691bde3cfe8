"""The database gone or locked for longer than every lease and timeout, under traffic of two web processes.

Calls go on within what is leased, then they are refused as documented; nothing that was recorded is lost, and
everything is booked once when the database is back.
"""

import contextlib
import http.client
import json
import select
import socket
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.gateway import service
from penstock.gateway.app import GatewayApp
from penstock.gateway.limits import service as limits
from penstock.gateway.limits.model import Budget, Period, Spend, SubjectKind
from penstock.traces import service as traces
from penstock.traces.intake import Intake
from penstock.traces.model import TraceFilters
from penstock.traces.prices import Price
from penstock.traces.recorder import Recorder
from tests.conftest import owner_of
from tests.fakes.moody import MoodyUpstream
from tests.gateway.conftest import Running, Waiter

CHAT = {"model": "r", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 7}
EACH = 0.7
AWAY_SECONDS = 8.0
"""Longer than every lease and timeout of `SHORT`."""
SHORT = {
    "LEASE_AHEAD_SECONDS": "2",
    "WAIT_SECONDS": "1",
    "IDLE_SECONDS": "3",
    "DEAD_AFTER_SECONDS": "4",
}
Away = Callable[[], contextlib.AbstractContextManager[None]]


class Forwarder:
    """A way to a TCP server that can be closed: connections are cut and new ones refused."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._listener: socket.socket | None = None
        self._pairs: list[socket.socket] = []
        self.port = 0
        self.open()

    def open(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        assert self._listener is not None
        # Closing alone would leave the thread in `accept` with the port.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for end in self._pairs:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._pairs.clear()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(self._to)
                self._pairs += [near, far]
                threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    @staticmethod
    def _carry(near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), near, far:
            while True:
                for end in select.select([near, far], [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    (far if end is near else near).sendall(data)


class Clients:
    """Callers of several gateways that do not stop."""

    def __init__(self, gateways: list[Running]) -> None:
        self.statuses: Counter[int] = Counter()
        self.refusals: list[tuple[int, str, str | None]] = []
        """(status, code, retry-after)."""
        self.slowest = 0.0
        self.broken: list[str] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(gateway,)) for gateway in gateways for _ in range(2)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, gateway: Running) -> None:
        while not self._stop.wait(0.05):
            began = time.monotonic()
            try:
                status, headers, body = _ask(gateway)
            except (OSError, http.client.HTTPException) as error:
                self.broken.append(repr(error))
                continue
            with self._lock:
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.statuses[status] += 1
                if status != 200:
                    self.refusals.append((status, body["error"]["code"], headers.get("retry-after")))


def _ask(gateway: Running) -> tuple[int, dict[str, str], Any]:
    connection = http.client.HTTPConnection(gateway.url.removeprefix("http://"), timeout=60)
    try:
        headers = {"authorization": f"Bearer {gateway.key}", "content-type": "application/json"}
        connection.request("POST", "/v1/chat/completions", json.dumps(CHAT), headers)
        response = connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return response.status, found, json.loads(response.read())
    finally:
        connection.close()


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA busy_timeout=15000")
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@pytest.fixture
def moody() -> Iterator[MoodyUpstream]:
    with MoodyUpstream() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def stage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Home, Away]]:
    """A home that always reaches its database, and what takes the database away from those opened after it."""
    for name, value in SHORT.items():
        monkeypatch.setenv(f"PENSTOCK_LIMITS__{name}", value)
    if request.param == "sqlite":
        home: Home = request.getfixturevalue("sqlite_home")
        yield home, lambda: _locked(home.path / "penstock.db")
        return
    url = make_url(request.getfixturevalue("postgres_url"))
    monkeypatch.setenv("PENSTOCK_CORE__DATABASE_URL", url.render_as_string(hide_password=False))
    forwarder = Forwarder(url.host or "127.0.0.1", url.port or 5432)

    @contextlib.contextmanager
    def refused() -> Iterator[None]:
        forwarder.close()
        try:
            yield
        finally:
            forwarder.open()

    with Home.open(tmp_path / "home") as home:
        through = url.set(host="127.0.0.1", port=forwarder.port)
        monkeypatch.setenv("PENSTOCK_CORE__DATABASE_URL", through.render_as_string(hide_password=False))
        yield home, refused
    forwarder.close()


@pytest.fixture
def workers(stage: tuple[Home, Away], moody: MoodyUpstream) -> Iterator[list[Running]]:
    """Two web processes' worth of gateways, each with its own connections and recorder."""
    home, _ = stage
    actor = owner_of(home)
    with home.begin() as uow:
        targets = [{"provider": "mo", "model": "a"}]
        tables = {
            "providers": {"mo": {"kind": "openai", "base_url": moody.base_url}},
            "routes": {"r": {"targets": targets}},
        }
        service.apply(uow, actor, tables)
        traces.set_price(uow, actor, model="*", price=Price(input=0.0, output=1e5))
        whose = {"kind": SubjectKind.PROJECT, "subject": "default", "period": Period.TOTAL}
        limits.put_budget(uow, actor, Budget(name="cap", usd=10_000.0, **whose))
    with contextlib.ExitStack() as stack:
        made = []
        for _ in range(2):
            own = stack.enter_context(Home.open(home.path))
            recorder = Recorder(own)
            running = Running(own, actor)
            running.app = GatewayApp(own, recorder)
            running.start()
            stack.callback(recorder.close)
            stack.callback(running.stop)
            made.append(running)
        stop, own = threading.Event(), stack.enter_context(Home.open(home.path))
        background = threading.Thread(target=Intake(own).run, args=(stop,))
        background.start()
        stack.callback(background.join)
        stack.callback(stop.set)
        yield made


def _spend(home: Home, actor: Actor) -> Spend:
    with home.read() as uow:
        return limits.spend_of(uow, actor, "cap")


def _traces(home: Home, actor: Actor) -> int:
    """Return how many good calls are recorded."""
    count, after = 0, None
    with home.read() as uow:
        while True:
            page = traces.list_traces(
                uow, actor, filters=TraceFilters(status="ok"), after=after, limit=traces.MAX_PAGE
            )
            count, after = count + len(page.items), page.next
            if after is None:
                return count


def test_calls_go_on_within_leases_and_nothing_is_lost(
    stage: tuple[Home, Away], workers: list[Running], eventually: Waiter
) -> None:
    home, away = stage
    actor = workers[0].actor
    clients = Clients(workers)
    try:
        eventually(lambda: clients.statuses[200] >= 40)
        with away():
            before = _spend(home, actor)
            answered, refused = clients.statuses[200], clients.statuses[503]
            ends = time.monotonic() + AWAY_SECONDS
            eventually(lambda: clients.statuses[200] > answered)
            eventually(lambda: clients.statuses[503] > refused)
            time.sleep(max(0.0, ends - time.monotonic()))
            # What the ledger knew as spent and leased then bounds what was answered until now.
            assert clients.statuses[200] * EACH <= before.spent + before.reserved + EACH / 2
            away_with = clients.statuses[200]
        eventually(lambda: clients.statuses[200] >= away_with + 40)
    finally:
        clients.stop()
    assert not clients.broken
    assert set(clients.statuses) <= {200, 429, 503}
    assert all(again is not None for _, _, again in clients.refusals)
    assert {code for status, code, _ in clients.refusals if status == 503} == {"unavailable"}
    total = clients.statuses[200]
    eventually(lambda: _spend(home, actor).spent == pytest.approx(total * EACH))
    for worker in workers:
        worker.stop()
        worker.app._telemetry._recorder.flush()
    found = _spend(home, actor)
    assert (found.spent, found.reserved) == (pytest.approx(total * EACH), 0.0)
    eventually(lambda: _traces(home, actor) >= total)
    assert _traces(home, actor) == total
