"""The whole server as real processes, a provider that says what it wants to be paid, and callers."""

import http.client
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from penstock.core.auth import service as auth
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.gateway import service as gateway
from penstock.gateway.limits import service as limits
from penstock.gateway.limits.model import Budget, Period, Spend, SubjectKind
from penstock.traces import service as traces
from penstock.traces.prices import Price
from tests.architecture.code import ROOT
from tests.conftest import owner_of
from tests.fakes.server import END, Received, ScriptedServer, Step, answer, chunk, stream_head

TOKEN_USD = 0.0001
"""What a token that the provider writes costs; reading is free."""
MOST_TOKENS = 40


class Paid:
    """A provider whose calls cost a different number of tokens each time; it writes down what it asked for.

    The model `pay` answers at once, `slow` after half a second, `stream` with an event each 50 ms.
    """

    def __init__(self, *, events: int = 20) -> None:
        self.tokens: list[int] = []
        self.events = events
        self._dice = random.Random(7)
        self._lock = threading.Lock()
        self.server = ScriptedServer(self._script)

    @property
    def usd(self) -> float:
        return sum(self.tokens) * TOKEN_USD

    def _script(self, request: Received) -> Iterable[Step]:
        body = request.json
        most = body.get("max_tokens") or MOST_TOKENS
        with self._lock:
            written = self._dice.randint(1, most)
        usage = {"prompt_tokens": 3, "completion_tokens": written, "total_tokens": 3 + written}
        head = {"id": "c", "created": 1, "model": body["model"]}
        if body.get("stream"):
            yield from self._stream(head, usage)
            return
        yield 0.5 if body["model"] == "slow" else random.random() * 0.02
        self.tokens.append(written)
        message = {"role": "assistant", "content": "It is sunny; write to ann@example.com."}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        yield answer(head | {"object": "chat.completion", "choices": [choice], "usage": usage})

    def _stream(self, head: dict[str, Any], usage: dict[str, int]) -> Iterator[Step]:
        head |= {"object": "chat.completion.chunk"}
        self.tokens.append(usage["completion_tokens"])
        yield stream_head()
        for number in range(self.events):
            yield 0.05
            choice = {"index": 0, "delta": {"content": f"{number} "}, "finish_reason": None}
            yield chunk(b"data: " + msgspec.json.encode(head | {"choices": [choice]}) + b"\n\n")
        last = {"index": 0, "delta": {}, "finish_reason": "stop"}
        yield chunk(b"data: " + msgspec.json.encode(head | {"choices": [last]}) + b"\n\n")
        yield chunk(b"data: " + msgspec.json.encode(head | {"choices": [], "usage": usage}) + b"\n\n")
        yield chunk(b"data: [DONE]\n\n")
        yield END


class Reply(NamedTuple):
    """What a caller got; the status 0 stands for a connection that was cut."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Stack:
    """`penstock up` on a home of its own."""

    home: Home
    workers: int
    settings: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[str] | None" = None
    port: int = 0

    def __post_init__(self) -> None:
        self.actor: Actor = owner_of(self.home)

    def configure(self, url: str, models: Sequence[str] = ("pay", "slow", "stream"), **tables: Any) -> None:
        """Set a route and a price for each model of the provider at `url`, and whatever else."""
        providers = {"up": {"kind": "openai", "base_url": f"{url}/v1", "api_key": "k" * 10}}
        routes = {
            m: {"strategy": "weighted", "targets": [{"provider": "up", "model": m}], "retries": 0}
            for m in models
        }
        with self.home.begin() as uow:
            gateway.apply(uow, self.actor, {"providers": providers, "routes": routes, **tables})
            traces.set_price(uow, self.actor, model="*", price=Price(input=0.0, output=TOKEN_USD * 1e6))

    def key(self, name: str = "app") -> tuple[str, str]:
        """Return the id and the secret of a new key."""
        with self.home.begin() as uow:
            made, secret = auth.create_key(uow, self.actor, name=name)
        return made.id, secret

    def budget(self, usd: float, name: str = "cap", kind: str = "project", subject: str = "default") -> None:
        """Set a hard budget without a period."""
        kinds = {"kind": SubjectKind(kind), "subject": subject, "period": Period.TOTAL}
        with self.home.begin() as uow:
            limits.put_budget(uow, self.actor, Budget(name=name, usd=usd, **kinds))

    def spent(self, name: str = "cap") -> Spend:
        """Return the state of a budget."""
        with self.home.read() as uow:
            return limits.spend_of(uow, self.actor, name)

    # -- the processes ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the server and wait until every worker serves."""
        if not self.port:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.port = probe.getsockname()[1]
        log = self.home.path.parent / "up.log"
        with log.open("a") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "penstock", "up", "--home", str(self.home.path), "--port", str(self.port),
                 "--workers", str(self.workers)],
                stdout=output, stderr=output, text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **self.settings},
            )  # fmt: skip
        eventually(lambda: self.ready() and self.served() == len(self.webs()) == self.workers, 180)

    def ready(self) -> bool:
        """Whether the server says that it is ready."""
        assert self.process is not None and self.process.poll() is None, self.log
        try:
            return self.get("/readyz").status == 200
        except OSError:
            return False

    @property
    def log(self) -> str:
        """What the server has printed."""
        return (self.home.path.parent / "up.log").read_text()

    def webs(self) -> list[int]:
        """Return the process ids of the web workers."""
        assert self.process is not None
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        found = []
        for pid in map(int, task.read_text().split()):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if b"web_worker" in command:
                found.append(pid)
        return found

    def served(self) -> int:
        """Return how many web workers have served since the server was started, by the metrics they write."""
        return len(list((self.home.path / "run" / "metrics").glob("web*")))

    def stop(self) -> None:
        """Stop the server in order; a no-op when it does not run."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        self.process = None

    def get(self, path: str, secret: str = "") -> Reply:
        """Get something over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path, headers={"authorization": f"Bearer {secret}"} if secret else {})
            with connection.getresponse() as response:
                return _read(response)
        finally:
            connection.close()

    def worker_of(self, client: "Client") -> int:
        """Return the process id of the web worker at the other end of a caller's connection."""
        local = f":{client.local_port:04X}"
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[2].endswith(local) and fields[1].endswith(f":{self.port:04X}"):
                wanted = f"socket:[{fields[9]}]"
                return next(pid for pid in self.webs() if wanted in _open_files(pid))
        raise AssertionError("the connection is closed")

    # -- what is booked ----------------------------------------------------------------------------------------

    def traced(self) -> tuple[int, float]:
        """Return how many answered calls the traces hold and what all calls cost together."""
        with self.home.read() as uow:
            rows = traces.usage(uow, self.actor, group_by="model")
        return sum(row.calls - row.errors for row in rows), sum(row.cost_usd for row in rows)


