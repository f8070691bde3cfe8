"""Running, resuming, comparing and gating on both databases."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
import sacrebleu
from tests.dying import die, wear_out
from tests.evals.support import answer, ingest, make_suite

from penstock.core import jobs, lineage
from penstock.core.errors import Busy, Cancelled, Conflict, Denied, Invalid, NotFound, Unprocessable
from penstock.core.home import Home, exclusive
from penstock.core.scope import Actor, Role
from penstock.evals import service
from penstock.evals.jobs import HANDLERS
from penstock.evals.model import EvalRun, Output, RunState, Sample
from penstock.evals.report import run_markdown
from penstock.evals.suite import ScorerSpec, parse_suite


def evaluate(home: Home, actor: Actor, wrong: set[int], count: int = 40, **options: Any) -> EvalRun:
    dataset = options.pop("dataset", None) or ingest(home, actor, count)
    return service.run(home, actor, suite=make_suite(dataset), target=answer(wrong), **options)


def test_a_run_has_figures_with_intervals(home: Home, actor: Actor) -> None:
    run = evaluate(home, actor, wrong={1, 2, 3, 4})
    assert run.state is RunState.SUCCEEDED
    assert (run.total, run.done, run.errors) == (40, 40, 0)
    exact = run.metric("exact")
    assert exact is not None
    assert (exact.value, exact.n, exact.method) == (0.9, 40, "wilson")
    assert exact.low == pytest.approx(0.7695, abs=1e-4)
    assert exact.high == pytest.approx(0.9604, abs=1e-4)
    values = {metric.name: metric.value for metric in run.metrics}
    assert values["fields.category"] == 1.0
    assert values["fields.priority"] == 0.9
    assert values["fields"] == pytest.approx(0.95)
    assert values["valid_structure"] == 1.0
    assert values["error_rate"] == 0.0
    assert {"latency_s", "latency_s.p50", "latency_s.p95", "latency_s.p99"} <= values.keys()
    slow = run.metric("latency_s.p99")
    assert slow is not None
    assert slow.high is None, "40 samples cannot bound the 99th percentile"
    with home.read() as uow:
        assert service.get_run(uow, actor, run.id) == run
        assert service.list_runs(uow, actor) == [run]


def test_a_run_keeps_the_signatures_of_its_figures(home: Home, actor: Actor) -> None:
    scorers = (ScorerSpec(name="exact"), ScorerSpec(name="bleu", options={"lowercase": True}))
    suite = make_suite(ingest(home, actor, 4), scorers=scorers)
    run = service.run(home, actor, suite=suite, target=answer({1}))
    oracle = sacrebleu.BLEU(lowercase=True)
    oracle.corpus_score(["a"], [["a"]])
    assert run.spec["signatures"] == {"bleu": str(oracle.get_signature())}
    assert f"Signatures: `{oracle.get_signature()}` (bleu)." in run_markdown(run)
    again = service.run(home, actor, suite=parse_suite(run.spec), target=answer({2}))
    assert again.spec == run.spec
    with home.read() as uow:
        assert service.compare(uow, actor, baseline_id=run.id, candidate_id=again.id).shared == 4
    assert "signatures" not in evaluate(home, actor, wrong=set(), count=4).spec


def test_samples_keep_what_was_asked_and_answered(home: Home, actor: Actor) -> None:
    run = evaluate(home, actor, wrong={0}, count=5)
    with home.read() as uow:
        first, *rest = service.samples(uow, actor, run.id)
        assert [r.sample_id for r in service.samples(uow, actor, run.id, after=2)] == ["t3", "t4"]
        with pytest.raises(NotFound):
            service.samples(uow, actor, "evr_nowhere")
    assert first.sample_id == "t0"
    assert first.messages == ({"role": "user", "content": "Ticket 0: please help with billing"},)
    assert first.references == ("category: billing\npriority: low",)
    assert first.output.text == "category: billing\npriority: not low"
    assert first.scores["exact"] == 0.0
    assert len(rest) == 4


def test_every_split_is_reported(home: Home, actor: Actor) -> None:
    dataset = ingest(home, actor, 60, splits={"dev": 0.5, "test": 0.5})
    run = evaluate(home, actor, wrong={0, 1, 2}, dataset=dataset)
    by_split = {m.split: m.n for m in run.metrics if m.name == "exact"}
    assert by_split.keys() == {"", "dev", "test"}
    assert by_split[""] == by_split["dev"] + by_split["test"] == 60
    only = service.run(home, actor, suite=make_suite(dataset, split="test", limit=7), target=answer(set()))
    assert only.total == 7
    with pytest.raises(Invalid, match="no split 'train'"):
        service.run(home, actor, suite=make_suite(dataset, split="train"), target=answer(set()))


def test_lineage_leads_to_the_dataset_version(home: Home, actor: Actor) -> None:
    run = evaluate(home, actor, wrong=set(), count=3)
    with home.read() as uow:
        edges = lineage.neighbours(uow.conn, actor.scope, "eval_run", run.id)
    assert {(e.parent_kind, e.parent_ref, e.role) for e in edges} >= {
        ("dataset_version", "tickets@1", "dataset")
    }
    assert run.dataset == "tickets@1"


def test_a_sample_error_is_data_until_there_are_too_many(home: Home, actor: Actor) -> None:
    dataset = ingest(home, actor, 40)
    asked: list[str] = []

    def flaky(sample: Sample) -> str:
        asked.append(sample.id)
        time.sleep(0.011)
        if sample.id in ("t3", "t5"):
            raise RuntimeError("the line is dead")
        return answer(set())(sample)

    run = service.run(home, actor, suite=make_suite(dataset, max_error_rate=0.05), target=flaky)
    assert (run.state, run.errors) == (RunState.SUCCEEDED, 2)
    assert run.metric("exact").n == 38  # type: ignore[union-attr]
    assert run.metric("error_rate").value == 0.05  # type: ignore[union-attr]
    asked.clear()
    with pytest.raises(
        Unprocessable, match=r"failed on 1 of 40 samples, first with: RuntimeError: the line is dead"
    ):
        service.run(home, actor, suite=make_suite(dataset, max_error_rate=0.0), key="strict", target=flaky)
    assert asked == ["t0", "t1", "t2", "t3"], "the rest is not paid for"
    with home.read() as uow:
        failed = service.list_runs(uow, actor, limit=1)[0]
    assert failed.state is RunState.FAILED
    assert "the line is dead" in failed.error
    asked.clear()
    done = service.resume(home, actor, run_id=failed.id, retry_errors=True, target=answer(set()))
    assert (done.state, done.done, done.errors, done.error) == (RunState.SUCCEEDED, 40, 0, "")


def test_an_idempotency_key_finds_the_same_run(home: Home, actor: Actor) -> None:
    first = evaluate(home, actor, wrong=set(), count=5, key="stage-4")
    again = service.run(home, actor, suite=make_suite("tickets@1"), key="stage-4", target=answer({1, 2, 3}))
    assert again == first


def test_cancelling_keeps_what_is_done(home: Home, actor: Actor) -> None:
    dataset = ingest(home, actor, 10)
    asked: list[str] = []

    def slow(sample: Sample) -> str:
        asked.append(sample.id)
        time.sleep(0.011)
        return "x"

    with pytest.raises(Cancelled):
        service.run(
            home, actor, suite=make_suite(dataset), key="k", target=slow, cancelled=lambda: len(asked) >= 4
        )
    with home.read() as uow:
        run = service.list_runs(uow, actor)[0]
    assert (run.state, run.done) == (RunState.CANCELLED, 4)
    asked.clear()
    done = service.run(home, actor, suite=make_suite(dataset), key="k", target=slow)
    assert (done.state, done.done, len(asked)) == (RunState.SUCCEEDED, 10, 6)


def test_one_process_at_a_time(home: Home, actor: Actor) -> None:
    run = service.create(home, actor, suite=make_suite(ingest(home, actor, 3)))
    with exclusive(home.folder("evals") / f"{run.id}.lock"), pytest.raises(Busy, match="running"):
        service.execute(home, actor, run_id=run.id, target=answer(set()))


def test_a_target_that_leaves_samples_out_fails_the_run(home: Home, actor: Actor) -> None:
    class Forgetful:
        def generate(self, samples: Any) -> Any:
            yield []

    with pytest.raises(Unprocessable, match="left 3 of 3 samples unanswered"):
        service.run(home, actor, suite=make_suite(ingest(home, actor, 3)), target=Forgetful())


def test_whatever_breaks_a_run_it_is_told_as_failed_and_goes_on(home: Home, actor: Actor) -> None:
    class Broken:
        def generate(self, samples: Any) -> Any:
            yield [Output(sample_id=samples[0].id, text="x")]
            raise ZeroDivisionError("a bug")

    suite = make_suite(ingest(home, actor, 3))
    with pytest.raises(ZeroDivisionError):
        service.run(home, actor, suite=suite, key="k", target=Broken())
    with home.read() as uow:
        (failed,) = service.list_runs(uow, actor)
    assert (failed.state, failed.error, failed.done) == (RunState.FAILED, "ZeroDivisionError: a bug", 1)
    done = service.run(home, actor, suite=suite, key="k", target=answer(set()))
    assert (done.state, done.error, done.done) == (RunState.SUCCEEDED, "", 3)


def test_what_does_not_exist_is_said_before_anything_starts(home: Home, actor: Actor) -> None:
    with pytest.raises(NotFound):
        service.create(home, actor, suite=make_suite("nothing@1"))
    dataset = ingest(home, actor, 3)
    with pytest.raises(Invalid, match="exakt"):
        service.create(home, actor, suite=make_suite(dataset, scorers=(ScorerSpec(name="exakt"),)))
    odd = (ScorerSpec(name="exact", options={"sloppy": True}),)
    with pytest.raises(Invalid, match="wrong options"):
        service.create(home, actor, suite=make_suite(dataset, scorers=odd))
    with home.read() as uow:
        assert service.list_runs(uow, actor) == []


def test_projects_do_not_see_each_other(home: Home, actor: Actor) -> None:
    run = evaluate(home, actor, wrong=set(), count=3)
    stranger = actor.within("other")
    with home.read() as uow:
        assert service.list_runs(uow, stranger) == []
        with pytest.raises(NotFound):
            service.get_run(uow, stranger, run.id)


def test_viewers_may_look_but_not_run(home: Home, actor: Actor) -> None:
    run = evaluate(home, actor, wrong=set(), count=3)
    viewer = Actor(id="key_v", name="viewer", role=Role.VIEWER)
    with home.begin() as uow:
        assert service.get_run(uow, viewer, run.id).id == run.id
    with pytest.raises(Denied):
        service.decide(home, viewer, run_id=run.id, rules=[{"metric": "exact", "min": 0.5}])
    with pytest.raises(Denied):
        service.create(home, viewer, suite=make_suite("tickets@1"))


def test_comparing_two_runs(home: Home, actor: Actor) -> None:
    base = evaluate(home, actor, wrong=set(range(20)), count=60)
    better = service.run(home, actor, suite=make_suite("tickets@1"), target=answer({0}))
    with home.read() as uow:
        found = service.compare(uow, actor, base.id, better.id)
    assert (found.shared, found.only_baseline, found.only_candidate, found.changed, found.failed) == (
        60,
        0,
        0,
        0,
        0,
    )
    exact = found.difference("exact")
    assert exact is not None
    assert exact.difference == pytest.approx(19 / 60)
    assert exact.p_value == pytest.approx(2 / 2**19)
    assert exact.p_adjusted > exact.p_value
    assert exact.low is not None
    assert 0.19 < exact.low < exact.difference < (exact.high or 0) < 0.45
    assert exact.verdict() == "better"
    same = found.difference("fields.category")
    assert same is not None
    assert (same.difference, same.p_value, same.verdict()) == (0.0, 1.0, "not shown")


def test_only_what_both_runs_measured_is_compared(home: Home, actor: Actor) -> None:
    dataset = ingest(home, actor, 12)
    sides = []
    for more in ((), (ScorerSpec(name="rouge_l"), ScorerSpec(name="latency"))):
        suite = make_suite(dataset, scorers=(ScorerSpec(name="exact"), *more))
        sides.append(service.run(home, actor, suite=suite, target=answer(set())).id)
    with home.read() as uow:
        for baseline, candidate in (sides, sides[::-1]):
            found = service.compare(uow, actor, baseline, candidate)
            assert [difference.name for difference in found.differences] == ["exact"]


def test_corpus_metrics_have_intervals_and_paired_tests(home: Home, actor: Actor) -> None:
    dataset = ingest(home, actor, 50)
    suite = make_suite(dataset, scorers=(ScorerSpec(name="bleu"),))
    base = service.run(home, actor, suite=suite, target=answer(set(range(25))))
    better = service.run(home, actor, suite=suite, target=answer({0, 1}))
    bleu = base.metric("bleu")
    assert bleu is not None
    assert bleu.low is not None
    assert bleu.high is not None
    assert 0 < bleu.low < bleu.value < bleu.high < 100
    assert {m.name for m in base.metrics} == {"error_rate", "bleu", "bleu_sentence"}
    with home.read() as uow:
        change = service.compare(uow, actor, base.id, better.id).difference("bleu")
    assert change is not None
    assert change.test == "approximate_randomisation"
    assert change.low is not None
    assert 0 < change.low < change.difference < (change.high or 0)
    assert change.p_value < 0.01
    assert change.verdict() == "better"


def test_runs_without_common_samples_or_unfinished_ones_are_not_compared(home: Home, actor: Actor) -> None:
    first = evaluate(home, actor, wrong=set(), count=4)
    from penstock.datasets import service as datasets

    datasets.ingest(
        home, actor, name="others", source=[{"id": "z", "prompt": "hi", "completion": "ho"}], key="id"
    )
    second = service.run(home, actor, suite=make_suite("others@1"), target=lambda _sample: "ho")
    queued = service.create(home, actor, suite=make_suite("tickets@1"))
    with home.read() as uow:
        with pytest.raises(Invalid, match="no samples in common"):
            service.compare(uow, actor, first.id, second.id)
        with pytest.raises(Conflict, match="queued"):
            service.compare(uow, actor, first.id, queued.id)


def test_a_gate_refuses_with_reasons_and_remembers(home: Home, actor: Actor) -> None:
    base = evaluate(home, actor, wrong={0, 1}, count=60)
    worse = service.run(home, actor, suite=make_suite("tickets@1"), target=answer(set(range(30))))
    rules = [
        {"metric": "exact", "min": 0.7},
        {"metric": "exact", "not_worse_than": "baseline", "margin": 0.02},
        {"metric": "fields.category", "min": 0.9, "bound": "low"},
    ]
    decision = service.decide(home, actor, run_id=worse.id, baseline_id=base.id, rules=rules)
    assert not decision.passed
    assert [check.passed for check in decision.checks] == [False, False, True]
    assert "50.0% is not at least 70.0%" in decision.checks[0].reason
    assert "is not excluded" in decision.checks[1].reason
    assert decision.reasons == tuple(c.reason for c in decision.checks[:2])
    passed = service.decide(
        home,
        actor,
        run_id=base.id,
        baseline_id=worse.id,
        rules=[{"metric": "exact", "better_than": "baseline"}],
    )
    assert passed.passed
    with home.read() as uow:
        assert service.gates(uow, actor) == [passed, decision]
        assert service.gates(uow, actor, run_id=worse.id) == [decision]
        edges = lineage.neighbours(uow.conn, actor.scope, "gate", decision.id, depth=1)
        assert {(e.parent_ref, e.role) for e in edges} == {(worse.id, "candidate"), (base.id, "baseline")}


def test_a_gate_never_passes_an_unfinished_run(home: Home, actor: Actor) -> None:
    queued = service.create(home, actor, suite=make_suite(ingest(home, actor, 3)))
    decision = service.decide(home, actor, run_id=queued.id, rules=[{"metric": "exact", "min": 0.0}])
    assert not decision.passed
    assert "is queued" in decision.checks[0].reason
    with pytest.raises(Invalid, match="at least one rule"):
        service.decide(home, actor, run_id=queued.id, rules=[])
    with pytest.raises(Invalid, match="baseline"):
        service.decide(home, actor, run_id=queued.id, rules=[{"metric": "exact", "better_than": "baseline"}])


def test_a_started_run_is_executed_by_the_worker(home: Home, actor: Actor) -> None:
    suite = make_suite(
        ingest(home, actor, 3),
        target={"kind": "gateway", "model": "m", "base_url": "http://127.0.0.1:9/v1", "retries": 0},
        max_error_rate=1.0,
    )
    run = service.start(home, actor, suite=suite, key="once")
    assert service.start(home, actor, suite=suite, key="once").id == run.id
    assert jobs.Worker(home, HANDLERS).tick()
    with home.read() as uow:
        done = service.get_run(uow, actor, run.id)
        assert jobs.get(uow, actor, str(run.job_id)).state is jobs.JobState.SUCCEEDED
    assert (done.state, done.errors) == (RunState.SUCCEEDED, 3)
    with pytest.raises(Invalid, match="cannot keep a key"):
        service.start(
            home,
            actor,
            suite=make_suite("tickets@1", target={"kind": "gateway", "model": "m", "api_key": "sk-x"}),
        )


def test_a_run_whose_workers_die_again_and_again_fails_with_the_reason(home: Home, actor: Actor) -> None:
    target = {"kind": "gateway", "model": "m", "base_url": "http://127.0.0.1:9/v1", "retries": 0}
    run = service.start(home, actor, suite=make_suite(ingest(home, actor, 3), target=target))
    with home.begin() as uow:
        service.give_up(uow, actor, run_id=run.id, job_id="job_other", error="not of this job")
    assert run.job_id is not None
    reason = wear_out(home, run.job_id, {service.JOB_KIND: die})
    with home.read() as uow:
        failed = service.get_run(uow, actor, run.id)
    assert (failed.state, failed.error) == (RunState.FAILED, reason)
    assert failed.finished_at is not None


KILLED = textwrap.dedent(
    """
    import os, signal, sys, time
    from pathlib import Path
    from penstock.core.auth import service as auth
    from penstock.core.home import Home
    from penstock.evals import service
    from tests.evals.support import answer, ingest, make_suite

    seen = 0
    def target(sample):
        global seen
        time.sleep(0.02)
        seen += 1
        if seen == 14:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer({1, 2})(sample)

    with Home.open(sys.argv[1]) as home:
        with home.begin() as uow:
            actor = auth.ensure_owner(uow)[0].actor()
        service.run(home, actor, suite=make_suite("tickets@1"), key="crash", target=target)
    """
)


def test_kill_nine_loses_nothing_that_was_finished(home: Home, actor: Actor) -> None:
    ingest(home, actor, 40)
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"}
    child = subprocess.run(
        [sys.executable, "-c", KILLED, str(home.path)], env=environment, cwd=root, check=False
    )
    assert child.returncode == -signal.SIGKILL
    with home.read() as uow:
        left = service.list_runs(uow, actor)[0]
        stored = {r.sample_id for r in service.samples(uow, actor, left.id)}
    assert (left.state, left.done) == (RunState.RUNNING, 13)
    asked: list[str] = []

    def target(sample: Sample) -> str:
        asked.append(sample.id)
        return str(answer({1, 2})(sample))

    done = service.run(home, actor, suite=make_suite("tickets@1"), key="crash", target=target)
    assert (done.id, done.state, done.done) == (left.id, RunState.SUCCEEDED, 40)
    assert stored.isdisjoint(asked)
    assert len(asked) == 27
    assert done.metric("exact").value == 38 / 40  # type: ignore[union-attr]
