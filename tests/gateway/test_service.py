"""Providers and routes in the store, on both engines."""

from pathlib import Path

import pytest

from penstock.core.errors import Conflict, Denied, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor, Role, Scope
from penstock.gateway import service, snapshot
from penstock.gateway.model import LOCAL, Route, Target
from penstock.gateway.routing.health import HealthRegistry

MOCK = {"kind": "openai", "base_url": "http://127.0.0.1:9000/v1", "api_key": "sk-secret"}
CHAT = {"strategy": "weighted", "targets": [{"provider": "mock", "model": "gpt-mock", "weight": 1}]}


def apply(home: Home, actor: Actor, providers: dict, routes: dict) -> list[str]:
    with home.begin() as uow:
        return [
            f"{c.action} {c.kind} {c.name}"
            for c in service.apply(uow, actor, {"providers": providers, "routes": routes})
        ]


def test_apply_is_idempotent_and_bumps_once(home: Home, actor: Actor) -> None:
    assert apply(home, actor, {"mock": MOCK}, {"chat": CHAT}) == ["create provider mock", "create route chat"]
    revision = home.revision("gateway")
    assert apply(home, actor, {"mock": MOCK}, {"chat": CHAT}) == [
        "unchanged provider mock",
        "unchanged route chat",
    ]
    assert home.revision("gateway") == revision
    changed = apply(home, actor, {"mock": MOCK | {"api_key": "sk-other"}}, {})
    assert changed == ["update provider mock"] and home.revision("gateway") > revision


def test_plan_writes_nothing(home: Home, actor: Actor) -> None:
    with home.read() as uow:
        changes = service.plan(uow, actor, {"providers": {"mock": MOCK}, "routes": {"chat": CHAT}})
        assert [change.action for change in changes] == ["create", "create"]
        assert service.list_providers(uow, actor) == [] and service.list_routes(uow, actor) == []


def test_a_mistake_anywhere_changes_nothing(home: Home, actor: Actor) -> None:
    with pytest.raises(Invalid):
        apply(home, actor, {"mock": MOCK}, {"chat": CHAT, "bad": {"targets": []}})
    with home.read() as uow:
        assert service.list_providers(uow, actor) == []


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        ({"kind": "opnai"}, "Did you mean 'openai'"),
        ({"kind": "openai"}, "needs a base_url"),
        ({"kind": "openai", "base_url": "ftp://x"}, "http"),
        ({"kind": "openai", "base_uri": "http://x"}, "Did you mean 'base_url'"),
        ({"base_url": "http://127.0.0.1"}, "needs kind"),
        (
            {"kind": "openai", "base_url": "http://127.0.0.1", "options": {"tmeout": 1}},
            "Did you mean 'timeout'",
        ),
        ({"kind": "openai", "base_url": "http://127.0.0.1", "options": {"timeout": "1"}}, "of type float"),
        ({"kind": "openai", "base_url": "http://127.0.0.1", "api_key": {"envi": "X"}}, "api_key must be"),
        ({"kind": "openai", "base_url": "http://127.0.0.1", "api_key": "a\r\nb: c"}, "cannot be sent"),
        (
            {"kind": "openai", "base_url": "http://127.0.0.1", "api_key": {"file": "/no/such"}},
            "cannot be read",
        ),
        (
            {"kind": "openai", "base_url": "http://x", "options": {"headers": {"Host": "y"}}},
            "set by Penstock itself",
        ),
        (
            {"kind": "openai", "base_url": "http://x", "options": {"headers": {"a\r\nb": "y"}}},
            "cannot be sent",
        ),
        ("openai", "must be a table"),
    ],
)
def test_wrong_providers_are_refused(sqlite_home: Home, provider: object, said: str) -> None:
    owner = Actor(id="u", name="owner", role=Role.OWNER)
    with pytest.raises(Invalid) as caught:
        apply(sqlite_home, owner, {"x": provider}, {})
    assert said in str(caught.value)


@pytest.mark.parametrize("url", ["http://169.254.169.254/v1", "http://[fd00:ec2::254]/v1"])
def test_metadata_addresses_are_never_allowed(sqlite_home: Home, url: str) -> None:
    owner = Actor(id="u", name="owner", role=Role.OWNER)
    with pytest.raises(Denied):
        apply(sqlite_home, owner, {"x": MOCK | {"base_url": url}}, {})


