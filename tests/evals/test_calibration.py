"""Judges in a run, and judges held against people."""

from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient
from tests.evals.scripted_model import ScriptedModel

from penstock.core.errors import Conflict, Invalid, NotFound, Unprocessable
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import service as datasets
from penstock.evals import service
from penstock.evals.calibration import service as calibration
from penstock.evals.calibration.model import Label
from penstock.evals.model import EvalRun, RunState
from penstock.evals.suite import ScorerSpec, Suite

COUNT = 60


def good(number: int) -> bool:
    """What people think of answer `number`."""
    return number % 3 != 0


def grades(wrong: set[int]) -> Any:
    """Return a judge that grades 5 or 1, and errs on the numbers in `wrong`."""

    def said(text: str) -> str:
        if "<answer>" not in text:
            return f"answer to {text}"
        number = int(text.rpartition("answer to question ")[2].split()[0].removesuffix("</answer>"))
        score = 5 if good(number) != (number in wrong) else 1
        return msgspec.json.encode({"overall": {"reason": "so it is", "score": score}}).decode()

    return said


def load(home: Home, actor: Actor) -> str:
    rows = [{"id": f"s{i}", "prompt": f"question {i}"} for i in range(COUNT)]
    return f"asked@{datasets.ingest(home, actor, name='asked', source=rows, key='id').number}"


def suite_of(model: ScriptedModel, dataset: str, **changes: Any) -> Suite:
    values: dict[str, Any] = {
        "name": "judged",
        "dataset": dataset,
        "target": model.target,
        "judge": model.judge,
        "scorers": (ScorerSpec(name="judge", options={"criteria": "Is it good?"}), ScorerSpec(name="cost")),
        "max_error_rate": 0.0,
    }
    return Suite(**{**values, **changes})


def judged(home: Home, actor: Actor, wrong: set[int]) -> EvalRun:
    with ScriptedModel(grades(wrong), cost_usd=0.002) as model:
        run = service.run(home, actor, suite=suite_of(model, load(home, actor)))
    assert model.paid.total() == 2 * COUNT
    return run


LABELS = [Label(f"s{i}", float(good(i))) for i in range(40)]


def test_judges_are_called_like_targets_and_priced_too(home: Home, actor: Actor) -> None:
    run = judged(home, actor, set())
    assert run.metric("judge").value == pytest.approx(40 / 60)  # type: ignore[union-attr]
    assert run.metric("cost_usd").value == pytest.approx(0.002)  # type: ignore[union-attr]
    assert run.progress["cost_usd"] == pytest.approx(2 * COUNT * 0.002)
    with home.read() as uow:
        first = service.samples(uow, actor, run.id, limit=1)[0]
    assert first.notes == {"judge": {"overall": {"reason": "so it is", "score": 1.0}}}


def test_the_cap_holds_for_judges_as_well(home: Home, actor: Actor) -> None:
    with ScriptedModel(grades(set()), cost_usd=0.01) as model:
        suite = suite_of(model, load(home, actor), max_cost_usd=0.3, concurrency=4)
        with pytest.raises(Unprocessable, match="cost cap"):
            service.run(home, actor, suite=suite, key="capped")
        assert 0.25 <= 0.01 * model.paid.total() <= 0.3 + 8 * 0.01
        with home.read() as uow:
            stopped = service.list_runs(uow, actor)[0]
        done = service.resume(home, actor, run_id=stopped.id, max_cost_usd=9.0)
        assert (done.done, model.paid.total(), len(model.paid)) == (COUNT, 2 * COUNT, 2 * COUNT)


