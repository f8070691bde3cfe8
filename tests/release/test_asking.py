"""A release's judges: on a share of the live answers, on pairs, within their cap, and never in the way of decisions."""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from penstock.core import clock
from penstock.core.errors import Conflict, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.evals.suite import parse_suite
from penstock.evals.suites import service as suites
from penstock.gateway import service as gateway
from penstock.gateway.model import ArmOutcome
from penstock.gateway.splits import store as splits
from penstock.release import jobs, service
from penstock.release.asking import Asking
from penstock.release.model import Release, Verb
from penstock.release.store import calls as calls_store
from penstock.release.store import releases as store
from penstock.traces import service as traces
from penstock.traces.model import SpanRecord
from tests.fakes import openai
from tests.fakes.moody import MoodyUpstream, failing
from tests.fakes.server import Received, Step
from tests.release.conftest import Start, outcome

JUDGE = "gpt-4o-mini"


def _said(text: str) -> Iterable[Step]:
    return [openai.answer(openai.completion(JUDGE, {"role": "assistant", "content": text}))]


def _grades(request: Received) -> Iterable[Step]:
    """A judge to whom `kind` answers are good: he gives 5, else 1; of two answers he prefers the kind one."""
    said = request.json["messages"][1]["content"]
    answers = re.findall(r"<answer(?:-[AB])?>\n(.*?)\n</answer", said, re.S)
    if len(answers) == 2:
        winner = {(True, False): "A", (False, True): "B"}.get(
            ("kind" in answers[0], "kind" in answers[1]), "tie"
        )
        return _said(json.dumps({"reason": "r", "winner": winner}))
    grade = 5 if "kind" in answers[0] else 1
    return _said(json.dumps({"overall": {"reason": "r", "score": grade}}))


@pytest.fixture
def judge() -> Iterator[MoodyUpstream]:
    with MoodyUpstream() as server:
        server.moods[JUDGE] = _grades
        yield server


def _plan(judge: MoodyUpstream, **more: Any) -> dict[str, Any]:
    return {
        "scorers": [{"name": "judge", "criteria": "Is it kind?"}],
        "judge": {"model": JUDGE, "base_url": judge.base_url, "retries": 0, "patience_s": 0},
        "judge_share": 1.0,
        "metrics": [{"name": "errors"}, {"name": "score:judge"}],
        **more,
    }


def _span(call: ArmOutcome, text: str) -> SpanRecord:
    return SpanRecord(
        trace_id=call.trace_id,
        span_id=call.span_id,
        name="chat",
        kind="llm",
        start_ns=clock.now_ns(),
        end_ns=clock.now_ns() + 1,
        status="ok",
        input=json.dumps({"messages": [{"role": "user", "content": "Hello"}]}).encode(),
        output=json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode(),
    )


def _tell(home: Home, release: Release, calls: list[tuple[ArmOutcome, str]]) -> None:
    traces.ingest(home, Scope(), [_span(call, text) for call, text in calls])
    with home.begin() as uow:
        splits.add_outcomes(uow.conn, Scope(), release.id, [call for call, _ in calls])
    jobs.tick(home)


def _judged(home: Home) -> None:
    with closing(Asking(home)) as judges:
        while judges.tick():
            pass


def _sums(home: Home, release: Release, arm: str, metric: str) -> tuple[float, ...]:
    with home.read() as uow:
        [phase] = store.phases_of(uow.conn, release)
    return tuple(phase.sums.get(arm, {}).get(metric, ()))[:3]


def _waiting(home: Home, release: Release) -> int:
    with home.read() as uow:
        return len(calls_store.unscored_of(uow.conn, release, 1000, judges=True))


def test_live_answers_are_judged_once_whatever_is_killed(
    ready: Home, start: Start, judge: MoodyUpstream
) -> None:
    release = start(**_plan(judge))
    calls = [(outcome(0, "new"), "a kind word"), (outcome(0, "new"), "no"), (outcome(0, "control"), "kind")]
    _tell(ready, release, calls)
    with ready.read() as uow:
        waiting = calls_store.unscored_of(uow.conn, release, 9, judges=True)
    assert len(waiting) == 3
    _judged(ready)
    assert _sums(ready, release, "new", "score:judge") == (2, 2, 1)
    assert _sums(ready, release, "control", "score:judge") == (1, 1, 1)
    assert judge.calls[JUDGE] == 3
    with ready.begin() as uow:
        calls_store.add_unscored(
            uow.conn, release, waiting, judges=True
        )  # as if killed before the figures were added
    _judged(ready)
    assert judge.calls[JUDGE] == 3, "what was answered is not paid for again"


