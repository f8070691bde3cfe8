"""What a server with many traces answers over HTTP while traces come in: times, memory, and how soon a trace is seen.

    python benchmarks/trace_server.py --home DIR [--times 20] [--rate 100] [--erase USER [--gone]] [--only TEXT]

Starts `penstock up --workers 1` on a home that `trace_queries.py` or `trace_copies.py` filled. One client sends
`--rate` spans per second of about 2 KB, five per trace, as OTLP; another asks each question `--times` times with varied
arguments. Prints p50 and p95 of the wall time, then how long after its acknowledgement a trace was in the list, the
memory of every process (PSS and RSS in MB, the highest seen), and how long a user's traces were still found.
"""

import argparse
import http.client
import json
import random
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import otlp
from start import free_port, is_ready, memory
from trace_queries import questions

from penstock.core.auth import service as auth
from penstock.core.home import Home
from penstock.core.scope import Role
from penstock.traces import service

DAY = 86_400


class Caller:
    """One client with one connection."""

    def __init__(self, port: int, key: str) -> None:
        self.headers = {"x-api-key": key, "authorization": f"Bearer {key}"}
        self.conn = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON of an answer."""
        self.conn.request("GET", f"/api/v1{path}?{urllib.parse.urlencode(query)}", headers=self.headers)
        answer = self.conn.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path} {query}: {answer.status} {body[:300]!r}")
        return json.loads(body)

    def post(self, path: str, body: bytes, kind: str) -> bytes:
        """Send a body; returns the answer's."""
        self.conn.request("POST", path, body, self.headers | {"content-type": kind})
        answer = self.conn.getresponse()
        said = answer.read()
        if answer.status not in (200, 202):
            raise SystemExit(f"{path}: {answer.status} {said[:300]!r}")
        return said


class Sender(threading.Thread):
    """Sends traces at a rate, and notes how long each request took and how soon its first trace was listed."""

    def __init__(self, port: int, key: str, rate: int) -> None:
        super().__init__(daemon=True)
        self.caller, self.rate, self.ended = Caller(port, key), rate, threading.Event()
        self.taken: list[float] = []
        self.seen: list[float] = []

    def run(self) -> None:
        """Go on until told to end."""
        rng = random.Random(3)
        request = otlp.template(rng, max(5, self.rate // 5 * 5))
        while not self.ended.is_set():
            begin = time.perf_counter()
            otlp.renew(request, rng)
            self.caller.post("/v1/traces", request.SerializeToString(), "application/x-protobuf")
            acknowledged = time.perf_counter()
            self.taken.append(acknowledged - begin)
            name = request.resource_spans[0].scope_spans[0].spans[0].trace_id.hex()
            while not self.caller.get("/traces", query=f"id:{name}", limit=1)["items"]:
                time.sleep(0.01)
            self.seen.append(time.perf_counter() - acknowledged)
            self.ended.wait(max(0.0, 1 - (time.perf_counter() - begin)))


def asked(caller: Caller, rng: random.Random, sample: list[Any]) -> dict[str, Callable[[], Any]]:
    """Return name → question."""

    def iso(days: float) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - days * DAY))

    found: dict[str, Callable[[], Any]] = {
        f"list {name}": lambda make=make: caller.get("/traces", query=make(), limit=50)
        for name, make in questions(rng, sample).items()
    }
    found["trace by id"] = lambda: caller.get(f"/traces/{rng.choice(sample).trace_id}")
    month = {"since": iso(29.7), "until": iso(0)}
    found["dashboard, 30 days"] = lambda: caller.get("/timeseries", bucket=DAY, **month)
    for by in ("model", "user", "key", "service", "agent"):
        found[f"dashboard, 30 days by {by}"] = lambda by=by: caller.get(
            "/timeseries", bucket=DAY, by=by, **month
        )
        found[f"usage by {by}, 30 days"] = lambda by=by: caller.get("/usage", group_by=by, **month)
    return found


def measure(ask: Callable[[], Any], times: int) -> dict[str, float]:
    """Return p50 and p95 of the wall time in ms."""
    walls = []
    for _ in range(times):
        begin = time.perf_counter()
        ask()
        walls.append((time.perf_counter() - begin) * 1e3)
    walls.sort()
    return {"p50_ms": round(statistics.median(walls), 1), "p95_ms": round(walls[int(0.95 * (times - 1))], 1)}


def erased(caller: Caller, user: str, gone: bool) -> None:
    """Erase a user; print how long it took until nobody finds the traces and, if asked, until their rows are gone."""
    begin = time.perf_counter()

    def ask(seconds: float) -> dict[str, Any]:
        body = json.dumps({"user": user, "wait_seconds": seconds}).encode()
        done = json.loads(caller.post("/api/v1/traces/erase", body, "application/json"))
        return {"seconds": round(time.perf_counter() - begin, 2)} | done

    print("hidden", json.dumps(ask(0)), flush=True)
    if found := caller.get("/traces", query=f"user:{user}", limit=1)["items"]:
        raise SystemExit(f"{user} is still found: {found}")
    if gone:
        while (said := ask(30))["left"]:
            pass
        print("erased", json.dumps(said), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--erase", default="", help="a user whose traces are erased at the end")
    parser.add_argument("--gone", action="store_true", help="wait until that user's rows are gone, too")
    parser.add_argument("--only", default="", help="ask only what has this in its name; | separates")
    args = parser.parse_args()
    with Home.open(args.home) as home:
        with home.begin() as uow:
            owner, _ = auth.ensure_owner(uow)
            key = auth.create_key(uow, owner.actor(), name="bench", role=Role.ADMIN)[1]
        with home.read() as uow:
            sample = list(service.list_traces(uow, owner.actor(), limit=1000).items)
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "penstock",
        "up",
        "--home",
        str(args.home),
        "--port",
        str(port),
    ]
    server = subprocess.Popen([*command, "--workers", "1"], stdout=subprocess.DEVNULL)
    try:
        while not is_ready(port):
            if server.poll() is not None:
                raise SystemExit("the server has ended")
            time.sleep(0.2)
        work(args, port, key, sample, server.pid)
    finally:
        server.terminate()
        server.wait()


def work(args: argparse.Namespace, port: int, key: str, sample: list[Any], pid: int) -> None:
    """Ask, and print what it took."""
    sender, caller, rng = Sender(port, key, args.rate), Caller(port, key), random.Random(1)
    sender.start()
    highest: dict[str, tuple[float, float]] = {}

    def look() -> None:
        for one in memory(pid):
            pss, rss = highest.get(one.role, (0.0, 0.0))
            highest[one.role] = (max(pss, one.pss), max(rss, one.rss))

    for name, ask in asked(caller, rng, sample).items():
        if any(part in name for part in args.only.split("|")):
            print(f"{name:28}", json.dumps(measure(ask, args.times)), flush=True)
            look()
    if args.erase:
        erased(caller, args.erase, args.gone)
        look()
    sender.ended.set()
    sender.join()
    for name, times in (("request_ms", sender.taken), ("seen_after_ms", sender.seen)):
        ordered = sorted(times)
        p95 = ordered[int(0.95 * (len(ordered) - 1))]
        print(name, json.dumps({"p50": round(statistics.median(ordered) * 1e3), "p95": round(p95 * 1e3)}))
    print("highest_mb", json.dumps(highest))


if __name__ == "__main__":
    main()
