import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from penstock.core import audit
from penstock.core.errors import Denied, Invalid, NotFound, PenstockError, Unavailable, UpstreamTimeout
from penstock.core.home import Home
from penstock.core.scope import Actor, Role, Scope
from penstock.guardrails import service
from penstock.guardrails.model import Action, GuardConfig, Outcome, Record, Rules, Stage
from penstock.guardrails.posting import Posting
from penstock.guardrails.service import Trial
from penstock.guardrails.tables import rules_from_table, table_of

PII = Rules(guards=(GuardConfig(kind="pii"),))
KEYS = Rules(guards=(GuardConfig(kind="secrets", action=Action.BLOCK),), order=5, record=Record.HASH)
MAIL = "jane@example.com"


def loaded(home: Home) -> service.Guardrails:
    found = service.load_current(home)
    assert found.revision == service.revision(home)
    return found


def test_a_policy_gets_versions_that_never_change(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        first = service.put_policy(uow, actor, "default", PII)
        assert service.put_policy(uow, actor, "default", PII) == first
        second = service.put_policy(uow, actor, "default", KEYS)
        assert [first.ref, second.ref] == ["default@1", "default@2"]
    with home.read() as uow:
        assert service.get(uow, actor, "default") == second
        assert service.get(uow, actor, "default", 1) == first
        assert service.list_policies(uow, actor) == [second]
        assert service.versions(uow, actor, "default") == [second, first]
        for number in (0, 3):
            with pytest.raises(NotFound):
                service.get(uow, actor, "default", number)
    with home.begin() as uow:
        service.remove(uow, actor, "default")
        assert service.list_policies(uow, actor) == []
        assert len(service.versions(uow, actor, "default")) == 2
        for gone in (service.get, service.remove):
            with pytest.raises(NotFound):
                gone(uow, actor, "default")
        assert service.put_policy(uow, actor, "default", PII).number == 3


def test_what_changes_is_audited_and_told_to_every_process(home: Home, actor: Actor) -> None:
    before = service.revision(home)
    with home.begin() as uow:
        service.put_policy(uow, actor, "default", PII)
    after = service.revision(home)
    with home.begin() as uow:
        service.remove(uow, actor, "default")
    assert before < after < service.revision(home)
    with home.read() as uow:
        lines = [(entry.action, entry.target) for entry in audit.page(uow.conn, actor.scope)]
    assert ("guardrails.put", "default@1") in lines
    assert ("guardrails.remove", "default@1") in lines


def bad(**fields: Any) -> Rules:
    return replace(PII, **fields)


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("No Name", PII),
        ("kinds", PII),
        ("x", bad(guards=())),
        ("x", bad(guards=PII.guards * 2)),
        ("x", bad(routes=())),
        ("x", bad(keys=("",))),
        ("x", bad(guards=(GuardConfig(kind="nothing"),))),
        ("x", bad(guards=(GuardConfig(kind="pii", options={"kinds": ["mail"]}),))),
        ("x", bad(guards=(GuardConfig(kind="schema", stage=Stage.INPUT),))),
        ("x", bad(guards=(GuardConfig(kind="injection", action=Action.MASK),))),
        ("x", bad(guards=(GuardConfig(kind="http", options={"url": "http://169.254.169.254/"}),))),
    ],
)
def test_rules_that_cannot_be_are_refused(home: Home, actor: Actor, name: str, rules: Rules) -> None:
    with home.begin() as uow:
        with pytest.raises(Invalid):
            service.put_policy(uow, actor, name, rules)
        assert service.list_policies(uow, actor) == []


def test_administrators_write_and_all_members_read(home: Home, actor: Actor) -> None:
    member = replace(actor, role=Role.MEMBER)
    viewer = replace(actor, role=Role.VIEWER)
    with home.begin() as uow:
        service.put_policy(uow, actor, "default", PII)
        for change in (
            lambda: service.put_policy(uow, member, "default", KEYS),
            lambda: service.remove(uow, member, "default"),
            lambda: service.plan(uow, member, {}),
        ):
            with pytest.raises(Denied):
                change()
        assert len(service.list_policies(uow, viewer)) == 1
    with pytest.raises(Denied):
        service.check(home, viewer, Trial(text="x"))
    with pytest.raises(Denied):
        service.check(home, member, Trial(text="x", rules=PII))
    assert service.check(home, member, Trial(text="x")).allowed


def test_tenants_and_projects_do_not_see_each_other(home: Home, actor: Actor) -> None:
    stranger = replace(actor, scope=Scope("rivals"))
    neighbour = actor.within("other")
    with home.begin() as uow:
        service.put_policy(uow, actor, "default", PII)
        service.put_policy(uow, stranger, "default", KEYS)
        service.put_policy(uow, neighbour, "own", KEYS)
        assert [policy.name for policy in service.list_policies(uow, neighbour)] == ["own"]
        with pytest.raises(NotFound):
            service.remove(uow, stranger, "own")
        with pytest.raises(NotFound):
            service.versions(uow, stranger, "own")
        assert service.get(uow, stranger, "default").rules == KEYS
    found = loaded(home)

    def names(scope: Scope) -> list[tuple[str, Rules]]:
        return [(policy.name, policy.rules) for policy in found.holding(scope, "chat", "key_1", "app")]

    assert names(actor.scope) == [("default", PII)]
    assert names(stranger.scope) == [("default", KEYS)]
    assert names(neighbour.scope) == [("own", KEYS), ("default", PII)]
    assert names(Scope("third")) == []
    ours, theirs = found.secret(actor.scope), found.secret(stranger.scope)
    assert len(ours) == len(theirs) == 32
    assert ours != theirs
    assert found.secret(neighbour.scope) == ours
    assert found.secret(Scope("third")) == b""
    assert loaded(home).secret(actor.scope) == ours


