"""Untidy tickets, and a provider whose model answers them by what its prompt says."""

import csv
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from penstock.core.home import Home
from tests.app.stack import Stack
from tests.evals.optimise.prompted_model import Message, rewrites, says
from tests.fakes.server import END, Received, ScriptedServer, Step, answer, chunk, stream_head

ROWS = 66
BRIEF = "Answer with one word: billing, shipping or refund."
ROUTE = "triage-model"


@contextmanager
def answering(home: Home) -> Iterator[Stack]:
    """Run a server on `home` with one route, to the scripted model."""
    with ScriptedServer(script) as provider:
        made = Stack(home, 1)
        made.configure(provider.url, models=(ROUTE,))
        try:
            made.start()
            yield made
        finally:
            made.stop()


def said(messages: list[Message]) -> str:
    """Return what the provider's model answers."""
    reflecting = str(messages[0]["content"]).startswith("You improve the instructions")
    return rewrites(messages) if reflecting else says(messages)


def script(request: Received) -> Iterable[Step]:
    """Answer a chat completion, in one piece or as a stream, billed by its length."""
    messages = request.json["messages"]
    size = sum(len(str(one["content"])) for one in messages)
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": said(messages)},
    }
    usage = {"prompt_tokens": size // 4, "completion_tokens": 4, "total_tokens": size // 4 + 4}
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": request.json["model"]}
    if request.json.get("stream"):
        yield from _stream(head | {"object": "chat.completion.chunk"}, said(messages), usage)
    else:
        yield answer(head | {"choices": [choice], "usage": usage})


def _stream(head: dict[str, Any], text: str, usage: dict[str, int]) -> Iterator[Step]:
    yield stream_head()
    for event in (
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {"choices": [], "usage": usage},
    ):
        yield chunk(b"data: " + msgspec.json.encode(head | event) + b"\n\n")
    yield chunk(b"data: [DONE]\n\n")
    yield END


def untidy_file(path: Path) -> None:
    """Write a file as people export it: tags, repeated rows, and a line that lost its columns."""
    phrases = [("charge", "billing"), ("parcel", "shipping"), ("money back", "refund")]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", "question", "answer"])
    for number in range(ROWS):
        phrase, label = phrases[number % 3]
        writer.writerow([f"t{number}", f"<p>Ticket {number}: a question about my {phrase}</p>", label])
    for number in range(6):
        phrase, label = phrases[number % 3]
        writer.writerow([f"again{number}", f"<p>Ticket {number}: a question about my {phrase}</p>", label])
    path.write_text(text.getvalue() + '"torn","too","many","columns"\n')
