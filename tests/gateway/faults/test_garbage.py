"""What a call leaves behind: nothing that only Python's collector can take away, or memory would swing with it."""

import gc
import http.client
import json
from collections import Counter
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from penstock.guardrails import service as guardrails
from penstock.guardrails.model import GuardConfig, Rules
from tests.gateway.conftest import Running, Waiter

OURS = ("penstock.gateway", "penstock.guardrails", "penstock.web", "httptools")


def _ask(
    gateway: Running, model: str, *, stream: bool = False, text: str = "Hello"
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(urlsplit(gateway.url).netloc, timeout=30)
    body = {"model": model, "messages": [{"role": "user", "content": text}], "stream": stream}
    head = {"authorization": f"Bearer {gateway.key}", "connection": "close"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), head)
    return connection.getresponse()


def _guarded(gateway: Running) -> bool:
    """Whether a call passes guards by now: they mask what its trace holds."""
    gateway.recorder.spans.clear()
    assert _ask(gateway, "chat", text="I am bob@example.com").read()
    return b"bob@example.com" not in (gateway.recorder.last().input or b"")


def _whole(gateway: Running) -> None:
    assert _ask(gateway, "chat").read()


def _streamed(gateway: Running) -> None:
    assert b"[DONE]" in _ask(gateway, "chat", stream=True).read()


def _left(gateway: Running) -> None:
    answer = _ask(gateway, "oa-slow", stream=True)
    assert answer.read(20)
    answer.close()


def _cut(gateway: Running) -> None:
    with pytest.raises((http.client.IncompleteRead, AssertionError)):
        assert b"[DONE]" in _ask(gateway, "oa-cut", stream=True).read()


def _refused(gateway: Running) -> None:
    assert _ask(gateway, "oa-status-503").status == 503


def _copied(gateway: Running) -> None:
    assert _ask(gateway, "copied").read()


COPIED = {
    "targets": [{"provider": "oa", "model": "gpt-fake"}],
    "shadow": {"provider": "oa", "model": "status-503"},
}


@pytest.mark.parametrize(
    ("call", "spans"), [(_whole, 1), (_streamed, 1), (_left, 1), (_cut, 1), (_refused, 1), (_copied, 2)]
)
def test_a_call_leaves_nothing_to_the_collector(
    gateway: Running, eventually: Waiter, call: Callable[[Running], None], spans: int
) -> None:
    gateway.configure({}, {"copied": COPIED})  # its copies fail
    with gateway.home.begin() as uow:
        guardrails.put_policy(
            uow,
            gateway.actor,
            "standard",
            Rules(guards=(GuardConfig(kind="pii"), GuardConfig(kind="secrets"))),
        )
    eventually(lambda: _guarded(gateway))
    call(gateway)  # what is made once has been made
    eventually(lambda: len(gateway.recorder.spans) == 1 + spans)
    gateway.recorder.spans.clear()
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            call(gateway)
        eventually(lambda: len(gateway.recorder.spans) == 5 * spans)
        eventually(lambda: not gateway.connections)
        gateway.recorder.spans.clear()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        names = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert {name: count for name, count in names.items() if name.startswith(OURS)} == {}
