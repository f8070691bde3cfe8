"""The gateway's edges over raw HTTP: wrong input, keys, routes that fail over, limits."""

import asyncio
import concurrent.futures
import http.client
import json
import socket
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.core.auth import service as auth
from penstock.core.scope import Role
from penstock.gateway import service
from penstock.gateway.model import Route, Target
from tests.fakes import openai as fake
from tests.gateway.conftest import Running, Waiter

CHAT = {"model": "chat", "messages": [{"role": "user", "content": "Hi"}]}
PATH = "/v1/chat/completions"


def call(
    gateway: Running, body: Any = CHAT, *, path: str = PATH, method: str = "POST", **headers: str
) -> tuple[int, dict[str, str], Any]:
    connection = http.client.HTTPConnection(gateway.url.removeprefix("http://"), timeout=20)
    sent = {"authorization": f"Bearer {gateway.key}"} | {k.replace("_", "-"): v for k, v in headers.items()}
    data = body if isinstance(body, bytes) else json.dumps(body)
    connection.request(method, path, None if method == "GET" else data, sent)
    answer = connection.getresponse()
    raw = answer.read()
    connection.close()
    try:
        parsed = json.loads(raw)
    except ValueError:
        parsed = raw
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, parsed


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", PATH, None, 405, "method_not_allowed"),
        ("POST", "/v1/models", CHAT, 405, "method_not_allowed"),
        ("POST", "/v1/nothing", CHAT, 404, "unknown_url"),
        ("POST", PATH, b"", 400, "bad_json"),
        ("POST", PATH, b"{", 400, "bad_json"),
        ("POST", PATH, b"[]", 400, "bad_json"),
        ("POST", PATH, b"[" * 100_000, 400, "bad_json"),
        ("POST", PATH, b'{"model": ' + b"[" * 100_000, 400, "bad_json"),
        ("POST", PATH, {"messages": []}, 400, "missing_required_parameter"),
        ("POST", PATH, {"model": "chat"}, 400, "missing_required_parameter"),
        ("POST", PATH, {"model": 5, "messages": []}, 400, "invalid_value"),
        ("POST", PATH, {"model": "x" * 999, "messages": []}, 400, "invalid_value"),
        ("POST", PATH, {"model": "chat", "messages": "hi"}, 400, "invalid_value"),
        ("POST", PATH, {"model": "chat", "messages": [], "stream": "yes"}, 400, "invalid_value"),
        (
            "POST",
            PATH,
            {"model": "chat", "messages": [], "stream": True, "stream_options": 3},
            400,
            "invalid_value",
        ),
        ("POST", "/v1/embeddings", {"model": "chat"}, 400, "missing_required_parameter"),
        ("POST", PATH, CHAT | {"model": "nope"}, 404, "model_not_found"),
    ],
)
def test_wrong_requests(gateway: Running, method: str, path: str, body: Any, status: int, code: str) -> None:
    got, headers, answer = call(gateway, body, path=path, method=method)
    assert (got, answer["error"]["code"]) == (status, code)
    assert set(answer["error"]) == {"message", "type", "param", "code"}
    assert headers["x-request-id"].startswith("req_") and len(headers["x-penstock-trace-id"]) == 32
    assert headers["x-request-id"].startswith("req_" + headers["x-penstock-trace-id"]), "feedback can name it"
    if status == 405:
        assert headers["allow"] in ("GET", "POST")


def test_wrong_requests_in_the_other_family(gateway: Running) -> None:
    for status, body in ((400, {"model": "chat"}), (404, CHAT | {"model": "nope"})):
        got, headers, answer = call(gateway, body, path="/v1/messages")
        assert got == status and answer["type"] == "error" and answer["error"]["message"]
        assert answer["request_id"] == headers["request-id"] == headers["x-request-id"]
    assert call(gateway, path="/v1/messages", method="GET")[2]["type"] == "error"


@pytest.mark.parametrize("header", ["authorization", "x_api_key", "x_goog_api_key"])
def test_three_headers_carry_the_key(
    gateway: Running, openai_upstream: fake.MockUpstream, header: str
) -> None:
    value = f"bearer {gateway.key}" if header == "authorization" else gateway.key
    headers = {"authorization": "", header: value}
    assert call(gateway, **headers)[0] == 200
    assert gateway.key not in str(openai_upstream.requests[-1].headers)
    status, _, answer = call(gateway, **{"authorization": "", header: value + "x"})
    assert status == 401 and answer["error"]["code"] == "invalid_api_key"
    assert call(gateway, authorization="")[0] == 401


