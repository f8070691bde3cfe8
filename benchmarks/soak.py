"""Whether memory stays flat: clients that call, stream and leave at random for a long time.

    python benchmarks/soak.py [--minutes 10] [--clients 100] [--variant full] [--cache-mb 4]

Every client repeats: a whole call, a stream read to its end, a stream left in the middle, a call left before its
answer, a body broken off, in random order (seeded). Memory and descriptors of the web process are noted every second.
`anonymous_mb` is what the process itself holds, `resident_mb` counts also pages of files that the kernel may take back
at any time (SQLite's); medians of the second, middle and last fifth. `growth_mb_per_hour` is the slope of the former
(least squares) over the second half. Answers kept in memory get `--cache-mb`, little enough to be full by then:
filling the 64 MB they have otherwise takes the whole ten minutes.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import tempfile
import time
from pathlib import Path

from load import MARK, chat_body, own_mark, request_bytes
from servers import VARIANTS, Bench, memory_kb


class Client:
    """One caller."""

    def __init__(self, port: int, key: str, seed: int) -> None:
        self.port, self.key = port, key
        self.dice = random.Random(seed)
        self.counts: dict[str, int] = {}

    async def run(self, until: float) -> None:
        """Go on until the time is over."""
        actions = (self.call, self.stream, self.leave_stream, self.leave_call, self.break_off)
        while time.monotonic() < until:
            action = self.dice.choices(actions, weights=(10, 3, 2, 2, 1))[0]
            try:
                said = await asyncio.wait_for(action(), 30)
            except (OSError, asyncio.IncompleteReadError) as error:
                said = f"failed: {type(error).__name__}"
            except TimeoutError:
                said = "failed: timeout"
            self.counts[said] = self.counts.get(said, 0) + 1

    def request(self, model: str, *, stream: bool) -> bytes:
        """Return a request of its own."""
        body = chat_body(model, self.dice.choice((500, 2000, 20_000)), stream=stream)
        body = body.replace(MARK, own_mark())
        return request_bytes(f"127.0.0.1:{self.port}", self.key, body)

    async def open(self, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect and send."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        await writer.drain()
        return reader, writer

    async def call(self) -> str:
        """Make a whole call."""
        reader, writer = await self.open(self.request("fast", stream=False))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        writer.close()
        return "calls" if head.startswith(b"HTTP/1.1 200") else f"failed: {head[9:12].decode()}"

    async def stream(self) -> str:
        """Read a stream to its end."""
        reader, writer = await self.open(self.request("s50x20", stream=True))
        await reader.readuntil(b"[DONE]")
        writer.close()
        return "streams"

    async def leave_stream(self) -> str:
        """Leave in the middle of a stream, politely or not."""
        reader, writer = await self.open(self.request("s50x20", stream=True))
        await reader.readuntil(b"data: ")
        await asyncio.sleep(self.dice.random() * 0.3)
        if self.dice.random() < 0.5:
            writer.transport.abort()
        writer.close()
        return "streams left"

    async def leave_call(self) -> str:
        """Leave before the answer."""
        _, writer = await self.open(self.request("s50x20", stream=True))
        await asyncio.sleep(self.dice.random() * 0.01)
        writer.transport.abort()
        return "calls left"

    async def break_off(self) -> str:
        """Send half a request."""
        request = self.request("fast", stream=False)
        _, writer = await self.open(request[: self.dice.randrange(1, len(request))])
        await asyncio.sleep(self.dice.random() * 0.2)
        writer.transport.abort()
        return "broken off"


def descriptors(pid: int) -> int:
    """Return how many descriptors the process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def slope(samples: list[tuple[float, float]]) -> float:
    """Return the least squares slope."""
    middle_x = sum(x for x, _ in samples) / len(samples)
    middle_y = sum(y for _, y in samples) / len(samples)
    spread = sum((x - middle_x) ** 2 for x, _ in samples)
    return sum((x - middle_x) * (y - middle_y) for x, y in samples) / spread


def fifths(values: list[float]) -> dict[str, float]:
    """Return the medians of the second, middle and last fifth, and the most."""
    size = max(1, len(values) // 5)
    parts = {"second": values[size : 2 * size], "middle": values[2 * size : 3 * size], "last": values[-size:]}
    return {name: round(statistics.median(part), 1) for name, part in parts.items()} | {
        "most": round(max(values), 1)
    }


async def soak(bench: Bench, name: str, clients: int, minutes: float) -> dict:
    """Run the clients; returns what they counted and what memory did."""
    began = time.monotonic()
    until = began + minutes * 60
    callers = [Client(bench.ports[name], bench.keys[name], seed) for seed in range(clients)]
    running = [asyncio.create_task(caller.run(until)) for caller in callers]
    pid, samples = bench.pids[name], []
    while time.monotonic() < until:
        await asyncio.sleep(1)
        held, resident = (memory_kb(pid, field) / 1024 for field in ("RssAnon", "VmRSS"))
        samples.append((time.monotonic() - began, held, resident, descriptors(pid)))
    await asyncio.gather(*running)
    await asyncio.sleep(3)
    after = await Client(bench.ports[name], bench.keys[name], 0).call()
    counts: dict[str, int] = {}
    for caller in callers:
        for said, number in caller.counts.items():
            counts[said] = counts.get(said, 0) + number
    late = [sample[:2] for sample in samples if sample[0] > minutes * 60 / 2]
    return {
        "counts": counts,
        "anonymous_mb": fifths([sample[1] for sample in samples]),
        "resident_mb": fifths([sample[2] for sample in samples]),
        "growth_mb_per_hour": round(slope(late) * 3600, 1),
        "descriptors": {"peak": max(sample[3] for sample in samples), "after": descriptors(pid)},
        "a_call_after": after,
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--variant", choices=VARIANTS, default="full")
    parser.add_argument("--cache-mb", type=int, default=4)
    options = parser.parse_args()
    os.environ["PENSTOCK_GATEWAY__CACHE_MEMORY_MB"] = str(options.cache_mb)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        try:
            mock = bench.start_mock()
            bench.start_gateway(mock, options.variant)
            print(
                json.dumps(
                    asyncio.run(soak(bench, options.variant, options.clients, options.minutes)), indent=2
                )
            )
        finally:
            bench.stop()


if __name__ == "__main__":
    main()
