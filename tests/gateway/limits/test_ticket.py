"""What a ticket tells the caller about the limits that are left."""

import asyncio

import pytest

from penstock.core.errors import LimitExceeded
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.gateway.limits.ticket import FREE
from tests.gateway.limits.conftest import CALLER, Make, ask, limit


def test_headers_name_what_is_left(home: Home, actor: Actor, make: Make) -> None:
    limit(home, actor, requests_per_minute=10, input_tokens_per_minute=1000, output_tokens_per_minute=100)
    limiter = make(started=True)
    ticket = asyncio.run(limiter.admit(CALLER, ask(0.0, input_tokens=100, output_tokens=50)))
    headers = dict(ticket.headers())
    assert headers[b"x-ratelimit-limit-requests"] == b"10"
    assert headers[b"x-ratelimit-remaining-requests"] == b"9"
    assert headers[b"x-ratelimit-reset-requests"].endswith(b"s")
    assert headers[b"x-ratelimit-limit-tokens"] == b"100"
    assert 50 <= int(headers[b"x-ratelimit-remaining-tokens"]) <= 51
    anthropic = dict(ticket.headers("anthropic"))
    assert anthropic[b"anthropic-ratelimit-input-tokens-limit"] == b"1000"
    assert anthropic[b"anthropic-ratelimit-requests-reset"].endswith(b"Z")
    assert len(anthropic) == 9
    assert FREE.headers() == []
    ticket.settle(10, 10, 0.0)
    assert not ticket.open


def test_a_refused_call_hears_the_same(home: Home, actor: Actor, make: Make) -> None:
    limit(home, actor, requests_per_minute=1)
    limiter = make(started=True)
    assert limiter.headers(CALLER) == []
    asyncio.run(limiter.admit(CALLER, ask())).settle(0, 0, 0.0)
    with pytest.raises(LimitExceeded):
        asyncio.run(limiter.admit(CALLER, ask()))
    headers = dict(limiter.headers(CALLER))
    assert headers[b"x-ratelimit-limit-requests"] == b"1"
    assert headers[b"x-ratelimit-remaining-requests"] == b"0"
    assert b"anthropic-ratelimit-requests-limit" in dict(limiter.headers(CALLER, "anthropic"))
