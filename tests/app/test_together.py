"""Cache, limits, guards and traces at once, over two workers."""

import pytest

from penstock.gateway.cache import service as caching
from penstock.gateway.cache.model import CachePolicy
from penstock.gateway.limits import service as limits
from penstock.gateway.limits.model import RateLimits, SubjectKind
from penstock.guardrails import service as guardrails
from penstock.guardrails.model import Action, GuardConfig, Rules, Stage
from tests.app.conftest import Build
from tests.app.stack import TOKEN_USD, Paid, callers_of_each_worker, eventually


@pytest.mark.slow
def test_an_answer_of_one_worker_is_given_by_the_other_and_costs_nothing(
    build: Build, paid: Paid, request: pytest.FixtureRequest
) -> None:
    stack = build(2)
    key_id, secret = stack.key()
    stack.budget(1.0)
    mask = GuardConfig(kind="pii", stage=Stage.OUTPUT, action=Action.MASK)
    with stack.home.begin() as uow:
        rates = RateLimits(requests_per_minute=1000)
        limits.put_limits(uow, stack.actor, kind=SubjectKind.KEY, subject=key_id, limits=rates)
        caching.put_policy(uow, stack.actor, "pay", CachePolicy(ttl=600))
        guardrails.put_policy(uow, stack.actor, "mails", Rules(guards=(mask,)))
    stack.start()
    one, other = callers_of_each_worker(stack, secret)
    request.addfinalizer(one.close)
    request.addfinalizer(other.close)
    eventually(lambda: one.chat().headers["x-penstock-cache"] == "hit")
    assert len(paid.tokens) == 1

    first = one.chat("What is the weather?")
    assert (first.status, first.headers["x-penstock-cache"]) == (200, "miss")
    assert float(first.headers["x-penstock-cost-usd"]) == pytest.approx(paid.tokens[-1] * TOKEN_USD)
    assert b"It is sunny" in first.body and b"ann@example.com" not in first.body
    assert first.headers["x-ratelimit-limit-requests"] == "1000"
    eventually(lambda: other.chat("What is the weather?", max_tokens=40).headers["x-penstock-cache"] == "hit")
    before = len(paid.tokens)
    hit = other.chat("What is the weather?")
    assert (hit.status, hit.headers["x-penstock-cache"]) == (200, "hit")
    assert float(hit.headers["x-penstock-cost-usd"]) == 0.0
    assert hit.json["choices"] == first.json["choices"]
    streamed = other.chat("What is the weather?", stream=True)
    assert streamed.headers["x-penstock-cache"] == "hit" and b"sunny" in streamed.body
    assert b"ann@example.com" not in streamed.body
    assert len(paid.tokens) == before
    eventually(lambda: stack.spent().spent == pytest.approx(paid.usd))
    eventually(lambda: stack.traced()[1] == pytest.approx(paid.usd))

    # A guard that is put in force now holds for what was kept before.
    block = GuardConfig(
        kind="pattern", stage=Stage.OUTPUT, action=Action.BLOCK, options={"patterns": {"sun": "sunny"}}
    )
    with stack.home.begin() as uow:
        guardrails.put_policy(uow, stack.actor, "sun", Rules(guards=(block,)))
    eventually(lambda: all(client.chat("What is the weather?").status != 200 for client in (one, other)))
    for client in (one, other):
        refused = client.chat("What is the weather?")
        assert b"sunny" not in refused.body and refused.status in (400, 403)
    eventually(lambda: stack.traced()[1] == pytest.approx(paid.usd))
