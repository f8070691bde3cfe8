"""Calls of a release: who gets which arm, what the arm changes, and what is told of it."""

from collections import Counter
from typing import Any

import pytest

from penstock.core.errors import Conflict, Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.gateway import service
from penstock.gateway.model import Split, SplitArm, Target
from penstock.gateway.splits import store
from penstock.guardrails import service as guardrails
from penstock.guardrails.model import Action, GuardConfig, Rules
from penstock.prompts import service as prompts
from penstock.prompts.model import Body, Kind
from tests.fakes.moody import MoodyUpstream, failing, hanging
from tests.gateway.conftest import Running
from tests.gateway.splits.conftest import Divide, arm, outcomes
from tests.gateway.test_http import call

CHAT: dict[str, Any] = {"model": "r", "messages": [{"role": "user", "content": "Hi"}]}


def test_people_stay_in_their_arm_and_the_trace_says_which(gateway: Running, divide: Divide) -> None:
    divide(arm("control", 0.5), arm("new", 0.5, "new"))
    seen: dict[str, str] = {}
    for number in list(range(20)) * 2:
        _, headers, _ = call(gateway, CHAT, x_penstock_user=f"user-{number}")
        name = headers["x-penstock-arm"]
        assert headers["x-penstock-target"] == {"control": "mo/old", "new": "mo/new"}[name]
        assert seen.setdefault(f"user-{number}", name) == name
    assert set(seen.values()) == {"control", "new"}
    span = gateway.recorder.last(40)
    assert (
        span.attributes["gateway.release"] == "rel_1"
        and seen[str(span.user)] == span.attributes["gateway.arm"]
    )
    assert f"release:rel_1/{span.attributes['gateway.arm']}" in span.tags
    told = outcomes(gateway, 40)
    assert Counter(each.arm for each in told) == Counter(each for each in seen.values() for _ in range(2))
    assert len({each.unit for each in told}) == 20 and all("user-" not in each.unit for each in told)
    assert all(each.latency_s and each.output_tokens == 7 and not each.failed for each in told)


def test_a_growing_share_moves_people_one_way_only(gateway: Running, divide: Divide) -> None:
    def new(share: float) -> set[int]:
        divide(arm("control", 1 - share), arm("new", share, "new"), phase=int(share * 10))
        found = [call(gateway, CHAT, x_penstock_user=f"u{n}")[1]["x-penstock-arm"] for n in range(100)]
        return {number for number, name in enumerate(found) if name == "new"}

    few, many = new(0.2), new(0.6)
    assert few < many and 5 <= len(few) <= 45


def test_calls_without_a_name_are_divided_by_their_trace(gateway: Running, divide: Divide) -> None:
    divide(arm("control", 0.5), arm("new", 0.5, "new"))
    alone = Counter(call(gateway, CHAT)[1]["x-penstock-arm"] for _ in range(30))
    assert 5 <= alone["new"] <= 25
    context = f"00-{'ab' * 16}-{'cd' * 8}-01"
    together = {call(gateway, CHAT, traceparent=context)[1]["x-penstock-arm"] for _ in range(6)}
    assert len(together) == 1
    units = [each.unit for each in outcomes(gateway, 36)]
    assert units.count("") == 30 and len(set(units)) == 2


def test_parameters_of_an_arm_win_over_the_callers(
    gateway: Running, divide: Divide, moody: MoodyUpstream
) -> None:
    divide(arm("control", 0), arm("cool", 1, params={"temperature": 0.2, "top_p": 0.9}))
    call(gateway, CHAT | {"temperature": 1.0})
    sent = moody.requests[-1].json
    assert (sent["temperature"], sent["top_p"], sent["messages"]) == (0.2, 0.9, CHAT["messages"])
    with pytest.raises(Invalid, match="messages cannot be set"):
        divide(arm("control", 0), arm("bad", 1, params={"messages": []}))


