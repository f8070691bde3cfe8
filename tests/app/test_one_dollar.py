"""One dollar, four workers, a hundred callers: never more than that is spent, whatever happens to the workers."""

import os
import random
import signal
import threading
import time
from contextlib import ExitStack

import pytest

from penstock.gateway.limits import service as limits
from penstock.gateway.limits.model import RateLimits, SubjectKind
from tests.app.conftest import Build
from tests.app.stack import MOST_TOKENS, TOKEN_USD, Client, Paid, Reply, Stack, crowd, eventually

CALLERS = 100
DOLLAR = 1.0 + 1e-9


def until_refused(client: Client, number: int) -> list[Reply]:
    """Call until the budget is spent: refused three times in a row; calls that fit in less go on longer."""
    dice, replies, refused = random.Random(number), [], 0
    deadline = time.monotonic() + 40
    while refused < 3 and time.monotonic() < deadline:
        replies.append(client.chat(str(number), max_tokens=dice.randint(5, MOST_TOKENS)))
        refused = refused + 1 if replies[-1].status == 429 else 0
        time.sleep(0.2 if replies[-1].status in (0, 429) else 0)
    return replies


def assert_refused(stack: Stack, secret: str) -> None:
    """Every family is told that the budget is spent, in its own words, by whichever worker."""
    messages = [{"role": "user", "content": "hi"}]
    whole = {"model": "pay", "max_tokens": MOST_TOKENS, "messages": messages}
    contents = {
        "contents": [{"parts": [{"text": "hi"}]}],
        "generationConfig": {"maxOutputTokens": MOST_TOKENS},
    }
    with ExitStack() as held:
        for _ in range(6):  # connections that stay open are shared out over the workers
            client = held.enter_context(Client(stack.port, secret))
            chat = client.chat()
            assert (chat.status, chat.json["error"]["code"]) == (429, "insufficient_quota")
            assert chat.json["error"]["type"] == "insufficient_quota"
            assert "penstock budgets set" in chat.json["error"]["message"]
            assert chat.headers["x-ratelimit-limit-requests"] == "100000"
        claude = client.post("/v1/messages", whole)
        told = claude.json["type"], claude.json["error"]["type"]
        assert (claude.status, *told) == (429, "error", "rate_limit_error")
        assert claude.headers["anthropic-ratelimit-requests-limit"] == "100000"
        gemini = client.post("/v1beta/models/pay:generateContent", contents)
        assert (gemini.status, gemini.json["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")


@pytest.mark.slow
@pytest.mark.parametrize("kill", [False, True], ids=["calm", "killed"])
def test_a_dollar_is_a_dollar(build: Build, paid: Paid, kill: bool) -> None:
    stack = build(4, PENSTOCK_LIMITS__IDLE_SECONDS="2")
    key_id, secret = stack.key()
    stack.budget(1.0, "of-the-key", "key", key_id)
    stack.budget(1.5, "of-the-project")
    rates = RateLimits(requests_per_minute=100_000)
    with stack.home.begin() as uow:
        limits.put_limits(uow, stack.actor, kind=SubjectKind.KEY, subject=key_id, limits=rates)
    stack.start()
    killer = threading.Timer(0.5, lambda: os.kill(stack.webs()[-1], signal.SIGKILL))
    if kill:
        killer.start()
    replies = crowd(stack, [secret] * CALLERS, until_refused)
    killer.cancel()
    answered = sum(reply.status == 200 for reply in replies)
    cut = sum(reply.status == 0 for reply in replies)
    known = (
        {200, 429, 503, 0} if kill else {200, 429, 503}
    )  # 503: a busy machine sheds; 0: cut with its worker
    assert {reply.status for reply in replies} <= known
    assert paid.usd <= DOLLAR
    assert paid.usd > (0.5 if kill else 0.9)
    assert answered <= len(paid.tokens) <= answered + cut
    # Everything that was answered is in the traces, and costs there what it costs in the budget.
    # What a killed worker had not yet written down, a tenth of a second's worth, is lost.
    unwritten = CALLERS if kill else 0
    eventually(lambda: stack.traced()[0] >= answered - unwritten)
    calls, cost = stack.traced()
    if not kill:
        assert (calls, cost) == (len(paid.tokens), pytest.approx(paid.usd))
        eventually(lambda: stack.spent("of-the-key").reserved == 0)
        assert stack.spent("of-the-key").spent == pytest.approx(paid.usd)
        assert stack.spent("of-the-project").spent == pytest.approx(paid.usd)
    state = stack.spent("of-the-key")
    assert state.spent + state.reserved <= DOLLAR
    assert state.spent + state.reserved >= paid.usd - 1e-9
    before = len(paid.tokens)
    assert_refused(stack, secret)
    stack.stop()
    stack.start()
    assert_refused(stack, secret)
    assert len(paid.tokens) == before
    again = stack.spent("of-the-key")
    assert again.spent + again.reserved >= paid.usd - 1e-9
    assert again.left < MOST_TOKENS * TOKEN_USD
