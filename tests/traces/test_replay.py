"""Replay: spans arrive at another OpenTelemetry backend, whatever it answers first."""

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from penstock.core.errors import Denied, Invalid, Unavailable, Upstream
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.traces import replay as replaying
from penstock.traces import service
from penstock.traces.model import TraceFilters
from tests.traces.build import call


class Collector(ThreadingHTTPServer):
    """Keeps what it gets; answers the statuses in `answers` first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[int] = []
        self.rejected = 0
        self.spans: list[str] = []
        self.headers: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/traces?x=1"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.server.headers.append({key.lower(): value for key, value in self.headers.items()})
        answer = b"no" if status != 200 else b""
        if status == 200:
            request = ExportTraceServiceRequest.FromString(gzip.decompress(body))
            for outer in request.resource_spans:
                self.server.spans += [s.span_id.hex() for group in outer.scope_spans for s in group.spans]
            if self.server.rejected:
                said = ExportTraceServiceResponse()
                said.partial_success.rejected_spans = self.server.rejected
                answer = said.SerializeToString()
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.send_header("retry-after", "0")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_all_matching_spans_arrive_in_batches(home: Home, actor: Actor, collector: Collector) -> None:
    spans = [call(route="a") for _ in range(230)] + [call(route="b")]
    service.ingest(home, actor.scope, spans)
    headers = {"authorization": "Bearer k"}
    done = service.replay_traces(
        home, actor, url=collector.url, headers=headers, filters=TraceFilters(route="a")
    )
    assert done == (230, 0)
    assert sorted(collector.spans) == sorted(span.span_id for span in spans[:230])
    assert [given["authorization"] for given in collector.headers] == ["Bearer k", "Bearer k"]


def test_a_receiver_that_is_busy_is_asked_again(collector: Collector) -> None:
    collector.answers, collector.rejected = [503, 429, 502], 1
    assert replaying.replay([call()], collector.url, allow_private=True) == (1, 1)
    assert len(collector.headers) == 4


def test_a_refusal_is_told(collector: Collector) -> None:
    collector.answers = [401]
    with pytest.raises(Upstream, match="401"):
        replaying.replay([call()], collector.url, allow_private=True)
    collector.answers = [503] * 5
    with pytest.raises(Upstream, match="503"):
        replaying.replay([call()], collector.url, allow_private=True)


def test_nobody_there(free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "_LONGEST_WAIT", 0.0)
    with pytest.raises(Unavailable):
        replaying.replay([call()], f"http://127.0.0.1:{free_port}/v1/traces", allow_private=True)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "http://169.254.169.254/", "http://[::1]:4318/v1/traces"]
)
def test_addresses_that_may_not_be_called(url: str) -> None:
    with pytest.raises(Denied):
        replaying.replay([call()], url, allow_private=False)


def test_wrong_addresses_and_headers() -> None:
    with pytest.raises(Invalid):
        replaying.replay([call()], "file:///etc/passwd", allow_private=True)
    with pytest.raises(Invalid):
        replaying.replay([call()], "http://127.0.0.1:1/", headers={"x": "a\r\nb: c"}, allow_private=True)
