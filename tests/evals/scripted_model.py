"""A model behind HTTP that answers by a rule, counts every call and bills what the test says."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from tests.fakes.server import Received, ScriptedServer

Answer = Callable[[str], str]


def reply(status: str, body: Any, *headers: str) -> bytes:
    """Return an HTTP answer with a JSON body."""
    data = msgspec.json.encode(body)
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(data)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def completion(text: str, *headers: str) -> bytes:
    """Return a chat completion."""
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 5}
    return reply("200 OK", {"choices": [choice], "usage": usage}, *headers)


class ScriptedModel:
    """Use as a context manager; `paid` counts answered calls by their idempotency key."""

    def __init__(
        self,
        answer: Answer,
        *,
        cost_usd: float = 0.001,
        wait_s: float = 0.0,
        refuse: Callable[[int], bytes | None] = lambda _number: None,
        before: Callable[[int], None] = lambda _number: None,
    ) -> None:
        self._answer, self._cost, self._wait = answer, cost_usd, wait_s
        self._refuse, self._before = refuse, before
        self._lock = threading.Lock()
        self.calls = 0
        self.paid: Counter[str] = Counter()
        self.at_once = self.most_at_once = 0
        self._server = ScriptedServer(self._script)

    @property
    def target(self) -> dict[str, Any]:
        """The suite's target that leads here."""
        return {"kind": "gateway", "model": "scripted", "base_url": f"{self._server.url}/v1"}

    @property
    def judge(self) -> dict[str, Any]:
        """The suite's judge that leads here."""
        return {"model": "scripted", "base_url": f"{self._server.url}/v1"}

    def _script(self, request: Received) -> Iterable[bytes | float | str]:
        with self._lock:
            self.calls += 1
            number = self.calls
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            self._before(number)
            refusal = self._refuse(number)
            if refusal is not None:
                yield refusal
                return
            if self._wait:
                yield self._wait
            self.paid[request.headers["idempotency-key"]] += 1
            yield self._said(request)
        finally:
            with self._lock:
                self.at_once -= 1

    def _said(self, request: Received) -> bytes:
        price = f"x-penstock-cost-usd: {self._cost:.9f}"
        if request.path.endswith("/embeddings"):
            vectors = [
                {"index": i, "embedding": [float(len(text)), 1.0]}
                for i, text in enumerate(request.json["input"])
            ]
            return reply("200 OK", {"data": vectors, "usage": {"prompt_tokens": 3}}, price)
        return completion(self._answer(request.json["messages"][-1]["content"]), price)

    def __enter__(self) -> "ScriptedModel":
        self._server.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.__exit__()
