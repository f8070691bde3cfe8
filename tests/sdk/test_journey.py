"""The SDK against the real server over a socket."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

import penstock
from penstock.sdk import runtime
from penstock.sdk.client import Client
from penstock.sdk.spool import default_folder
from tests.docs.pages import environment, serving
from tests.fakes.openai import KEY, WORDS, MockUpstream


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder: Path = tmp_path_factory.mktemp("journey")
    with serving(folder, environment(folder)) as env:
        yield Client(env["PENSTOCK_URL"], env["PENSTOCK_API_KEY"])


def test_prompts_from_first_version_to_rendered_text(client: Client) -> None:
    client.prompts.create("triage", description="Ticket triage")
    client.prompts.add_version("triage", kind="text", text="Sort: {{ mail }}")
    client.prompts.add_version(
        "triage",
        kind="chat",
        messages=[
            {"role": "system", "content": "Sort mail."},
            {"role": "user", "content": "{{ mail | trim }}"},
        ],
    )
    assert [version["number"] for version in client.prompts.versions("triage")] == [2, 1]
    client.prompts.set_label("triage", "production", 1)
    assert penstock.get_prompt("triage", client=client).render(mail="hi").text == "Sort: hi"
    latest = penstock.get_prompt("triage", label="latest", client=client)
    assert latest.render(mail="  hi ").messages[1] == {"role": "user", "content": "hi"}
    with pytest.raises(penstock.RenderError, match="mail"):
        latest.render()


def test_lists_page_through_everything(client: Client) -> None:
    for number in range(5):
        client.prompts.create(f"many-{number}")
    names = [prompt["name"] for prompt in client.prompts.list(q="many-", limit=2)]
    assert names == [f"many-{number}" for number in range(5)]


def test_keys_are_made_used_and_revoked(client: Client) -> None:
    made = client.keys.create("robot", role="viewer")
    robot = Client(client.config.url, made["key"])
    assert robot.me()
    made = client.keys.rotate(made["id"])
    with pytest.raises(penstock.ApiError):
        robot.me()
    robot = Client(client.config.url, made["key"])
    assert robot.me()
    with pytest.raises(penstock.ApiError) as denied:
        robot.prompts.create("not-allowed")
    assert denied.value.status == 403
    client.keys.revoke(made["id"])
    with pytest.raises(penstock.ApiError) as gone:
        robot.me()
    assert gone.value.status == 401
    assert gone.value.request_id


def test_the_clients_environment_is_the_readers(client: Client) -> None:
    assert "PENSTOCK_API_KEY" not in os.environ
    assert client.config.url.startswith("http://127.0.0.1:")


@pytest.fixture(scope="module")
def upstream() -> Iterator[MockUpstream]:
    with MockUpstream() as up:
        yield up


@pytest.fixture
def tracing(client: Client) -> Iterator[Client]:
    """The process-wide tracing, pointed at the real server."""
    runtime.configure(client.config.url, client.config.api_key, service="journey")
    yield client
    runtime.configure(tracing=False)


def _trace(client: Client, trace_id: str, spans: int) -> dict[str, Any]:
    """Return a trace once it is complete: the gateway's own span arrives by another way."""
    assert penstock.flush()
    until = time.monotonic() + 10
    while True:
        with contextlib.suppress(penstock.NotFound):
            trace = client.traces.get(trace_id)
            if len(trace["spans"]) >= spans:
                return trace
        assert time.monotonic() < until, "the spans did not arrive"
        time.sleep(0.05)


def _ask(client: openai.OpenAI, *, stream: bool) -> str:
    messages: list[Any] = [{"role": "user", "content": "Hello"}]
    with penstock.span("question", session="s-9", user="grace") as outer:
        if stream:
            options: Any = {"include_usage": True}
            pieces = client.chat.completions.create(
                model="plain", messages=messages, stream=True, stream_options=options
            )
            assert list(pieces)
        else:
            client.chat.completions.create(model="plain", messages=messages)
    return outer.trace_id


@pytest.mark.parametrize("stream", [False, True])
def test_a_wrapped_client_is_billed_from_its_own_span(
    tracing: Client, upstream: MockUpstream, stream: bool
) -> None:
    with openai.OpenAI(api_key=KEY, base_url=upstream.base_url) as plain:
        trace = _trace(tracing, _ask(penstock.wrap(plain), stream=stream), 2)
    assert (trace["calls"], trace["input_tokens"], trace["output_tokens"]) == (1, 42, 7)
    assert trace["cached_tokens"] == 10
    call = next(span for span in trace["spans"] if span["kind"] == "llm")
    assert (call["session"], call["user"]) == ("s-9", "grace")
    assert (call["ttft_ns"] is not None) is stream
    whole = tracing.traces.span(trace["trace_id"], call["span_id"])
    assert whole["output"][0]["parts"] == [{"type": "text", "content": "".join(WORDS)}]


