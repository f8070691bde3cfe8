"""Batches worked off beside a running gateway."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from tests.gateway.conftest import Running

from penstock.core.jobs import Worker
from penstock.core.scope import Scope
from penstock.gateway import jobs as gateway_jobs
from penstock.traces.model import SpanRecord


class Recorder:
    """Keeps the spans of all batches."""

    def __init__(self) -> None:
        self.spans: list[tuple[Scope, SpanRecord]] = []

    def record(self, scope: Scope, span: SpanRecord) -> None:
        self.spans.append((scope, span))

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def client(gateway: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as made:
        yield made


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def worker(gateway: Running, recorder: Recorder) -> Iterator[Worker]:
    """A worker for batches, running in a thread."""
    made, stop = Worker(gateway.home, gateway_jobs.batch_handlers(lambda _: recorder)), threading.Event()
    thread = threading.Thread(target=made.run, args=(stop, 0.05), daemon=True)
    thread.start()
    yield made
    stop.set()
    thread.join(30)
    assert not thread.is_alive()


def request_line(custom_id: str, model: str = "chat", **more: Any) -> dict[str, Any]:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body, **more}


def jsonl(*lines: Any) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def submit(client: openai.OpenAI, *lines: Any, **more: Any) -> openai.types.Batch:
    file = client.files.create(file=("in.jsonl", jsonl(*lines)), purpose="batch")
    asked = {"endpoint": "/v1/chat/completions", "completion_window": "24h", **more}
    return client.batches.create(input_file_id=file.id, **asked)


def wait_for(client: openai.OpenAI, batch_id: str, *states: str, seconds: float = 60) -> openai.types.Batch:
    deadline = time.monotonic() + seconds
    while (batch := client.batches.retrieve(batch_id)).status not in states:
        assert time.monotonic() < deadline, batch
        time.sleep(0.05)
    return batch


def results(client: openai.OpenAI, file_id: str) -> dict[str, Any]:
    read = [json.loads(line) for line in client.files.content(file_id).read().splitlines()]
    return {line["custom_id"]: line for line in read}


def soon(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)
