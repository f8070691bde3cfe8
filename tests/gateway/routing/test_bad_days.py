"""Calls through the gateway while providers hang, fail, limit and break."""

import concurrent.futures
import http.client
import json
import time
from typing import Any

import pytest

from penstock.gateway.routing.breaker import State
from tests.fakes.moody import MoodyUpstream, breaking, dawdling, failing, good, hanging, resetting
from tests.gateway.conftest import Running, Waiter
from tests.gateway.routing.conftest import Configure
from tests.gateway.test_http import call

CHAT = {"model": "r", "messages": [{"role": "user", "content": "Hi"}]}
STREAM = CHAT | {"stream": True}


def _state(gateway: Running, model: str) -> State:
    [found] = [each for _, each in gateway.app._watch.health.snapshot() if each.model == model]
    return State(found.state)


def test_every_attempt_is_on_the_trace(gateway: Running, moody: MoodyUpstream, route: Configure) -> None:
    route("a", "b", "c", strategy="fallback")
    moody.moods |= {"a": failing(500), "b": resetting}
    status, headers, _ = call(gateway, CHAT)
    assert status == 200
    assert (headers["x-penstock-route"], headers["x-penstock-attempts"]) == ("r", "3")
    assert headers["x-penstock-target"] == "mo/c"
    span = gateway.recorder.last()
    tried = span.attributes["gateway.failed_attempts"]
    assert [(one["target"], one["code"], one["status"]) for one in tried] == [
        ("mo/a", "upstream_error", 500),
        ("mo/b", "upstream_dropped", 502),
    ]
    assert span.attributes["gateway.attempts"] == 3 and all(one["ms"] >= 0 for one in tried)