def test_parameters_of_a_route_are_sent_for_good(gateway: Running, moody: MoodyUpstream) -> None:
    targets = [{"provider": "mo", "model": "old"}]
    gateway.configure({}, {"r": {"targets": targets, "params": {"temperature": 0.2}}})
    call(gateway, CHAT)
    assert moody.requests[-1].json["temperature"] == 0.2


def test_failures_and_guards_are_counted_and_a_limit_is_nobodys_fault(
    gateway: Running, divide: Divide, moody: MoodyUpstream
) -> None:
    divide(arm("control", 0), arm("new", 1, "new"))
    moody.moods["new"] = failing(500)
    assert call(gateway, CHAT)[0] == 502
    [told] = outcomes(gateway, 1)
    assert told.failed and told.latency_s is None and told.cost_usd is None


def test_a_cached_answer_stays_in_its_arm(gateway: Running, divide: Divide, moody: MoodyUpstream) -> None:
    with gateway.home.begin() as uow:
        service.apply(uow, gateway.actor, {"cache": {"r": {"ttl": 600}}})
    divide(arm("control", 0.5), arm("new", 0.5, "new"))
    for number in range(20):
        _, headers, _ = call(gateway, CHAT | {"temperature": 0}, x_penstock_user=f"user-{number}")
        assert headers.get("x-penstock-target") in (
            None,
            {"control": "mo/old", "new": "mo/new"}[headers["x-penstock-arm"]],
        )
    assert moody.calls == {"old": 1, "new": 1}
    told = outcomes(gateway, 20)
    assert sum(each.latency_s is not None for each in told) == 2, "a hit says nothing of an arm's speed"


@pytest.mark.parametrize("stream", [False, True])
def test_a_shadow_gets_copies_that_are_paired_with_their_calls(
    gateway: Running, divide: Divide, moody: MoodyUpstream, stream: bool
) -> None:
    divide(arm("control", 1), arm("new", 1, "new", shadow=True, params={"temperature": 0.1}))
    _, headers, _ = call(gateway, CHAT | {"stream": stream}, x_penstock_user="ada")
    assert headers["x-penstock-target"] == "mo/old" and headers["x-penstock-arm"] == "control"
    told = {each.arm: each for each in outcomes(gateway, 2)}
    assert told["control"].pair == told["new"].pair == told["control"].span_id
    assert told["new"].trace_id == told["control"].trace_id and told["new"].span_id != told["control"].span_id
    assert "temperature" not in moody.to("old")[0].json and moody.to("new")[0].json["temperature"] == 0.1


def _greet(gateway: Running) -> None:
    with gateway.home.begin() as uow:
        for text in ("Say hello to {{ who }}.", "Say hi to {{ who }}."):
            prompts.add_version(uow, gateway.actor, name="greet", body=Body(kind=Kind.TEXT, text=text))
        prompts.set_label(uow, gateway.actor, name="greet", label="production", version=1)


GREET: dict[str, Any] = {"model": "r", "prompt": {"name": "greet", "variables": {"who": "Ada"}}}


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompts_new_version_is_filled_into_a_copy(
    gateway: Running, divide: Divide, moody: MoodyUpstream, stream: bool
) -> None:
    _greet(gateway)
    arms = (arm("control", 1, version=1), arm("new", 1, version=2, shadow=True))
    divide(*arms, route="", prompt="greet", prompt_id="prm_x", label="production")
    _, headers, _ = call(gateway, GREET | {"stream": stream})
    assert (headers["x-penstock-prompt"], headers["x-penstock-arm"]) == ("greet@1", "control")
    told = {each.arm: each for each in outcomes(gateway, 2)}
    assert told["control"].pair == told["new"].pair == told["control"].span_id
    assert not told["new"].failed and told["new"].latency_s
    said = {request.json["messages"][0]["content"] for request in moody.to("old")}
    assert said == {"Say hello to Ada.", "Say hi to Ada."}
    spans = {str(span.attributes["gateway.arm"]): span for _, span in gateway.recorder.spans}
    assert (spans["control"].prompt, spans["new"].prompt) == ("greet@1", "greet@2")


