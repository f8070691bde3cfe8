"""A release's own scorers: on calls, on pairs, and on answers that never come."""

import json
from datetime import timedelta

import pytest

from penstock.core import clock
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor, Scope
from penstock.evals import live
from penstock.evals import service as evals
from penstock.evals.model import Output, Sample
from penstock.gateway.model import ArmOutcome
from penstock.gateway.splits import store as splits
from penstock.release import jobs, service
from penstock.release.model import Release, State
from penstock.release.store import calls as calls_store
from penstock.release.store import releases as store
from penstock.traces import service as traces
from penstock.traces.model import SpanRecord
from tests.release.conftest import Start, found, outcome

SCORED = {
    "scorers": [{"name": "valid_structure", "format": "json"}],
    "metrics": [{"name": "score:valid_structure"}],
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
        input=json.dumps({"messages": [{"role": "user", "content": "As JSON, please"}]}).encode(),
        output=json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode(),
    )


def _tell(home: Home, id: str, calls: list[ArmOutcome]) -> None:
    with home.begin() as uow:
        splits.add_outcomes(uow.conn, Scope(), id, calls)
    jobs.tick(home)


def _sums(home: Home, release: Release) -> dict[str, dict[str, tuple[float, ...]]]:
    with home.read() as uow:
        [phase] = store.phases_of(uow.conn, release)
    return {arm: dict(own) for arm, own in phase.sums.items()}


def test_answers_of_calls_are_scored_once(ready: Home, start: Start) -> None:
    release = start(**SCORED)
    good, bad, late = outcome(0, "new"), outcome(0, "new", unit="u1"), outcome(0, "control")
    traces.ingest(ready, Scope(), [_span(good, '{"a": 1}'), _span(bad, "no")])
    _tell(ready, release.id, [good, bad, late])
    jobs.tick(ready)
    assert _sums(ready, release)["new"]["score:valid_structure"][:3] == (2, 2, 1)
    assert "score:valid_structure" not in _sums(ready, release)["control"], "its answer has not come"
    traces.ingest(ready, Scope(), [_span(late, "{}")])
    jobs.tick(ready)
    jobs.tick(ready)
    assert _sums(ready, release)["control"]["score:valid_structure"][:3] == (1, 1, 1)


def test_a_scorer_that_breaks_holds_up_nobody(
    ready: Home, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        name = "broken"

        def score(self, sample: Sample, output: Output) -> dict[str, float]:
            raise ZeroDivisionError(sample.id, output.text)

    build = live.build_scorers
    monkeypatch.setattr(live, "build_scorers", lambda specs: [Broken(), *build(specs)])
    release = start(**SCORED)
    good = outcome(0, "new")
    traces.ingest(ready, Scope(), [_span(good, "{}")])
    _tell(ready, release.id, [good])
    assert _sums(ready, release)["new"]["score:valid_structure"][:3] == (1, 1, 1), "the other one is asked"


def test_an_answer_that_never_comes_is_given_up(ready: Home, start: Start) -> None:
    release = start(**SCORED)
    _tell(ready, release.id, [outcome(0, "new")])
    with clock.frozen(clock.now() + timedelta(minutes=3)):
        jobs.tick(ready)
    with ready.read() as uow:
        assert not calls_store.unscored_of(uow.conn, release, 10)
    assert "score:valid_structure" not in _sums(ready, release)["new"]


def test_a_shadow_that_answers_worse_is_found_pair_by_pair(ready: Home, actor: Actor, start: Start) -> None:
    release = start(kind="shadow", steps=[{"weight": 1, "min_calls": 60, "min_seconds": 0}], **SCORED)
    calls: list[ArmOutcome] = []
    spans: list[SpanRecord] = []
    for number in range(60):
        control = outcome(0, "control", span_id=f"{number + 1:016x}", pair=f"{number + 1:016x}")
        copy = outcome(0, "new", trace_id=control.trace_id, pair=control.pair)
        calls += [control, copy]
        spans += [_span(control, "{}"), _span(copy, "{}" if number % 3 else "broken")]
    traces.ingest(ready, Scope(), spans)
    with ready.begin() as uow:
        service.pause(uow, actor, id=release.id)
    _tell(ready, release.id, calls)
    own = _sums(ready, release)
    assert own["control"]["score:valid_structure"][:3] == (60, 60, 60)
    assert own["new"]["score:valid_structure"][:3] == (60, 60, 40)
    assert own["new"]["pair:score:valid_structure"][:3] == (60, 60, -20)
    with ready.begin() as uow:
        service.resume(uow, actor, id=release.id)
    jobs.tick(ready)
    assert found(ready, actor, release.id).state is State.ROLLED_BACK
    with ready.read() as uow:
        assert "worse in score:valid_structure" in service.decisions(uow, actor, id=release.id)[0].reason


def test_a_share_of_the_calls_and_no_judges(ready: Home, start: Start) -> None:
    release = start(**SCORED, score_share=0.3)
    calls = [
        outcome(0, "control" if number % 5 else "new", trace_id=f"{number:032x}", span_id=f"{number:016x}")
        for number in range(1, 401)
    ]
    _tell(ready, release.id, calls)
    with ready.read() as uow:
        assert 60 <= len(calls_store.unscored_of(uow.conn, release, 1000)) <= 180
    with pytest.raises(Invalid, match="asks a judge"):
        evals.live_scorers(["faithfulness"])
    with pytest.raises(Invalid, match="valid_structur"):
        evals.live_scorers(["valid_structur"])
