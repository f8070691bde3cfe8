"""HTTP of evaluations."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from tests.evals.support import answer, ingest, make_suite

from penstock.app.server import build_api
from penstock.core.auth import service as auth
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.evals import api, service


@pytest.fixture
def http(home: Home, actor: Actor) -> Iterator[TestClient]:
    with home.begin() as uow:
        _, secret = auth.create_key(uow, actor, name="test", role=Role.OWNER)
    app = build_api(home)
    app.include_router(api.router, prefix="/api/v1")
    with TestClient(app, headers={"authorization": f"Bearer {secret}"}) as client:
        yield client


def test_runs_samples_comparison_and_gates(http: TestClient, home: Home, actor: Actor) -> None:
    dataset = ingest(home, actor, 30)
    base = service.run(home, actor, suite=make_suite(dataset), target=answer(set(range(15))))
    best = service.run(home, actor, suite=make_suite(dataset), target=answer(set()))
    page = http.get("/api/v1/evals/runs", params={"limit": 1}).json()
    assert [run["id"] for run in page["items"]] == [best.id]
    page = http.get("/api/v1/evals/runs", params={"cursor": page["next"]}).json()
    assert ([run["id"] for run in page["items"]], page["next"]) == ([base.id], None)
    run = http.get(f"/api/v1/evals/runs/{base.id}").json()
    (exact,) = (m for m in run["metrics"] if m["name"] == "exact")
    assert (exact["value"], exact["n"]) == (0.5, 30)
    assert exact["low"] < 0.5 < exact["high"]
    samples = http.get(f"/api/v1/evals/runs/{base.id}/samples", params={"limit": 20}).json()
    assert samples["items"][0]["scores"]["exact"] == 0.0
    assert samples["items"][0]["messages"][0]["role"] == "user"
    rest = http.get(f"/api/v1/evals/runs/{base.id}/samples", params={"cursor": samples["next"]}).json()
    assert (len(rest["items"]), rest["next"]) == (10, None)
    found = http.get("/api/v1/evals/compare", params={"baseline": base.id, "candidate": best.id}).json()
    assert found["shared"] == 30
    assert next(d for d in found["differences"] if d["name"] == "exact")["verdict"] == "better"
    rules = [{"metric": "exact", "better_than": "baseline"}]
    gate = http.post("/api/v1/evals/gates", json={"run_id": best.id, "baseline_id": base.id, "rules": rules})
    assert (gate.status_code, gate.json()["passed"]) == (201, True)
    assert http.get("/api/v1/evals/gates", params={"run_id": best.id}).json()["items"] == [gate.json()]


def test_rows_side_by_side_and_what_a_gate_leaves_behind(http: TestClient, home: Home, actor: Actor) -> None:
    dataset = ingest(home, actor, 30)
    runs = [
        service.run(home, actor, suite=make_suite(dataset), target=answer(set(range(wrong))))
        for wrong in (0, 5, 9)
    ]
    wanted = {"baseline": runs[0].id, "candidate": runs[1].id, "more": runs[2].id, "limit": 4}
    found = http.get("/api/v1/evals/compare", params=wanted).json()
    assert [one["candidate_id"] for one in found["comparisons"]] == [runs[1].id, runs[2].id]
    assert [row["sample_id"] for row in found["rows"]] == ["t0", "t1", "t2", "t3"]
    assert [piece["op"] for piece in found["rows"][0]["sides"][1]["pieces"]] == ["equal", "insert", "equal"]
    rest = http.get("/api/v1/evals/compare/rows", params={**wanted, "cursor": found["next"], "limit": 100})
    assert (len(rest.json()["items"]), rest.json()["next"]) == (26, None)
    assert rest.json()["items"][1]["sides"][1]["pieces"] == []
    assert http.get("/api/v1/evals/compare/rows", params={**wanted, "cursor": "-1"}).status_code == 400
    clustered = http.get("/api/v1/evals/compare", params={**wanted, "cluster": "completion"}).json()
    exact = next(d for d in clustered["differences"] if d["name"] == "exact")
    assert (exact["test"], exact["clusters"]) == ("clustered_t", 6)
    new = {"run_id": runs[2].id, "rules": [{"metric": "exact", "min": 0.9}]}
    gate = http.post("/api/v1/evals/gates", json=new).json()
    badge = http.get(f"/api/v1/evals/runs/{runs[2].id}/badge.svg")
    assert (badge.status_code, badge.headers["content-type"]) == (200, "image/svg+xml")
    assert "1 of 1 failed" in badge.text
    junit = http.get(f"/api/v1/evals/gates/{gate['id']}/junit.xml")
    assert (junit.headers["content-type"], 'failures="1"' in junit.text) == ("application/xml", True)
    summary = http.get(f"/api/v1/evals/gates/{gate['id']}/summary.md").text
    assert "not at least 90.0%" in summary


def test_starting_a_run_queues_it(http: TestClient, home: Home, actor: Actor) -> None:
    suite = {"name": "s", "dataset": ingest(home, actor, 3), "target": {"kind": "gateway", "model": "m"}}
    made = http.post("/api/v1/evals/runs", json={"suite": suite, "key": "k"})
    assert (made.status_code, made.json()["state"]) == (202, "queued")
    assert made.json()["job_id"].startswith("job_")
    assert http.post("/api/v1/evals/runs", json={"suite": suite, "key": "k"}).json() == made.json()


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/runs/evr_none", None, 404),
        ("GET", "/runs/evr_none/samples?cursor=x", None, 400),
        ("GET", "/compare?baseline=a&candidate=b", None, 404),
        ("GET", "/gates/gate_none/junit.xml", None, 404),
        ("GET", "/runs/evr_none/badge.svg", None, 404),
        ("POST", "/runs", {"suite": {"name": "s"}}, 400),
        ("POST", "/gates", {"run_id": "evr_none", "rules": [{"metric": "exact", "min": 0}]}, 404),
        ("POST", "/gates", {"run_id": "evr_none", "rules": [{"metric": "exact"}]}, 400),
    ],
)
def test_mistakes(http: TestClient, method: str, path: str, body: object, status: int) -> None:
    assert http.request(method, f"/api/v1/evals{path}", json=body).status_code == status