def test_private_addresses_can_be_forbidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_CORE__ALLOW_PRIVATE_URLS", "false")
    owner = Actor(id="u", name="owner", role=Role.OWNER)
    with Home.open(tmp_path / "home") as home, pytest.raises(Denied, match="private"):
        apply(home, owner, {"x": MOCK}, {})


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ({"strategy": "wieghted", "targets": CHAT["targets"]}, "Did you mean 'weighted'"),
        ({"strategy": "stiky", "targets": CHAT["targets"]}, "Did you mean 'sticky'"),
        ({"targets": []}, "at least one target"),
        ({"targets": "x"}, "must be a list"),
        ({"strategy": "weighted"}, "needs targets"),
        ({"targets": [{"provider": "mok", "model": "m"}]}, "Did you mean 'mock'"),
        ({"targets": [{"provider": "mock"}]}, "model"),
        ({"targets": [{"provider": "mock", "model": ""}]}, "model name"),
        ({"targets": [{"provider": "mock", "model": "m", "weight": 0}]}, "weight above 0"),
        ({"targets": [{"provider": "mock", "model": "m", "weight": -1}]}, "weight"),
        ({"targets": [{"provider": "mock", "model": "m", "wieght": 1}]}, "Did you mean 'weight'"),
        ({"targets": CHAT["targets"], "retries": 99}, "retries"),
        ({"targets": CHAT["targets"], "timeout": 0}, "timeout"),
    ],
)
def test_wrong_routes_are_refused(sqlite_home: Home, route: dict, said: str) -> None:
    owner = Actor(id="u", name="owner", role=Role.OWNER)
    with pytest.raises(Invalid) as caught:
        apply(sqlite_home, owner, {"mock": MOCK}, {"r": route})
    assert said in str(caught.value)


def test_keys_are_sealed_and_never_returned(home: Home, actor: Actor) -> None:
    apply(home, actor, {"mock": MOCK}, {})
    with home.read() as uow:
        provider = service.get_provider(uow, actor, "mock")
        assert provider.has_key and "sk-secret" not in repr(provider)
        rows = str(list(uow.conn.exec_driver_sql("SELECT * FROM gateway_providers")))
        audit = str(list(uow.conn.exec_driver_sql("SELECT * FROM core_audit")))
    assert "sk-secret" not in rows and "sk-secret" not in audit


def test_a_key_that_is_not_named_is_kept(home: Home, actor: Actor) -> None:
    apply(home, actor, {"mock": MOCK}, {})
    with home.begin() as uow:
        service.put_provider(uow, actor, "mock", "openai", "http://127.0.0.1:9001/v1")
        assert service.get_provider(uow, actor, "mock").has_key
        service.put_provider(uow, actor, "mock", "openai", "http://127.0.0.1:9001/v1", "")
        assert not service.get_provider(uow, actor, "mock").has_key


