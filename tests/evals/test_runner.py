"""The runner against a server that counts: what is paid once is never paid again, whatever happens."""

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.evals.scripted_model import ScriptedModel, reply
from tests.evals.support import answer, ingest, make_suite

from penstock.core.errors import Invalid, Unprocessable
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import service as datasets
from penstock.evals import service
from penstock.evals.calls.ledger import CapReached
from penstock.evals.calls.store import calls
from penstock.evals.model import RunState, Sample
from penstock.evals.suite import ScorerSpec, Suite

ROOT = Path(__file__).parents[2]
ITEMS = 1319


def questions(count: int = ITEMS) -> list[dict[str, str]]:
    """Return GSM8K's test set where the public data is, else as many sums of the same form."""
    folder = Path(os.environ.get("PENSTOCK_TEST_DATA", ROOT.parent / "shared" / "data"))
    file = folder / "gsm8k" / "test.jsonl"
    if file.exists():
        rows = [json.loads(line) for line in file.read_text().splitlines()]
    else:
        rows = [
            {
                "question": f"Ada has {i} pens and buys {i % 7} boxes of 12. How many pens has she?",
                "answer": f"{i % 7} * 12 = {12 * (i % 7)}, and {i} more.\n#### {i + 12 * (i % 7):,}",
            }
            for i in range(ITEMS)
        ]
    return [{"id": f"q{i}", **row} for i, row in enumerate(rows)][:count]


def knows(question: str) -> bool:
    """Whether the scripted model gets a question right: about seven in ten, the same ones always."""
    return hashlib.sha256(question.encode()).digest()[0] < 180


def solver(rows: list[dict[str, str]]) -> Any:
    """Return what the scripted model says to a question."""
    figures = {row["question"]: row["answer"].rpartition("####")[2].strip() for row in rows}

    def said(question: str) -> str:
        figure = figures[question]
        return f"Let me think. The answer is {figure if knows(question) else '-123456789'}."

    return said


def sums_suite(model: ScriptedModel, dataset: str, **changes: Any) -> Suite:
    values: dict[str, Any] = {
        "name": "sums",
        "dataset": dataset,
        "target": model.target,
        "scorers": (ScorerSpec(name="numeric"),),
        "concurrency": 100,
    }
    return Suite(**{**values, **changes})


def load(home: Home, actor: Actor, rows: list[dict[str, str]], name: str = "sums") -> str:
    return f"{name}@{datasets.ingest(home, actor, name=name, source=rows, key='id').number}"


CHILD = textwrap.dedent(
    """
    import json, sys
    from penstock.core.auth import service as auth
    from penstock.core.home import Home
    from penstock.evals import service
    from penstock.evals.suite import parse_suite

    with Home.open(sys.argv[1]) as home:
        with home.begin() as uow:
            actor = auth.ensure_owner(uow)[0].actor()
        service.run(home, actor, suite=parse_suite(json.loads(sys.argv[2])), key="gsm8k")
    """
)


def stored(home: Home) -> set[str]:
    """Return the digests of the calls whose answers are stored."""
    with home.read() as uow:
        return {row.digest for row in uow.conn.execute(select(calls).where(calls.c.answer.is_not(None)))}


def test_gsm8k_survives_being_killed_and_pays_for_nothing_twice(home: Home, actor: Actor) -> None:
    rows = questions()
    assert len(rows) == ITEMS
    dataset = load(home, actor, rows)
    child: list[subprocess.Popen[bytes]] = []

    def kill(number: int) -> None:
        if number in (400, 900):
            child[-1].send_signal(signal.SIGKILL)

    with ScriptedModel(solver(rows), wait_s=0.02, before=kill) as model:
        spec = {
            "name": "sums",
            "dataset": dataset,
            "target": model.target,
            "scorers": ["numeric"],
            "concurrency": 100,
        }
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["src", ".", *sys.path])}
        for _ in range(2):
            command = [sys.executable, "-c", CHILD, str(home.path), json.dumps(spec)]
            with subprocess.Popen(command, env=environment, cwd=ROOT) as process:
                child.append(process)
                assert process.wait() == -signal.SIGKILL
            before, asked = stored(home), dict(model.paid)
        run = service.run(home, actor, suite=sums_suite(model, dataset), key="gsm8k")
        again = sum(times > 1 for times in model.paid.values())
        at_once = model.most_at_once
    right = sum(knows(row["question"]) for row in rows)
    numeric = run.metric("numeric")
    assert numeric is not None
    assert (run.state, run.done, run.errors) == (RunState.SUCCEEDED, ITEMS, 0)
    assert numeric.value == right / ITEMS, "the figure is exact"
    answered, repaid = len(model.paid), sum(model.paid[key] != asked[key] for key in before)
    assert answered == ITEMS
    assert repaid == 0, "nothing that was stored is paid for again"
    assert again <= 2 * 100, "only calls in flight may be asked for again, under the same idempotency key"
    assert run.progress["lost"] >= again
    assert at_once > 1


