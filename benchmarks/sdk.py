"""CPU per span of tracing SDKs, in the thread that makes the spans and in the whole process.

    python benchmarks/sdk.py                      every SDK that is installed here
    python benchmarks/sdk.py --spans 20000 --sdk penstock --sdk opentelemetry

Each SDK runs in a process of its own and sends to a server on loopback (a third process) that answers every POST with
200. A span is a function call with a 300-character question as input and a 900-character answer as output, one in five
the parent of the four before it. `caller` is the CPU time of the thread that makes the spans, per span; `process` that
of all threads until everything is sent.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

QUESTION = "When is the invoice due, and what happens if it is paid late? " * 5
ANSWER = "It is due within 30 days; after that a reminder costs 5 euros, as section 4 says. " * 11
SDKS = ("nothing", "penstock", "opentelemetry", "langfuse")
MODULES = {"opentelemetry": "opentelemetry.sdk"}


class _Sink(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_PUT = do_PATCH = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        """Stay quiet."""


def _stop_with_parent(server: ThreadingHTTPServer) -> None:
    sys.stdin.read()
    server.shutdown()


Pair = tuple[Callable[[str], Any], Callable[[], Any]]


def nothing(_: str) -> Pair:
    def leaf(question: str) -> str:
        return ANSWER if question else ""

    def root(question: str) -> str:
        for _ in range(4):
            leaf(question)
        return ANSWER

    return root, lambda: None


def penstock(url: str) -> Pair:
    import penstock as sdk

    sdk.configure(url, "psk_bench", spool=False)

    @sdk.trace(kind="llm")
    def leaf(question: str) -> str:
        return ANSWER if question else ""

    @sdk.trace
    def root(question: str) -> str:
        for _ in range(4):
            leaf(question)
        return ANSWER

    return root, lambda: sdk.flush(60)


def opentelemetry(url: str) -> Pair:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    exporter = OTLPSpanExporter(endpoint=f"{url}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=200_000))
    tracer = provider.get_tracer("bench")

    def leaf(question: str) -> str:
        with tracer.start_as_current_span("leaf") as span:
            span.set_attribute("openinference.span.kind", "LLM")
            span.set_attribute("input.value", json.dumps({"question": question}))
            span.set_attribute("output.value", ANSWER)
            return ANSWER

    def root(question: str) -> str:
        with tracer.start_as_current_span("root") as span:
            span.set_attribute("input.value", json.dumps({"question": question}))
            for _ in range(4):
                leaf(question)
            span.set_attribute("output.value", ANSWER)
            return ANSWER

    return root, lambda: provider.force_flush(60_000)


def langfuse(url: str) -> Pair:
    from langfuse import Langfuse, observe

    client = Langfuse(public_key="pk", secret_key="sk", host=url)

    @observe(as_type="generation")
    def leaf(question: str) -> str:
        return ANSWER if question else ""

    @observe
    def root(question: str) -> str:
        for _ in range(4):
            leaf(question)
        return ANSWER

    return root, client.flush


def measure(name: str, url: str, spans: int) -> dict[str, float]:
    """Return microseconds of CPU per span."""
    root, flush = globals()[name](url)
    for _ in range(100):
        root(QUESTION)
    flush()
    best: dict[str, float] = {}
    for _ in range(3):
        caller, process, wall = time.thread_time(), time.process_time(), time.perf_counter()
        for turn in range(spans // 5):
            root(QUESTION)
            if turn % 100 == 99:
                time.sleep(0.005)  # lets the senders keep up, so that nobody's queue overflows
        caller = time.thread_time() - caller
        flush()
        process, wall = time.process_time() - process, time.perf_counter() - wall
        figures = {"caller": caller / spans * 1e6, "process": process / spans * 1e6, "wall": wall}
        best = min(best or figures, figures, key=lambda one: one["caller"])
    return best


def wrapped() -> None:
    """Print what `penstock.wrap` adds to a chat of the `openai` library and to a streamed piece, nothing sent."""
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

    import penstock as sdk
    from penstock.sdk.wrapping.calls import Server, open_call
    from penstock.sdk.wrapping.openai import Chat

    sdk.configure("http://127.0.0.1:9", "psk_bench", tracing=False)
    messages = [{"role": "system", "content": QUESTION}, {"role": "user", "content": QUESTION}]
    body = {"model": "m", "temperature": 0, "messages": messages}
    head = {"id": "a", "created": 1, "model": "m"}
    said = {"role": "assistant", "content": ANSWER}
    choice = {"index": 0, "finish_reason": "stop", "logprobs": None, "message": said}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    whole = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
    answer = ChatCompletion.model_validate(whole)
    delta = {"index": 0, "finish_reason": None, "delta": {"content": "word "}}
    part = {**head, "object": "chat.completion.chunk", "choices": [delta]}
    piece = ChatCompletionChunk.model_validate(part)
    server = Server("https://api.openai.com/v1", "openai")

    def call() -> None:
        opened = open_call(Chat(), server, body)
        assert opened is not None
        with opened.running():
            pass
        opened.answer(answer)

    streaming = open_call(Chat(), server, body)
    assert streaming is not None
    for name, work in (("a wrapped call", call), ("a streamed piece", lambda: streaming.piece(piece))):
        best = float("inf")
        for _ in range(5):
            began = time.thread_time()
            for _ in range(3_000):
                work()
            best = min(best, time.thread_time() - began)
        print(f"{name:<16}{best / 3_000 * 1e6:>12.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--spans", type=int, default=10_000)
    parser.add_argument("--sdk", action="append", choices=SDKS)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        with ThreadingHTTPServer(("127.0.0.1", 0), _Sink) as server:
            print(server.server_address[1], flush=True)
            threading.Thread(target=_stop_with_parent, args=(server,), daemon=True).start()
            server.serve_forever(0.1)
        return
    if chosen.one:
        name, url = chosen.one.split("@")
        print(json.dumps(measure(name, url, chosen.spans)), flush=True)
        os._exit(0)
    here = [sys.executable, __file__]
    with subprocess.Popen([*here, "--serve"], stdin=-1, stdout=-1, text=True) as server:
        assert server.stdout is not None and server.stdin is not None
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        print(f"{'SDK':<16}{'caller':>12}{'process':>12}   µs of CPU per span")
        for name in chosen.sdk or SDKS:
            if (
                name != "nothing"
                and importlib.util.find_spec(MODULES.get(name, name).partition(".")[0]) is None
            ):
                print(f"{name:<16}{'not installed':>24}")
                continue
            command = [*here, "--one", f"{name}@{url}", "--spans", str(chosen.spans)]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=180)
            except subprocess.TimeoutExpired:
                print(f"{name:<16}{'not done after 180 s':>24}")
                continue
            if done.returncode or not done.stdout:
                print(f"{name:<16}  failed: {done.stderr.strip().splitlines()[-1:]}")
                continue
            figures = json.loads(done.stdout.splitlines()[-1])
            print(f"{name:<16}{figures['caller']:>12.1f}{figures['process']:>12.1f}")
        server.stdin.close()
    if importlib.util.find_spec("openai") is not None:
        wrapped()


if __name__ == "__main__":
    main()