def test_keys_work_at_once_and_stop_within_a_second(gateway: Running) -> None:
    with gateway.home.begin() as uow:
        key, secret = auth.create_key(uow, gateway.actor, name="new", role=Role.GATEWAY)
    assert call(gateway, authorization=f"Bearer {secret}")[0] == 200
    status, _, _ = call(gateway, CHAT | {"model": "oa/gpt-fake"}, authorization=f"Bearer {secret}")
    assert status == 404, "a gateway key may only use routes"
    assert call(gateway, CHAT | {"model": "oa/gpt-fake"})[0] == 200
    with gateway.home.begin() as uow:
        auth.revoke_key(uow, gateway.actor, key_id=key.id)
    time.sleep(1)
    assert call(gateway, authorization=f"Bearer {secret}")[0] == 401


def test_a_key_for_some_models_calls_and_lists_no_others(gateway: Running) -> None:
    with gateway.home.begin() as uow:
        _, secret = auth.create_key(uow, gateway.actor, name="some", models=["ch?t", "oa/*"])
    bearer = {"authorization": f"Bearer {secret}"}
    assert call(gateway, **bearer)[0] == 200
    assert call(gateway, CHAT | {"model": "oa/gpt-fake"}, **bearer)[0] == 200
    every = [
        model["id"]
        for model in get(gateway, "/v1/models", {"authorization": f"Bearer {gateway.key}"})[1]["data"]
    ]
    listed = [model["id"] for model in get(gateway, "/v1/models", bearer)[1]["data"]]
    others = sorted(set(every) - {"chat"})
    assert listed == ["chat"] and others
    status, _, answer = call(gateway, CHAT | {"model": others[0]}, **bearer)
    assert status == 404 and answer["error"]["code"] == "model_not_found"
    assert get(gateway, f"/v1/models/{others[0]}", bearer)[0] == 404
    assert not any(name in answer["error"]["message"].partition("Did you mean")[2] for name in others)


def test_projects(gateway: Running) -> None:
    assert call(gateway, x_penstock_project="default")[0] == 200
    status, _, answer = call(gateway, x_penstock_project="other")
    assert status == 403 and "belongs to the project" in answer["error"]["message"]
    with gateway.home.begin() as uow:
        _, secret = auth.create_key(uow, gateway.actor, name="all", role=Role.MEMBER, any_project=True)
    bearer = {"authorization": f"Bearer {secret}"}
    assert call(gateway, x_penstock_project="other", **bearer)[0] == 200
    gateway.recorder.last(2)
    assert gateway.recorder.spans[-1][0].project == "other"


def test_browser_sessions_only_from_our_own_pages(gateway: Running) -> None:
    with gateway.home.begin() as uow:
        person, _ = auth.ensure_owner(uow)
        token = auth.create_sign_in(uow, person)
    with gateway.home.begin() as uow:
        session = auth.sign_in(uow, token)
    cookie = f"theme=dark; penstock_session={session}"
    host = gateway.url.removeprefix("http://")
    assert call(gateway, authorization="", cookie=cookie)[0] == 200
    assert call(gateway, authorization="", cookie=cookie, origin=f"http://{host}")[0] == 200
    assert call(gateway, authorization="", cookie=cookie, origin="http://evil.example")[0] == 403


def test_a_new_route_works_at_once(gateway: Running) -> None:
    for number in range(3):
        with gateway.home.begin() as uow:
            service.put_route(
                uow, gateway.actor, f"new-{number}", Route("weighted", (Target("oa", "gpt-fake"),))
            )
        assert call(gateway, CHAT | {"model": f"new-{number}"})[0] == 200


def target(model: str, weight: float = 1, provider: str = "oa") -> dict[str, Any]:
    return {"provider": provider, "model": model, "weight": weight}


@pytest.mark.parametrize(
    "first", ["status-500", "status-503", "status-429", "status-401", "cut-head", "not-json"]
)
@pytest.mark.parametrize("stream", [False, True])
def test_fallback(gateway: Running, first: str, stream: bool) -> None:
    route = {
        "strategy": "fallback",
        "targets": [target("x", provider="down"), target(first), target("gpt-fake")],
    }
    gateway.configure({}, {"safe": route})
    status, headers, _ = call(gateway, CHAT | {"model": "safe", "stream": stream})
    assert status == 200 and headers["x-penstock-target"] == "oa/gpt-fake"
    assert gateway.recorder.last().attributes["gateway.attempts"] == 3


