"""What OTLP ingest costs the web process, per span of about 2 KB, and how much disk it takes.

    python benchmarks/otlp.py [--spans 20000] [--batch 500] [--clients 2] [--encoding protobuf|json] [--gzip]

Starts the receiver in a process of its own on an empty home, sends traces of five spans (agent, retriever, call,
tool, call; OpenTelemetry GenAI attributes, 1,500 characters of text each) from client processes, and reads the
receiver's CPU time from /proc/PID/task/*/schedstat before and after. Every answer is awaited: 200 means durable.
"""

import argparse
import gzip
import http.client
import json
import multiprocessing
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

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


def client(port: int, key: str, args: argparse.Namespace, requests: int, results: Any) -> None:
    rng = random.Random()
    templates = [template(rng, args.batch) for _ in range(4)]
    conn = http.client.HTTPConnection("127.0.0.1", port)
    wire, walls = 0, []
    headers = {"x-api-key": key, "content-type": "application/x-protobuf"}
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
        if answer.status != 200 or said not in (b"", b"{}"):
            results.put(f"{answer.status}: {said!r}")
            return
    results.put((wire, walls))


def cpu_seconds(pid: int) -> float:
    return (
        sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
    )


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
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="penstock-bench-"))
    with Home.open(folder) as home:
        with home.begin() as uow:
            owner, _ = auth.ensure_owner(uow)
            key = auth.create_key(uow, owner.actor(), name="bench", role=Role.GATEWAY)[1]
        server = subprocess.Popen([sys.executable, "-c", SERVER, str(folder), str(args.port)])
        try:
            wait_for(args.port)
            report = run(args, server.pid, key)
        finally:
            server.terminate()
            server.wait()
        background.catch_up(home)
        with home.db.engine.connect() as conn:
            report["stored"] = conn.exec_driver_sql("SELECT count(*) FROM traces_spans").scalar()
        raw = sqlite3.connect(folder / "penstock.db")
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        raw.close()
        size = (folder / "penstock.db").stat().st_size
        report["disk_bytes_per_span_indexed"] = round(size / max(1, report["stored"]))
    shutil.rmtree(folder)
    print(json.dumps(report))


def run(args: argparse.Namespace, pid: int, key: str) -> dict[str, Any]:
    per_client = args.spans // args.batch // args.clients
    results: Any = multiprocessing.Queue()
    clients = [
        multiprocessing.Process(target=client, args=(args.port, key, args, per_client, results))
        for _ in range(args.clients)
    ]
    cpu, begin = cpu_seconds(pid), time.perf_counter()
    for one in clients:
        one.start()
    found = [results.get() for _ in clients]
    wall, cpu = time.perf_counter() - begin, cpu_seconds(pid) - cpu
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