def test_an_overloaded_server_loses_no_record(home: Home, actor: Actor) -> None:
    rows = questions(300)

    def refuse(number: int) -> bytes | None:
        if number % 3 == 0:
            return reply("429 Too Many Requests", {}, "retry-after: 0.05")
        return reply("503 Service Unavailable", {}) if number % 10 == 0 else None

    with ScriptedModel(solver(rows), refuse=refuse) as model:
        run = service.run(home, actor, suite=sums_suite(model, load(home, actor, rows)))
    assert (run.state, run.done, run.errors) == (RunState.SUCCEEDED, 300, 0)
    assert len(model.paid) == model.paid.total() == 300


def test_the_cap_is_not_overspent_and_said(home: Home, actor: Actor) -> None:
    rows = questions(60)
    with ScriptedModel(solver(rows), cost_usd=0.01) as model:
        suite = sums_suite(model, load(home, actor, rows), concurrency=4, max_cost_usd=0.25)
        with pytest.raises(CapReached, match=r"cap of \$0.25 is reached: \$0.2\d+ were spent on 2\d calls"):
            service.run(home, actor, suite=suite, key="capped")
        assert 0.24 <= 0.01 * model.paid.total() <= 0.25 + 4 * 0.01
        with home.read() as uow:
            stopped = service.list_runs(uow, actor)[0]
        assert stopped.state is RunState.FAILED
        assert stopped.done == model.paid.total()
        assert stopped.progress["cost_usd"] == pytest.approx(0.01 * stopped.done)
        done = service.resume(home, actor, run_id=stopped.id, max_cost_usd=5.0)
        assert (done.state, done.done) == (RunState.SUCCEEDED, 60)
        assert model.paid.total() == 60
    assert done.progress["cost_usd"] == pytest.approx(0.6)


def test_a_cap_needs_prices(home: Home, actor: Actor) -> None:
    rows = questions(5)
    dataset = load(home, actor, rows)

    async def unpriced(_sample: Sample) -> str:
        return "1"

    suite = make_suite(dataset, scorers=(ScorerSpec(name="numeric"),), max_cost_usd=1.0)
    with pytest.raises(Unprocessable, match="without a price"):
        service.run(home, actor, suite=suite, target=unpriced)


def test_other_runs_share_answers_only_when_they_say_so(home: Home, actor: Actor) -> None:
    rows = questions(20)
    with ScriptedModel(solver(rows)) as model:
        dataset = load(home, actor, rows)
        for cache, paid in ((False, 20), (False, 40), (True, 60), (True, 60)):
            run = service.run(home, actor, suite=sums_suite(model, dataset, cache=cache))
            assert run.metric("numeric").n == 20  # type: ignore[union-attr]
            assert model.paid.total() == paid
        assert run.progress["cached"] == 20
        assert run.progress["cost_usd"] == 0.0
        other = service.run(
            home, actor, suite=sums_suite(model, dataset, cache=True, system="Think.", limit=5)
        )
        assert (other.done, model.paid.total()) == (5, 65), "another question is another call"


def test_coroutine_functions_are_asked_at_once(home: Home, actor: Actor) -> None:
    dataset = ingest(home, actor, 40)
    busy, most = 0, 0

    async def slow(sample: Sample) -> str:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0.02)
        busy -= 1
        if sample.id == "t7":
            raise ValueError("no")
        return str(answer(set())(sample))

    run = service.run(home, actor, suite=make_suite(dataset, concurrency=10, max_error_rate=0.1), target=slow)
    assert most == 10
    assert (run.done, run.errors) == (40, 1)
    assert run.metric("exact").value == 1.0  # type: ignore[union-attr]


def test_progress_is_told_and_stored(home: Home, actor: Actor) -> None:
    rows = questions(30)
    told: list[dict[str, Any]] = []
    with ScriptedModel(solver(rows), wait_s=0.05) as model:
        suite = sums_suite(model, load(home, actor, rows), concurrency=3)
        run = service.run(home, actor, suite=suite, progress=told.append)
    assert (told[-1]["done"], told[-1]["total"], told[-1]["eta_s"]) == (30, 30, 0.0)
    assert 1 < len(told) < 30, "not for every sample"
    assert told[0]["eta_s"] > 0
    assert {"done": 30, "total": 30, "errors": 0, "calls": 30, "cached": 0, "lost": 0}.items() <= (
        run.progress.items()
    )


def test_a_scorer_that_breaks_loses_no_answer(home: Home, actor: Actor, monkeypatch: Any) -> None:
    rows = questions(10)
    broken = ScorerSpec(name="numeric")

    class Broken:
        name = "numeric"

        def __init__(self) -> None:
            pass

        def score(self, sample: Sample, _output: Any) -> dict[str, float]:
            if sample.id == "q3":
                raise ZeroDivisionError("oops")
            return {"numeric": 1.0}

        def measure(self, _metric: str) -> None:
            return None

    with ScriptedModel(solver(rows)) as model:
        suite = sums_suite(model, load(home, actor, rows), scorers=(broken,))
        with monkeypatch.context() as patched:
            patched.setattr("penstock.evals.runner.build_scorers", lambda _specs: [Broken()])
            with pytest.raises(Unprocessable, match=r"scoring failed on 1 of 10 samples.*ZeroDivisionError"):
                service.run(home, actor, suite=suite, key="broken")
        with home.read() as uow:
            failed = service.list_runs(uow, actor)[0]
        run = service.resume(home, actor, run_id=failed.id, retry_errors=True)
        assert (run.state, model.paid.total(), len(model.paid)) == (RunState.SUCCEEDED, 10, 10)