def test_a_pair_is_judged_together_and_each_by_itself(
    ready: Home, actor: Actor, start: Start, judge: MoodyUpstream
) -> None:
    plan = _plan(judge, kind="shadow", steps=[{"weight": 1}])
    plan["scorers"] = [*plan["scorers"], "pairwise"]
    plan["metrics"] = [{"name": "score:judge"}, {"name": "score:pairwise"}]
    release = start(**plan)
    calls = []
    for number in range(3):
        control = outcome(0, "control", span_id=f"{number + 1:016x}", pair=f"{number + 1:016x}")
        copy = outcome(0, "new", trace_id=control.trace_id, pair=control.pair)
        calls += [(control, "kind"), (copy, "rude" if number else "kind")]
    _tell(ready, release, calls)
    _judged(ready)
    assert _sums(ready, release, "new", "pair:score:judge") == (3, 3, -2)
    # Preferred: half of a tie and no other; the control has the rest, so that "alike" is a difference of 0.
    assert _sums(ready, release, "new", "score:pairwise") == (3, 3, 0.5)
    assert _sums(ready, release, "new", "pair:score:pairwise") == (3, 3, -2)
    assert judge.calls[JUDGE] == 5, "the same question is asked once, also by answers judged at the same time"


def test_the_cap_stops_the_judging_and_not_the_release(
    ready: Home, actor: Actor, start: Start, judge: MoodyUpstream
) -> None:
    release = start(**_plan(judge, judge_usd=1e-9))
    _tell(ready, release, [(outcome(0, "new"), f"kind {number}") for number in range(20)])
    _judged(ready)
    asked = judge.calls[JUDGE]
    assert 1 <= asked <= 8, "those at once, before the first one's price was known"
    assert _waiting(ready, release) == 0
    _tell(ready, release, [(outcome(0, "new"), "kind 20")])
    _judged(ready)
    assert (judge.calls[JUDGE], _waiting(ready, release)) == (asked, 0)
    with ready.read() as uow:
        log = [each.reason for each in service.decisions(uow, actor, id=release.id)]
        report = service.report(uow, actor, id=release.id)
        spent = service.spent_on_judging(uow, actor, release)
        kinds = [each.decision for each in service.decisions(uow, actor, id=release.id)]
    assert kinds.count(Verb.STOP_JUDGING) == 1
    assert spent is not None
    assert (spent.calls, spent.stopped, spent.cap_usd) == (asked, True, 1e-9)
    assert spent.spent_usd > 1e-9
    assert (
        sum(reason.startswith("Answers are no longer judged. The cost cap of $1e-09") for reason in log) == 1
    )
    assert sum(arm.calls for arm in report.arms) == 21


def test_a_judge_who_is_away_is_asked_again_and_given_up_at_last(
    ready: Home, start: Start, judge: MoodyUpstream
) -> None:
    release = start(**_plan(judge))
    _tell(ready, release, [(outcome(0, "new"), "kind")])
    judge.moods[JUDGE] = failing(500)
    _judged(ready)
    assert _waiting(ready, release) == 1
    judge.moods[JUDGE] = _grades
    _judged(ready)
    assert (_waiting(ready, release), _sums(ready, release, "new", "score:judge")) == (0, (1, 1, 1))
    judge.moods[JUDGE] = failing(500)
    _tell(ready, release, [(outcome(0, "new"), "kind again")])
    with clock.frozen(clock.now() + timedelta(minutes=11)):
        _judged(ready)
    assert (_waiting(ready, release), _sums(ready, release, "new", "score:judge")) == (0, (1, 1, 1))


