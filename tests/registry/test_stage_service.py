"""Stages: rules, what stands against a move, requests and their approval."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from penstock.core import clock, policy
from penstock.core.errors import Conflict, Denied, Invalid, NotFound, Unavailable
from penstock.core.home import Home
from penstock.core.scope import Actor, Role, Scope
from penstock.core.uow import UnitOfWork
from penstock.evals import store as evals
from penstock.evals.model import EvalRun, GateDecision, Metric, MetricKind, RunState
from penstock.registry import paper_service, service, stage_service
from penstock.registry.model import ModelVersion, Stage
from penstock.registry.stages.model import StageRequest, StageRequestState
from tests.registry.folders import base_folder

pytestmark = pytest.mark.usefixtures("checks")


def member(actor: Actor, name: str, role: Role = Role.MEMBER) -> Actor:
    return Actor(id=f"key_{name}", name=name, role=role, scope=actor.scope)


@pytest.fixture
def versions(home: Home, actor: Actor, tmp_path: Path) -> list[ModelVersion]:
    """Two versions of `triage`."""
    return [
        service.register(
            home, actor, name="triage", folder=base_folder(tmp_path / str(n), {"n.txt": str(n)}), kind="base"
        )
        for n in (1, 2)
    ]


def rule(home: Home, actor: Actor, *rules: dict[str, Any]) -> None:
    with home.begin() as uow:
        stage_service.set_rules(uow, actor, rules=list(rules))


def move(home: Home, actor: Actor, ref: str, stage: str, **more: str) -> ModelVersion | StageRequest:
    with home.begin() as uow:
        return stage_service.move(uow, actor, ref=ref, stage=stage, **more)


def asked(home: Home, actor: Actor, ref: str, stage: str, **more: str) -> StageRequest:
    found = move(home, actor, ref, stage, **more)
    assert isinstance(found, StageRequest)
    return found


def stage_of(home: Home, actor: Actor, ref: str) -> Stage:
    with home.read() as uow:
        return service.get(uow, actor, ref=ref).stage


def test_without_rules_versions_move_freely_and_every_move_is_kept(
    home: Home, actor: Actor, versions: list[ModelVersion]
) -> None:
    move(home, actor, "triage@1", "staging", comment="try it")
    move(home, actor, "triage@1", "staging")
    move(home, actor, "triage@1", "production")
    with home.read() as uow:
        moves = stage_service.history(uow, actor, name="triage", number=1)
        assert stage_service.history(uow, actor, name="triage", number=2) == []
    assert [(m.stage, m.previous, m.comment) for m in moves] == [
        (Stage.PRODUCTION, Stage.STAGING, ""),
        (Stage.STAGING, Stage.DEVELOPMENT, "try it"),
    ]
    with pytest.raises(Invalid, match="not a stage"):
        move(home, actor, "triage@1", "prod")


def test_the_way_and_the_papers(home: Home, actor: Actor, versions: list[ModelVersion]) -> None:
    rule(
        home,
        actor,
        {
            "stage": "production",
            "after": ["staging"],
            "papers": ["licence", "intended_use", "signature", "scan", "manifest"],
        },
    )
    with pytest.raises(Denied) as caught:
        move(home, actor, "triage@1", "production")
    assert caught.value.details["reasons"] == [
        "It is in development; production is reached from staging.",
        "Its licence is not stated.",
        "Its intended use is not stated.",
        "Its signature is not stated.",
    ]
    move(home, actor, "triage@1", "staging")
    with home.begin() as uow:
        paper_service.state(
            uow,
            actor,
            ref="triage@1",
            licence="MIT",
            intended_use="tickets",
            signed={"task": "chat", "inputs": [{"name": "messages", "type": "array"}]},
        )
        (staging, production) = (
            {t.stage: t.reasons for t in stage_service.transitions(uow, actor, ref=ref)}[Stage.PRODUCTION]
            for ref in ("triage@1", "triage@2")
        )
    assert (staging, len(production)) == ((), 4)
    move(home, actor, "triage@1", "production")
    assert stage_of(home, actor, "triage@1") is Stage.PRODUCTION


def test_a_model_may_have_a_rule_of_its_own(home: Home, actor: Actor, versions: list[ModelVersion]) -> None:
    rule(
        home,
        actor,
        {"stage": "production", "after": ["staging"]},
        {"stage": "production", "model": "triage"},
    )
    move(home, actor, "triage@1", "production")
    assert stage_of(home, actor, "triage@1") is Stage.PRODUCTION


def test_the_version_before_leaves_a_stage_for_one(
    home: Home, actor: Actor, versions: list[ModelVersion]
) -> None:
    rule(home, actor, {"stage": "production", "alone": True})
    move(home, actor, "triage@1", "production")
    move(home, actor, "triage@2", "production")
    assert stage_of(home, actor, "triage@1") is Stage.ARCHIVED
    with home.read() as uow:
        (newest, _) = stage_service.history(uow, actor, name="triage", number=1)
    assert (newest.stage, newest.comment) == (Stage.ARCHIVED, "replaced by triage@2")


def test_others_must_approve(home: Home, actor: Actor, versions: list[ModelVersion]) -> None:
    rule(home, actor, {"stage": "production", "approvals": 2})
    ann, bob, eve = (member(actor, name) for name in ("ann", "bob", "eve"))
    request = asked(home, ann, "triage@1", "production", comment="better")
    assert asked(home, ann, "triage@1", "production").id == request.id, "asked once"
    with home.begin() as uow:
        with pytest.raises(Denied, match="You asked for this yourself"):
            stage_service.approve(uow, ann, id=request.id)
        waiting = stage_service.approve(uow, bob, id=request.id)
        assert (waiting.state, len(waiting.approvals)) == (StageRequestState.OPEN, 1)
        with pytest.raises(Conflict, match="approved this already"):
            stage_service.approve(uow, bob, id=request.id)
    assert stage_of(home, actor, "triage@1") is Stage.DEVELOPMENT
    with home.begin() as uow:
        done = stage_service.approve(uow, eve, id=request.id, reason="measured")
        (entry,) = stage_service.history(uow, actor, name="triage", number=1)
        with pytest.raises(Conflict, match="approved already, by eve"):
            stage_service.reject(uow, bob, id=request.id)
    assert (done.state, done.decided_by, done.reason) == (StageRequestState.APPROVED, "eve", "measured")
    assert (entry.actor, entry.approved_by, entry.comment) == ("ann", ("bob", "eve"), "better")
    assert stage_of(home, actor, "triage@1") is Stage.PRODUCTION
    with home.begin() as uow:
        assert (
            service.set_alias(uow, ann, name="triage", alias="production", version=1).aliases["production"]
            == 1
        )


def test_nobody_gets_around_approvals(home: Home, actor: Actor, versions: list[ModelVersion]) -> None:
    rule(home, actor, {"stage": "production", "approvals": 1, "role": "admin", "after": ["staging"]})
    ann = member(actor, "ann")
    with home.begin() as uow, pytest.raises(Denied, match="reached from staging"):
        stage_service.move(uow, ann, ref="triage@1", stage="production")
    move(home, ann, "triage@1", "staging")
    with home.begin() as uow, pytest.raises(Denied, match="approval of 1 other"):
        service.set_stage(uow, actor, ref="triage@1", stage="production")
    with home.begin() as uow, pytest.raises(Denied, match="It is in staging; move it into production first"):
        service.set_alias(uow, ann, name="triage", alias="production", version=1)
    with home.begin() as uow:
        service.set_alias(uow, ann, name="triage", alias="candidate", version=1)
    request = asked(home, ann, "triage@1", "production")
    with home.begin() as uow:
        with pytest.raises(Denied, match="Only the role admin"):
            stage_service.approve(uow, member(actor, "bob"), id=request.id)
        with pytest.raises(Denied, match="viewer"):
            stage_service.approve(uow, member(actor, "eve", Role.VIEWER), id=request.id)
        stranger = replace(member(actor, "zoe", Role.OWNER), scope=Scope("default", "other"))
        with pytest.raises(NotFound):
            stage_service.approve(uow, stranger, id=request.id)
        with pytest.raises(Denied, match="admin"):
            stage_service.set_rules(uow, ann, rules=[])
        service.set_stage(uow, ann, ref="triage@1", stage="archived")
        with pytest.raises(Conflict, match="has moved to archived"):
            stage_service.approve(uow, member(actor, "ada", Role.ADMIN), id=request.id)
        assert stage_service.reject(uow, ann, id=request.id).state is StageRequestState.REJECTED
        found = stage_service.list_requests(uow, actor, name="triage")
    assert [each.state for each in found] == [StageRequestState.REJECTED]


def record(uow: UnitOfWork, actor: Actor, run_id: str, value: float, model: str = "triage@1") -> None:
    run = EvalRun(
        id=run_id,
        suite="tickets",
        spec={},
        dataset="tickets@1",
        dataset_version="dsv_1",
        dataset_hash="0",
        target="transformers",
        model=model,
        state=RunState.SUCCEEDED,
        created_at=clock.now(),
    )
    evals.insert_run(uow.conn, actor.scope, run)
    metric = Metric(
        name="exact", value=value, low=value - 0.1, high=value + 0.1, n=50, method="x", kind=MetricKind.MEAN
    )
    evals.replace_metrics(uow.conn, actor.scope, run_id, [metric])


def test_required_evaluations(home: Home, actor: Actor, versions: list[ModelVersion]) -> None:
    need = {"suite": "tickets", "metric": "exact", "min": 0.8, "bound": "low", "gate": True}
    rule(home, actor, {"stage": "production", "evaluations": [need]})
    with pytest.raises(Denied, match="'tickets' has not been run to its end on triage@1"):
        move(home, actor, "triage@1", "production")
    with home.begin() as uow:
        record(uow, actor, "evr_0", 0.99, model="triage@2")
        record(uow, actor, "evr_1", 0.85)
    with pytest.raises(Denied, match="has not been through a gate"):
        move(home, actor, "triage@1", "production")
    decision = GateDecision(
        id="gat_1", run_id="evr_1", baseline_id=None, passed=True, checks=(), created_at=clock.now()
    )
    with home.begin() as uow:
        evals.insert_gate(uow.conn, actor.scope, decision)
    with pytest.raises(Denied, match=r"the low end 75\.0% is not at least 80\.0%"):
        move(home, actor, "triage@1", "production")
    with home.begin() as uow:
        record(uow, actor, "evr_2", 0.95)
        evals.insert_gate(uow.conn, actor.scope, replace(decision, id="gat_2", run_id="evr_2"))
    move(home, actor, "triage@1", "production")
    assert stage_of(home, actor, "triage@1") is Stage.PRODUCTION


def test_evaluations_that_nobody_can_tell_of_are_not_taken_for_granted(
    home: Home, actor: Actor, versions: list[ModelVersion]
) -> None:
    rule(home, actor, {"stage": "production", "evaluations": [{"suite": "tickets"}]})
    policy.clear()
    with pytest.raises(Unavailable, match="nothing here can tell"):
        move(home, actor, "triage@1", "production")


def test_a_check_of_an_upper_slice_is_heard(home: Home, actor: Actor, versions: list[ModelVersion]) -> None:
    policy.register("models.stage.write", lambda uow, actor, action, resource: f"No {resource} on Fridays.")
    with pytest.raises(Denied, match="No triage@1:staging on Fridays"):
        move(home, actor, "triage@1", "staging")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ([{"stage": "prod"}], "not a list of rules"),
        ([{"stage": "production", "approval": 1}], "unknown field `approval`"),
        ([{"stage": "production", "approvals": 99}], "between 0 and 10"),
        ([{"stage": "production"}, {"stage": "production"}], "two rules"),
        ([{"stage": "staging", "after": ["staging"]}], "cannot come to staging from staging"),
        ([{"stage": "staging", "role": "gateway"}], "cannot approve"),
        ([{"stage": "staging", "model": "No!"}], "not a model name"),
        ([{"stage": "staging", "evaluations": [{"suite": ""}]}], "names its suite"),
        ([{"stage": "staging", "evaluations": [{"suite": "t", "min": 1}]}], "needs a metric"),
        (
            [{"stage": "staging", "evaluations": [{"suite": "t", "metric": "m", "min": 1, "bound": "x"}]}],
            "bound",
        ),
    ],
)
def test_rules_that_are_none(home: Home, actor: Actor, wrong: list[Any], why: str) -> None:
    with home.begin() as uow, pytest.raises(Invalid, match=why):
        stage_service.set_rules(uow, actor, rules=wrong)