def test_a_judge_without_a_verdict_leaves_the_answer(home: Home, actor: Actor) -> None:
    broken = {7}

    def said(text: str) -> str:
        if "<answer>" in text and "question 7</answer>" in text.replace("\n", "") and broken:
            return "I would rather not say."
        return str(grades(set())(text))

    with ScriptedModel(said) as model:
        suite = suite_of(model, load(home, actor), max_error_rate=0.1)
        run = service.run(home, actor, suite=suite)
        assert (run.state, run.errors, run.progress["judge_errors"]) == (RunState.SUCCEEDED, 0, 1)
        assert run.metric("judge").n == COUNT - 1  # type: ignore[union-attr]
        with home.read() as uow:
            (unjudged,) = [r for r in service.samples(uow, actor, run.id) if r.score_error]
        assert unjudged.output.text == "answer to question 7"
        assert "cannot be read" in str(unjudged.score_error)
        broken.clear()
        paid = model.paid.total()
        run = service.resume(home, actor, run_id=run.id, retry_errors=True)
        assert run.metric("judge").n == COUNT  # type: ignore[union-attr]
        assert run.progress["judge_errors"] == 0
        assert model.paid.total() - paid == 1, "an unreadable verdict is asked for again, the answer is not"
        assert run.progress["lost"] == 0
        assert run.progress["cost_usd"] == pytest.approx(0.001 * model.paid.total())


def test_only_a_judge_that_agrees_with_people_may_gate(home: Home, actor: Actor) -> None:
    run = judged(home, actor, wrong={1, 50})
    rules = [{"metric": "judge", "min": 0.5}, {"metric": "error_rate", "max": 0.1}]
    refused = service.decide(home, actor, run_id=run.id, rules=rules)
    assert [check.passed for check in refused.checks] == [False, True]
    assert "never held against people" in refused.checks[0].reason
    with home.begin() as uow:
        made = calibration.calibrate(uow, actor, run_id=run.id, metric="judge", labels=LABELS)
    assert made.may_gate
    assert service.decide(home, actor, run_id=run.id, rules=rules).passed
    figures = made.figures
    assert figures.labels == 40
    assert figures.agreement == pytest.approx(39 / 40)
    assert figures.kappa is not None
    assert 0.8 < figures.kappa.low < figures.kappa.value < 1.0
    people = sum(good(i) for i in range(40)) / 40
    assert figures.people == pytest.approx(people)
    assert figures.corrected is not None
    assert figures.corrected.low < sum(map(good, range(COUNT))) / COUNT < figures.corrected.high
    with home.read() as uow:
        assert calibration.list_judges(uow, actor) == [made]
        assert calibration.list_judges(uow, actor.within("other")) == []


def test_a_judge_that_guesses_may_not_gate(home: Home, actor: Actor) -> None:
    run = judged(home, actor, wrong=set(range(0, COUNT, 2)))
    with home.begin() as uow:
        made = calibration.calibrate(uow, actor, run_id=run.id, metric="judge", labels=LABELS)
        assert not made.may_gate
        assert "does not surely agree" in made.figures.reason
    decision = service.decide(home, actor, run_id=run.id, rules=[{"metric": "judge", "min": 0.0}])
    assert not decision.passed
    assert "may not gate" in decision.checks[0].reason


def test_few_labels_or_one_sided_ones_allow_nothing(home: Home, actor: Actor) -> None:
    run = judged(home, actor, wrong=set())
    with home.begin() as uow:
        few = calibration.calibrate(uow, actor, run_id=run.id, metric="judge", labels=LABELS[:10])
        assert (few.may_gate, few.figures.reason) == (False, "10 labels are too few; 30 are needed.")
        alike = [Label(f"s{i}", 1.0) for i in range(COUNT) if good(i)]
        same = calibration.calibrate(uow, actor, run_id=run.id, metric="judge", labels=alike)
        assert (same.may_gate, same.figures.kappa) == (False, None)
        for error, labels, metric in (
            (Invalid, [Label("nobody", 1.0)], "judge"),
            (Invalid, LABELS, "cost_usd"),
            (Invalid, [Label("s1", 7.0)], "judge"),
        ):
            with pytest.raises(error):
                calibration.calibrate(uow, actor, run_id=run.id, metric=metric, labels=labels)
        with pytest.raises(NotFound):
            calibration.calibrate(uow, actor, run_id="evr_no", metric="judge", labels=LABELS)