def test_fallback_in_a_stream_before_its_first_byte(gateway: Running) -> None:
    gateway.configure(
        {}, {"safe": {"strategy": "fallback", "targets": [target("error-first"), target("gpt-fake")]}}
    )
    status, headers, _ = call(gateway, CHAT | {"model": "safe", "stream": True})
    assert status == 200 and headers["x-penstock-target"] == "oa/gpt-fake"


def test_the_callers_own_mistakes_are_not_tried_elsewhere(
    gateway: Running, openai_upstream: fake.MockUpstream
) -> None:
    gateway.configure(
        {}, {"safe": {"strategy": "fallback", "targets": [target("status-400"), target("gpt-fake")]}}
    )
    assert call(gateway, CHAT | {"model": "safe"})[0] == 400
    assert len(openai_upstream.requests) == 1


def test_a_failed_attempt_is_repeated(gateway: Running, openai_upstream: fake.MockUpstream) -> None:
    gateway.configure({}, {"again": {"targets": [target("status-500")], "retries": 2}})
    assert call(gateway, CHAT | {"model": "again"})[0] == 502
    assert len(openai_upstream.requests) == 3


def test_weights(gateway: Running, openai_upstream: fake.MockUpstream) -> None:
    gateway.configure(
        {}, {"split": {"targets": [target("gpt-fake", 3), target("other", 1), target("never", 0)]}}
    )
    for _ in range(8):
        assert call(gateway, CHAT | {"model": "split"})[0] == 200
    models = [request.json["model"] for request in openai_upstream.requests]
    assert sorted(models) == ["gpt-fake"] * 6 + ["other"] * 2


def test_a_slow_provider_times_out(gateway: Running) -> None:
    gateway.configure({}, {"late": {"targets": [target("hang")], "retries": 0, "timeout": 0.3}})
    started = time.monotonic()
    status, _, answer = call(gateway, CHAT | {"model": "late"})
    assert status == 504 and answer["error"]["code"] == "upstream_timeout"
    assert time.monotonic() - started < 3


def test_trace_context_is_continued(gateway: Running) -> None:
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    _, headers, _ = call(gateway, traceparent=f"00-{trace}-{parent}-01")
    assert headers["x-penstock-trace-id"] == trace
    span = gateway.recorder.last()
    assert (span.trace_id, span.parent_id) == (trace, parent)
    assert call(gateway, traceparent="00-" + "0" * 32 + "-" + "z" * 16 + "-01")[0] == 200
    assert gateway.recorder.last(2).parent_id is None


def test_bodies_over_the_limit(gateway: Running) -> None:
    gateway.app._max_body = 1000
    status, _, answer = call(gateway, CHAT | {"pad": "x" * 2000})
    assert status == 413 and answer["error"]["type"] == "invalid_request_error"
    with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2]))) as raw:
        raw.settimeout(5)
        head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.key}\r\n"
        raw.sendall(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        raw.sendall(b"3e8\r\n" + b"x" * 1000 + b"\r\n3e8\r\n" + b"x" * 1000 + b"\r\n")
        assert raw.recv(4096).startswith(b"HTTP/1.1 413")


def test_a_body_that_stops_coming(gateway: Running, eventually: Waiter) -> None:
    object.__setattr__(gateway.app._settings, "body_seconds", 0.3)
    with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2]))) as raw:
        raw.settimeout(5)
        head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.key}\r\n"
        raw.sendall(f"{head}content-length: 100\r\n\r\n{{".encode())
        answer = raw.recv(4096)
        while b"}}" not in answer and (more := raw.recv(4096)):
            answer += more
    assert answer.startswith(b"HTTP/1.1 400") and b"body_timeout" in answer
    eventually(lambda: gateway.app.in_flight == 0)


