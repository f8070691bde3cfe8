"""Answers pass the call's hook: whole ones, streams, and streams held back until they have been seen whole."""

from typing import Any

import pytest

from penstock.core.errors import Unprocessable
from penstock.gateway.call import Call
from penstock.gateway.dialects.base import Answer, Fault, Relay
from penstock.gateway.relaying import Relayer
from tests.fakes.moody import MoodyUpstream, dawdling
from tests.gateway.conftest import Running
from tests.gateway.routing.conftest import Configure
from tests.gateway.test_http import call

CHAT = {"model": "r", "messages": [{"role": "user", "content": "Hi"}]}


class Filter:
    """Wraps a relay: changes a word, and stops the stream at another."""

    def __init__(self, inner: Relay, stop: bytes) -> None:
        self._inner = inner
        self._stop = stop
        self.stopped: Fault | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @property
    def fault(self) -> Fault | None:
        return self._inner.fault or self.stopped

    def feed(self, data: bytes) -> bytes:
        out = self._inner.feed(data)
        if self._stop and self._stop in out:
            self.stopped = Fault("The answer is not for you.", code="content_filter")
            return b""
        return out.replace(b"quick", b"q***k")

    def finish(self) -> bytes:
        return self._inner.finish()


class Hook:
    def __init__(self, *, holds: bool = False, stop: bytes = b"", refuse: bool = False) -> None:
        self.holds = holds
        self._stop = stop
        self._refuse = refuse
        self._body: bytes | None = None

    async def answer(self, answer: Answer) -> Answer:
        if self._refuse:
            raise Unprocessable("The answer is not for you.", details={"code": "content_filter"})
        self._body = answer.body.replace(b"quick", b"q***k")
        return answer._replace(body=self._body)

    def recorded(self) -> bytes | None:
        return self._body

    def relay(self, relay: Relay) -> Relay:
        return relay if self.holds else Filter(relay, self._stop)

    async def release(self, stream: bytes) -> bytes:
        if self._refuse:
            raise Unprocessable("The answer is not for you.", details={"code": "content_filter"})
        assert stream.endswith(b"[DONE]\n\n")
        return stream.replace(b"quick", b"q***k")


@pytest.fixture
def hooked(gateway: Running, route: Configure, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give every call this hook."""
    route("a", "b", strategy="fallback")
    run = Relayer.run

    def use(hook: Hook) -> None:
        async def with_hook(self: Relayer, call: Call, *more: Any) -> None:
            call.hook = hook  # type: ignore[assignment]
            await run(self, call, *more)

        monkeypatch.setattr(Relayer, "run", with_hook)

    return use


@pytest.mark.parametrize("hook", [Hook(), Hook(holds=True)])
@pytest.mark.parametrize("stream", [False, True])
def test_what_the_hook_changes_is_what_the_caller_gets(
    gateway: Running, hooked: Any, hook: Hook, stream: bool
) -> None:
    hooked(hook)
    status, _, answer = call(gateway, CHAT | {"stream": stream})
    text = answer if stream else str(answer).encode()
    assert status == 200 and b"q***k" in text and b"quick" not in text
    assert gateway.recorder.last().output_tokens == 7


def test_a_refused_answer_is_not_asked_for_again(gateway: Running, moody: MoodyUpstream, hooked: Any) -> None:
    hooked(Hook(refuse=True))
    status, _, answer = call(gateway, CHAT)
    assert status == 422 and answer["error"]["code"] == "content_filter"
    hooked(Hook(refuse=True, holds=True))
    assert call(gateway, CHAT | {"stream": True})[0] == 422, "nothing had been sent: a status can tell"
    assert moody.calls == {"a": 2}


@pytest.mark.parametrize("word", [b"assistant", b"brown"])
def test_a_stopped_stream_ends_with_the_guards_error(
    gateway: Running, moody: MoodyUpstream, hooked: Any, word: bytes
) -> None:
    hooked(Hook(stop=word))
    moody.moods["a"] = dawdling(0.3, at=3)
    status, _, answer = call(gateway, CHAT | {"stream": True})
    said = answer if status == 200 else str(answer).encode()
    assert b"content_filter" in said and b"fox" not in said and moody.calls == {"a": 1}
    assert status == (400 if word == b"assistant" else 200)
    assert gateway.app._watch.health.snapshot()[0][1].errors == 0, "the target is not to blame"


def test_a_held_stream_is_filled_with_comments(gateway: Running, moody: MoodyUpstream, hooked: Any) -> None:
    object.__setattr__(gateway.app._settings, "ping_seconds", 0.2)
    moody.moods["a"] = dawdling(1.0, at=3)
    hooked(Hook(holds=True))
    _, _, raw = call(gateway, CHAT | {"stream": True})
    assert raw.startswith(b": ping\n\n") and b"q***k" in raw and raw.endswith(b"[DONE]\n\n")
