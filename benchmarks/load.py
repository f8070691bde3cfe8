"""A small closed-loop load generator: raw protocols on uvloop, so that it costs less than what it measures."""

import asyncio
import itertools
import json
import re
import sys
import time
from collections import Counter
from functools import partial

import uvloop

_LENGTH = re.compile(rb"content-length: ?(\d+)", re.I)


def chat_body(model: str, size: int, *, stream: bool = False) -> bytes:
    """Return a chat request of about `size` bytes."""
    body = {
        "model": model,
        "messages": [
            {"role": "system", "content": "You are a careful assistant. " * 8},
            {"role": "user", "content": ""},
        ],
        "temperature": 0.2,
        "max_tokens": 256,
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    room = size - len(json.dumps(body))
    text = MARK.decode() + '\nlorem ipsum dolor sit amet, "quoted" text' * (room // 40 + 1)
    body["messages"][1]["content"] = text[: max(room, len(MARK))]
    return json.dumps(body).encode()


PATH = "/v1/chat/completions"
MARK = b"call aaaaaaaaaaaa"
"""Stands in every body; its letters count up, so that no two calls are alike (digits look like somebody's number)."""
LETTERS = bytes.maketrans(b"0123456789", b"aeiourstln")


def own_mark() -> bytes:
    """Return a mark that no other call has."""
    return MARK[:5] + (b"%012d" % next(NUMBERS)).translate(LETTERS)


def request_bytes(host: str, key: str, body: bytes, path: str = PATH) -> bytes:
    """Return the whole HTTP request."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nAccept: */*\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


COUNTED = {"calls": "count", "bad": "bad", "lost": "lost"}
NUMBERS = itertools.count(time.time_ns() % 10**11)


class Whole(asyncio.Protocol):
    """Sends the same request again as soon as its answer is complete, until `until`."""

    def __init__(self, request: bytes, until: float, done: asyncio.Future) -> None:
        self.head, self.tail = request.split(MARK)
        self.until, self.done = until, done
        self.count, self.bad, self.lost, self.buffer = 0, 0, 0, b""
        self.said: Counter[str] = Counter()
        self.waiting = False

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.waiting = True
        self.transport.write(self.head + own_mark() + self.tail)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        found = _LENGTH.search(self.buffer, 0, end)
        if len(self.buffer) < end + 4 + int(found[1]):
            return
        self.count += 1
        self.waiting = False
        if not self.buffer.startswith(b"HTTP/1.1 200"):
            self.bad += 1
            self.said[(self.buffer[:12] + self.buffer[end + 4 :][:300]).decode("latin-1")] += 1
        closing = b"connection: close" in self.buffer[:end].lower()
        self.buffer = b""
        if time.perf_counter() < self.until and not closing:
            self.send()
        else:
            self.transport.close()

    def connection_lost(self, _error) -> None:
        self.lost += self.waiting
        if not self.done.done():
            self.done.set_result(None)


class Stream(asyncio.Protocol):
    """Reads one event stream to its end; notes how late each chunk is by the stamp the mock puts into it."""

    CHUNK = re.compile(rb'(?:"system_fingerprint":\s?"t(\d+)"[^{}\n]{0,60}\{[^{}\n]{0,60})?"delta":')

    def __init__(self, request: bytes, done: asyncio.Future) -> None:
        self.request, self.done = request, done
        self.chunks, self.ok, self.rest, self.delays = 0, False, b"", []
        self.bad = False

    def connection_made(self, transport) -> None:
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        self.bad = self.bad or not (self.chunks or self.rest or data.startswith(b"HTTP/1.1 200"))
        text, last = self.rest + data, 0
        for found in self.CHUNK.finditer(text):
            self.chunks += 1
            if found[1]:
                self.delays.append(now - int(found[1]))
            last = found.end()
        self.rest = text[last:][-400:]
        if b"[DONE]" in text[last:]:
            self.ok = True
        if text.endswith(b"0\r\n\r\n"):
            self.transport.close()

    def connection_lost(self, _error) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def whole(
    port: int, key: str, connections: int, seconds: float, size: int, path: str = PATH, prefix: str = ""
) -> dict:
    """Run `connections` closed loops for `seconds`."""
    loop = asyncio.get_running_loop()
    request = request_bytes(f"127.0.0.1:{port}", key, chat_body(prefix + "fast", size), path)
    until = time.perf_counter() + seconds
    protocols = []

    async def client() -> None:
        # A server that ends says `connection: close`, or closes while nothing is under way: callers then connect anew.
        while time.perf_counter() < until:
            done = loop.create_future()
            _, protocol = await loop.create_connection(
                partial(Whole, request, until, done), "127.0.0.1", port
            )
            protocols.append(protocol)
            await done

    await asyncio.gather(*[client() for _ in range(connections)])
    counted = {name: sum(getattr(p, kept) for p in protocols) for name, kept in COUNTED.items()}
    said = sum((p.said for p in protocols), Counter())
    return counted | {"said": dict(said.most_common(3))}


async def streams(
    port: int, key: str, count: int, model: str, timeout: float, path: str = PATH, prefix: str = ""
) -> dict:
    """Open `count` streams over one second and read them to their ends."""
    loop = asyncio.get_running_loop()
    request = request_bytes(f"127.0.0.1:{port}", key, chat_body(prefix + model, 2048, stream=True), path)
    protocols = []
    for _ in range(count):
        done = loop.create_future()
        mine = request.replace(MARK, own_mark())
        _, protocol = await loop.create_connection(partial(Stream, mine, done), "127.0.0.1", port)
        protocols.append(protocol)
        await asyncio.sleep(1 / count)
    await asyncio.wait([protocol.done for protocol in protocols], timeout=timeout)
    delays = sorted(delay for p in protocols for delay in p.delays)
    return {
        "chunks": sum(p.chunks for p in protocols),
        "finished": sum(p.ok for p in protocols),
        "bad": sum(p.bad for p in protocols),
        "delay_p50_ms": round(delays[len(delays) // 2] / 1e6, 3) if delays else None,
    }


def main() -> None:
    """`load.py whole|streams JSON` prints one JSON object."""
    arguments = json.loads(sys.argv[2])
    print(json.dumps(uvloop.run({"whole": whole, "streams": streams}[sys.argv[1]](**arguments))))


if __name__ == "__main__":
    main()