def test_grades_are_compared_on_their_scale(home: Home, actor: Actor) -> None:
    run = judged(home, actor, wrong=set())
    labels = [Label(f"s{i}", 5.0 if good(i) else 2.0) for i in range(40)]
    with home.begin() as uow:
        made = calibration.calibrate(
            uow, actor, run_id=run.id, metric="judge", labels=labels, scale=(1.0, 5.0)
        )
    assert made.figures.agreement == pytest.approx(sum(good(i) for i in range(40)) / 40)
    assert made.figures.kappa is not None
    assert 0.7 < made.figures.kappa.value < 1.0, "near misses count less than far ones"


def test_labels_come_from_a_dataset(home: Home, actor: Actor) -> None:
    rows = [{"id": "s1", "human": "yes"}, {"id": "s2", "human": False}, {"id": "s3", "human": "0.5"}]
    datasets.ingest(
        home, actor, name="labels", source=[{**r, "human": str(r["human"])} for r in rows], key="id"
    )
    found = calibration.labels_of(home, actor, dataset="labels@1", column="human")
    assert [(one.sample_id, one.value) for one in found] == [("s1", 1.0), ("s2", 0.0), ("s3", 0.5)]
    datasets.ingest(home, actor, name="odd", source=[{"id": "s1", "human": "perhaps"}], key="id")
    with pytest.raises(Invalid, match="no label"):
        calibration.labels_of(home, actor, dataset="odd@1", column="human")


def test_unfinished_runs_calibrate_nothing(home: Home, actor: Actor) -> None:
    with ScriptedModel(grades(set())) as model:
        run = service.create(home, actor, suite=suite_of(model, load(home, actor)))
    with home.begin() as uow, pytest.raises(Conflict, match="queued"):
        calibration.calibrate(uow, actor, run_id=run.id, metric="judge", labels=LABELS)


def test_over_http(client: TestClient, sqlite_home: Home) -> None:
    rows = "\n".join(
        msgspec.json.encode({"id": f"s{i}", "prompt": f"question {i}"}).decode() for i in range(3)
    )
    made = client.post("/api/v1/datasets", json={"name": "asked"})
    assert made.status_code in (200, 201), made.text
    sent = client.post("/api/v1/datasets/asked/versions?format=jsonl", content=rows.encode())
    assert sent.status_code in (200, 201), sent.text
    text = "dataset: asked@1\ntarget: {kind: gateway, model: m, base_url: 'http://127.0.0.1:9/v1'}\nscorers: [exact]\n"
    put = client.put("/api/v1/evals/suites/nightly", json={"suite": text})
    assert put.status_code == 200, put.text
    assert [one["name"] for one in client.get("/api/v1/evals/suites").json()["items"]] == ["nightly"]
    started = client.post("/api/v1/evals/runs", json={"suite": "nightly"})
    assert started.status_code == 202, started.text
    assert started.json()["progress"] == {
        "done": 0,
        "total": 0,
        "errors": 0,
        "judge_errors": 0,
        "calls": 0,
        "cached": 0,
        "lost": 0,
        "cost_usd": 0.0,
        "eta_s": None,
    }
    yaml = client.post("/api/v1/evals/runs", json={"suite": "name: other\n" + text})
    assert yaml.json()["suite"] == "other"
    assert client.post("/api/v1/evals/runs", json={"suite": "nothing"}).status_code == 404
    code = client.post(
        "/api/v1/evals/runs",
        json={"suite": {**put.json()["spec"], "target": {"kind": "function", "function": "os:getcwd"}}},
    )
    assert code.status_code == 400, "code is not imported for whoever may call the API"
    read = {"kind": "transformers", "folder": "/etc"}
    found = client.post("/api/v1/evals/runs", json={"suite": {**put.json()["spec"], "target": read}})
    assert found.status_code == 400, "nor are the server's folders read, which may be another tenant's"
    assert "reads no folder" in found.json()["detail"]
    assert client.get("/api/v1/evals/judges").json() == {"items": [], "next": None}
    wrong = client.post("/api/v1/evals/judges", json={"run_id": "evr_x", "metric": "judge"})
    assert wrong.status_code == 400
    assert client.delete("/api/v1/evals/suites/nightly").status_code == 204
    assert client.get("/api/v1/evals/suites/nightly").status_code == 404
