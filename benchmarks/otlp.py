"""What OTLP ingest costs the web process, per span of about 2 KB, and how much disk it takes.

    python benchmarks/otlp.py [--spans 20000] [--batch 500] [--clients 2] [--encoding protobuf|json] [--gzip] [--peers]

Starts the receiver in a process of its own on an empty home, sends traces of five spans (agent, retriever, call,
tool, call; OpenTelemetry GenAI attributes, 1,500 characters of text each) from client processes, and reads the
receiver's CPU time from /proc/PID/task/*/schedstat before and after. Every answer is awaited: 200 means durable. What
the background adds (settling, roll-ups, index) is measured apart, batch by batch as the server does it.
PENSTOCK_CORE__DATABASE_URL chooses an empty database of a PostgreSQL on this machine, whose processes' CPU time is told
beside ours. With --peers the same requests go to Phoenix and MLflow too, a tenth of the spans; theirs is the CPU of all
their processes until nothing is left to do, because Phoenix answers before it stores.
"""

import argparse
import gzip
import http.client
import json
import multiprocessing
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trace_peers
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from penstock.core.auth import service as auth
from penstock.core.home import Home
from penstock.core.scope import Role
from penstock.traces import background

SERVER = """
import sys, uvicorn
from penstock.core.home import Home
from penstock.traces.otlp_app import OtlpApp
app = OtlpApp(Home.open(sys.argv[1]))
uvicorn.run(app, port=int(sys.argv[2]), lifespan="off", access_log=False, log_level="warning")
"""
KINDS = [
    ("invoke_agent", "agent"),
    ("retrieval", "kb"),
    ("chat", "llm"),
    ("execute_tool", "tool"),
    ("chat", "llm"),
]
TEXT_CHARS = 1500
DATABASE_SIZE = "SELECT pg_database_size(current_database())"
_VOCABULARY = (
    "the model answer invoice policy customer refund shipping region latency token budget prompt retrieval context "
    "account please explain summary quarterly report contract clause deadline risk vector index search document "
    "engineer deploy canary rollback threshold metric alert incident runbook database query user session agent tool"
)