def test_a_key_that_must_be_looked_up_for_long_loses_no_body(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(gateway)[0] == 200  # from here on the configuration is watched
    fresh = gateway.app._watch.fresh

    async def slowly() -> object:
        await asyncio.sleep(0.8)
        return await fresh()

    monkeypatch.setattr(gateway.app._watch, "fresh", slowly)
    object.__setattr__(gateway.app._settings, "body_seconds", 2.0)
    with gateway.home.begin() as uow:
        _, gateway.key = auth.create_key(uow, gateway.actor, name="new")
    status, _, answer = call(gateway)
    assert (status, answer["object"]) == (200, "chat.completion")


def test_a_caller_who_leaves_while_sending(gateway: Running, eventually: Waiter) -> None:
    with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2]))) as raw:
        head = f"POST {PATH} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.key}\r\n"
        raw.sendall(f"{head}content-length: 100\r\n\r\n{{".encode())
        eventually(lambda: gateway.app.in_flight == 1)
        time.sleep(0.5)
    eventually(lambda: gateway.app.in_flight == 0)
    span = gateway.recorder.last()
    assert span.status == "error" and span.attributes["gateway.caller_left"] is True


def test_too_many_calls_at_once_are_told_to_come_back(gateway: Running, eventually: Waiter) -> None:
    object.__setattr__(gateway.app._settings, "max_in_flight", 1)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(call, gateway, CHAT | {"model": "oa-silent", "stream": True})
        eventually(lambda: gateway.app.in_flight == 1)
        status, headers, answer = call(gateway)
        assert status == 503 and headers["retry-after"] == "1" and answer["error"]["type"] == "server_error"
        assert first.result()[0] == 200


def test_silence_in_a_stream_is_filled(gateway: Running) -> None:
    object.__setattr__(gateway.app._settings, "ping_seconds", 0.3)
    _, _, raw = call(gateway, CHAT | {"model": "oa-silent", "stream": True})
    assert raw.count(b": ping\n\n") >= 2 and raw.endswith(b"data: [DONE]\n\n")
    assert gateway.recorder.last().status == "ok"


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.one_of(
        st.binary(max_size=300),
        st.recursive(
            st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=10),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
            ),
            max_leaves=8,
        ).map(lambda value: json.dumps(CHAT | {"messages": [value], "tools": value, "stop": value}).encode()),
        st.dictionaries(
            st.sampled_from(["model", "messages", "stream", "stream_options", "user", "metadata", "tools"]),
            st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.none(), max_size=2),
        ).map(lambda value: json.dumps(value).encode()),
    ),
    st.sampled_from(["chat", "an-claude-fake"]),
    st.sampled_from([PATH, "/v1/messages", "/v1/embeddings"]),
)
def test_any_body_gets_an_answer(gateway: Running, body: bytes, model: str, path: str) -> None:
    status, headers, answer = call(gateway, body.replace(b'"chat"', f'"{model}"'.encode()), path=path)
    assert status in (200, 400, 404, 502)
    assert "x-request-id" in headers
    if status != 200:
        assert answer["error"]["message"] and "inside Penstock" not in answer["error"]["message"]


def get(gateway: Running, path: str, headers: dict[str, str]) -> tuple[int, Any]:
    """Return status and body of a GET."""
    connection = http.client.HTTPConnection("127.0.0.1", int(gateway.url.rpartition(":")[2]), timeout=10)
    connection.request("GET", path, headers=headers)
    response = connection.getresponse()
    found = response.status, json.loads(response.read())
    connection.close()
    return found


def test_all_three_families_list_models_and_take_their_own_keys(gateway: Running) -> None:
    key = gateway.key
    asked = {
        "openai": ("/v1/models", {"authorization": f"Bearer {key}"}),
        "anthropic": ("/v1/models", {"x-api-key": key, "anthropic-version": "2023-06-01"}),
        "gemini": ("/v1beta/models", {"x-goog-api-key": key}),
        "parameter": (f"/v1beta/models?key={key}", {}),
    }
    found = {name: get(gateway, path, headers) for name, (path, headers) in asked.items()}
    assert all(status == 200 for status, _ in found.values())
    names = [model["id"] for model in found["openai"][1]["data"]]
    assert names and names == [model["id"] for model in found["anthropic"][1]["data"]]
    assert found["gemini"] == found["parameter"]
    assert [model["name"] for model in found["gemini"][1]["models"]] == [f"models/{name}" for name in names]
    status, one = get(gateway, f"/v1beta/models/{names[0]}", {"x-goog-api-key": key})
    assert status == 200 and one["name"] == f"models/{names[0]}"
    status, error = get(gateway, "/v1beta/models?key=psk_wrong", {})
    assert status == 401 and error["error"]["status"] == "UNAUTHENTICATED"
    assert "psk_wrong" not in str(error)