def test_the_trace_goes_on_at_the_provider(gateway: Running, moody: MoodyUpstream, route: Configure) -> None:
    route("a")
    call(gateway, CHAT, traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    span = gateway.recorder.last()
    sent = moody.requests[-1].headers["traceparent"]
    assert sent == f"00-0af7651916cd43dd8448eb211c80319c-{span.span_id}-01"
    assert "tracestate" not in moody.requests[-1].headers
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    call(gateway, CHAT, traceparent=parent, tracestate="rojo=00f0,congo=t61")
    assert moody.requests[-1].headers["tracestate"] == "rojo=00f0,congo=t61"
    for context in ({}, {"traceparent": "broken"}):  # what belongs to no trace goes nowhere
        call(gateway, CHAT, tracestate="rojo=00f0", **context)
        assert "tracestate" not in moody.requests[-1].headers
    gateway.configure(
        {"mo": {"kind": "openai", "base_url": moody.base_url, "options": {"trace_context": False}}}, {}
    )
    call(gateway, CHAT)
    assert "traceparent" not in moody.requests[-1].headers


def test_retry_after_is_honoured_when_it_is_short(
    gateway: Running, moody: MoodyUpstream, route: Configure
) -> None:
    route("a", retries=1)
    moody.moods["a"] = lambda request: failing(429, "1")(request) if moody.calls["a"] == 1 else good(request)
    started = time.monotonic()
    assert call(gateway, CHAT)[0] == 200
    assert time.monotonic() - started >= 1.0 and moody.calls["a"] == 2


def test_a_long_retry_after_is_passed_on(gateway: Running, moody: MoodyUpstream, route: Configure) -> None:
    route("a", retries=3)
    moody.moods["a"] = failing(429, "30")
    started = time.monotonic()
    status, headers, _ = call(gateway, CHAT)
    assert (status, headers["retry-after"]) == (429, "30") and moody.calls["a"] == 1
    assert time.monotonic() - started < 5


def test_a_limited_target_is_passed_over(gateway: Running, moody: MoodyUpstream, route: Configure) -> None:
    route("a", "b", strategy="fallback")
    moody.moods["a"] = failing(429, "20")
    for _ in range(3):
        assert call(gateway, CHAT)[1]["x-penstock-target"] == "mo/b"
    assert moody.calls == {"a": 1, "b": 3}


def test_a_burst_of_errors_opens_the_breaker_and_a_probe_closes_it(
    gateway: Running, moody: MoodyUpstream, route: Configure
) -> None:
    route("a", breaker={"failures": 3, "seconds": 0.5})
    moody.moods["a"] = failing(500)
    assert [call(gateway, CHAT)[0] for _ in range(3)] == [502] * 3
    assert _state(gateway, "a") is State.OPEN
    status, headers, answer = call(gateway, CHAT)
    assert status == 503 and int(headers["retry-after"]) >= 1 and "rests" in answer["error"]["message"]
    assert moody.calls["a"] == 3, "an open breaker asks nobody"
    time.sleep(0.6)
    assert call(gateway, CHAT)[0] == 502, "the probe fails"
    assert call(gateway, CHAT)[0] == 503 and moody.calls["a"] == 4
    moody.moods["a"] = good
    time.sleep(1.1)
    assert [call(gateway, CHAT)[0] for _ in range(3)] == [200] * 3
    assert _state(gateway, "a") is State.CLOSED


def test_an_open_breaker_sends_calls_elsewhere_and_survives_a_new_configuration(
    gateway: Running, moody: MoodyUpstream, route: Configure
) -> None:
    settings = {"strategy": "fallback", "breaker": {"failures": 2, "seconds": 30}}
    route("a", "b", **settings)
    moody.moods["a"] = failing(503)
    for _ in range(2):
        assert call(gateway, CHAT)[1]["x-penstock-attempts"] == "2"
    route("x", named="another")
    assert call(gateway, CHAT)[1]["x-penstock-attempts"] == "1"
    assert moody.calls["a"] == 2


def test_callers_mistakes_do_not_open_it(gateway: Running, moody: MoodyUpstream, route: Configure) -> None:
    route("a", breaker={"failures": 1})
    moody.moods["a"] = failing(400)
    assert [call(gateway, CHAT)[0] for _ in range(3)] == [400] * 3
    moody.moods["a"] = good
    assert call(gateway, CHAT)[0] == 200


def _together(gateway: Running, count: int, body: Any = CHAT) -> list[tuple[int, dict[str, str], Any]]:
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return [each.result() for each in [pool.submit(call, gateway, body) for _ in range(count)]]


def test_a_full_queue_sheds(gateway: Running, moody: MoodyUpstream, route: Configure) -> None:
    route("a", max_concurrent=1, queue=1, queue_seconds=10)
    moody.moods["a"] = hanging(1.0)
    answers = _together(gateway, 4)
    assert sorted(status for status, _, _ in answers) == [200, 200, 503, 503]
    for status, headers, answer in answers:
        if status == 503:
            assert headers["retry-after"] == "1" and answer["error"]["code"] == "overloaded"
    assert moody.calls["a"] == 2
    assert call(gateway, CHAT)[0] == 200, "all places were given back"


def test_a_providers_limit_moves_calls_on(gateway: Running, moody: MoodyUpstream) -> None:
    full = {"kind": "openai", "base_url": moody.base_url, "options": {"max_concurrent": 1}}
    targets = [{"provider": "small", "model": "a"}, {"provider": "mo", "model": "b"}]
    gateway.configure({"small": full}, {"r": {"strategy": "fallback", "targets": targets}})
    moody.moods["a"] = hanging(0.5)
    labels = sorted(headers["x-penstock-target"] for _, headers, _ in _together(gateway, 3))
    assert labels == ["mo/b", "mo/b", "small/a"]


@pytest.mark.parametrize("body", [CHAT, STREAM])
def test_a_hedge_wins_and_the_loser_is_cut(
    gateway: Running, moody: MoodyUpstream, route: Configure, eventually: Waiter, body: Any
) -> None:
    route("slow", "fast", strategy="fallback", hedge_after_ms=100)
    moody.moods["slow"] = hanging(20.0)
    started = time.monotonic()
    status, headers, _ = call(gateway, body)
    assert (status, headers["x-penstock-target"]) == (200, "mo/fast") and time.monotonic() - started < 10
    eventually(lambda: moody.to("slow")[0].left.is_set())
    notes = gateway.recorder.last().attributes
    assert (notes["gateway.hedged"], notes["gateway.hedge_lost"]) == ("mo/fast", "mo/slow")
    assert all(each.in_flight == 0 for _, each in gateway.app._watch.health.snapshot())


def test_no_hedge_for_a_quick_answer_and_none_too_many(
    gateway: Running, moody: MoodyUpstream, route: Configure
) -> None:
    route("a", "b", "c", strategy="fallback", hedge_after_ms=5000)
    call(gateway, CHAT)
    assert moody.calls == {"a": 1}
    route("a", "b", "c", strategy="fallback", hedge_after_ms=50)
    moody.moods |= {"a": hanging(0.6), "b": hanging(20.0)}
    assert call(gateway, CHAT)[1]["x-penstock-target"] == "mo/a", "the first may still win"
    assert moody.calls == {"a": 2, "b": 1}


def test_failures_while_hedging_go_on_to_the_next(
    gateway: Running, moody: MoodyUpstream, route: Configure
) -> None:
    route("a", "b", "c", strategy="fallback", hedge_after_ms=5000)
    moody.moods |= {"a": failing(500), "b": failing(500)}
    assert call(gateway, CHAT)[1]["x-penstock-target"] == "mo/c"
    moody.moods["c"] = failing(500)
    assert call(gateway, CHAT)[0] == 502


def _events(raw: bytes) -> list[bytes]:
    return [each for each in raw.split(b"\n\n") if each]


def test_nothing_is_repeated_once_a_stream_has_begun(
    gateway: Running, moody: MoodyUpstream, route: Configure
) -> None:
    route("a", "b", strategy="fallback", retries=3)
    moody.moods["a"] = breaking
    status, headers, raw = call(gateway, STREAM)
    assert (status, headers["x-penstock-target"]) == (200, "mo/a")
    assert b'"error"' in _events(raw)[-1] and moody.calls == {"a": 1}
    assert gateway.recorder.last().status == "error"


def test_first_token_and_idle_have_limits_of_their_own(
    gateway: Running, moody: MoodyUpstream, route: Configure
) -> None:
    route("late", "b", strategy="fallback", first_token_timeout=0.4)
    moody.moods |= {"late": dawdling(20.0, at=0), "idle": dawdling(20.0, at=2)}
    assert call(gateway, STREAM)[1]["x-penstock-target"] == "mo/b"
    route("idle", idle_timeout=0.5)
    object.__setattr__(gateway.app._settings, "ping_seconds", 0.2)
    started = time.monotonic()
    _, _, raw = call(gateway, STREAM)
    assert time.monotonic() - started < 5, "comments to the caller do not hide the provider's silence"
    assert b"silence" in _events(raw)[-1] and b"upstream_timeout" in _events(raw)[-1]


def test_comments_while_the_model_thinks_leave_other_targets_open(
    gateway: Running, moody: MoodyUpstream, route: Configure
) -> None:
    object.__setattr__(gateway.app._settings, "ping_seconds", 0.3)
    route("a", "b", strategy="fallback", timeout=1.2)
    moody.moods["a"] = hanging(20.0)
    status, headers, raw = call(gateway, STREAM)
    assert status == 200 and raw.startswith(b": ping\n\n") and raw.endswith(b"data: [DONE]\n\n")
    assert "x-penstock-target" not in headers, "nobody had answered yet"
    assert moody.calls == {"a": 1, "b": 1} and gateway.recorder.last().status == "ok"


def test_after_a_comment_an_error_is_an_event(
    gateway: Running, moody: MoodyUpstream, route: Configure
) -> None:
    object.__setattr__(gateway.app._settings, "ping_seconds", 0.3)
    route("a", timeout=1.0)
    moody.moods["a"] = hanging(20.0)
    status, _, raw = call(gateway, STREAM)
    assert status == 200 and b"upstream_timeout" in _events(raw)[-1]
    span = gateway.recorder.last()
    assert span.status == "error" and "too long" in (span.error or "")


def test_early_comments_can_be_switched_off(gateway: Running, moody: MoodyUpstream, route: Configure) -> None:
    object.__setattr__(gateway.app._settings, "ping_seconds", 0.3)
    object.__setattr__(gateway.app._settings, "early_ping", False)
    route("a", timeout=1.0)
    moody.moods["a"] = hanging(20.0)
    assert call(gateway, STREAM)[0] == 504


def test_a_caller_who_leaves_cuts_waiting_hedged_and_queued_calls(
    gateway: Running, moody: MoodyUpstream, route: Configure, eventually: Waiter
) -> None:
    route("a", "b", strategy="fallback", hedge_after_ms=50, max_concurrent=1, queue=5)
    moody.moods |= {"a": hanging(), "b": hanging()}
    connections = []
    for _ in range(2):
        connection = http.client.HTTPConnection(gateway.url.removeprefix("http://"), timeout=20)
        headers = {"authorization": f"Bearer {gateway.key}"}
        connection.request("POST", "/v1/chat/completions", json.dumps(CHAT), headers)
        connections.append(connection)
    eventually(lambda: moody.calls == {"a": 1, "b": 1} and gateway.app.in_flight == 2)
    for connection in connections:
        connection.close()
    eventually(lambda: gateway.app.in_flight == 0)
    eventually(lambda: all(request.left.is_set() for request in moody.requests[:2]))
    assert all(each.in_flight == 0 for _, each in gateway.app._watch.health.snapshot())
    moody.moods.clear()
    assert call(gateway, CHAT)[0] == 200, "the place was given back"