def test_the_key_is_sealed_and_a_lost_one_does_not_stop_the_guards(
    home: Home, actor: Actor, caplog: pytest.LogCaptureFixture
) -> None:
    with home.begin() as uow:
        service.put_policy(uow, actor, "default", PII)
    secret = loaded(home).secret(actor.scope)
    with home.read() as uow:
        sealed = uow.conn.exec_driver_sql("SELECT sealed FROM guardrails_keys").scalar_one()
    assert secret.hex() not in sealed
    with home.begin() as uow:
        uow.conn.exec_driver_sql("UPDATE guardrails_keys SET sealed = 'v1.AAAA'")
    found = loaded(home)
    assert len(found.secret(actor.scope)) == 32
    assert found.secret(actor.scope) != secret
    assert len(found.holding(actor.scope, "chat", "k", "k")) == 1
    assert "cannot be opened" in caplog.text


@pytest.mark.parametrize(
    ("routes", "keys", "held"),
    [
        (("*",), ("*",), True),
        (("chat", "x"), ("*",), True),
        (("ch?t",), ("app-*",), True),
        (("*",), ("key_1",), True),
        (("Chat",), ("*",), False),
        (("*",), ("key_2",), False),
    ],
)
def test_policies_hold_by_route_and_key(
    home: Home, actor: Actor, routes: tuple[str, ...], keys: tuple[str, ...], held: bool
) -> None:
    with home.begin() as uow:
        service.put_policy(uow, actor, "some", bad(routes=routes, keys=keys))
    found = loaded(home).holding(actor.scope, "chat", "key_1", "app-7")
    assert bool(found) is held


def test_applying_says_what_it_does_and_does_it_once(home: Home, actor: Actor) -> None:
    tables: dict[str, dict[str, Any]] = {
        "default": {"guards": [{"kind": "pii", "action": "tokenise"}, {"kind": "secrets"}]},
        "team": {"order": 1, "routes": ["team-*"], "guards": [{"kind": "injection"}]},
    }
    with home.begin() as uow:
        assert [change.action for change in service.plan(uow, actor, tables)] == ["create", "create"]
        assert service.list_policies(uow, actor) == []
        service.apply(uow, actor, tables)
        assert {change.action for change in service.apply(uow, actor, tables)} == {"unchanged"}
        tables["team"]["order"] = 2
        changes = service.apply(uow, actor, tables)
        assert [(c.action, c.kind, c.name, c.detail) for c in changes] == [
            ("unchanged", "guardrail", "default", "pii, secrets"),
            ("update", "guardrail", "team", "injection"),
        ]
        assert [policy.ref for policy in service.list_policies(uow, actor)] == ["default@1", "team@2"]


@pytest.mark.parametrize(
    "table",
    [
        {},
        {"guards": "pii"},
        {"guards": ["pii"]},
        {"guards": [{"kind": "pii"}], "route": ["*"]},
        {"guards": [{"kind": "pii", "kinds": ["email"]}]},
        {"guards": [{"kind": "pii", "action": "delete"}]},
        {"guards": [{"kind": "pii", "stage": "middle"}]},
        {"guards": [{}]},
        {"guards": [{"kind": "pii"}], "record": "all"},
        {"guards": [{"kind": "pii"}], "order": "first"},
        "pii",
    ],
)
def test_a_table_that_cannot_be_is_refused_and_nothing_is_applied(
    home: Home, actor: Actor, table: Any
) -> None:
    with home.begin() as uow:
        with pytest.raises(Invalid):
            service.apply(uow, actor, {"good": {"guards": [{"kind": "pii"}]}, "bad": table})
        assert service.list_policies(uow, actor) == []


def test_rules_and_tables_say_the_same() -> None:
    rules = Rules(
        guards=(
            GuardConfig(
                kind="pii", name="mine", action=Action.FLAG, stage=Stage.OUTPUT, options={"kinds": ["email"]}
            ),
            GuardConfig(kind="secrets"),
        ),
        routes=("a", "b"),
        record=Record.HASH,
    )
    assert rules_from_table("x", msgspec.json.decode(msgspec.json.encode(table_of(rules)))) == rules


