import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from penstock.app.server import build_api
from penstock.core import clock
from penstock.core.auth import service as auth
from penstock.core.errors import Denied
from penstock.core.home import Home
from penstock.core.http.dependencies import SESSION_COOKIE
from penstock.core.scope import Actor, Role
from penstock.traces import background, people_api, service
from penstock.traces.model import TraceFilters
from penstock.traces.tail import MOST, Tail
from tests.traces.build import call

BASE = 1_790_000_000_000_000_000


@pytest.fixture
def talked(home: Home, actor: Actor) -> None:
    service.ingest(
        home,
        actor.scope,
        [
            call(
                user=f"user {n % 3}",
                session=f"chat/{n % 5}",
                start_ns=BASE + n * 10**9,
                model="gpt-4o" if n < 2 else "gpt-4o-mini",
                input=json.dumps([{"role": "user", "content": f"question {n}"}]).encode(),
            )
            for n in range(10)
        ],
    )
    background.catch_up(home)


def pages(client: TestClient, path: str, **query: Any) -> list[dict[str, Any]]:
    """Return what all pages of a list hold."""
    found, cursor = [], None
    while True:
        params = query | ({"cursor": cursor} if cursor else {})
        page = client.get(path, params=params).raise_for_status().json()
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            return found


def test_sessions_and_users_page(client: TestClient, talked: None) -> None:
    sessions = pages(client, "/api/v1/sessions", limit=2)
    assert [item["session"] for item in sessions] == [f"chat/{n}" for n in (4, 3, 2, 1, 0)]
    assert sessions[0] | {"first_at": 0, "last_at": 0} == {
        "session": "chat/4",
        "user": "user 1",
        "preview": "question 4",
        "traces": 2,
        "calls": 2,
        "errors": 0,
        "input_tokens": 200,
        "output_tokens": 40,
        "cached_tokens": 0,
        "cost_usd": 0.000054,
        "first_at": 0,
        "last_at": 0,
    }
    users = pages(client, "/api/v1/users", limit=1)
    assert [(item["user"], item["traces"], item["sessions"]) for item in users] == [
        ("user 0", 4, 2),
        ("user 2", 3, 1),
        ("user 1", 3, 2),
    ]
    assert client.get("/api/v1/users/user 1").json()["traces"] == 3
    assert client.get("/api/v1/users/none").status_code == 404


def test_sessions_are_found_by_what_their_traces_hold(client: TestClient, talked: None) -> None:
    by_user = pages(client, "/api/v1/sessions", user="user 2")
    assert {item["session"] for item in by_user} == {"chat/2"}
    by_model = pages(client, "/api/v1/sessions", model="gpt-4o", limit=1)
    assert [item["session"] for item in by_model] == ["chat/1", "chat/0"]
    by_word = pages(client, "/api/v1/users", q="question 7")
    assert [item["user"] for item in by_word] == ["user 1"]
    late = pages(client, "/api/v1/sessions", since=clock.iso(clock.from_ns(BASE + 9 * 10**9)))
    assert [item["session"] for item in late] == ["chat/4"]
    assert pages(client, "/api/v1/sessions", prefix="chat/3")[0]["session"] == "chat/3"


def test_a_session_page_by_page(client: TestClient, talked: None) -> None:
    first = client.get("/api/v1/sessions/chat/3", params={"limit": 1}).json()
    assert (first["session"], first["totals"]["traces"], len(first["turns"])) == ("chat/3", 2, 1)
    assert (first["turns"][0]["input"], first["turns"][0]["output"]) == ("question 3", "on its way")
    rest = client.get("/api/v1/sessions/chat/3", params={"cursor": first["next"]}).json()
    assert ([turn["input"] for turn in rest["turns"]], rest["next"]) == (["question 8"], None)
    assert client.get("/api/v1/sessions/none").status_code == 404


@pytest.mark.parametrize("query", ["cursor=x", "cursor=WzEsMV0", "limit=0", "order=name", "unknown=1"])
def test_wrong_lists_are_refused(client: TestClient, query: str) -> None:
    assert client.get(f"/api/v1/sessions?{query}").status_code in (400, 422)