def test_a_copy_of_a_prompt_goes_to_the_model_that_its_version_names(
    gateway: Running, divide: Divide, moody: MoodyUpstream
) -> None:
    gateway.configure({}, {"s": {"targets": [{"provider": "mo", "model": "second"}], "params": {"seed": 7}}})
    with gateway.home.begin() as uow:
        for route in ("r", "s", "gone"):
            body = Body(kind=Kind.TEXT, text="Say hi.", settings={"model": route})
            prompts.add_version(uow, gateway.actor, name="own", body=body)
        prompts.set_label(uow, gateway.actor, name="own", label="production", version=1)
    arms = (arm("control", 1, version=1), arm("new", 1, version=2, shadow=True))
    divide(*arms, route="", prompt="own", prompt_id="prm_o", label="production")
    assert call(gateway, {"prompt": {"name": "own"}})[1]["x-penstock-target"] == "mo/old"
    outcomes(gateway, 2)
    assert [request.json["seed"] for request in moody.to("second")] == [7]
    lost = (arms[0], arm("new", 1, version=3, shadow=True))
    divide(*lost, route="", prompt="own", prompt_id="prm_o", label="production", phase=1)
    assert call(gateway, {"prompt": {"name": "own"}})[0] == 200
    failed = {each.arm: each.failed for each in outcomes(gateway, 2)}
    assert failed == {"control": False, "new": True}, "callers of the new version would get no answer"


def test_copies_with_other_parameters_go_where_their_calls_go(
    gateway: Running, divide: Divide, moody: MoodyUpstream
) -> None:
    targets = [{"provider": "mo", "model": "a"}, {"provider": "mo", "model": "b"}]
    gateway.configure({}, {"r": {"targets": targets, "retries": 0}})
    divide(arm("control", 1), arm("cool", 1, shadow=True, params={"temperature": 0.1}))
    for _ in range(4):
        call(gateway, CHAT)
    outcomes(gateway, 8)
    assert moody.calls == {"a": 4, "b": 4}
    for model in "ab":
        assert sorted("temperature" in request.json for request in moody.to(model)) == [
            False,
            False,
            True,
            True,
        ]


def test_a_shadow_may_be_another_route(gateway: Running, divide: Divide, moody: MoodyUpstream) -> None:
    inner = [{"provider": "mo", "model": "x"}, {"provider": "mo", "model": "y"}]
    gateway.configure({}, {"s": {"targets": inner}})
    new = SplitArm(name="new", weight=1, targets=(Target(route="s"),), shadow=True)
    divide(arm("control", 1), new)
    for _ in range(4):
        call(gateway, CHAT)
    outcomes(gateway, 8)
    assert moody.calls == {"old": 4, "x": 2, "y": 2}


def test_a_slow_copy_keeps_nobody_waiting(gateway: Running, divide: Divide, moody: MoodyUpstream) -> None:
    moody.moods["new"] = hanging(300.0)
    divide(arm("control", 1), arm("new", 1, "new", shadow=True))
    for _ in range(3):
        assert call(gateway, CHAT)[0] == 200
    assert {each.arm for each in outcomes(gateway, 3)} == {"control"}


@pytest.mark.parametrize("stream", [False, True])
def test_guards_look_at_copies_as_at_calls(
    gateway: Running, divide: Divide, moody: MoodyUpstream, stream: bool
) -> None:
    rules = Rules(guards=(GuardConfig(kind="pii", action=Action.MASK),))
    with gateway.home.begin() as uow:
        guardrails.put_policy(uow, gateway.actor, "masks", rules)
    divide(arm("control", 1), arm("new", 1, "new", shadow=True))
    ask = {"messages": [{"role": "user", "content": "Write to ada@example.com"}], "stream": stream}
    assert call(gateway, CHAT | ask)[0] == 200
    told = {each.arm: each for each in outcomes(gateway, 2)}
    assert told["control"].guarded and told["new"].guarded
    for model in ("old", "new"):
        [sent] = moody.to(model)
        assert "ada@example.com" not in sent.json["messages"][0]["content"]