def test_a_share_is_judged_and_an_ended_release_not_at_all(
    ready: Home, actor: Actor, start: Start, judge: MoodyUpstream
) -> None:
    release = start(**_plan(judge, judge_share=0.2))
    _tell(ready, release, [(outcome(0, "new"), "kind") for _ in range(300)])
    assert 24 <= _waiting(ready, release) <= 105
    with ready.begin() as uow:
        service.roll_back(uow, actor, id=release.id)
    _judged(ready)
    assert (judge.calls[JUDGE], _waiting(ready, release)) == (0, 0)


def test_a_judge_that_makes_no_sense_is_refused(ready: Home, start: Start) -> None:
    judged = {"scorers": [{"name": "judge", "criteria": "Is it kind?"}]}
    for more, said in (
        ({}, "asks a judge"),
        ({"judge": {"model": "chat"}}, "is what is released"),
        ({"judge": {"model": "other", "api_key": "sk-1"}}, "kept readable"),
        ({"judge": {"modle": "other"}}, "model"),
        ({"judge": {"model": "other"}, "judge_usd": 0}, "judge_usd"),
        ({"judge": {"model": "other"}, "scorers": ["pairwise"]}, "Only a shadow|two answers"),
    ):
        with pytest.raises(Invalid, match=said):
            start(**(judged | more))


@pytest.mark.parametrize(
    "own",
    [
        {"judge": {"model": "chat"}},
        {"judges": [{"model": "other"}, {"model": "chat"}]},
        {"judge": {"model": "relay"}},
    ],
    ids=["its judge", "one of its judges", "a route that goes on to it"],
)
def test_a_judge_in_a_scorers_own_options_is_not_what_is_released(
    ready: Home, actor: Actor, start: Start, own: dict[str, Any]
) -> None:
    relay = {"strategy": "fallback", "targets": [{"route": "between"}, {"provider": "mo", "model": "old"}]}
    between = {"strategy": "fallback", "targets": [{"route": "chat"}]}
    with ready.begin() as uow:
        gateway.apply(uow, actor, {"routes": {"between": between, "relay": relay}})
    scorer = {"name": "judge", "criteria": "Is it kind?", **own}
    with pytest.raises(Invalid, match=r"is what is released, or goes on to it"):
        start(scorers=[scorer], judge={"model": "other"})
    start(scorers=[{**scorer, "judge": {"model": "other"}, "judges": []}])


def test_scorers_and_judge_of_a_stored_suite(
    ready: Home, actor: Actor, start: Start, judge: MoodyUpstream
) -> None:
    def put(criteria: str) -> str:
        document = {
            "name": "support",
            "dataset": "tickets@latest",
            "target": {"kind": "gateway", "model": "chat"},
            "scorers": ["valid_structure", {"name": "judge", "criteria": criteria}],
            "judge": {"model": JUDGE, "base_url": judge.base_url},
        }
        with ready.begin() as uow:
            return suites.put(uow, actor, name="support", suite=parse_suite(document)).version

    first = put("Is it kind?")
    release = start(suite="support", judge_share=1.0)
    assert release.plan.suite == f"support@{first}"
    assert release.plan.judge["model"] == JUDGE
    assert [each["name"] for each in release.plan.scorers] == ["valid_structure"]
    assert [(each["name"], each["criteria"]) for each in release.plan.judges] == [("judge", "Is it kind?")]
    second = put("Is it short?")
    with ready.read() as uow:
        kept = service.find(uow, actor, id=release.id).plan
    assert kept.judges[0]["criteria"] == "Is it kind?", "what is put later changes nothing"
    for suite, more, kind, said in (
        (f"support@{first}", {}, Conflict, f"support@{second} now|not the version"),
        ("nobody", {}, NotFound, "no suite"),
        ("support", {"scorers": ["refusal"]}, Invalid, "not both"),
        ("support", {"judge": {"model": "chat"}}, Invalid, "is what is released"),
    ):
        with pytest.raises(kind, match=said):
            start(name="another", suite=suite, **more)


def test_without_judges_nothing_is_spent(ready: Home, actor: Actor, start: Start) -> None:
    release = start()
    with ready.read() as uow:
        assert service.spent_on_judging(uow, actor, release) is None