def test_two_traces_beside_each_other(client: TestClient, home: Home, actor: Actor) -> None:
    sides = []
    for model, said, temperature in (("gpt-4o", "red", 0.1), ("gpt-4o-mini", "blue", 0.9)):
        root = call(name="agent", kind="agent", model=None, cost_usd=None, start_ns=BASE)
        inner = call(
            trace_id=root.trace_id,
            parent_id=root.span_id,
            name="chat",
            start_ns=BASE + 1,
            model=model,
            output=json.dumps(f"the {said} one").encode(),
            attributes={"gen_ai.request.temperature": temperature, "same": 1},
            metadata={"run": said},
        )
        sides.append([root, inner])
    extra = call(
        trace_id=sides[1][0].trace_id,
        parent_id=sides[1][0].span_id,
        kind="tool",
        name="look",
        start_ns=BASE + 2,
    )
    service.ingest(home, actor.scope, [*sides[0], *sides[1], extra])
    path = f"/api/v1/traces/{sides[0][0].trace_id}/diff/{extra.trace_id}"
    found = client.get(path).json()
    assert (found["left"]["trace_id"], found["total"], found["next"]) == (sides[0][0].trace_id, 3, None)
    agent, chat, tool = found["spans"]
    assert agent["changes"] == {}
    assert chat["changes"] == {
        "model": ["gpt-4o", "gpt-4o-mini"],
        "output": ["assistant: the red one", "assistant: the blue one"],
        "metadata.run": ["red", "blue"],
        "attributes.gen_ai.request.temperature": [0.1, 0.9],
    } | ({"duration_ns": chat["changes"]["duration_ns"]} if "duration_ns" in chat["changes"] else {})
    assert chat["texts"] == {"output": [["=", "assistant: the "], ["-", "red"], ["+", "blue"], ["=", " one"]]}
    assert (tool["left"], tool["right"]["name"], tool["changes"]) == (None, "look", {})
    first = client.get(path, params={"limit": 1}).json()
    second = client.get(path, params={"limit": 1, "cursor": first["next"]}).json()
    assert second["spans"][0]["right"]["name"] == "chat"
    assert client.get(f"/api/v1/traces/{'0' * 31}1/diff/{extra.trace_id}").status_code == 404


def _wide_and_deep(count: int) -> list[Any]:
    spans, trace_id, above = [], "ab" * 16, None
    for n in range(count):
        span_id = f"{n + 1:016x}"
        spans.append(
            call(
                trace_id=trace_id,
                span_id=span_id,
                parent_id=above,
                name=f"step {n % 3}",
                start_ns=BASE + n,
                input=None,
            )
        )
        above = span_id if n % 2 else above
    return spans


def test_a_large_trace_comes_in_pages_and_as_columns(client: TestClient, home: Home, actor: Actor) -> None:
    spans = _wide_and_deep(450)
    service.ingest(home, actor.scope, spans)
    path = f"/api/v1/traces/{spans[0].trace_id}"
    found, cursor = [], None
    for _ in range(5):
        page = client.get(path, params={"limit": 100} | ({"cursor": cursor} if cursor else {})).json()
        assert len(page["spans"]) <= 100
        found += page["spans"]
        cursor = page["next"]
    assert cursor is None
    assert [span["span_id"] for span in found] == [span.span_id for span in spans]
    drawn = client.get(f"{path}/outline").json()
    assert (drawn["spans"], len(drawn["span_id"]), drawn["names"]) == (
        450,
        450,
        ["step 0", "step 1", "step 2"],
    )
    at = {span_id: place for place, span_id in enumerate(drawn["span_id"])}
    for span in spans:
        place = at[span.span_id]
        above = drawn["parent"][place]
        assert (None if above < 0 else drawn["span_id"][above]) == span.parent_id
        assert drawn["names"][drawn["name"][place]] == span.name
        assert (drawn["start"][place], drawn["duration"][place]) == (span.start_ns - BASE, span.duration_ns)
    assert client.get("/api/v1/traces/zz/outline").status_code == 404
    for wrong in ("cursor=x", "limit=0", "limit=10001"):
        assert client.get(f"{path}?{wrong}").status_code in (400, 422)


