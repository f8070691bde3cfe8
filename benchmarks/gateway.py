"""What a call through the gateway costs: CPU per call, per streamed chunk, memory per slow stream.

    python benchmarks/gateway.py [--cycles 3] [--seconds 3] [--json]

A mock provider in C and the load run on core 0, the measured servers on core 1. The gateway (keys, routes, traces
written to SQLite) and plain nginx take turns within one run, so that the ratio holds whatever the machine does.
CPU is /proc/PID/task/*/schedstat, summed over threads. Needs `cc`, `nginx`, `taskset` and two cores.
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUDGET = {"call_ms": 0.20, "call_ratio": 10, "chunk_us": 80, "chunk_ratio": 4, "stream_kb": 40}
NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; client_body_buffer_size 64k;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream mock {{ server 127.0.0.1:{mock}; keepalive 512; }}
  server {{ listen 127.0.0.1:{port}; keepalive_requests 10000000;
    location / {{
      proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }} }}
}}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int) -> None:
    for _ in range(400):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on {port}")


def family(pid: int) -> list[int]:
    """Return the process and its descendants."""
    found = [pid]
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += family(int(child))
    return found


def cpu_ns(pid: int) -> int:
    """Return CPU nanoseconds of the process, its threads and descendants."""
    return sum(
        int(Path(task, "schedstat").read_text().split()[0])
        for each in family(pid)
        for task in Path(f"/proc/{each}/task").iterdir()
    )


def rss_kb(pid: int) -> int:
    return sum(
        int(line.split()[1])
        for each in family(pid)
        for line in Path(f"/proc/{each}/status").read_text().splitlines()
        if line.startswith("VmRSS:")
    )


def load(kind: str, **arguments: object) -> dict:
    command = ["taskset", "-c", "0", sys.executable, str(HERE / "load.py"), kind, json.dumps(arguments)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def serve(home: str, port: int, recording: bool) -> None:
    """Serve as a web process of `penstock up` does."""
    from penstock.app.server import Penstock
    from penstock.core.home import Home
    from penstock.web.edge.server import EdgeServer
    from penstock.web.edge.state import Edge

    class Nothing:
        def record(self, scope, span) -> None:
            """Forget the span."""

    with Home.open(home) as opened:
        app = Penstock(opened, intake=False)
        if not recording:
            app.gateway._telemetry._recorder = Nothing()
        listener = socket.create_server(("127.0.0.1", port), backlog=2048)
        EdgeServer(app, Edge()).run([listener])


def prepare(home: str, mock: int) -> str:
    """Configure a home: the mock as a provider, its models as routes, 2,000 keys. Returns one of the keys."""
    from penstock.core.auth import service as auth
    from penstock.core.home import Home
    from penstock.gateway import service

    models = ["fast", "s50x20", "s20x1000", "s400x0"]
    with Home.open(home) as opened, opened.begin() as uow:
        person, _ = auth.ensure_owner(uow)
        actor = person.actor()
        providers = {
            "mock": {"kind": "openai", "base_url": f"http://127.0.0.1:{mock}/v1", "api_key": "sk-mock"}
        }
        routes = {model: {"targets": [{"provider": "mock", "model": model}]} for model in models}
        service.apply(uow, actor, {"providers": providers, "routes": routes})
        keys = [auth.create_key(uow, actor, name=f"key {number}")[1] for number in range(2000)]
    return keys[1000]


class Bench:
    """The servers of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: list[subprocess.Popen] = []
        self.ports: dict[str, int] = {}
        self.pids: dict[str, int] = {}

    def start(self, name: str, core: int, command: list[str], port: int) -> None:
        child = subprocess.Popen(["taskset", "-c", str(core), *command], stdout=subprocess.DEVNULL)
        self.children.append(child)
        self.ports[name], self.pids[name] = port, child.pid
        wait_for(port)

    def start_all(self, *, recording: bool) -> str:
        mock, nginx, gateway = free_port(), free_port(), free_port()
        binary = self.folder / "mock"
        subprocess.run(["cc", "-O2", "-w", "-o", str(binary), str(HERE / "mock_upstream.c")], check=True)
        self.start("mock", 0, [str(binary), str(mock)], mock)
        conf = self.folder / "nginx.conf"
        conf.write_text(NGINX.format(folder=self.folder, mock=mock, port=nginx))
        self.start("nginx", 1, ["nginx", "-c", str(conf), "-p", str(self.folder)], nginx)
        home = str(self.folder / "home")
        key = prepare(home, mock)
        command = [sys.executable, str(HERE / "gateway.py"), "serve", home, str(gateway), str(int(recording))]
        self.start("gateway", 1, command, gateway)
        return key

    def stop(self) -> None:
        for child in reversed(self.children):
            child.send_signal(signal.SIGTERM)
        for child in self.children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()

    def cost(self, name: str, kind: str, per: str, **arguments: object) -> float:
        """Return CPU nanoseconds per `per` of one slice of load."""
        before = cpu_ns(self.pids[name])
        result = load(kind, port=self.ports[name], **arguments)
        time.sleep(0.4)  # what was handed to the recorder belongs to the call
        assert not result.get("bad"), result
        return (cpu_ns(self.pids[name]) - before) / result[per]


