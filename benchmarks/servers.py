"""The servers of a run: a mock provider in C, nginx as a plain proxy, Penstock with more or less switched on."""

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODELS = ("fast", "s50x20", "s20x1000", "s400x0")
KEYS = 10_000
VARIANTS = {
    "bare": "keys and routes; no limits, no guards, no cache, nothing recorded",
    "traces": "keys, routes, and every call recorded",
    "full": "rate limits and budgets of the key and its project, three guards on input and output, a cache, traces",
}
NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; client_body_buffer_size 512k;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream mock {{ server 127.0.0.1:{mock}; keepalive 512; }}
  server {{ listen 127.0.0.1:{port}; keepalive_requests 10000000; client_max_body_size 64m;
    location / {{
      proxy_pass http://mock; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }} }}
}}
"""


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int) -> None:
    """Wait until somebody listens on `port`."""
    for _ in range(3000):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on {port}")


def wait_ready(port: int) -> None:
    """Wait until the server on `port` says that it serves."""
    for _ in range(3000):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"the server on {port} did not get ready")


def family(pid: int) -> list[int]:
    """Return the process and its descendants; a child belongs to the thread that started it."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def cpu_ns(pid: int) -> int:
    """Return CPU nanoseconds of the process, its threads and descendants."""
    return sum(
        int(Path(task, "schedstat").read_text().split()[0])
        for each in family(pid)
        for task in Path(f"/proc/{each}/task").iterdir()
    )


def rss_kb(pid: int) -> int:
    """Return resident memory of the process and its descendants."""
    return memory_kb(pid, "VmRSS")


def memory_kb(pid: int, field: str) -> int:
    """Return a figure of /proc/PID/status, summed over the process and its descendants."""
    return sum(
        int(line.split()[1])
        for each in family(pid)
        for line in Path(f"/proc/{each}/status").read_text().splitlines()
        if line.startswith(f"{field}:")
    )


def load(kind: str, *, core: int | None = 0, **arguments: object) -> dict:
    """Run the load generator; returns what it says."""
    command = [sys.executable, str(HERE / "load.py"), kind, json.dumps(arguments)]
    if core is not None:
        command = ["taskset", "-c", str(core), *command]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def serve(home: str, port: int, recording: bool) -> None:
    """Serve as a web process of `penstock up` does."""
    from penstock.app.server import Penstock
    from penstock.core.home import Home
    from penstock.web.edge.server import EdgeServer, spare_collector
    from penstock.web.edge.state import Edge

    class Nothing:
        def record(self, scope, span) -> None:
            """Forget the span."""

    class Server(EdgeServer):
        def ready(self) -> None:
            """Do as a web worker does once it serves."""
            spare_collector()

    with Home.open(home) as opened:
        app = Penstock(opened, intake=False)
        if not recording:
            app.gateway._telemetry._recorder = Nothing()
        listener = socket.create_server(("127.0.0.1", port), backlog=2048)
        Server(app, Edge()).run([listener])


def take_in(home: str) -> None:
    """Move recorded spans into the database, as the background process of `penstock up` does."""
    import threading

    from penstock.core.home import Home
    from penstock.traces.intake import Intake

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with Home.open(home) as opened:
        Intake(opened).run(stop)


def prepare(home: str, mock: int, variant: str = "traces") -> str:
    """Configure a home: the mock as a provider, its models as routes, 10,000 keys. Returns one of the keys."""
    from penstock.core.auth import service as auth
    from penstock.core.home import Home
    from penstock.gateway import service

    with Home.open(home) as opened, opened.begin() as uow:
        person, _ = auth.ensure_owner(uow)
        actor = person.actor()
        address = f"http://127.0.0.1:{mock}/v1"
        tables = {
            "providers": {"mock": {"kind": "openai", "base_url": address, "api_key": "sk-mock"}},
            "routes": {model: {"targets": [{"provider": "mock", "model": model}]} for model in MODELS},
        }
        keys = [auth.create_key(uow, actor, name=f"key {number}") for number in range(KEYS)]
        used, secret = keys[KEYS // 2]
        if variant == "full":
            from penstock.traces import price_service
            from penstock.traces.price_terms import Price

            for model in MODELS:
                price_service.set_price(uow, actor, model=model, price=Price(input=0.1, output=0.4))
            tables |= _everything(used.id)
        service.apply(uow, actor, tables)
    return secret


def _everything(key_id: str) -> dict:
    figures = {
        "requests_per_minute": 10_000_000,
        "input_tokens_per_minute": 2_000_000_000,
        "output_tokens_per_minute": 2_000_000_000,
        "concurrent": 10_000,
    }
    guards = [
        {"kind": "pii", "action": "mask"},
        {"kind": "secrets", "action": "block"},
        {"kind": "injection", "action": "flag"},
    ]
    return {
        "limits": {
            "key": {"kind": "key", "subject": key_id, **figures},
            "project": {"kind": "project", **figures},
        },
        "budgets": {
            "key": {"kind": "key", "subject": key_id, "usd": 100_000, "period": "day"},
            "project": {"kind": "project", "usd": 100_000, "period": "month"},
        },
        "cache": {"*": {"ttl": 3600}},
        "guardrails": {"standard": {"guards": guards}},
    }


class Bench:
    """The servers of one run; `stop` ends them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: list[subprocess.Popen] = []
        self.ports: dict[str, int] = {}
        self.pids: dict[str, int] = {}
        self.keys: dict[str, str] = {}
        self.background: dict[str, int] = {}
        """Processes that move what a server recorded into its database."""
        self.extra: dict[str, dict[str, str]] = {}
        """Further arguments of the load for a server: `path`, `prefix`."""

    def start(self, name: str, core: int | None, command: list[str], port: int) -> None:
        """Start a server on a core and wait until it listens."""
        pinned = ["taskset", "-c", str(core), *command] if core is not None else command
        child = subprocess.Popen(pinned, stdout=subprocess.DEVNULL)
        self.children.append(child)
        self.ports[name], self.pids[name] = port, child.pid
        self.keys.setdefault(name, "")
        wait_for(port)

    def start_mock(self, core: int | None = 0) -> int:
        """Build and start the mock provider; returns its port."""
        mock, binary = free_port(), self.folder / "mock"
        subprocess.run(["cc", "-O2", "-w", "-o", str(binary), str(HERE / "mock_upstream.c")], check=True)
        self.start("mock", core, [str(binary), str(mock)], mock)
        return mock

    def start_nginx(self, mock: int, core: int | None = 1) -> None:
        """Start nginx as a proxy of the mock."""
        port, conf = free_port(), self.folder / "nginx.conf"
        conf.write_text(NGINX.format(folder=self.folder, mock=mock, port=port))
        self.start("nginx", core, ["nginx", "-c", str(conf), "-p", str(self.folder)], port)

    def start_floor(self, mock: int, core: int | None = 1) -> None:
        """Start the barest proxy that Python allows."""
        port = free_port()
        self.start("floor", core, [sys.executable, str(HERE / "floor.py"), str(port), str(mock)], port)

    def start_gateway(self, mock: int, variant: str, core: int | None = 1) -> None:
        """Start one web process of Penstock as the variant says."""
        port, home = free_port(), str(self.folder / variant)
        key = prepare(home, mock, variant)
        recording = str(int(variant != "bare"))
        self.start(variant, core, [sys.executable, __file__, "serve", home, str(port), recording], port)
        self.keys[variant] = key
        if variant != "bare":
            background = [sys.executable, __file__, "intake", home]
            child = subprocess.Popen(["taskset", "-c", "0", *background], stdout=subprocess.DEVNULL)
            self.children.append(child)
            self.background[variant] = child.pid

    def start_up(self, mock: int, variant: str, workers: int) -> None:
        """Start `penstock up` as the variant says, on any core; the server is called `up<workers>`."""
        name, port = f"up{workers}", free_port()
        home = str(self.folder / name)
        self.keys[name] = prepare(home, mock, variant)
        command = [sys.executable, "-m", "penstock", "up", "--home", home, "--port", str(port)]
        self.start(name, None, [*command, "--workers", str(workers)], port)
        wait_ready(port)

    def stop(self) -> None:
        """End every server."""
        for child in reversed(self.children):
            child.send_signal(signal.SIGTERM)
        for child in self.children:
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()

    def run(self, name: str, kind: str, **arguments: object) -> dict:
        """Load a server; returns what the load says."""
        more = {"key": self.keys[name], **self.extra.get(name, {}), **arguments}
        return load(kind, port=self.ports[name], **more)

    def cost(self, name: str, kind: str, per: str, **arguments: object) -> tuple[float, dict]:
        """Return CPU nanoseconds per `per` of one slice of load, and what the load says."""
        before = cpu_ns(self.pids[name])
        result = self.run(name, kind, **arguments)
        time.sleep(0.4)  # what was handed to the recorder belongs to the call
        assert not result.get("bad"), (name, result)
        return (cpu_ns(self.pids[name]) - before) / max(1, result[per]), result


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], int(sys.argv[3]), sys.argv[4] == "1")
    elif sys.argv[1:2] == ["intake"]:
        take_in(sys.argv[2])