def test_a_text_is_tried_and_nothing_is_kept(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        service.put_policy(uow, actor, "personal", replace(PII, routes=("chat",), record=Record.HASH))
        service.put_policy(uow, actor, "keys", KEYS)
    found = service.check(home, actor, Trial(text=f"mail {MAIL}", route="chat"))
    assert (found.allowed, found.text, found.policies) == (True, "mail [EMAIL]", ("keys@1", "personal@1"))
    ((outcome, rule, count),) = [(v.outcome, v.rule, v.count) for v in found.verdicts]
    assert (outcome, rule, count) == (Outcome.MODIFY, "email", 1)
    assert len(found.verdicts[0].hashes) == 1
    assert service.check(home, actor, Trial(text=f"mail {MAIL}", route="else")).policies == ("keys@1",)
    only = service.check(home, actor, Trial(text=f"mail {MAIL}", route="else", policy="personal"))
    assert only.text == "mail [EMAIL]"
    refused = service.check(home, actor, Trial(text="key AKIA" + "Z7Q4M2X9K1B3C5D8"))
    assert (refused.allowed, refused.text) == (False, None)
    assert "secrets" in refused.reason
    assert "AKIA" not in refused.reason + repr(refused.verdicts)
    with pytest.raises(NotFound):
        service.check(home, actor, Trial(text="x", policy="none"))


def test_rules_are_tried_before_they_are_kept(home: Home, actor: Actor) -> None:
    rules = Rules(
        guards=(
            GuardConfig(kind="leakage", options={"words": 5}),
            GuardConfig(kind="tools", options={"deny": ["rm"]}),
        )
    )
    trial = Trial(
        text="one two three four five six",
        stage=Stage.OUTPUT,
        system=("zero one two three four five.",),
        rules=rules,
    )
    found = service.check(home, actor, trial)
    assert [verdict.rule for verdict in found.verdicts] == ["system_prompt"]
    tools = service.check(home, actor, replace(trial, text="ok", tools=("rm",)))
    assert [verdict.rule for verdict in tools.verdicts] == ["called"]
    with pytest.raises(Invalid):
        service.check(home, actor, replace(trial, rules=bad(guards=())))
    with pytest.raises(Invalid):
        service.check(home, actor, replace(trial, stage=Stage.BOTH))
    with home.read() as uow:
        assert service.list_policies(uow, actor) == []


def test_all_kinds_say_what_they_do() -> None:
    found = {kind.kind: kind for kind in service.kinds()}
    assert {
        "pii",
        "secrets",
        "injection",
        "jailbreak",
        "topics",
        "leakage",
        "schema",
        "urls",
        "tools",
    } <= set(found)
    assert {"caps", "pattern", "http"} <= set(found)
    assert all(
        kind.options.startswith("Options:") for kind in found.values() if kind.kind in ("pii", "caps", "http")
    )
    assert found["pii"].stages == (Stage.BOTH,)
    assert not any(kind.error for kind in found.values())


class Answering(BaseHTTPRequestHandler):
    """A guard service: upper case is a change, `slow` never ends, `big` is too much."""

    def do_POST(self) -> None:
        body = msgspec.json.decode(self.rfile.read(int(self.headers["content-length"])))
        answer = msgspec.json.encode({"action": "modify", "text": body["text"].upper(), "rule": "shout"})
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("location", "http://169.254.169.254/")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        if self.path == "/slow":
            stop.wait(2)
        self.wfile.write(b"x" * (5 << 20) if self.path == "/big" else answer)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


stop = threading.Event()


@contextmanager
def guard_service() -> Iterator[str]:
    stop.clear()
    server = HTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        stop.set()
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_remote_guard_is_called_with_bounds(home: Home, actor: Actor) -> None:
    with guard_service() as address:

        def tried(path: str, **more: Any) -> Any:
            guard = GuardConfig(kind="http", options={"url": address + path, "timeout": 0.3}, **more)
            return service.check(home, actor, Trial(text="hello", rules=Rules(guards=(guard,))))

        found = tried("/")
        assert (found.text, found.verdicts[0].rule) == ("HELLO", "shout")
        assert tried("/redirect").text is None
        assert tried("/big").verdicts[0].rule == "error:unavailable"
        assert tried("/slow").text is None
        post = Posting().post
        with pytest.raises(UpstreamTimeout):
            asyncio.run(post(address + "/slow", b'{"text":""}', {}, timeout=0.2, allow_private=True))
        with pytest.raises(Denied):
            asyncio.run(post(address, b"", {}, timeout=1, allow_private=False))
    with pytest.raises(Unavailable):
        asyncio.run(Posting().post(address, b"", {}, timeout=1, allow_private=True))
    with pytest.raises(PenstockError):
        asyncio.run(Posting().post("http://169.254.169.254/", b"", {}, timeout=1, allow_private=True))


def test_private_addresses_are_refused_where_they_are_not_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, actor: Actor
) -> None:
    monkeypatch.setenv("PENSTOCK_CORE__ALLOW_PRIVATE_URLS", "false")
    rules = Rules(guards=(GuardConfig(kind="http", options={"url": "http://127.0.0.1:9/"}),))
    with (
        Home.open(tmp_path / "strict") as strict,
        strict.begin() as uow,
        pytest.raises(Invalid, match="private"),
    ):
        service.put_policy(uow, actor, "x", rules)