def test_reports_by_every_dimension_and_project(client: TestClient, home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        auth.create_project(uow, actor, name="second")
    made = [
        call(prompt="greet@2", environment="prod", requested_model="fast", user="ada", ttft_ns=10**7),
        call(prompt="greet@3", environment="prod", status="error", cost_usd=0.0, price_version="cache"),
    ]
    service.ingest(home, actor.scope, made)
    service.ingest(home, actor.within("second").scope, [call(cost_usd=1.0)])
    for _ in range(2):
        for by, wanted in {
            "prompt": {"greet@2": 1, "greet@3": 1},
            "environment": {"prod": 2},
            "requested_model": {"fast": 1, "": 1},
            "status": {"ok": 1, "error": 1},
            "project": {"default": 2, "second": 1},
            "user": {"ada": 1},
        }.items():
            items = client.get("/api/v1/usage", params={"group_by": by}).json()["items"]
            assert {item["group"]: item["calls"] for item in items} == wanted, by
        (hit,) = client.get("/api/v1/usage", params={"group_by": "model", "prompt": "greet@3"}).json()[
            "items"
        ]
        assert (hit["calls"], hit["cache_hits"], hit["errors"]) == (1, 1, 1)
        assert hit["p95_ms"] == pytest.approx(250, rel=0.021)
        background.catch_up(home)


def test_series_by_group_add_up_to_the_whole(client: TestClient, home: Home, actor: Actor) -> None:
    service.ingest(
        home,
        actor.scope,
        [
            call(model=f"m{n % 5}", user=f"u{n % 4}", cost_usd=float(n % 5), start_ns=BASE + n * 600 * 10**9)
            for n in range(60)
        ],
    )
    ends = {
        "since": clock.iso(clock.from_ns(BASE)),
        "until": clock.iso(clock.from_ns(BASE + 12 * 3600 * 10**9)),
    }
    for _ in range(2):
        whole = client.get("/api/v1/timeseries", params=ends).json()["items"]
        for by, top in (("model", 2), ("user", 1), ("provider", 3)):
            items = client.get("/api/v1/timeseries", params=ends | {"by": by, "top": top}).json()["items"]
            groups = list(dict.fromkeys(item["group"] for item in items))
            assert groups == {"model": ["m4", "m3", None], "user": ["u0", None], "provider": ["openai"]}[by]
            for point in whole:
                parts = [item for item in items if item["time"] == point["time"]]
                for name in ("calls", "input_tokens", "cost_usd"):
                    assert sum(part[name] for part in parts) == pytest.approx(point[name])
        single = client.get("/api/v1/timeseries", params=ends | {"model": "m4", "user": "u0"}).json()["items"]
        assert sum(item["calls"] for item in single) == 3
        background.catch_up(home)
    assert client.get("/api/v1/timeseries", params={"by": "day"}).status_code == 400
    assert client.get("/api/v1/timeseries", params={"by": "colour"}).status_code == 422


def test_a_tail_tells_what_arrives_and_what_it_was_asked_for(home: Home, actor: Actor) -> None:
    service.ingest(home, actor.scope, [call()])
    everything = Tail(home, actor)
    failing = Tail(home, actor, filters=TraceFilters(status="error"))
    saying = Tail(home, actor, filters=TraceFilters(q="unicorn"))
    assert everything.poll().traces == ()
    fine, broken = call(output=b'"a unicorn"'), call(status="error")
    service.ingest(home, actor.scope, [fine])
    service.ingest(home, actor.scope, [broken])
    service.ingest(home, actor.within("other").scope, [call()])
    assert [one.trace_id for one in everything.poll().traces] == [fine.trace_id, broken.trace_id]
    assert [one.trace_id for one in failing.poll().traces] == [broken.trace_id]
    assert [one.trace_id for one in saying.poll().traces] == [fine.trace_id]
    assert everything.poll().traces == failing.poll().traces == ()
    service.ingest(
        home, actor.scope, [call(trace_id=fine.trace_id, status="error", start_ns=fine.start_ns + 1)]
    )
    assert [one.spans for one in failing.poll().traces] == [2]
    service.ingest(home, actor.scope, [call() for _ in range(MOST + 50)])
    news = everything.poll()
    assert (len(news.traces), news.skipped) == (MOST, 49 + 2)
    with pytest.raises(Denied):
        Tail(home, Actor(id="k", name="k", role=Role.GATEWAY, scope=actor.scope))


class Listener:
    """One request for the tail, spoken in ASGI."""

    def __init__(
        self, app: FastAPI, cookie: str, query: str = "", headers: dict[str, str] | None = None
    ) -> None:
        given = {"cookie": f"{SESSION_COOKIE}={cookie}", **(headers or {})}
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "path": "/api/v1/traces/tail",
            "raw_path": b"/api/v1/traces/tail",
            "root_path": "",
            "scheme": "http",
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
            "state": {},
        }
        self._app = app
        self.status = 0
        self.text = ""
        self.left = asyncio.Event()
        self._asked = False

    async def run(self) -> None:
        """Listen until `left` is set or the server ends it."""
        await self._app(self._scope, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.text += message.get("body", b"").decode()

    async def until(self, wanted: Callable[[str], bool]) -> None:
        """Wait until what was heard meets `wanted`."""
        async with asyncio.timeout(60):
            while not wanted(self.text):
                await asyncio.sleep(0.02)

    def traces(self) -> list[str]:
        """Return the ids of the traces heard."""
        lines = [line[6:] for line in self.text.splitlines() if line.startswith("data: ")]
        return [found["trace_id"] for line in lines if "trace_id" in (found := json.loads(line))]


@pytest.fixture
def app(home: Home, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr(people_api, "_PAUSE", 0.05)
    monkeypatch.setattr(people_api, "_QUIET", 0.3)
    return build_api(home)


@pytest.fixture
def cookie(home: Home) -> str:
    with home.begin() as uow:
        owner, _ = auth.ensure_owner(uow)
        return auth.sign_in(uow, auth.create_sign_in(uow, owner))


@asynccontextmanager
async def listening(*listeners: Listener) -> AsyncIterator[None]:
    """Run listeners; all of them have left at the end."""
    async with asyncio.TaskGroup() as group:
        for listener in listeners:
            group.create_task(listener.run())
        try:
            yield
        finally:
            for listener in listeners:
                listener.left.set()


def test_the_tail_over_http(home: Home, actor: Actor, app: FastAPI, cookie: str) -> None:
    async def follow() -> None:
        everything, errors = Listener(app, cookie), Listener(app, cookie, "status=error")
        async with listening(everything, errors):
            await everything.until(lambda text: ": following" in text)
            await errors.until(lambda text: ": still here" in text)
            fine, broken = call(), call(status="error")
            await asyncio.to_thread(service.ingest, home, actor.scope, [fine])
            await everything.until(lambda text: "event: trace" in text)
            await asyncio.to_thread(service.ingest, home, actor.scope, [broken])
            await everything.until(lambda text: text.count("event: trace") == 2)
            await errors.until(lambda text: "event: trace" in text)
            assert everything.traces() == [fine.trace_id, broken.trace_id]
            assert errors.traces() == [broken.trace_id]
            assert app.state.tails == 2
        assert app.state.tails == 0
        last = everything.text.split("id: ")[1].split("\n")[0]
        again = Listener(app, cookie, headers={"last-event-id": last})
        async with listening(again):
            await again.until(lambda text: "event: trace" in text)
            assert again.traces()[-1] == broken.trace_id

    asyncio.run(follow())


def test_tails_are_few_and_end_when_the_process_drains(
    home: Home, app: FastAPI, cookie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def follow() -> None:
        first, second = Listener(app, cookie), Listener(app, cookie)
        app.state.tails = 19
        async with listening(first):
            await first.until(lambda text: ": following" in text)
            await second.run()
            assert (second.status, "raise [traces] tails" in second.text) == (429, True)
            app.state.draining = True
            async with asyncio.timeout(60):
                while app.state.tails > 19:
                    await asyncio.sleep(0.02)
        stranger = Listener(app, "nobody")
        stranger.left.set()
        await stranger.run()
        assert stranger.status == 401

    asyncio.run(follow())
