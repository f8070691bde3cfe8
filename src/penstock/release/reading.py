"""Plans as tables: of a YAML file or a request."""

from collections.abc import Mapping
from typing import Any

import msgspec
import yaml

from penstock.core.errors import Invalid
from penstock.release.metrics import metric
from penstock.release.model import Kind, Plan, PlannedArm, Step, Subject, SubjectType


class _Arm(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    weight: float = 1.0
    provider: str = ""
    model: str = ""
    route: str = ""
    version: int | None = None
    params: dict[str, Any] = {}


class _Subject(msgspec.Struct, forbid_unknown_fields=True):
    type: SubjectType
    route: str = ""
    deployment: str = ""
    prompt: str = ""
    label: str = "production"


class _Step(msgspec.Struct, forbid_unknown_fields=True):
    weight: float
    min_calls: int = 200
    min_seconds: float = 60.0


class _Metric(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    direction: str = ""
    harm: float | None = None


class _Plan(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    kind: Kind
    subject: _Subject
    arms: list[_Arm]
    steps: list[_Step] = []
    metrics: list[_Metric] = []
    alpha: float = 0.05
    sticky_by: str = "user"
    evidence: str = "no_harm"
    goal: str = ""
    sampler: str = "top_two"
    suite: str = ""
    scorers: list[Any] = []
    score_share: float = 1.0
    judge: dict[str, Any] = {}
    judge_share: float = 0.1
    judge_usd: float = 1.0
    auto_promote: bool | None = None
    max_in_flight: int = 10
    usd_per_day: float | None = None


def plan_of(table: Mapping[str, Any]) -> Plan:
    """Return the plan that a table describes; raises Invalid, naming what is wrong.

    A canary promotes itself at its end unless told not to; other kinds wait for somebody.
    """
    try:
        read = msgspec.convert(table, _Plan)
    except msgspec.ValidationError as error:
        raise Invalid(f"The release is not right: {error}.") from error
    own = read.auto_promote
    return Plan(
        name=read.name,
        kind=read.kind,
        subject=Subject(**msgspec.structs.asdict(read.subject)),
        arms=tuple(PlannedArm(**msgspec.structs.asdict(arm)) for arm in read.arms),
        steps=tuple(Step(**msgspec.structs.asdict(step)) for step in read.steps),
        metrics=tuple(metric(each.name, each.direction, each.harm) for each in read.metrics),
        alpha=read.alpha,
        sticky_by=read.sticky_by,
        evidence=read.evidence,
        goal=read.goal,
        sampler=read.sampler,
        suite=read.suite,
        scorers=tuple(read.scorers),
        score_share=read.score_share,
        judge=read.judge,
        judge_share=read.judge_share,
        judge_usd=read.judge_usd,
        auto_promote=read.kind is Kind.CANARY if own is None else own,
        max_in_flight=read.max_in_flight,
        usd_per_day=read.usd_per_day,
    )


def plan_from_yaml(text: str) -> Plan:
    """Return the plan that a YAML text describes; raises Invalid."""
    try:
        table = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Invalid(f"The file is not YAML: {error}.") from error
    if not isinstance(table, dict):
        raise Invalid("The file must be a table: name, kind, subject, arms.")
    return plan_of(table)
