from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from penstock.core.errors import Denied, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.gateway.cache import api, service
from penstock.gateway.cache.model import CachePolicy, Embedder


def test_policies_are_put_listed_changed_and_deleted(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        service.put_policy(
            uow, actor, "chat", CachePolicy(mode="semantic", embedder=Embedder(provider="p", model="e"))
        )
        service.put_policy(uow, actor, "*", CachePolicy())
        service.put_policy(uow, actor, "*", CachePolicy(ttl=5))
        service.put_policy(uow, actor.within("other"), "chat", CachePolicy(ttl=9))
    with home.read() as uow:
        every, chat = service.list_policies(uow, actor)
        assert (every.route, every.policy) == ("*", CachePolicy(ttl=5))
        assert chat.policy.embedder == Embedder(provider="p", model="e")
    with home.begin() as uow:
        service.delete_policy(uow, actor, "chat")
        with pytest.raises(NotFound):
            service.delete_policy(uow, actor, "chat")
        assert len(service.list_policies(uow, actor.within("other"))) == 1


@pytest.mark.parametrize(
    "table",
    [
        {"mode": "fuzzy"},
        {"scope": "world"},
        {"ttl": 0},
        {"ttl": "long"},
        {"max_entry_kb": 10**9},
        {"threshold": 0.1},
        {"embedder": "openai"},
        {"embedder": {"provider": "hashed", "model": "x"}},
        {"embedder": {"provider": "p", "models": "x"}},
        {"time_to_live": 3},
    ],
)
def test_a_policy_that_cannot_be_is_refused_and_nothing_is_applied(
    home: Home, actor: Actor, table: dict[str, Any]
) -> None:
    with home.begin() as uow:
        with pytest.raises(Invalid):
            service.apply(uow, actor, {"good": {}, "bad": table})
        assert service.list_policies(uow, actor) == []


def test_applying_says_what_it_does_and_does_it_once(home: Home, actor: Actor) -> None:
    tables: dict[str, dict[str, Any]] = {"chat": {"ttl": 60, "scope": "project"}, "*": {}}
    with home.begin() as uow:
        assert [change.action for change in service.plan(uow, actor, tables)] == ["create", "create"]
        assert service.list_policies(uow, actor) == []
        service.apply(uow, actor, tables)
        assert {change.action for change in service.apply(uow, actor, tables)} == {"unchanged"}
        tables["chat"]["ttl"] = 61
        assert [change.action for change in service.apply(uow, actor, tables)] == ["update", "unchanged"]


def test_only_administrators_change_what_is_kept(home: Home, actor: Actor) -> None:
    member = replace(actor, role=Role.MEMBER)
    with home.begin() as uow:
        for change in (
            lambda: service.put_policy(uow, member, "chat", CachePolicy()),
            lambda: service.delete_policy(uow, member, "chat"),
            lambda: service.purge(uow, member),
            lambda: service.plan(uow, member, {}),
        ):
            with pytest.raises(Denied):
                change()
        assert service.list_policies(uow, member) == []


def test_the_api_sets_shows_and_purges(client: TestClient) -> None:
    app = client.app.api  # type: ignore[attr-defined] # the whole app's management part
    _mount(app)
    given = {"mode": "semantic", "ttl": 60, "scope": "project", "threshold": 0.97}
    made = client.put("/api/v1/cache/policies/team/chat", json=given).json()
    assert given.items() <= made.items()
    assert made["route"] == "team/chat"
    assert client.get("/api/v1/cache/policies").json()["items"] == [made]
    assert client.put("/api/v1/cache/policies/x", json={"ttl": -1}).status_code == 422
    assert client.put("/api/v1/cache/policies/x", json={"embedder": {"provider": "p"}}).status_code in (
        400,
        422,
    )
    stats = client.get("/api/v1/cache/stats").json()
    assert (stats["entries"], stats["bytes"]) == (0, 0)
    assert client.delete("/api/v1/cache", params={"route": "team/chat"}).json() == {"purged": 0}
    assert client.delete("/api/v1/cache/policies/team/chat").status_code == 204
    assert client.delete("/api/v1/cache/policies/team/chat").status_code == 404


def _mount(app: FastAPI) -> None:
    """Mount the routes where the composition root has not done so."""
    if "/api/v1/cache/stats" not in app.openapi()["paths"]:
        app.openapi_schema = None
        app.include_router(api.router, prefix="/api/v1")
