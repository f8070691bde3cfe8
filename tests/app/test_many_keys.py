"""Ten thousand keys: the server starts with them, each works, and a revoked one stops at once."""

import random
import time

import pytest

from penstock.core import clock, ids
from penstock.core.auth import service as auth
from penstock.core.auth import store
from penstock.core.auth.model import Key, digest
from penstock.core.scope import Role
from penstock.gateway import snapshot
from penstock.gateway.routing.health import HealthRegistry
from tests.app.conftest import Build
from tests.app.stack import Client, Stack, callers_of_each_worker, eventually

KEYS = 10_000


@pytest.mark.slow
def test_ten_thousand_keys(build: Build) -> None:
    stack = build(2)
    keys = many(stack)
    began = time.perf_counter()
    loaded = snapshot.load(stack.home, HealthRegistry())
    print(f"{KEYS} keys load in {(time.perf_counter() - began) * 1000:.0f} ms")
    assert len(loaded.callers) >= KEYS
    stack.start()
    sample = random.Random(4).sample(keys, 40)
    for key, secret in sample:
        with Client(stack.port, secret) as client:
            reply = client.chat(key.name)
        assert reply.status == 200
    eventually(lambda: stack.traced()[0] == len(sample))
    # A key that is made now works at once, and one that is revoked stops within a second at every worker.
    _, fresh = stack.key("fresh")
    with Client(stack.port, fresh) as client:
        assert client.chat().status == 200
    key, secret = sample[0]
    clients = callers_of_each_worker(stack, secret)
    assert all(client.chat().status == 200 for client in clients)
    with stack.home.begin() as uow:
        auth.revoke_key(uow, stack.actor, key_id=key.id)
    revoked = time.perf_counter()
    eventually(lambda: all(client.chat().status == 401 for client in clients), 10)
    took = time.perf_counter() - revoked
    print(f"a revoked key stops after {took * 1000:.0f} ms")
    assert took < 5.0, "the promise is a second; a busy machine may be late, a stuck poll is not"
    for client in clients:
        assert client.chat().json["error"]["code"] == "invalid_api_key"
        client.close()


def many(stack: Stack) -> list[tuple[Key, str]]:
    """Return new keys with their secrets."""
    moment, actor = clock.now(), stack.actor
    made: list[tuple[Key, str]] = []
    rows: list[dict[str, object]] = []
    for number in range(KEYS):
        key = Key(
            id=ids.new_id("key"), name=f"key {number}", hint="psk_", owner=actor.id, role=Role.MEMBER,
            scope=actor.scope, any_project=False, created_at=moment,
        )  # fmt: skip
        secret = ids.new_secret("psk")
        made.append((key, secret))
        row = {
            name: getattr(key, name) for name in ("id", "name", "hint", "owner", "any_project", "created_at")
        }
        row |= {"role": "member", "tenant": key.scope.tenant, "project": key.scope.project}
        rows.append(row | {"digest": digest(secret)})
    with stack.home.begin() as uow:
        uow.conn.execute(store.keys.insert(), rows)
        uow.bump(auth.TOPIC)
    return made