def _open_files(pid: int) -> set[str]:
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found.add(str(link.readlink()))
    return found


def _read(response: http.client.HTTPResponse) -> Reply:
    body = response.read()
    return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


class Client:
    """One caller with one connection, opened again when it was cut."""

    def __init__(self, port: int, secret: str) -> None:
        self._port, self._secret = port, secret
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def local_port(self) -> int:
        """The caller's port."""
        assert self._connection is not None and self._connection.sock is not None
        port: int = self._connection.sock.getsockname()[1]
        return port

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> Reply:
        """Send one request; it is never repeated."""
        return self.ask("POST", path, json.dumps(body), headers)

    def ask(
        self, method: str, path: str, body: str | None = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """Send one request of any kind; it is never repeated."""
        try:
            if self._connection is None:
                self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
            named = {"authorization": f"Bearer {self._secret}", "content-type": "application/json"}
            self._connection.request(method, path, body, named | (headers or {}))
            with self._connection.getresponse() as response:
                read = _read(response)
            if response.will_close:
                self.close()
            return read
        except (OSError, http.client.HTTPException):
            self.close()
            return Reply(0, {}, b"")

    def chat(self, text: str = "hi", **more: Any) -> Reply:
        """Ask one question."""
        messages = [{"role": "user", "content": text}]
        body = {"model": "pay", "max_tokens": MOST_TOKENS, "messages": messages} | more
        return self.post("/v1/chat/completions", body)

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def crowd(stack: Stack, secrets: Sequence[str], work: Callable[[Client, int], list[Reply]]) -> list[Reply]:
    """Let as many callers as there are secrets work at once; returns what all of them got."""

    def one(number: int) -> list[Reply]:
        with Client(stack.port, secrets[number]) as client:
            return work(client, number)

    with ThreadPoolExecutor(len(secrets)) as pool:
        return [reply for replies in pool.map(one, range(len(secrets))) for reply in replies]


def together(callers: Sequence[Client], work: Callable[[Client, int], list[Reply]]) -> list[Reply]:
    """Let connected callers work at once; returns what all of them got."""
    with ThreadPoolExecutor(len(callers)) as pool:
        return [reply for replies in pool.map(work, callers, range(len(callers))) for reply in replies]


def callers_of_each_worker(stack: Stack, secret: str, each: int = 1) -> list[Client]:
    """Return `each` connected callers of every worker, one worker's after the other's: the others are halted."""
    workers = stack.webs()
    found: list[Client] = []
    for worker in workers:
        others = [pid for pid in workers if pid != worker]
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        try:
            for _ in range(each):
                client = Client(stack.port, secret)
                reply = client.ask("GET", "/readyz")
                assert (reply.status, stack.worker_of(client)) == (200, worker), reply
                found.append(client)
        finally:
            for pid in others:
                os.kill(pid, signal.SIGCONT)
    return found


def eventually(condition: Callable[[], Any], seconds: float = 120) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold SQLite's write lock, from a connection that the server knows nothing of."""
    conn = sqlite3.connect(database, timeout=30, isolation_level=None)
    conn.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        conn.execute("ROLLBACK")
        conn.close()
