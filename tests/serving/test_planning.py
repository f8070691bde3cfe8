from dataclasses import replace

import pytest

from penstock.core import clock
from penstock.core.scope import Scope
from penstock.serving import planning
from penstock.serving.model import Deployment, DeploymentVersion, Policy, Quota, Wanted, shares
from penstock.serving.planning import Machine

START = clock.from_ns(10**18)
TEAM = Scope("default", "team")
DEFAULT = Scope()


def version(number: int, *, replicas: int = 1, memory: int | None = None, gpus: int = 0) -> DeploymentVersion:
    return DeploymentVersion(
        number=number,
        model=f"m@{number}",
        engine="fake",
        replicas=replicas,
        options={},
        memory_bytes=memory,
        gpus=gpus,
        author="a",
        created_at=START,
    )


def deployment(name: str = "a", *, policy: Policy | None = None, previous: int | None = None) -> Deployment:
    return Deployment(
        id=name,
        name=name,
        production=1 if previous is None else 2,
        candidate=None,
        weight=0.0,
        previous=previous,
        previous_until=clock.from_ns(10**18 + 10**12),
        policy=policy or Policy(),
        created_at=START,
        updated_at=START,
    )


def one(
    name: str, *, scope: Scope = DEFAULT, priority: int = 0, memory: int | None = None, gpus: int = 0
) -> Wanted:
    wanted = deployment(name, policy=Policy(priority=priority))
    return Wanted(scope=scope, deployment=wanted, version=version(1, memory=memory, gpus=gpus), position=0)


def names(plan: planning.Plan) -> list[str]:
    return sorted(key[0] for key in plan.admitted)


def test_where_memory_is_short_the_important_runs_and_the_other_says_why_it_waits() -> None:
    everything = [
        one("low", memory=6),
        one("high", memory=6, priority=5),
        one("small", memory=4, priority=-5),
    ]
    plan = planning.plan(everything, Machine(memory_bytes=10), {}, {})
    assert names(plan) == ["high", "small"]
    assert plan.refused[("low", 1, 0)][1] == "It needs 6 bytes of memory; 4 are free on this machine."


def test_quotas_bind_a_project_and_nobody_else() -> None:
    everything = [one("a", scope=TEAM), one("b", scope=TEAM), one("c")]
    plan = planning.plan(everything, Machine(memory_bytes=1), {TEAM: Quota(replicas=1)}, {})
    assert names(plan) == ["a", "c"]
    assert "quota is 1 replicas" in plan.refused[("b", 1, 0)][1]


@pytest.mark.parametrize(
    ("quota", "why"), [(Quota(memory_bytes=9), "9 bytes of memory"), (Quota(gpus=0), "0 GPUs")]
)
def test_memory_and_gpus_have_quotas_too(quota: Quota, why: str) -> None:
    everything = [one("a", scope=TEAM, memory=10, gpus=1)]
    plan = planning.plan(everything, Machine(memory_bytes=100, gpus=(0,)), {TEAM: quota}, {})
    assert why in plan.refused[("a", 1, 0)][1]


def test_gpus_are_exclusive_and_stay_with_who_has_them() -> None:
    everything = [one("a", gpus=1), one("b", gpus=2), one("c", gpus=1)]
    machine = Machine(memory_bytes=1, gpus=(0, 1, 2))
    plan = planning.plan(everything, machine, {}, {("b", 1, 0): (0, 1)})
    assert plan.gpus == {("a", 1, 0): (2,), ("b", 1, 0): (0, 1)}
    assert plan.refused[("c", 1, 0)][1] == "It needs 1 GPUs; 0 are free on this machine."
    again = planning.plan(everything, machine, {}, plan.gpus)
    assert again.gpus == plan.gpus, "a plan that fits is kept"


def test_a_rolling_update_goes_replica_by_replica_and_shares_the_traffic() -> None:
    rolling = deployment(policy=Policy(rolling=True), previous=1)
    versions = [version(2, replicas=3), version(1, replicas=3)]
    steps = []
    for ready in range(4):
        found = planning.counts(rolling, versions, {2: ready, 1: 3 - ready}, scale=None, at=START)
        steps.append((found[2], found[1]))
    assert steps == [(1, 3), (2, 2), (3, 1), (3, 0)]
    assert shares(rolling, {1: 2, 2: 1}) == {2: pytest.approx(1 / 3), 1: pytest.approx(2 / 3)}
    assert shares(rolling, {1: 0, 2: 3}) == {2: 1.0}
    assert shares(rolling, {1: 3, 2: 0}) == {1: 1.0}, "a new version that does not start takes nothing away"


def test_otherwise_the_earlier_version_stays_warm_beside_the_new_one() -> None:
    warm = deployment(previous=1)
    versions = [version(2, replicas=2), version(1, replicas=3)]
    assert planning.counts(warm, versions, {2: 2, 1: 3}, scale=None, at=START) == {2: 2, 1: 3}
    later = clock.from_ns(10**18 + 2 * 10**12)
    assert planning.counts(warm, versions, {2: 2, 1: 3}, scale=None, at=later) == {2: 2}
    assert planning.counts(warm, versions, {}, scale=5, at=START) == {2: 5, 1: 3}
    assert planning.counts(warm, versions, {}, scale=0, at=START) == {2: 0}, "asleep: nothing is kept warm"


def test_first_replicas_of_all_come_before_second_ones() -> None:
    first = one("a")
    everything = [first, replace(first, position=1), one("b")]
    plan = planning.plan(everything, Machine(memory_bytes=1), {Scope(): Quota(replicas=2)}, {})
    assert names(plan) == ["a", "b"]
