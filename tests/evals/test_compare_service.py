"""Comparing several runs, clusters, baselines by their gate, and what gates leave behind."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.evals.support import CATEGORIES, answer, make_suite, triage_rows

from penstock.core.errors import Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import service as datasets
from penstock.evals import badge, gating, report, service
from penstock.evals.model import Comparison, EvalRun
from penstock.evals.suite import ScorerSpec

SCORERS = (ScorerSpec(name="exact"), ScorerSpec(name="rouge_l"))


@pytest.fixture
def evaluate(home: Home, actor: Actor) -> Callable[[set[int]], EvalRun]:
    rows = [{**row, "passage": f"p{index // 5}"} for index, row in enumerate(triage_rows(60))]
    version = datasets.ingest(home, actor, name="tickets", source=rows, key="id")

    def run(wrong: set[int], **changes: Any) -> EvalRun:
        suite = make_suite(f"tickets@{version.number}", scorers=SCORERS, **changes)
        return service.run(home, actor, suite=suite, target=answer(wrong))

    return run


def compare(home: Home, actor: Actor, *runs: EvalRun, **options: Any) -> tuple[Comparison, ...]:
    with home.read() as uow:
        return service.compare_many(uow, actor, runs[0].id, [run.id for run in runs[1:]], **options)


def test_several_candidates_are_corrected_together(
    home: Home, actor: Actor, evaluate: Callable[[set[int]], EvalRun]
) -> None:
    base, close, far = evaluate(set(range(10))), evaluate(set(range(18))), evaluate(set(range(40)))
    same = evaluate(set(range(18)))
    alone = compare(home, actor, base, close)[0].difference("exact")
    of_close, of_same, of_far = (
        one.difference("exact") for one in compare(home, actor, base, close, same, far)
    )
    assert alone is not None
    assert of_close is not None
    assert of_same is not None
    assert of_far is not None
    assert of_close.p_value == alone.p_value
    assert of_close.p_adjusted == of_same.p_adjusted > alone.p_adjusted, "more tests, stronger correction"
    assert of_far.verdict() == "worse"
    assert of_far.detectable is not None
    assert 0 < of_far.detectable < 0.5


def test_clusters_and_students_test(
    home: Home, actor: Actor, evaluate: Callable[[set[int]], EvalRun]
) -> None:
    base, worse = evaluate(set()), evaluate(set(range(10)))
    plain = compare(home, actor, base, worse)[0].difference("exact")
    clusters = service.clusters_by(home, actor, base.id, "passage")
    clustered = compare(home, actor, base, worse, clusters=clusters)[0].difference("exact")
    assert plain is not None
    assert clustered is not None
    assert (clustered.test, clustered.interval, clustered.clusters) == ("clustered_t", "clustered", 12)
    assert clustered.p_value > plain.p_value, "two passages failed, not ten independent questions"
    student = compare(home, actor, base, worse, test="t")[0].difference("rouge_l")
    assert student is not None
    assert (student.test, student.interval) == ("paired_t", "t")
    with pytest.raises(Invalid, match="no column 'pasage'"):
        service.clusters_by(home, actor, base.id, "pasage")
    with pytest.raises(Invalid, match="no test"):
        compare(home, actor, base, worse, test="z")
    with pytest.raises(Invalid, match="with itself"):
        compare(home, actor, base, base)


def test_regressions_first_and_what_was_left_out(
    home: Home, actor: Actor, evaluate: Callable[..., EvalRun]
) -> None:
    base, less = evaluate(set(range(50, 60))), evaluate(set(range(20)), limit=40)
    found = compare(home, actor, base, less)[0]
    assert (found.shared, found.only_baseline, len(found.left_out.only_baseline)) == (40, 20, 20)
    assert found.left_out.only_baseline[0] == "t40"
    losses = [difference.verdict() for difference in found.differences]
    assert losses == sorted(losses, key=("worse", "not shown", "better").index)
    with home.read() as uow:
        rows = service.compared_rows(uow, actor, [base.id, less.id], metric="exact")
        assert [row.sample_id for row in rows[:2]] == ["t0", "t1"]
        assert [row.regression for row in rows[:20]] == [1.0] * 20
        with pytest.raises(Invalid, match="no metric 'exakt'"):
            service.compared_rows(uow, actor, [base.id, less.id], metric="exakt")
    text = report.rows_markdown(rows, 3)
    assert "20 of 60 samples got worse; the first 3:" in text
    assert CATEGORIES[0] in text
    assert "Only in the baseline: `t40`" in report.comparison_markdown(found)


def test_others_write_while_a_gate_is_decided(
    home: Home, actor: Actor, evaluate: Callable[[set[int]], EvalRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, weigh = evaluate({0}), gating.evaluate

    def beside(*given: Any) -> Any:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(write).result()
        return weigh(*given)

    def write() -> None:
        with home.begin() as uow:
            uow.audit(actor, "evals.gate", "beside")

    monkeypatch.setattr(gating, "evaluate", beside)
    decision = service.decide(home, actor, run_id=run.id, rules=[{"metric": "exact", "min": 0.5}])
    with home.read() as uow:
        assert service.find_gate(uow, actor, decision.id) == decision


def test_the_latest_run_that_passed_is_the_baseline(
    home: Home, actor: Actor, evaluate: Callable[[set[int]], EvalRun]
) -> None:
    rules = [{"metric": "exact", "min": 0.5}, {"metric": "exact", "no_regression": "baseline", "margin": 0.5}]

    def gate(run: EvalRun, **options: Any) -> Any:
        return service.decide(home, actor, run_id=run.id, rules=rules, baseline_id="latest-passed", **options)

    first, bad, later = evaluate({0}), evaluate(set(range(40))), evaluate({0, 1})
    with pytest.raises(Invalid, match="baseline"):
        gate(first)
    begun = gate(first, allow_first=True)
    assert (begun.passed, begun.baseline_id) == (True, None)
    refused = gate(bad, allow_first=True)
    assert (refused.passed, refused.baseline_id) == (False, first.id)
    passed = gate(later)
    assert (passed.passed, passed.baseline_id) == (True, first.id), (
        "the refused run in between is no baseline"
    )
    with home.read() as uow:
        assert service.find_gate(uow, actor, refused.id) == refused
        with pytest.raises(NotFound):
            service.find_gate(uow, actor, "gate_none")
    drawn = badge.of_run(bad, refused)
    assert "2 of 2 failed" in ElementTree.fromstring(drawn).get("aria-label", "")
    assert "33.3 %" in badge.of_run(bad, refused, "exact")
    assert "not gated" in badge.of_run(bad, None)
    with pytest.raises(NotFound, match="no metric"):
        badge.of_run(bad, None, "exakt")
