"""Strategies, nested routes, arms and copies through the gateway."""

import time
from collections import Counter
from typing import Any

import pytest

from penstock.core.errors import Conflict
from penstock.core.scope import Scope
from penstock.gateway import service
from penstock.gateway.model import Route, Target
from penstock.gateway.routing.build import list_price
from tests.fakes.moody import MoodyUpstream, breaking, failing, hanging
from tests.gateway.conftest import Running, Waiter
from tests.gateway.routing.conftest import Configure
from tests.gateway.test_http import call

CHAT = {"model": "r", "messages": [{"role": "user", "content": "Hi"}]}


def _targets(gateway: Running, count: int, body: Any = CHAT, **headers: str) -> Counter[str]:
    return Counter(call(gateway, body, **headers)[1]["x-penstock-target"] for _ in range(count))


def test_least_latency_avoids_the_slow_one(gateway: Running, moody: MoodyUpstream, route: Configure) -> None:
    route("slow", "fast", strategy="least_latency")
    moody.moods["slow"] = hanging(0.4)
    assert _targets(gateway, 8) == {"mo/slow": 1, "mo/fast": 7}


def test_least_busy_evens_out(
    gateway: Running, moody: MoodyUpstream, route: Configure, eventually: Waiter
) -> None:
    route("a", "b", strategy="least_busy")
    registry = gateway.app._watch.health
    registry.health(Scope(), "mo", "a").in_flight = 5
    assert _targets(gateway, 4) == {"mo/b": 4}
    registry.health(Scope(), "mo", "a").in_flight = 0
    assert _targets(gateway, 4) == {"mo/a": 2, "mo/b": 2}


def test_cheapest_goes_by_list_price_and_unpriced_come_last(gateway: Running, route: Configure) -> None:
    assert list_price("mo", "gpt-4o-mini") < list_price("mo", "gpt-4o")  # type: ignore[operator]
    assert list_price("mo", "nobody-knows") is None
    route("nobody-knows", "gpt-4o", "gpt-4o-mini", strategy="cheapest")
    assert _targets(gateway, 3) == {"mo/gpt-4o-mini": 3}


@pytest.mark.parametrize(
    ("by", "header", "body"),
    [
        ("user", "x_penstock_user", {}),
        ("session", "x_penstock_session", {}),
        ("user", "", {"user": "ada"}),
        ("user", "", {"metadata": {"user_id": "ada"}}),
        ("key", "", {}),
    ],
)
def test_sticky(gateway: Running, route: Configure, by: str, header: str, body: dict[str, Any]) -> None:
    route("a", "b", "c", strategy="sticky", sticky_by=by)
    headers = {header: "ada"} if header else {}
    assert len(_targets(gateway, 4, CHAT | body, **headers)) == 1
    if header:
        homes = [next(iter(_targets(gateway, 1, **{header: f"someone-{number}"}))) for number in range(20)]
        assert len(set(homes)) == 3


def test_sticky_falls_over_and_comes_back(gateway: Running, moody: MoodyUpstream, route: Configure) -> None:
    route("a", "b", strategy="sticky", retries=1)
    [home] = _targets(gateway, 1, x_penstock_user="ada")
    moody.moods[home.removeprefix("mo/")] = failing(500)
    [other] = _targets(gateway, 2, x_penstock_user="ada")
    assert other != home
    moody.moods.clear()
    assert _targets(gateway, 2, x_penstock_user="ada") == {home: 2}


def test_nested_routes_keep_their_shares_and_fall_through(
    gateway: Running, moody: MoodyUpstream, route: Configure
) -> None:
    route("a", "b", named="pair")
    route("c", named="last")
    inner = [{"route": "pair", "weight": 2}, {"route": "last", "weight": 1}]
    gateway.configure({}, {"r": {"targets": inner, "retries": 3}})
    assert _targets(gateway, 6) == {"mo/a": 2, "mo/b": 2, "mo/c": 2}
    moody.moods |= {"a": failing(500), "b": failing(500)}
    assert _targets(gateway, 3) == {"mo/c": 3}
    route("d", named="last")
    assert _targets(gateway, 1, x_penstock_user="x") == {"mo/d": 1}, "a change inside is seen outside"


def test_a_nested_route_cannot_go_away_or_form_a_circle(gateway: Running, route: Configure) -> None:
    route("a", named="inner")
    gateway.configure({}, {"r": {"targets": [{"route": "inner"}]}})
    with pytest.raises(Conflict, match="used by the routes r"), gateway.home.begin() as uow:
        service.delete_route(uow, gateway.actor, "inner")
    with gateway.home.begin() as uow, pytest.raises(Exception, match="leads back to itself"):
        service.put_route(uow, gateway.actor, "inner", Route("weighted", (Target(route="r"),)))


