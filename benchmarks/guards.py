"""What guards cost a call: microseconds of CPU for requests, whole answers and streamed chunks, apart from the rest.

    python -m benchmarks.guards

Three guards are on: pii (mask) and secrets (block) for requests and answers, injection (flag) for requests.
"""

import sys
from collections.abc import Callable, Coroutine
from functools import partial
from time import process_time_ns
from types import SimpleNamespace
from typing import Any

import msgspec

from penstock.core import clock
from penstock.core.scope import Scope
from penstock.gateway.dialects.anthropic import AnthropicRelay
from penstock.gateway.dialects.base import Answer
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.gemini import GeminiRelay
from penstock.gateway.dialects.openai import OpenAIRelay
from penstock.gateway.guarding.guarding import Guarding
from penstock.gateway.guarding.transport import GuardTransport
from penstock.gateway.model import Operation
from penstock.guardrails.model import Action, GuardConfig, Policy, Rules
from penstock.guardrails.service import Guardrails

GUARDS = (
    GuardConfig(kind="pii", action=Action.MASK),
    GuardConfig(kind="secrets", action=Action.BLOCK),
    GuardConfig(kind="injection", action=Action.FLAG),
)
TEXTS = {
    "quotes": '\nlorem ipsum dolor sit amet, "quoted" text',
    "prose": "In 1987 we had 1,204 ships; in 2003, 998. Two clerks compared the ledger with the list at 12:30.\n",
    "code": "std::string s = f(10000, x[3]);  // 2024-01-01 v5.4.2 \\\\ \tsee README.md\n",
    "accents": "Naïve café — “quoted” texte élégant, s'il vous plaît. ",
    "chinese": "港口的规则很简单，我们在一九八七年有很多船。",
}
ENCODE = msgspec.json.encode


def guarding() -> Guarding:
    """Return the guards."""
    policy = Policy(name="p", number=1, rules=Rules(guards=GUARDS), author="", created_at=clock.now())
    found = Guardrails(policies={Scope(): (policy,)}, secrets={}, allow_private=True)
    return Guarding(lambda: found, GuardTransport(), revision=lambda: 1)


def done(work: Coroutine[Any, Any, Any]) -> Any:
    """Return what `work` returns; it waits for nothing."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


def call() -> Any:
    """Return what guards need of a call."""
    return SimpleNamespace(
        scope=Scope(),
        caller=None,
        user=None,
        envelope=None,
        restores=False,
        hook=None,
        events=[],
        output=None,
    )


def cost(work: Callable[[], Any], times: int, rounds: int = 11) -> float:
    """Return the median of microseconds per run."""
    found = []
    for _ in range(rounds):
        begun = process_time_ns()
        for _ in range(times):
            work()
        found.append((process_time_ns() - begun) / times / 1000)
    return sorted(found)[rounds // 2]


def request(text: str, size: int) -> Envelope:
    """Return a chat request of `size` characters."""
    content = (text * (size // len(text) + 1))[:size]
    return Envelope(ENCODE({"model": "m", "messages": [{"role": "user", "content": content}]}))


def streams() -> dict[str, tuple[Operation, Callable[[], Any], list[bytes]]]:
    """Return per family a relay and the events of an answer, a word each."""
    words = [f"{word} " for word in TEXTS["prose"].split()] * 6
    chat = [{"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]} for word in words]
    claude = [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}}
        for word in words
    ]
    gemini = [
        {"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": word}]}}]}
        for word in words
    ]
    made = {
        "chat": (Operation.CHAT, partial(OpenAIRelay, "m", True), chat),
        "messages": (Operation.MESSAGES, partial(AnthropicRelay, "m"), claude),
        "gemini": (Operation.GENERATE, partial(GeminiRelay, "m"), gemini),
    }
    return {
        name: (operation, relay, [b"data: " + ENCODE(event) + b"\n\n" for event in events])
        for name, (operation, relay, events) in made.items()
    }


def main() -> int:
    """Measure and print."""
    guards = guarding()

    def admit(envelope: Envelope, operation: Operation = Operation.CHAT) -> tuple[Any, Any]:
        made, found = call(), guards.for_call(call(), "chat")
        assert found is not None
        done(found.admit(made, envelope, operation))
        return made, found

    for name, text in TEXTS.items():
        short, long = request(text, 2000), request(text, 300_000)
        print(f"request {name:8} 2 KB {cost(partial(admit, short), 500):8.1f} µs", end="")
        print(f"   300 K characters {cost(partial(admit, long), 10):8.1f} µs")
    envelope = request(TEXTS["prose"], 2000)
    message = {"role": "assistant", "content": TEXTS["prose"] * 10}
    body = ENCODE({"id": "c", "object": "chat.completion", "choices": [{"index": 0, "message": message}]})
    before = cost(lambda: admit(envelope), 500)
    whole = cost(lambda: done(admit(envelope)[0].hook.answer(Answer(body, None, "m"))), 500) - before
    print(f"whole answer, {len(body)} bytes {whole:8.1f} µs")
    for name, (operation, relay, events) in streams().items():
        hook = admit(envelope, operation)[0].hook

        def feed(made: Any, events: list[bytes] = events) -> None:
            for event in events:
                made.feed(event)

        guarded = cost(lambda hook=hook, relay=relay: feed(hook.relay(relay())), 20) / len(events)
        alone = cost(lambda relay=relay: feed(relay()), 20) / len(events)
        print(f"chunk {name:8} {guarded:6.1f} µs, of which without guards {alone:.1f} µs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
