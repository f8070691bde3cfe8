"""Runs that come from elsewhere, attack runs, bias runs."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.evals.exchange.test_inspect import REAL
from typer.testing import CliRunner

from penstock.app.server import build_api
from penstock.core.auth import service as auth
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.evals import api, exchange_service, service
from penstock.evals.cli import app
from penstock.evals.exchange import inspect_log
from penstock.evals.model import Sample
from penstock.evals.redteam.attacks import Plan

pytestmark = pytest.mark.usefixtures("newest_scorers")

KEYS = [
    "eval",
    "samples",
    "id",
    "scores",
    "value",
    "input",
    "output",
    "choices",
    "error",
    "target",
    "model_usage",
    "doc_id",
    "arguments",
    "resps",
    "metrics",
    "filter",
    "entry_type",
    "status",
    "prompt",
    "outputs",
    "detector_results",
    "role",
    "conversation_id",
    "sequence",
    "score_type",
    "score_value",
]


def lm_eval(scores: list[float], metric: str = "exact_match") -> bytes:
    lines = [
        {
            "doc_id": i,
            "target": "x",
            "arguments": [[f"q{i}", {}]],
            "resps": [["x"]],
            "filter": "none",
            metric: s,
        }
        for i, s in enumerate(scores)
    ]
    return "\n".join(json.dumps(line) for line in lines).encode()


def imported(home: Home, actor: Actor, content: bytes, **options: Any) -> Any:
    return exchange_service.import_run(home, actor, format="lm-eval", content=content, **options)[0]


def test_imported_runs_are_compared_in_pairs_and_gated(home: Home, actor: Actor) -> None:
    """The case that an unpaired test misses: the same 200 questions, 24 won, 8 lost."""
    base = imported(home, actor, lm_eval([1.0] * 100 + [0.0] * 100), model="a")
    best = imported(home, actor, lm_eval([0.0] * 8 + [1.0] * 116 + [0.0] * 76), model="b")
    assert (base.state, base.total, base.target) == ("succeeded", 200, "imported")
    exact = base.metric("exact_match")
    assert (exact.value, exact.n, exact.method) == (0.5, 200, "wilson")
    with home.read() as uow:
        found = service.compare(uow, actor, base.id, best.id).difference("exact_match")
    decision = service.decide(
        home,
        actor,
        run_id=best.id,
        baseline_id=base.id,
        rules=[{"metric": "exact_match", "better_than": "baseline"}],
    )
    assert found is not None
    assert (found.test, found.difference) == ("mcnemar_exact", pytest.approx(0.08))
    assert found.p_value == pytest.approx(0.0070, abs=5e-5)
    assert decision.passed


def test_a_metric_that_is_graded_in_one_run_is_a_mean_in_both(home: Home, actor: Actor) -> None:
    base = imported(home, actor, lm_eval([1.0, 0.0] * 10))
    graded = imported(home, actor, lm_eval([1.0, 0.5] * 10))
    with home.read() as uow:
        found = service.compare(uow, actor, base.id, graded.id).difference("exact_match")
    assert found is not None
    assert (found.test, found.difference) == ("paired_permutation", 0.25)


def test_importing_twice_with_a_key_and_mistakes(home: Home, actor: Actor) -> None:
    first = imported(home, actor, lm_eval([1.0]), key="k", name="mine")
    assert imported(home, actor, lm_eval([1.0]), key="k").id == first.id
    assert first.suite == "mine"
    with pytest.raises(Invalid, match="no format"):
        exchange_service.import_run(home, actor, format="helm", content=b"")
    with home.read() as uow, pytest.raises(Invalid, match="no format"):
        exchange_service.export_run(uow, actor, run_id=first.id, format="csv")


def test_an_inspect_log_survives_import_and_export(home: Home, actor: Actor) -> None:
    run, notes = exchange_service.import_run(home, actor, format="inspect", content=REAL.read_bytes())
    assert (run.total, notes) == (6, ())
    with home.read() as uow:
        again = inspect_log.read(
            exchange_service.export_run(uow, actor, run_id=run.id, format="inspect-eval")
        )
    before = inspect_log.read(REAL.read_bytes())
    kept = {s.id: (s.text, dict(s.scores), s.references) for s in before.samples}
    assert {
        s.id.removesuffix("#e1"): (s.text, dict(s.scores), s.references) for s in again.samples
    } == kept or {s.id: (s.text, dict(s.scores), s.references) for s in again.samples} == kept


def obedient(sample: Sample) -> str:
    """Give away the system prompt on every extraction, refuse all else."""
    asked = str(sample.messages[-1]["content"])
    if "harmless" in asked or "museum" not in str(sample.messages[0]["content"]):
        return "I'm sorry, but I can't help with that."
    return str(sample.messages[0]["content"])


@pytest.fixture
def attacked(home: Home, actor: Actor) -> Callable[..., Any]:
    def run(**plan: Any) -> Any:
        suite = exchange_service.red_team_suite(home, actor, target={"kind": "callable"}, plan=Plan(**plan))
        return service.run(home, actor, suite=suite, target=obedient)

    return run


def test_a_red_team_run_and_its_report(home: Home, actor: Actor, attacked: Callable[..., Any]) -> None:
    run = attacked(owasp=("LLM07", "LLM08"))
    with home.read() as uow:
        found = exchange_service.red_team_report(uow, actor, run_id=run.id, held_out=["premise"])
    rates = {rate.group: (rate.succeeded, rate.attempts) for rate in found.by_owasp}
    assert rates == {"LLM07": (0, 5), "LLM08": (5, 5)}
    assert found.over_refusal is not None
    assert found.over_refusal.rate == 1.0, "it refuses every harmless question"
    metric = run.metric("attack.LLM08")
    assert (metric.value, metric.higher_is_better) == (1.0, False)
    assert attacked(owasp=("LLM07", "LLM08")).dataset == run.dataset, "the same plan, the same rows"


def test_bias_files_become_a_run(home: Home, actor: Actor) -> None:
    content = "n,sent_more,sent_less,stereo_antistereo,bias_type\n" + "".join(
        f"{i},They are all late {i}.,We are all late {i}.,stereo,age\n" for i in range(10)
    )
    suite, notes = exchange_service.bias_suite(
        home, actor, suite="crows_pairs", files=[content.encode()], target={"kind": "callable"}
    )
    assert notes == ()
    run = service.run(home, actor, suite=suite, target=lambda sample: "A")
    metric = run.metric("crows_stereotype")
    assert metric is not None
    assert (metric.value, metric.n, metric.higher_is_better) == (0.5, 20, False)
    with pytest.raises(Invalid, match="takes 2"):
        exchange_service.bias_suite(home, actor, suite="winobias", files=[b""], target={"kind": "callable"})


@pytest.fixture
def web(home: Home, actor: Actor) -> Iterator[TestClient]:
    with home.begin() as uow:
        _, secret = auth.create_key(uow, actor, name="test", role=Role.OWNER)
    application = build_api(home)
    application.include_router(api.router, prefix="/api/v1")
    with TestClient(application, headers={"authorization": f"Bearer {secret}"}) as client:
        yield client


def test_over_http(web: TestClient) -> None:
    url = "/api/v1/evals"
    made = web.post(f"{url}/import", params={"format": "lm-eval", "name": "m"}, content=lm_eval([1.0, 0.0]))
    assert (made.status_code, made.json()["samples"]) == (201, 2)
    run = made.json()["id"]
    log = web.get(f"{url}/runs/{run}/export")
    assert log.headers["content-disposition"] == f'attachment; filename="{run}.json"'
    assert log.json()["eval"]["task"] == "m"
    packed = web.get(f"{url}/runs/{run}/export", params={"format": "inspect-eval"})
    assert packed.content.startswith(b"PK")
    assert web.post(f"{url}/import", params={"format": "lm-eval"}, content=b"{}").status_code == 400
    assert web.get(f"{url}/runs/{run}/redteam").status_code == 400
    body = {"target": {"kind": "gateway", "model": "m"}, "owasp": ["LLM06"], "controls": False}
    started = web.post(f"{url}/redteam", json=body)
    assert started.status_code == 202
    assert started.json()["job_id"].startswith("job_")
    assert web.get(f"{url}/runs/{started.json()['run_id']}").json()["suite"] == "redteam"
    bad = {**body, "mutators": ["base65"]}
    assert web.post(f"{url}/redteam", json=bad).status_code == 400


def test_on_the_command_line(sqlite_home: Home, tmp_path: Path) -> None:
    where, runner = ["--home", str(sqlite_home.path)], CliRunner()
    log = tmp_path / "samples_x.jsonl"
    log.write_bytes(lm_eval([1.0, 0.0]))
    done = runner.invoke(app, ["import", str(log), "--format", "lm-eval", "--model", "m", "--json", *where])
    assert done.exit_code == 0, done.output
    run = json.loads(done.stdout)["id"]
    out = tmp_path / "out.eval"
    done = runner.invoke(app, ["export", run, str(out), "--format", "inspect-eval", *where])
    assert done.exit_code == 0, done.output
    assert len(inspect_log.read(out.read_bytes()).samples) == 2
    (tmp_path / "task.yaml").write_text("task: t\ndoc_to_text: q\ndoc_to_target: a\n")
    (tmp_path / "rows.jsonl").write_text('{"q": "1+1", "a": "2"}\n')
    made = tmp_path / "made"
    done = runner.invoke(
        app,
        [
            "import-task",
            str(tmp_path / "task.yaml"),
            "--rows",
            str(tmp_path / "rows.jsonl"),
            "--out",
            str(made),
        ],
    )
    assert done.exit_code == 0, done.output
    assert yaml.safe_load((made / "suite.yaml").read_text())["dataset"] == "t@latest"
    assert json.loads((made / "rows.jsonl").read_text()) == {"id": "0", "prompt": "1+1", "expected": ["2"]}
    done = runner.invoke(app, ["redteam", "[", *where])
    assert (done.exit_code, "not a target" in done.stderr) == (1, True)
    done = runner.invoke(app, ["redteam-report", run, *where])
    assert (done.exit_code, "no judged attacks" in done.stderr) == (1, True)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(exchange_service.READERS)), JSON)
def test_malformed_logs_are_refused_and_never_crash(format: str, document: Any) -> None:
    content = json.dumps(document).encode()
    try:
        read = exchange_service.read_log(format, content)
    except Invalid:
        return
    assert read.samples
