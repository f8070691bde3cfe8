from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core import clock
from penstock.core.errors import Conflict, Denied, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.ids import new_span_id, new_trace_id
from penstock.core.lineage import neighbours
from penstock.core.scope import Actor, Role
from penstock.registry import service as registry
from penstock.serving import compare, service
from penstock.serving.model import Deployment, shares
from penstock.traces import service as traces
from penstock.traces.model import SpanRecord
from tests.fakes.engine import FakeEngine
from tests.registry.folders import base_folder

Make = Callable[[int], str]


def test_deploying_the_same_twice_changes_nothing(
    home: Home, actor: Actor, engine: FakeEngine, model: Make
) -> None:
    ref = model(1)
    with home.begin() as uow:
        first = service.deploy(uow, actor, name="triage", model="triage")
        assert service.deploy(uow, actor, name="triage", model=ref) == first
        assert len(service.history(uow, actor, name="triage")) == 1
        other = service.deploy(uow, actor, name="triage", model=ref, options={"threads": 2})
    assert (first.production, other.production, other.previous) == (1, 2, 1)
    with home.read() as uow:
        edges = neighbours(uow.conn, actor.scope, "deployment", "triage@2")
    assert [(edge.parent_ref, edge.role) for edge in edges] == [("triage@1", "serves")]


