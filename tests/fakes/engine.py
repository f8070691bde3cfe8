"""An engine in memory: answers completions over real loopback HTTP, and can be told to fail, hang or crash."""

import json
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from penstock.core.errors import ChildFailed, Invalid, MissingExtra
from penstock.serving.ports import Launch, Load


class FakeProcess:
    """A server thread that stands for a child process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.served = 0
        self.in_flight = 0
        self.hold = threading.Event()
        self.hold.set()
        self._reason: str | None = None
        self.stopped = False
        self.queued = 0
        self.fake_pid: int | None = None
        self.silent = False
        self.adapters: dict[str, Path] = {}
        self.refuses: set[str] = set()
        process = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                process.in_flight += 1
                process.hold.wait(60)
                process.in_flight -= 1
                process.served += 1
                body = json.dumps({"model": process.name, "choices": [{"index": 0, "text": "x"}]}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def pid(self) -> int | None:
        return self.fake_pid

    def exit_reason(self) -> str | None:
        return self._reason

    def busy(self) -> bool:
        return self.in_flight > 0

    def load(self) -> Load | None:
        return None if self.silent else Load(running=self.in_flight, waiting=self.queued, done=self.served)

    def add_adapter(self, name: str, folder: Path) -> None:
        if name in self.refuses:
            raise ChildFailed("rank too high")
        assert (folder / "adapter_config.json").exists()
        self.adapters[name] = folder

    def remove_adapter(self, name: str) -> None:
        self.adapters.pop(name, None)

    def crash(self, reason: str = "it fell over") -> None:
        self._reason = reason
        self._close()

    def stop(self) -> None:
        if not self.stopped:
            self.stopped = True
            self._reason = self._reason or "it was stopped"
            self._close()

    def _close(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


class FakeEngine:
    """Starts `FakeProcess`es and remembers them; `broken[name]` makes a start fail with that reason."""

    ACCEPTS: ClassVar[frozenset[str]] = frozenset({"gguf"})
    ADAPTERS: ClassVar[bool] = True
    PRIVILEGED: ClassVar[Mapping[str, Any]] = {"shell": ""}

    def __init__(self) -> None:
        self.started: list[FakeProcess] = []
        self.launches: list[Launch] = []
        self.broken: dict[str, str] = {}
        self.delay = 0.0
        self.missing = ""
        """The extra without which it cannot run."""

    def check(self, options: dict[str, Any]) -> dict[str, Any]:
        if self.missing:
            raise MissingExtra(self.missing, "The engine 'fake'")
        if set(options) - {"threads", "shell"}:
            raise Invalid(f"unknown option {sorted(options)[0]!r}")
        return {"threads": 1, **options}

    def start(self, folder: Path, launch: Launch) -> FakeProcess:
        name = launch.name
        time.sleep(self.delay)
        if not list(folder.glob("*.gguf")):
            raise Invalid("no .gguf file")
        if name in self.broken:
            raise ChildFailed(self.broken[name])
        process = FakeProcess(name)
        self.launches.append(launch)
        self.started.append(process)
        return process

    def alive(self) -> list[str]:
        return sorted(process.name for process in self.started if process.exit_reason() is None)