@pytest.mark.parametrize("kind", ["function", "coroutine"])
def test_epochs_are_reduced_by_sample(home: Home, actor: Actor, kind: str) -> None:
    dataset = ingest(home, actor, 12)
    asked: dict[str, int] = {}

    def sometimes(sample: Sample) -> str:
        asked[sample.id] = asked.get(sample.id, 0) + 1
        # Of five attempts, ticket i gets the first i % 6 right.
        right = asked[sample.id] <= int(sample.id[1:]) % 6
        return str(answer(set())(sample)) if right else "wrong"

    async def coroutine(sample: Sample) -> str:
        return sometimes(sample)

    suite = make_suite(
        dataset,
        scorers=(ScorerSpec(name="exact"),),
        epochs=5,
        reducers=("mean", "max", "majority", "pass@2"),
    )
    target = sometimes if kind == "function" else coroutine
    run = service.run(home, actor, suite=suite, target=target)
    assert set(asked.values()) == {5}
    asked.clear()
    again = service.run(home, actor, suite=suite, target=target)
    values = {metric.name: (metric.value, metric.n) for metric in run.metrics}
    assert values["exact"] == (pytest.approx((0 + 1 + 2 + 3 + 4 + 5) / 30), 12)
    assert values["exact.max"] == (pytest.approx(10 / 12), 12)
    assert values["exact.majority"] == (0.5, 12)
    pass_at_2 = [1 - (5 - c) * (4 - c) / 20 for c in range(4)] + [1.0, 1.0]
    assert values["exact.pass@2"] == (pytest.approx(sum(pass_at_2) / 6), 12)
    assert run.metric("exact").method == "bootstrap_bca"  # type: ignore[union-attr]
    with home.read() as uow:
        attempts = service.attempts(uow, actor, run.id, "t4")
        same = service.compare(uow, actor, run.id, again.id)
    assert [a.scores["exact"] for a in attempts] == [1.0, 1.0, 1.0, 1.0, 0.0]
    assert same.difference("exact.pass@2").difference == 0.0  # type: ignore[union-attr]


def test_epochs_go_on_where_they_stopped(home: Home, actor: Actor) -> None:
    dataset = ingest(home, actor, 10)
    asked: list[str] = []

    def breaking(sample: Sample) -> str:
        time.sleep(0.011)
        asked.append(sample.id)
        if len(asked) == 15:
            raise KeyboardInterrupt
        return str(answer(set())(sample))

    suite = make_suite(dataset, scorers=(ScorerSpec(name="exact"),), epochs=3)
    with pytest.raises(KeyboardInterrupt):
        service.run(home, actor, suite=suite, key="epochs", target=breaking)
    assert len(asked) == 15
    run = service.run(home, actor, suite=suite, key="epochs", target=breaking)
    assert (run.done, len(asked)) == (10, 31)
    assert run.metric("exact").value == 1.0  # type: ignore[union-attr]


def test_a_failed_epoch_fails_the_sample_and_is_tried_again_alone(home: Home, actor: Actor) -> None:
    dataset = ingest(home, actor, 4)
    asked: list[str] = []

    def flaky(sample: Sample) -> str:
        asked.append(sample.id)
        if sample.id == "t1" and asked.count("t1") == 2:
            raise OSError("gone")
        return str(answer(set())(sample))

    suite = make_suite(dataset, scorers=(ScorerSpec(name="exact"),), epochs=3, max_error_rate=0.5)
    run = service.run(home, actor, suite=suite, target=flaky)
    assert (run.errors, run.metric("exact").n) == (1, 3)  # type: ignore[union-attr]
    with home.read() as uow:
        errors = [r.output.error for r in service.samples(uow, actor, run.id) if r.output.error]
    assert errors == ["1 of 3 attempts failed, first with: OSError: gone"]
    asked.clear()
    run = service.resume(home, actor, run_id=run.id, retry_errors=True, target=flaky)
    assert (asked, run.errors, run.metric("exact").n) == (["t1"], 0, 4)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"epochs": 0}, "at least one epoch"),
        ({"epochs": 3, "reducers": ("pass@4",)}, "at least 4 epochs"),
        ({"epochs": 3, "reducers": ("best",)}, "no reducer 'best'"),
        ({"max_cost_usd": 0.0}, "above 0"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], error: str) -> None:
    with pytest.raises(Invalid, match=error):
        make_suite("tickets@1", **changes)


def test_a_run_inside_a_running_loop(home: Home, actor: Actor) -> None:
    dataset = ingest(home, actor, 3)

    async def notebook() -> RunState:
        return service.run(home, actor, suite=make_suite(dataset), target=answer(set())).state

    assert asyncio.run(notebook()) is RunState.SUCCEEDED
