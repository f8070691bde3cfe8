import json
from typing import Any

import pytest
from typer.testing import CliRunner

from penstock.core.home import Home
from penstock.core.scope import Actor, Role, Scope
from penstock.traces import background, cli, people_cli, service
from tests.traces.build import call

BASE = 1_790_000_000_000_000_000


def run(home: Home, *words: str) -> str:
    shown = CliRunner().invoke(cli.app, [*words, "--home", str(home.path)])
    assert shown.exit_code == 0, shown.output
    return shown.output


@pytest.fixture
def spans(sqlite_home: Home) -> list[Any]:
    made = [
        call(user="ada", session="chat", start_ns=BASE),
        call(user="ada", session="chat", start_ns=BASE + 10**9, output=b'"it is lost"', model="other"),
    ]
    service.ingest(sqlite_home, Scope(), made)
    background.catch_up(sqlite_home)
    return made


def test_sessions_users_and_a_chat(sqlite_home: Home, spans: list[Any]) -> None:
    assert "where is my parcel" in run(sqlite_home, "sessions", "--json")
    (one,) = json.loads(run(sqlite_home, "sessions", "--user", "ada", "--json"))
    assert (one["name"], one["traces"]) == ("chat", 2)
    (user,) = json.loads(run(sqlite_home, "users", "--by-cost", "--json"))
    assert (user["name"], user["sessions"], user["calls"]) == ("ada", 1, 2)
    chat = run(sqlite_home, "sessions", "chat")
    assert chat.index("assistant: on its way") < chat.index("assistant: it is lost")
    assert "ada: where is my parcel" in chat


def test_diff(sqlite_home: Home, spans: list[Any]) -> None:
    shown = run(sqlite_home, "diff", spans[0].trace_id, spans[1].trace_id)
    assert "model: gpt-4o-mini → other" in shown
    assert "output: assistant: [-on-][+it+] [-its-][+is+] [-way-][+lost+]" in shown
    extra = call(trace_id=spans[0].trace_id, parent_id=spans[0].span_id, name="more", kind="tool")
    service.ingest(sqlite_home, Scope(), [extra])
    shown = run(sqlite_home, "diff", spans[0].trace_id, spans[1].trace_id)
    assert "- more  [tool]" in shown


def test_tail(sqlite_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    late = call(status="error")
    poll = people_cli.Tail.poll

    def arrives(tail: Any) -> Any:
        service.ingest(sqlite_home, Scope(), [late, call()])
        return poll(tail)

    monkeypatch.setattr(people_cli.Tail, "poll", arrives)
    monkeypatch.setattr(people_cli, "_PAUSE", 0.0)
    shown = run(sqlite_home, "tail", "--errors", "--seconds", "0.2")
    assert shown.count(late.trace_id) == 1


def test_show_is_a_tree_whatever_the_parents_say(sqlite_home: Home) -> None:
    actor = Actor(id="o", name="o", role=Role.OWNER)
    root = call(trace_id="ab" * 16, span_id=f"{1:016x}", name="ring 1", parent_id=f"{3:016x}", start_ns=BASE)
    ring = [
        call(
            trace_id="ab" * 16,
            span_id=f"{n:016x}",
            name=f"ring {n}",
            parent_id=f"{n - 1:016x}",
            start_ns=BASE + n,
        )
        for n in (2, 3)
    ]
    chain = [
        call(
            trace_id="ab" * 16,
            span_id=f"{n:016x}",
            name=f"deep {n}",
            parent_id=f"{n - 1:016x}",
            start_ns=BASE + n,
        )
        for n in range(100, 200)
    ]
    service.ingest(sqlite_home, actor.scope, [root, *ring, *chain])
    shown = run(sqlite_home, "show", "ab" * 16)
    lines = shown.splitlines()
    assert [line.split("  [")[0] for line in lines[:3]] == ["ring 1", "  ring 2", "    ring 3"]
    assert len(lines) == 103
    assert "(99 deep) deep 199" in lines[-1]
