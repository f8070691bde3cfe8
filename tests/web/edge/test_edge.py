"""The edge over raw sockets: framing that servers could read differently, slow callers, limits, draining."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from penstock.web.edge.server import EdgeServer
from penstock.web.edge.state import Edge

HEAD = b"POST /v1/x HTTP/1.1\r\nhost: a\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with path, body and header names; `/slow` streams for a second, `/big` never ends on its own."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = b""
    while (message := await receive())["type"] != "http.disconnect":
        body += message["body"]
        if not message["more_body"]:
            break
    if scope["path"] == "/block":
        time.sleep(0.6)
    if scope["path"] in ("/slow", "/big"):
        await _stream(scope["path"], send)
        return
    names = b",".join(name for name, _ in scope["headers"])
    out = b"%b|%b|%b" % (scope["path"].encode(), body, names)
    headers = [(b"content-length", b"%d" % len(out))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": out})


async def _stream(path: str, send: Any) -> None:
    import asyncio

    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(10 if path == "/slow" else 10_000):
        data = b"tick" if path == "/slow" else b"x" * 100_000
        await send({"type": "http.response.body", "body": data, "more_body": True})
        await asyncio.sleep(0.1 if path == "/slow" else 0)
    await send({"type": "http.response.body", "body": b"end"})


class Running:
    """An EdgeServer in a thread."""

    def __init__(self, **limits: Any) -> None:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        self.port = listener.getsockname()[1]
        self.edge = Edge(**limits)
        self.drained = threading.Event()
        self.server = EdgeServer(echo, self.edge, on_drain=self.drained.set)
        self.thread = threading.Thread(target=lambda: self.server.run([listener]), daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def connect(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port))
        made.settimeout(10)
        return made

    def stop(self) -> None:
        self.server.should_exit = True


@pytest.fixture
def running(request: pytest.FixtureRequest) -> Iterator[Running]:
    started = Running(**getattr(request, "param", {}))
    yield started
    started.server.force_exit = True
    started.stop()
    started.thread.join(20)
    assert not started.thread.is_alive()


def read(connection: socket.socket, until: bytes | None = None) -> bytes:
    """Return what comes until the end, or until `until` is in it; b"RESET" behind it after a reset."""
    got = b""
    try:
        while (until is None or until not in got) and (data := connection.recv(65536)):
            got += data
    except ConnectionError:
        got += b"RESET"
    return got


def ask(running: Running, raw: bytes, until: bytes | None = None) -> bytes:
    with running.connect() as connection:
        connection.sendall(raw)
        return read(connection, until)


SMUGGLED = {
    "both lengths": HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, turned": HEAD + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    "a list of lengths": HEAD + b"content-length: 5, 5\r\n\r\nhello",
    "a signed length": HEAD + b"content-length: +5\r\n\r\nhello",
    "bare LF": b"GET /v1/x HTTP/1.1\nhost: a\n\n",
    "bare LF in a header": b"GET /v1/x HTTP/1.1\r\nhost: a\nx: y\r\n\r\n",
    "bare CR in a header": b"GET /v1/x HTTP/1.1\r\nhost: a\rx: y\r\n\r\n",
    "a folded header": b"GET /v1/x HTTP/1.1\r\nhost: a\r\nx: y\r\n z\r\n\r\n",
    "a space before the colon": HEAD + b"content-length : 5\r\n\r\nhello",
    "an unknown coding": HEAD + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding not undone": HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": HEAD + b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n",
    "chunked in HTTP/1.0": b"POST /v1/x HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks with bare LF": CHUNKED + b"5\nhello\n0\n\n",
    "LF in a chunk extension": CHUNKED + b"5;\nxx\r\nhello\r\n0\r\n\r\n",
    "a negative chunk": CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
    "a chunk in 0x": CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    "a chunk beyond 64 bits": CHUNKED + b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
    "no host": b"GET /v1/x HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /v1/x HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    "NUL in a header": b"GET /v1/x HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n",
    "HTTP/0.9": b"GET /v1/x\r\n\r\n",
    "a tunnel": b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n",
}


@pytest.mark.parametrize("what", SMUGGLED)
def test_framing_that_could_be_read_in_two_ways_is_refused(running: Running, what: str) -> None:
    got = ask(running, SMUGGLED[what] + b"GET /v1/smuggled HTTP/1.1\r\nhost: a\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in got and b"RESET" not in got
    assert b"/v1/smuggled" not in got


def test_a_refusal_speaks_the_family_of_the_path(running: Running) -> None:
    bad = b" HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n"
    assert b'{"error":{"message":"A request needs exactly one Host' in ask(running, b"GET /v1/models" + bad)
    assert b'{"type":"error","error":{"type":"invalid' in ask(running, b"GET /v1/messages" + bad)
    assert b'"status":"INVALID_ARGUMENT"' in ask(running, b"GET /v1beta/models" + bad)
    assert b'"status":"INVALID_ARGUMENT"' in ask(running, b"POST /v1/models/org/m:generateContent" + bad)
    streamed = b"POST /v1/models/m:streamGenerateContent?alt=sse"
    assert b'"status":"INVALID_ARGUMENT"' in ask(running, streamed + bad)
    assert b'{"error":{"message":"A request needs' in ask(running, b"GET /v1/models/org/m:free" + bad)
    assert b"application/problem+json" in ask(running, b"GET /api/v1/me" + bad)


def test_trailers_do_not_become_headers(running: Running) -> None:
    got = ask(running, CHUNKED + b"5;a=b\r\nhello\r\n0\r\nauthorization: Bearer x\r\n\r\n", b"|hello|")
    assert got.endswith(b"/v1/x|hello|host,transfer-encoding")


def test_an_offered_upgrade_is_left_aside_and_the_body_kept(running: Running) -> None:
    offer = b"connection: Upgrade, HTTP2-Settings, x-y\r\nupgrade: h2c\r\nhttp2-settings: AAQ\r\n"
    raw = HEAD + offer + b"content-length: 5\r\n\r\nhelloGET /second HTTP/1.1\r\nhost: a\r\n\r\n"
    got = ask(running, raw, b"/second|")
    assert b"/v1/x|hello|host,connection,content-length" in got
    assert b"/second||host" in got


def test_requests_sent_together_are_answered_in_order(running: Running) -> None:
    got = ask(running, b"".join(b"GET /%d HTTP/1.1\r\nhost: a\r\n\r\n" % n for n in range(5)), b"/4|")
    assert [got.index(b"/%d|" % n) for n in range(5)] == sorted(got.index(b"/%d|" % n) for n in range(5))


def test_garbage_behind_a_request_does_not_harm_its_answer(running: Running) -> None:
    got = ask(running, b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n\x00\x01garbage\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 200 OK")
    assert got.count(b"tick") == 10 and got.endswith(b"3\r\nend\r\n0\r\n\r\n")


@pytest.mark.parametrize("running", [{"max_header": 4096}], indirect=True)
def test_large_heads_are_refused_as_soon_as_they_are(running: Running) -> None:
    line = b"x: " + b"y" * 100 + b"\r\n"
    assert ask(running, HEAD + line * 60 + b"\r\n").startswith(b"HTTP/1.1 431 ")
    assert ask(running, b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nhost: a\r\n\r\n").startswith(b"HTTP/1.1 431 ")
    with running.connect() as connection:  # one header that never ends
        connection.sendall(HEAD + b"x: ")
        for _ in range(40):
            connection.sendall(b"y" * 500)
            time.sleep(0.01)
            if running.server.server_state.connections == set():
                break
        assert b"HTTP/1.1 431 " in read(connection)
    many = b"".join(b"x%d: y\r\n" % n for n in range(201))
    assert ask(running, HEAD + many + b"\r\n").startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("running", [{"header_seconds": 0.5}], indirect=True)
def test_a_head_that_trickles_is_cut(running: Running) -> None:
    began = time.monotonic()
    with running.connect() as connection, running.connect() as silent:
        connection.settimeout(0.1)
        connection.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n")
        got = b""
        while not got and time.monotonic() - began < 10:
            try:
                connection.sendall(b"x: y\r\n")
                got = connection.recv(1000)
            except TimeoutError:
                continue
        assert got.startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - began < 4
        assert read(silent) == b""  # who never said a word is closed without one


@pytest.mark.parametrize("running", [{"body_seconds": 0.5}], indirect=True)
def test_a_body_that_stops_or_trickles_is_cut(running: Running) -> None:
    assert ask(running, HEAD + b"content-length: 50\r\n\r\nhalf").startswith(b"HTTP/1.1 408 ")
    with running.connect() as connection:
        connection.settimeout(0.1)
        connection.sendall(HEAD + b"content-length: 5000\r\n\r\n")
        got, began = b"", time.monotonic()
        while not got and time.monotonic() - began < 10:
            try:
                connection.sendall(b"x")
                got = connection.recv(1000)
            except TimeoutError:
                continue
        assert got.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("running", [{"body_seconds": 0.5}], indirect=True)
def test_a_caller_who_does_not_read_is_cut(running: Running) -> None:
    with running.connect() as connection:
        connection.sendall(b"GET /big HTTP/1.1\r\nhost: a\r\n\r\n")
        deadline = time.monotonic() + 10
        while not running.server.server_state.tasks and time.monotonic() < deadline:
            time.sleep(0.01)
        while running.server.server_state.connections and time.monotonic() < deadline:
            time.sleep(0.05)
        assert running.server.server_state.connections == set()


def test_a_body_of_chunk_framing_alone_is_cut(running: Running) -> None:
    with running.connect() as connection:
        connection.sendall(CHUNKED + b"5;")
        try:
            for _ in range(400):
                connection.sendall(b"a" * 1000)
        except ConnectionError:
            pass
        assert b"HTTP/1.1 400 " in read(connection) or running.server.server_state.connections == set()


def test_too_many_requests_sent_together_end_the_connection(running: Running) -> None:
    got = ask(running, b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n" + b"GET /q HTTP/1.1\r\nhost: a\r\n\r\n" * 200)
    assert got.count(b"/q|") < 100


@pytest.mark.parametrize("running", [{"max_connections": 2}], indirect=True)
def test_a_connection_too_many_is_told_so_and_an_idle_one_makes_room(running: Running) -> None:
    with running.connect() as one, running.connect() as two:
        for connection in (one, two):
            connection.sendall(b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n")
            assert b"/a|" in read(connection, b"|host")
        refused = ask(running, b"")
        assert refused.startswith(b"HTTP/1.1 503 ") and b"retry-after: 1" in refused
        assert read(one) == b""  # idle for a second while there was no room
    assert b"/b|" in ask(running, b"GET /b HTTP/1.1\r\nhost: a\r\n\r\n", b"|host")


def test_a_late_loop_sheds_gateway_calls_only(running: Running) -> None:
    running.edge.shed_lag_seconds = 0  # so that the clock leaves the flag alone
    running.edge.shedding = True
    raw = b"GET /v1/x HTTP/1.1\r\nhost: a\r\n\r\nGET /healthz HTTP/1.1\r\nhost: a\r\n\r\n"
    shed, _, served = ask(running, raw, b"/healthz|").rpartition(b"HTTP/1.1 ")
    assert shed.startswith(b"HTTP/1.1 503 ") and b"retry-after: 1" in shed
    assert served.startswith(b"200 ")


def test_a_blocked_loop_is_noticed(running: Running) -> None:
    running.edge.shed_lag_seconds = 0.2
    with running.connect() as connection:
        connection.sendall(b"GET /block HTTP/1.1\r\nhost: a\r\n\r\n")
        deadline = time.monotonic() + 10
        while not running.edge.shedding and time.monotonic() < deadline:
            time.sleep(0.005)
        assert running.edge.shedding
        while running.edge.shedding and time.monotonic() < deadline:
            time.sleep(0.005)
        assert not running.edge.shedding


def test_draining_finishes_streams_and_never_meets_a_request_with_a_close(running: Running) -> None:
    with running.connect() as streaming, running.connect() as idle, running.connect() as busy:
        for connection in (idle, busy):
            connection.sendall(b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n")
            assert b"/a|" in read(connection, b"|host")
        streaming.sendall(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
        read(streaming, b"tick")
        running.stop()
        assert running.drained.wait(5)
        busy.sendall(b"GET /b HTTP/1.1\r\nhost: a\r\n\r\n")  # an idle connection still takes a request
        last = read(busy)
        assert b"connection: close" in last and b"/b|" in last
        assert read(idle) == b""
        rest = read(streaming, b"end\r\n0\r\n\r\n")
        assert rest.endswith(b"end\r\n0\r\n\r\n")
        streaming.sendall(
            b"GET /c HTTP/1.1\r\nhost: a\r\n\r\n"
        )  # its head promised a connection that is kept
        assert b"/c|" in (after := read(streaming)) and b"connection: close" in after
    running.thread.join(10)
    assert not running.thread.is_alive()


@pytest.mark.parametrize("running", [{"drain_seconds": 0.3}], indirect=True)
def test_draining_has_an_end(running: Running) -> None:
    with running.connect() as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
        read(connection, b"tick")
        began = time.monotonic()
        running.stop()
        running.thread.join(10)
        assert time.monotonic() - began < 3
        assert b"end" not in read(connection)


@pytest.mark.parametrize("running", [{"drain_delay_seconds": 0.6}], indirect=True)
def test_a_stop_takes_what_waits_and_can_be_announced_first(running: Running) -> None:
    running.stop()
    assert running.drained.wait(5)
    got = ask(running, b"GET /late HTTP/1.1\r\nhost: a\r\n\r\n")
    assert b"/late|" in got and b"connection: close" in got
    running.thread.join(10)
    with pytest.raises(ConnectionError):
        running.connect()