def test_a_prompts_versions_are_divided_by_label(
    gateway: Running, divide: Divide, moody: MoodyUpstream
) -> None:
    with gateway.home.begin() as uow:
        for text in ("Say hello.", "Say hi."):
            prompts.add_version(uow, gateway.actor, name="greet", body=Body(kind=Kind.TEXT, text=text))
        prompts.set_label(uow, gateway.actor, name="greet", label="production", version=1)
    ask = {"model": "r", "messages": [{"role": "user", "content": "now"}], "prompt": {"name": "greet"}}
    arms = (arm("control", 0.5, version=1), arm("new", 0.5, version=2))
    divide(*arms, route="", prompt="greet", prompt_id="prm_x", label="production")
    seen: dict[str, str] = {}
    for number in list(range(12)) * 2:
        _, headers, _ = call(gateway, ask | {"user": f"user-{number}"})
        version = headers["x-penstock-prompt"]
        assert version == {"control": "greet@1", "new": "greet@2"}[headers["x-penstock-arm"]]
        assert seen.setdefault(f"user-{number}", version) == version
    assert set(seen.values()) == {"greet@1", "greet@2"}
    fixed = call(gateway, ask | {"prompt": {"name": "greet", "version": 1}})[1]
    assert fixed["x-penstock-prompt"] == "greet@1" and "x-penstock-arm" not in fixed
    assert len(outcomes(gateway, 24)) == 24


def test_an_ended_release_leaves_nothing_behind(gateway: Running, divide: Divide) -> None:
    divide(arm("control", 0), arm("new", 1, "new"))
    assert call(gateway, CHAT)[1]["x-penstock-arm"] == "new"
    with gateway.home.begin() as uow:
        service.delete_split(uow, Scope(), "rel_1")
    divide(arm("control", 1), route="elsewhere", release="rel_2")
    assert "x-penstock-arm" not in call(gateway, CHAT)[1]
    outcomes(gateway, 1)
    with gateway.home.begin() as uow:
        store.add_outcomes(uow.conn, Scope(), "rel_9", [])
        assert service.forget_outcomes(uow, keep={"rel_1"}) == 1
        assert service.forget_outcomes(uow, keep=set()) == 0


def test_one_release_at_a_time(home: Home, actor: Actor) -> None:
    split = Split(release="rel_1", arms=(arm("control", 1),), route="r")
    with home.begin() as uow:
        service.put_split(uow, Scope(), split)
    before = home.revision("gateway")
    with home.begin() as uow:
        service.put_split(uow, Scope(), split)
    assert home.revision("gateway") == before, "what has not changed tells nobody"
    other = Split(release="rel_2", arms=(arm("control", 1),), route="r")
    with home.begin() as uow, pytest.raises(Conflict, match="rel_1"):
        service.put_split(uow, Scope(), other)
    with home.begin() as uow:
        assert store.every(uow.conn) == [(Scope(), split)]


def test_without_a_release_no_call_pays_for_them(
    gateway: Running, divide: Divide, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of a release is entered, and nothing written, by calls that none divides."""
    entered: list[str] = []
    monkeypatch.setattr("penstock.gateway.app.enter", lambda *_: entered.append("enter"))
    monkeypatch.setattr("penstock.gateway.app.with_members", lambda *_: entered.append("members"))
    monkeypatch.setattr("penstock.gateway.prompting.expanding.place", lambda *_: entered.append("place"))
    monkeypatch.setattr(gateway.app._journal, "add", lambda *_: entered.append("journal"))
    divide(arm("control", 0.5), arm("new", 0.5, "new"), route="elsewhere")
    for _ in range(5):
        status, headers, _ = call(gateway, CHAT)
        assert status == 200 and "x-penstock-arm" not in headers
    gateway.recorder.last(5)
    with gateway.home.begin() as uow:
        assert not service.take_outcomes(uow, Scope(), "rel_1")
    assert entered == []
