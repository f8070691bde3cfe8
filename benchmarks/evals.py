"""CPU per sample that an evaluation costs beyond the call itself; budget: 0.5 ms.

Run: python benchmarks/evals.py [SAMPLES]

Two runs of the same suite on an in-process target that answers at once: the difference between the larger and
the smaller run, divided by the extra samples, leaves out everything that is paid once. `function` goes through samples
in turn; `coroutine` is asked 100 at once, each call reserved, answered and stored like one that costs money. `http`
adds the call through the gateway target to a server in another process, whose CPU is not counted.
"""

import http.server
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from penstock.core import log
from penstock.core.auth import service as auth
from penstock.core.home import Home
from penstock.datasets import service as datasets
from penstock.evals import service
from penstock.evals.model import Sample
from penstock.evals.suite import ScorerSpec, Suite

BODY = b'{"choices":[{"message":{"content":"category: refund\\npriority: low"},"finish_reason":"stop"}]}'
EXPECTED = "category: refund\npriority: high"
SCORERS = {
    "exact": ("exact",),
    "exact, fields, rouge_l, valid_structure, latency": (
        "exact",
        "fields",
        "rouge_l",
        "valid_structure",
        "latency",
    ),
    "the same and bleu": ("exact", "fields", "rouge_l", "valid_structure", "latency", "bleu"),
}


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers every request at once."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(BODY)
        self.wfile.write(head + BODY)

    def log_message(self, *_: Any) -> None:
        return


class Server(http.server.ThreadingHTTPServer):
    """Takes a hundred connections at once; the usual queue of five would leave most of them waiting."""

    request_queue_size = 512


def serve(pipe: Any) -> None:
    server = Server(("127.0.0.1", 0), Answering)
    pipe.send(server.server_port)
    server.serve_forever()


def answer(_sample: Sample) -> str:
    return "category: refund\npriority: low"


async def answer_at_once(sample: Sample) -> str:
    return answer(sample)


def cost(home: Home, actor: Any, suite: Suite, target: Any) -> float:
    began = time.process_time()
    service.run(home, actor, suite=suite, target=target)
    return time.process_time() - began


def suite_of(names: tuple[str, ...], dataset: str, target: dict[str, Any]) -> Suite:
    scorers = tuple(ScorerSpec(name=name) for name in names)
    return Suite(name="bench", dataset=dataset, scorers=scorers, target=target, concurrency=100)


def main(count: int) -> None:
    log.configure("error", "line")
    parent, child = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(child,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{parent.recv()}/v1"
    with tempfile.TemporaryDirectory() as folder, Home.open(Path(folder) / "home") as home:
        with home.begin() as uow:
            actor = auth.ensure_owner(uow)[0].actor()
        few, many = count // 10, count
        for size in (few, many):
            rows = (
                {
                    "id": str(i),
                    "prompt": f"ticket {i}: " + "words " * 60,
                    "completion": "category: refund\npriority: high",
                }
                for i in range(size)
            )
            datasets.ingest(home, actor, name=f"bench-{size}", source=rows, key="id")
        print(f"{'scorers':<52}{'target':<12}ms CPU per sample")
        for label, names in SCORERS.items():
            for kind, function, options in (
                ("function", answer, {"kind": "callable"}),
                ("coroutine", answer_at_once, {"kind": "callable"}),
                ("http", None, {"kind": "gateway", "model": "m", "base_url": url}),
            ):
                spent = [
                    min(
                        cost(home, actor, suite_of(names, f"bench-{size}@1", options), function)
                        for _ in range(3)
                    )
                    for size in (few, many)
                ]
                print(f"{label:<52}{kind:<12}{1000 * (spent[1] - spent[0]) / (many - few):.3f}")
    server.terminate()
    server.join()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)
