"""A scripted Penstock server on a real socket: answers what a test queued, remembers what it was asked."""

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class FakeServer:
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    answers: dict[str, deque[tuple[int, dict[str, str], bytes]]] = field(default_factory=dict)
    """`METHOD path` → answers, in order; the last one stays."""
    connections: set[tuple[str, int]] = field(default_factory=set)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def answer(
        self, call: str, body: Any = None, *, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        encoded = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        self.answers.setdefault(call, deque()).append((status, headers or {}, encoded))

    def next_answer(self, call: str) -> tuple[int, dict[str, str], bytes]:
        queued = self.answers.get(call)
        if not queued:
            return (
                404,
                {},
                json.dumps({"detail": f"Nothing scripted for {call}.", "code": "not_found"}).encode(),
            )
        return queued.popleft() if len(queued) > 1 else queued[0]

    def spans(self) -> list[dict[str, Any]]:
        """Every span received, in order, with attributes as a dict."""
        found = []
        for asked in self.asked:
            if asked.path != "/v1/traces":
                continue
            for resource in asked.json()["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    found += [{**span, "attributes": _plain(span["attributes"])} for span in scope["spans"]]
        return found

    def wait_for(self, count: int, timeout: float = 10.0) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.asked) >= count, timeout), (
                f"{len(self.asked)} of {count} calls"
            )


def _plain(attributes: list[dict[str, Any]]) -> dict[str, Any]:
    return {pair["key"]: next(iter(pair["value"].values())) for pair in attributes}


@contextmanager
def serving(port: int = 0, script: Callable[[FakeServer], object] | None = None) -> Iterator[FakeServer]:
    fake = FakeServer()
    if script is not None:
        script(fake)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            call = f"{self.command} {self.path.partition('?')[0]}"
            with fake.changed:
                fake.asked.append(Asked(self.command, self.path, headers, body))
                fake.connections.add(self.client_address)
                status, extra, content = fake.next_answer(call)
                fake.changed.notify_all()
            self.send_response(status)
            for name, value in extra.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one

        def log_message(self, format: str, *args: Any) -> None:
            """Stay quiet."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", port), Handler) as server:
        fake.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield fake
        finally:
            server.shutdown()
            thread.join()