def text(rng: random.Random, chars: int) -> str:
    words = _VOCABULARY.split()
    said = [
        rng.choice(words) if rng.random() > 0.08 else str(rng.randrange(10**6)) for _ in range(chars // 5)
    ]
    return " ".join(said)[:chars]


def template(rng: random.Random, batch: int) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "bench"
    scope = group.scope_spans.add()
    for _ in range(batch // len(KINDS)):
        for place, (operation, name) in enumerate(KINDS):
            span = scope.spans.add(name=f"{operation} {name}", kind=3)
            given: dict[str, Any] = {
                "gen_ai.operation.name": operation,
                "gen_ai.conversation.id": f"session-{rng.randrange(5000):05}",
                "user.id": f"user-{rng.randrange(1000):04}",
                "gen_ai.input.messages": json.dumps(
                    [{"role": "user", "parts": [{"type": "text", "content": text(rng, TEXT_CHARS // 2)}]}]
                ),
                "gen_ai.output.messages": json.dumps(
                    [
                        {
                            "role": "assistant",
                            "parts": [{"type": "text", "content": text(rng, TEXT_CHARS // 2)}],
                        }
                    ]
                ),
            }
            if operation == "chat":
                given |= {
                    "gen_ai.provider.name": "openai",
                    "gen_ai.request.model": "gpt-4o-mini",
                    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
                    "gen_ai.usage.input_tokens": rng.randrange(2000),
                    "gen_ai.usage.output_tokens": rng.randrange(500),
                    "gen_ai.request.max_tokens": 512,
                }
            for key, value in given.items():
                held = span.attributes.add(key=key).value
                if isinstance(value, int):
                    held.int_value = value
                else:
                    held.string_value = value
            span.status.code = 2 if place == 3 and rng.random() < 0.05 else 1
    return request


def renew(request: ExportTraceServiceRequest, rng: random.Random) -> None:
    now = time.time_ns()
    for place, span in enumerate(request.resource_spans[0].scope_spans[0].spans):
        if place % len(KINDS) == 0:
            trace_id, root = rng.randbytes(16), rng.randbytes(8)
        span.trace_id, span.span_id = trace_id, root if place % len(KINDS) == 0 else rng.randbytes(8)
        span.parent_span_id = b"" if place % len(KINDS) == 0 else root
        span.start_time_unix_nano = now - rng.randrange(10**9)
        span.end_time_unix_nano = span.start_time_unix_nano + rng.randrange(10**8, 10**9)


def as_json(request: ExportTraceServiceRequest) -> bytes:
    found = MessageToDict(request)
    spans = request.resource_spans[0].scope_spans[0].spans
    for said, span in zip(found["resourceSpans"][0]["scopeSpans"][0]["spans"], spans, strict=True):
        said["traceId"], said["spanId"] = span.trace_id.hex(), span.span_id.hex()
        said["parentSpanId"] = span.parent_span_id.hex()
    return json.dumps(found).encode()


def client(port: int, given: dict[str, str], args: argparse.Namespace, requests: int, results: Any) -> None:
    rng = random.Random()
    templates = [template(rng, args.batch) for _ in range(4)]
    conn = http.client.HTTPConnection("127.0.0.1", port)
    wire, walls = 0, []
    headers = given | {"content-type": "application/x-protobuf"}
    if args.encoding == "json":
        headers["content-type"] = "application/json"
    if args.gzip:
        headers["content-encoding"] = "gzip"
    for number in range(requests):
        request = templates[number % len(templates)]
        renew(request, rng)
        body = request.SerializeToString()
        if args.encoding == "json":
            body = as_json(request)
        wire += len(body)
        begin = time.perf_counter()
        conn.request("POST", "/v1/traces", gzip.compress(body, 1) if args.gzip else body, headers)
        answer = conn.getresponse()
        said = answer.read()
        walls.append(time.perf_counter() - begin)
        refused = "x-api-key" in given and said not in (
            b"",
            b"{}",
        )  # a partial success, as Penstock reports it
        if answer.status != 200 or refused:
            results.put(f"{answer.status}: {said!r}")
            return
    results.put((wire, walls))


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of the living threads of a process and its descendants."""
    tasks = [
        task for one in trace_peers.family(pid) for task in Path(f"/proc/{one}/task").glob("*/schedstat")
    ]
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def database_cpu(home: Home) -> float:
    """Return the CPU time of PostgreSQL, of processes that have ended too."""
    with home.db.engine.connect() as conn:
        backend = conn.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    parent = int(_fields(backend)[1])
    ended = sum(int(ticks) for ticks in _fields(parent)[13:15]) / os.sysconf("SC_CLK_TCK")
    return cpu_seconds(parent) + ended


def _fields(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat behind the name: state, parent, …"""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def sqlite_size(folder: Path) -> int:
    """Return the bytes of the database once all is in its file."""
    raw = sqlite3.connect(folder / "penstock.db")
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    raw.close()
    return (folder / "penstock.db").stat().st_size


def at_rest(pid: int) -> float:
    """Return the CPU time once the processes have hardly used any for three seconds."""
    quiet, before, until = 0, cpu_seconds(pid), time.monotonic() + 300
    while quiet < 3 and time.monotonic() < until:
        time.sleep(1)
        now = cpu_seconds(pid)
        quiet, before = quiet + 1 if now - before < 0.05 else 0, now
    return before


def wait_for(port: int) -> None:
    for _ in range(600):
        try:
            conn = http.client.HTTPConnection("127.0.0.1", port)
            conn.request("GET", "/v1/traces")
            conn.getresponse().read()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("the receiver did not start")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--spans", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=500)
    parser.add_argument("--clients", type=int, default=2)
    parser.add_argument("--encoding", choices=["protobuf", "json"], default="protobuf")
    parser.add_argument("--gzip", action="store_true")
    parser.add_argument("--port", type=int, default=18765)
    parser.add_argument("--peers", action="store_true", help="Phoenix and MLflow, installed on first use")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="penstock-bench-"))
    with Home.open(folder) as home:
        sqlite = home.db.engine.dialect.name == "sqlite"
        with home.begin() as uow:
            owner, _ = auth.ensure_owner(uow)
            key = auth.create_key(uow, owner.actor(), name="bench", role=Role.GATEWAY)[1]
        server = subprocess.Popen([sys.executable, "-c", SERVER, str(folder), str(args.port)])
        database = [0.0] if sqlite else [database_cpu(home)]
        try:
            wait_for(args.port)
            report = run(args, server.pid, args.port, {"x-api-key": key})
        finally:
            server.terminate()
            server.wait()
        database += [] if sqlite else [database_cpu(home)]
        cpu = time.process_time()
        background.catch_up(home)
        cpu = time.process_time() - cpu
        database += [] if sqlite else [database_cpu(home)]
        with home.db.engine.connect() as conn:
            report["stored"] = conn.exec_driver_sql("SELECT count(*) FROM traces_spans").scalar()
            size = sqlite_size(folder) if sqlite else conn.exec_driver_sql(DATABASE_SIZE).scalar()
        report["disk_bytes_per_span_indexed"] = round(size / max(1, report["stored"]))
        report["background_ms_per_span"] = round(cpu / max(1, report["stored"]) * 1e3, 4)
        for name, before, after in zip(("ingest", "background"), database, database[1:], strict=False):
            report[f"{name}_database_ms_per_span"] = round((after - before) / report["stored"] * 1e3, 4)
    print(json.dumps({"name": "penstock"} | report), flush=True)
    for start in (trace_peers.start_phoenix, trace_peers.start_mlflow) if args.peers else ():
        beside(args, folder, start, report)
    shutil.rmtree(folder)


def beside(args: argparse.Namespace, folder: Path, start: Any, ours: dict[str, Any]) -> None:
    """Send a tenth of the spans to another receiver, and print what they cost there."""
    args.port += 10
    peer = start(folder, args.port)
    less = argparse.Namespace(**vars(args) | {"spans": max(args.batch * args.clients, args.spans // 10)})
    try:
        run(
            argparse.Namespace(**vars(args) | {"spans": args.batch * args.clients}),
            peer.process.pid,
            peer.port,
            peer.headers,
            peer.stored,
        )
        report = run(less, peer.process.pid, peer.port, peer.headers, peer.stored)
    finally:
        peer.process.terminate()
        peer.process.wait()
    report["stored"] = peer.stored()
    size = sum(file.stat().st_size for file in peer.database.parent.glob(f"{peer.database.name}*"))
    report["disk_bytes_per_span"] = round(size / max(1, report["stored"]))
    every = ours["cpu_ms_per_span"] + ours["background_ms_per_span"]
    report["times_our_web_process"] = round(report["cpu_ms_per_span"] / ours["cpu_ms_per_span"], 1)
    report["times_ours_with_background"] = round(report["cpu_ms_per_span"] / every, 1)
    print(json.dumps({"name": peer.name} | report), flush=True)


def until_stored(stored: Callable[[], int], wanted: int) -> None:
    """Wait until so many spans are stored, or none has come for two minutes."""
    have, since = stored(), time.monotonic()
    while have < wanted and time.monotonic() - since < 120:
        time.sleep(1)
        if (now := stored()) > have:
            have, since = now, time.monotonic()


def run(
    args: argparse.Namespace,
    pid: int,
    port: int,
    headers: dict[str, str],
    stored: Callable[[], int] | None = None,
) -> dict[str, Any]:
    """Send the spans and return what they cost; with `stored`, once the receiver has them all or no more come."""
    already = stored() if stored else 0
    per_client = args.spans // args.batch // args.clients
    results: Any = multiprocessing.Queue()
    clients = [
        multiprocessing.Process(target=client, args=(port, headers, args, per_client, results))
        for _ in range(args.clients)
    ]
    cpu, begin = at_rest(pid), time.perf_counter()
    for one in clients:
        one.start()
    found = [results.get() for _ in clients]
    wall = time.perf_counter() - begin
    if stored:
        until_stored(stored, already + per_client * args.clients * args.batch)
    cpu = at_rest(pid) - cpu
    for one in clients:
        one.join()
    if failed := [one for one in found if isinstance(one, str)]:
        raise SystemExit(failed[0])
    spans = per_client * args.clients * args.batch
    walls = sorted(wall for _, one in found for wall in one)
    return {
        "spans": spans,
        "cpu_ms_per_span": round(cpu / spans * 1e3, 4),
        "wire_bytes_per_span": round(sum(wire for wire, _ in found) / spans),
        "spans_per_second": round(spans / wall),
        "request_p50_ms": round(walls[len(walls) // 2] * 1e3, 1),
        "request_p95_ms": round(walls[int(0.95 * (len(walls) - 1))] * 1e3, 1),
    }


if __name__ == "__main__":
    main()