def _arm(name: str, model: str, weight: float = 1) -> dict[str, Any]:
    return {"name": name, "weight": weight, "targets": [{"provider": "mo", "model": model}]}


def test_arms_are_sticky_and_on_the_trace(gateway: Running, moody: MoodyUpstream) -> None:
    gateway.configure(
        {}, {"r": {"arms": [_arm("control", "a"), _arm("candidate", "b")], "sticky_by": "user"}}
    )
    seen: dict[str, str] = {}
    for number in list(range(20)) * 2:
        _, headers, _ = call(gateway, CHAT, x_penstock_user=f"user-{number}")
        arm = headers["x-penstock-arm"]
        assert headers["x-penstock-target"] == {"control": "mo/a", "candidate": "mo/b"}[arm]
        assert seen.setdefault(f"user-{number}", arm) == arm
        assert gateway.recorder.last(len(gateway.recorder.spans)).route == "r"
    assert set(seen.values()) == {"control", "candidate"}
    gateway.recorder.last(40)
    on_trace = {(span.user, span.attributes["gateway.arm"]) for _, span in gateway.recorder.spans}
    assert on_trace == set(seen.items())


def test_an_arm_that_fails_does_not_use_the_others_targets(gateway: Running, moody: MoodyUpstream) -> None:
    gateway.configure({}, {"r": {"arms": [_arm("only", "a"), _arm("never", "b", 0)], "retries": 2}})
    moody.moods["a"] = failing(500)
    assert call(gateway, CHAT)[0] == 502 and moody.calls["b"] == 0


def _shadowed(route: Configure, **limits: Any) -> None:
    route("a", shadow={"provider": "mo", "model": "copy", **limits})


@pytest.mark.parametrize("stream", [False, True])
def test_a_copy_is_a_span_of_its_own(
    gateway: Running, moody: MoodyUpstream, route: Configure, stream: bool
) -> None:
    _shadowed(route)
    status, headers, _ = call(gateway, CHAT | {"stream": stream}, x_penstock_user="ada")
    assert status == 200 and headers["x-penstock-target"] == "mo/a"
    gateway.recorder.last(2)
    spans = {span.attributes["gateway.target"]: (scope, span) for scope, span in gateway.recorder.spans}
    (scope, main), (copy_scope, copy) = spans["mo/a"], spans["mo/copy"]
    assert (copy.trace_id, copy.parent_id, copy_scope) == (main.trace_id, main.span_id, scope)
    assert copy.attributes["gateway.shadow"] is True and "gateway.shadow" not in main.attributes
    assert (copy.status, copy.input_tokens, copy.output_tokens) == ("ok", 42, 7)
    assert copy.output is not None and b"quick" in copy.output
    assert copy.key_id is None and main.key_id is not None, "the caller's key is not billed for it"
    assert copy.tags == ("shadow",) and copy.route == "r"


def test_a_copy_never_delays_and_is_capped(
    gateway: Running, moody: MoodyUpstream, route: Configure, eventually: Waiter
) -> None:
    _shadowed(route, max_in_flight=2)
    moody.moods["copy"] = hanging(20.0)
    started = time.monotonic()
    assert _targets(gateway, 5) == {"mo/a": 5}
    assert time.monotonic() - started < 8
    assert moody.calls["copy"] == 2, "two under way, no more are made"
    gateway.stop()
    copies = [span for _, span in gateway.recorder.spans if "gateway.shadow" in span.attributes]
    assert [span.status for span in copies] == ["error", "error"], "cut ones are on the trace, too"


def test_copies_that_fail_are_nobodys_trouble(
    gateway: Running, moody: MoodyUpstream, route: Configure
) -> None:
    _shadowed(route)
    for mood, stream in ((failing(500), False), (breaking, True)):
        moody.moods["copy"] = mood
        assert call(gateway, CHAT | {"stream": stream})[0] == 200
    gateway.recorder.last(4)
    copies = [span for _, span in gateway.recorder.spans if "gateway.shadow" in span.attributes]
    assert [span.status for span in copies] == ["error", "error"]


def test_shares_of_copies_are_exact(gateway: Running, moody: MoodyUpstream, route: Configure) -> None:
    _shadowed(route, share=0.25)
    _targets(gateway, 8)
    gateway.recorder.last(10)
    assert moody.calls == {"a": 8, "copy": 2}