def measure(bench: Bench, key: str, cycles: int, seconds: float) -> dict[str, dict[str, float]]:
    """Return medians: server → figure."""
    kinds = {
        "call_ms": ("whole", "calls", {"connections": 16, "seconds": seconds, "size": 2162}, 1e6),
        "chunk_us": ("streams", "chunks", {"count": 40, "model": "s50x20", "timeout": 30}, 1e3),
        "burst_chunk_us": ("streams", "chunks", {"count": 8, "model": "s400x0", "timeout": 30}, 1e3),
    }
    samples: dict[str, dict[str, list[float]]] = {}
    for cycle in range(cycles + 1):
        for figure, (kind, per, arguments, scale) in kinds.items():
            for name in ("nginx", "gateway"):
                cost = bench.cost(name, kind, per, key=key, **arguments) / scale
                if cycle:
                    samples.setdefault(name, {}).setdefault(figure, []).append(cost)
    return {
        name: {figure: round(statistics.median(found), 4) for figure, found in figures.items()}
        for name, figures in samples.items()
    }


def slow_streams(bench: Bench, key: str, count: int) -> dict[str, float]:
    """Return memory and CPU of `count` streams with a chunk a second."""
    pid = bench.pids["gateway"]
    before, used = rss_kb(pid), cpu_ns(pid)
    arguments = {
        "port": bench.ports["gateway"],
        "key": key,
        "count": count,
        "model": "s20x1000",
        "timeout": 60,
    }
    command = ["taskset", "-c", "0", sys.executable, str(HERE / "load.py"), "streams", json.dumps(arguments)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE)
    peak = before
    while child.poll() is None:
        peak = max(peak, rss_kb(pid))
        time.sleep(0.1)
    assert child.stdout is not None
    result = json.loads(child.stdout.read())
    return {
        "finished": result["finished"],
        "stream_kb": round((peak - before) / count, 1),
        "peak_mb": round(peak / 1024, 1),
        "cpu_s": round((cpu_ns(pid) - used) / 1e9, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cycles", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--no-traces", action="store_true", help="measure without writing traces")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        try:
            key = bench.start_all(recording=not options.no_traces)
            found = measure(bench, key, options.cycles, options.seconds)
            slow = slow_streams(bench, key, options.streams) if options.streams else {}
        finally:
            bench.stop()
    gateway, nginx = found["gateway"], found["nginx"]
    result = {
        "gateway": gateway,
        "nginx": nginx,
        "ratio": {figure: round(gateway[figure] / nginx[figure], 2) for figure in gateway},
        "slow_streams": slow,
        "budget": BUDGET,
        "load_average": os.getloadavg()[0],
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], int(sys.argv[3]), sys.argv[4] == "1")
    else:
        main()