def test_behind_the_gateway_the_call_is_counted_once(tracing: Client, upstream: MockUpstream) -> None:
    tracing.gateway.put_provider("mock", kind="openai", base_url=upstream.base_url, api_key=KEY)
    tracing.gateway.put_route("plain", targets=[{"provider": "mock", "model": "plain"}])
    with openai.OpenAI(api_key=tracing.config.api_key, base_url=f"{tracing.config.url}/v1") as plain:
        trace = _trace(tracing, _ask(penstock.wrap(plain), stream=False), 3)
    assert (trace["calls"], trace["input_tokens"], trace["output_tokens"]) == (1, 42, 7)
    by_kind = {span["kind"]: span for span in trace["spans"] if span["name"] != "question"}
    assert by_kind["llm"]["parent_id"] == by_kind["chain"]["span_id"]
    assert sorted(span["kind"] for span in trace["spans"]) == ["chain", "chain", "llm"]


def test_spans_recorded_while_the_server_was_away_arrive_later(tracing: Client, free_port: int) -> None:
    away = f"http://127.0.0.1:{free_port}"
    runtime.configure(away, tracing.config.api_key)
    with penstock.span("while away") as span:
        pass
    assert penstock.flush(0.3) is False
    runtime.exporter().close(0.1)
    (kept,) = Path(os.environ["PENSTOCK_SPOOL"]).glob("*/*.spans")
    config = tracing.config
    folder = default_folder(config.url, config.api_key, config.project).name
    moved = Path(os.environ["PENSTOCK_SPOOL"]) / folder / kept.name
    moved.parent.mkdir()
    for _ in range(2):  # the second time as after a kill between the answer and the removal
        moved.write_bytes(kept.read_bytes())
        runtime.configure(config.url, config.api_key)
        penstock.span("back").end()
        trace = _trace(tracing, span.trace_id, 1)
        assert [one["name"] for one in trace["spans"]] == ["while away"]
        assert not moved.exists()


def test_limits_budgets_and_alerts(client: Client) -> None:
    client.limits.put("user", "*", requests_per_minute=600, concurrent=3)
    (found,) = (each for each in client.limits.list() if (each["kind"], each["subject"]) == ("user", "*"))
    assert (found["limits"]["requests_per_minute"], found["limits"]["concurrent"]) == (600, 3)
    client.limits.put("user", "*")
    assert not [each for each in client.limits.list() if each["kind"] == "user"]
    client.budgets.put("sdk", 5.0, kind="user", subject="*", period="day", soft=[0.5], hard=False)
    assert client.budgets.get("sdk")["usd"] == 5.0
    assert [each["name"] for each in client.budgets.list()] == ["sdk"]
    assert list(client.budgets.subjects("sdk")) == []
    with pytest.raises(penstock.NotFound, match="no account"):
        client.budgets.forget("sdk", "ada@example.com")
    client.budgets.delete("sdk")
    assert list(client.alerts.list(limit=10)) == []
    assert client.alerts.put_webhook("http://127.0.0.1:9/hook")["secret"].startswith("whsec_")
    assert client.alerts.webhook()["url"] == "http://127.0.0.1:9/hook"
    with pytest.raises(penstock.ApiError, match="cannot be reached"):
        client.alerts.try_webhook()
    client.alerts.delete_webhook()
    assert client.alerts.webhook()["url"] is None


def test_prices(client: Client) -> None:
    client.prices.put("own-*", 2.0, 8.0, cached=0.5)
    (own,) = client.prices.list()
    assert (own["model"], own["input"], own["output"], own["cached"]) == ("own-*", 2.0, 8.0, 0.5)
    assert client.prices.show("own-7")["version"] == own["version"]
    assert client.prices.version(own["version"])["model"] == "own-*"
    client.prices.put("own-*", 3.0, provider="")
    assert [each["input"] for each in client.prices.history("own-*", limit=10)] == [3.0, 2.0]
    assert client.prices.book("gpt-4o")["items"]
    document = {"prices": [{"model": "loaded", "price": {"input": 1.0, "output": 2.0}}]}
    assert client.prices.load(document, replace=True) >= 1
    assert [each["model"] for each in client.prices.list()] == ["loaded"]
    client.prices.delete("loaded")
    assert list(client.prices.list()) == []
    with pytest.raises(penstock.NotFound):
        client.prices.delete("loaded")


def test_caches(client: Client) -> None:
    made = client.caches.put("sdk/chat", ttl=60, scope="project")
    assert (made["route"], made["ttl"], made["scope"]) == ("sdk/chat", 60, "project")
    assert [each["route"] for each in client.caches.list()] == ["sdk/chat"]
    assert client.caches.stats()["entries"] == 0
    assert (client.caches.purge(), client.caches.purge("sdk/chat")) == (0, 0)
    client.caches.delete("sdk/chat")
    assert list(client.caches.list()) == []


def test_guardrails(client: Client) -> None:
    assert "pii" in {kind["kind"] for kind in client.guardrails.kinds()}
    guards = [{"kind": "pii", "action": "mask"}]
    assert client.guardrails.put("sdk", guards, routes=["chat"])["number"] == 1
    assert client.guardrails.put("sdk", guards, description="again")["number"] == 2
    assert client.guardrails.get("sdk")["description"] == "again"
    assert client.guardrails.get("sdk", 1)["routes"] == ["chat"]
    assert [each["number"] for each in client.guardrails.versions("sdk")] == [2, 1]
    assert [each["name"] for each in client.guardrails.list()] == ["sdk"]
    tried = client.guardrails.check("Write to ada@example.com", policy="sdk")
    assert tried["allowed"] and "ada@example.com" not in tried["text"]
    client.guardrails.delete("sdk")
    assert list(client.guardrails.list()) == []