def test_key_from_the_environment(home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    given = MOCK | {"api_key": {"env": "MOCK_API_KEY"}}
    with home.begin() as uow:
        (change,) = service.apply(uow, actor, {"providers": {"mock": given}})
        assert "MOCK_API_KEY is not set here" in change.detail
    monkeypatch.setenv("MOCK_API_KEY", "sk-env")
    apply(home, actor, {"mock": given}, {})
    monkeypatch.delenv("MOCK_API_KEY")
    assert apply(home, actor, {"mock": given}, {}) == ["unchanged provider mock"]
    plugin = snapshot.load(home, HealthRegistry()).table(Scope()).providers["mock"].plugin
    assert b"authorization: Bearer sk-env" in plugin.probe().headers


def test_deleting(home: Home, actor: Actor) -> None:
    apply(home, actor, {"mock": MOCK}, {"chat": CHAT})
    with home.begin() as uow:
        with pytest.raises(Conflict, match="used by the routes chat"):
            service.delete_provider(uow, actor, "mock")
        service.delete_route(uow, actor, "chat")
        service.delete_provider(uow, actor, "mock")
        for verb in (service.delete_route, service.delete_provider, service.get_route, service.get_provider):
            with pytest.raises(NotFound):
                verb(uow, actor, "mock")


def test_only_admins_configure(home: Home, actor: Actor) -> None:
    member = Actor(id="k", name="member", role=Role.MEMBER)
    with pytest.raises(Denied):
        apply(home, member, {"mock": MOCK}, {})
    with home.begin() as uow, pytest.raises(Denied):
        service.put_route(uow, member, "r", Route("weighted", (Target(LOCAL, "m"),)))


def test_projects_share_the_default_one_and_shadow_it(home: Home, actor: Actor) -> None:
    apply(home, actor, {"mock": MOCK}, {"chat": CHAT})
    other = actor.within("other")
    own = CHAT | {"targets": [{"provider": "mock", "model": "own"}]}
    apply(home, other, {}, {"chat": own, "mine": own})
    loaded = snapshot.load(home, HealthRegistry())
    assert [t.model for t in loaded.table(Scope()).routes["chat"].picker.items] == ["gpt-mock"]
    assert "mine" not in loaded.table(Scope()).routes
    assert [t.model for t in loaded.table(other.scope).routes["chat"].picker.items] == ["own"]
    assert set(loaded.table(Scope("default", "third")).routes) == {"chat"}
    assert not loaded.table(Scope("stranger", "third")).routes


def test_endpoints_of_local_models(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        service.put_route(uow, actor, "triage", Route("weighted", (Target(LOCAL, "triage"),)))
        service.set_endpoint(uow, "triage", ["http://127.0.0.1:1111", "http://127.0.0.1:2222/v1"])
        assert service.list_endpoints(uow)["triage"] == ("http://127.0.0.1:1111", "http://127.0.0.1:2222/v1")
    revision = home.revision("gateway")
    with home.begin() as uow:
        service.set_endpoint(uow, "triage", ["http://127.0.0.1:1111", "http://127.0.0.1:2222/v1"])
    assert home.revision("gateway") == revision, "nothing changed, yet every process was told to reload"
    target = snapshot.load(home, HealthRegistry()).table(Scope()).routes["triage"].picker.order()[0]
    ports = [
        target.provider.plugin.request("chat/completions", "triage", b"{}").origin.port for _ in range(4)
    ]
    assert ports == [1111, 2222, 1111, 2222]
    with home.begin() as uow:
        service.set_endpoint(uow, "triage", [])
        assert service.list_endpoints(uow) == {}


def test_a_provider_that_no_longer_builds_is_left_out(home: Home, actor: Actor) -> None:
    apply(home, actor, {"mock": MOCK, "good": MOCK}, {"chat": CHAT})
    with home.begin() as uow:
        uow.conn.exec_driver_sql("UPDATE gateway_providers SET base_url = 'nonsense' WHERE name = 'mock'")
    table = snapshot.load(home, HealthRegistry()).table(Scope())
    assert set(table.providers) == {"good", LOCAL} and not table.routes


def test_a_configuration_file_is_applied_whole_or_not_at_all(home: Home, actor: Actor) -> None:
    tables = {
        "providers": {"mock": MOCK},
        "routes": {"chat": CHAT},
        "limits": {"all": {"kind": "project", "requests_per_minute": 60}},
        "budgets": {"month": {"usd": 10}},
        "cache": {"chat": {"ttl": 60}},
    }
    with home.begin() as uow:
        planned = service.plan(uow, actor, tables)
        assert not service.list_routes(uow, actor)
    with home.begin() as uow:
        done = service.apply(uow, actor, tables)
    assert done == planned
    assert [change.kind for change in done] == ["provider", "route", "limits", "budget", "cache"]
    with home.begin() as uow:
        assert {change.action for change in service.apply(uow, actor, tables)} == {"unchanged"}
    with pytest.raises(Invalid, match="ttl"), home.begin() as uow:
        service.apply(uow, actor, {"routes": {"other": CHAT}, "cache": {"chat": {"ttl": -1}}})
    with home.begin() as uow:
        assert [route.name for route in service.list_routes(uow, actor)] == ["chat"]