def test_wrong_requests_say_what_is_right(
    home: Home, actor: Actor, engine: FakeEngine, model: Make, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ref = model(1)
    registry.register(
        home, actor, name="whole", folder=base_folder(tmp_path_factory.mktemp("w")), kind="base"
    )
    cases: list[tuple[dict[str, object], type[Exception], str]] = [
        ({"name": "Not OK", "model": ref}, Invalid, "not a deployment name"),
        ({"name": "x", "model": "nowhere@1"}, NotFound, "no model 'nowhere'"),
        ({"name": "x", "model": "triage@7"}, NotFound, "no version 7"),
        (
            {"name": "x", "model": "whole@1"},
            Invalid,
            "runs models of kind gguf; whole@1 is of kind base.*export",
        ),
        ({"name": "x", "model": ref, "replicas": 0}, Invalid, "1 to 64 replicas"),
        ({"name": "x", "model": ref, "options": {"speed": 9}}, Invalid, "unknown option 'speed'"),
    ]
    for request, kind, why in cases:
        with pytest.raises(kind, match=why), home.begin() as uow:
            service.deploy(uow, actor, **request)  # type: ignore[arg-type]
    with home.read() as uow:
        assert service.list_deployments(uow, actor) == []
        with pytest.raises(NotFound, match="no deployment 'x'"):
            service.status(uow, actor, name="x")
    viewer = Actor(id="v", name="v", role=Role.VIEWER)
    with pytest.raises(Denied), home.begin() as uow:
        service.deploy(uow, viewer, name="x", model=ref)


def test_only_an_admin_says_which_program_runs(
    home: Home, actor: Actor, engine: FakeEngine, model: Make
) -> None:
    ref, other = model(1), model(2)
    member = Actor(id="m", name="m", role=Role.MEMBER)
    with home.begin() as uow:
        service.deploy(uow, member, name="x", model=ref, options={"shell": "", "threads": 2})
    with pytest.raises(Denied), home.begin() as uow:
        service.deploy(uow, member, name="x", model=ref, options={"shell": "sh"})
    with home.begin() as uow:
        service.deploy(uow, actor, name="x", model=ref, options={"shell": "sh"})
    with home.begin() as uow:  # what an admin chose stays when somebody else gives another model
        service.deploy(uow, member, name="x", model=other, options={"shell": "sh"})
        service.canary(uow, member, name="x", model=ref, weight=0.1)
    with pytest.raises(Denied), home.begin() as uow:
        service.canary(uow, member, name="x", model=ref, weight=0.1, options={"shell": "zsh"})


def test_an_unknown_engine_gets_a_suggestion(home: Home, actor: Actor, model: Make) -> None:
    ref = model(1)
    with pytest.raises(Invalid, match="Did you mean 'llamacpp'"), home.begin() as uow:
        service.deploy(uow, actor, name="x", model=ref, engine="llama")


def test_canary_rules(home: Home, actor: Actor, engine: FakeEngine, model: Make) -> None:
    first, second = model(1), model(2)
    with home.begin() as uow:
        service.deploy(uow, actor, name="triage", model=first)
        with pytest.raises(Conflict, match="no canary to promote"):
            service.promote(uow, actor, name="triage")
        with pytest.raises(Conflict, match="no earlier version"):
            service.rollback(uow, actor, name="triage")
        with pytest.raises(Conflict, match="no canary to compare"):
            service.canary_report(uow, actor, name="triage")
        with pytest.raises(Conflict, match="has in production"):
            service.canary(uow, actor, name="triage", model=first)
        for weight in (1.0, -0.1, float("nan")):
            with pytest.raises(Invalid, match="at least 0 and below 1"):
                service.canary(uow, actor, name="triage", model=second, weight=weight)
        service.canary(uow, actor, name="triage", model=second)
        with pytest.raises(Conflict, match="canary running"):
            service.deploy(uow, actor, name="triage", model=second)
        assert service.rollback(uow, actor, name="triage").candidate is None


def test_the_report_compares_both_sides_since_the_canary_began(
    home: Home, actor: Actor, engine: FakeEngine, model: Make
) -> None:
    first, second = model(1), model(2)

    def record(endpoint: str, calls: int, failing: int, ms: int) -> None:
        start = clock.now_ns()
        spans = [
            SpanRecord(
                trace_id=new_trace_id(),
                span_id=new_span_id(),
                name="chat",
                kind="llm",
                model=endpoint,
                provider="local",
                start_ns=start,
                end_ns=start + ms * 1_000_000,
                status="error" if number < failing else "ok",
                input_tokens=10,
                output_tokens=5,
            )
            for number in range(calls)
        ]
        traces.ingest(home, actor.scope, spans)

    with home.begin() as uow:
        service.deploy(uow, actor, name="triage", model=first)
    record("triage@1", 50, 50, 900)
    with clock.frozen(clock.from_ns(clock.now_ns() + 7200 * 10**9)):
        with home.begin() as uow:
            service.canary(uow, actor, name="triage", model=second)
        with home.read() as uow:
            empty = service.canary_report(uow, actor, name="triage")
        assert (empty.canary.calls, empty.canary.error_rate, empty.more_errors) == (0, None, False)
        record("triage@1", 100, 0, 20)
        record("triage@2", 40, 10, 30)
        with home.read() as uow:
            report = service.canary_report(uow, actor, name="triage")
    assert (report.production.calls, report.canary.calls) == (100, 40)
    assert (report.production.errors, report.canary.errors) == (0, 10)
    assert report.latency_ratio == pytest.approx(1.5)
    assert report.canary.output_tokens_per_call == 5
    assert report.more_errors is True


def test_wilson_against_published_values() -> None:
    # Newcombe 1998, Statistics in Medicine 17: 857-872, table I, method 3.
    for hits, total, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
    ):
        assert compare.wilson(hits, total) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_waiting_says_what_is_missing(home: Home, actor: Actor, engine: FakeEngine, model: Make) -> None:
    ref = model(1)
    with home.begin() as uow:
        service.deploy(uow, actor, name="triage", model=ref)
    with pytest.raises(Exception, match=r"not ready within 0\.1 seconds.*penstock up"):
        service.until_ready(home, actor, name="triage", timeout=0.1)


@given(
    weight=st.floats(0, 0.99),
    ready=st.dictionaries(st.integers(1, 3), st.booleans()),
    candidate=st.sampled_from([None, 2]),
    previous=st.sampled_from([None, 3]),
)
def test_shares_add_up_and_go_to_versions_that_are_ready(
    weight: float, ready: dict[int, bool], candidate: int | None, previous: int | None
) -> None:
    moment = clock.from_ns(0)
    deployment = Deployment(
        id="d",
        name="d",
        production=1,
        candidate=candidate,
        weight=weight,
        previous=previous,
        previous_until=moment,
        created_at=moment,
        updated_at=moment,
    )
    given_ = shares(deployment, ready)
    assert sum(given_.values()) == pytest.approx(1)
    wanted = [number for number in (1, candidate, previous) if number is not None]
    if any(ready.get(number) for number in wanted):
        assert all(ready.get(number) for number in given_)
    else:
        assert given_ == {1: 1.0}
