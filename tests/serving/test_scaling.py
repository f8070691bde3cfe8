import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import Invalid
from penstock.serving.model import Autoscale
from penstock.serving.scaling import Demand, Scaler


def busy(requests: int = 0, *, ready: int = 1, done: int = 0, latency_ms: float | None = None) -> Demand:
    return Demand(requests=requests, done=done, ready=ready, latency_ms=latency_ms)


def test_it_grows_at_once_and_shrinks_only_after_half_a_minute() -> None:
    rule, scaler = Autoscale(min=1, max=5, requests=4), Scaler(0.0)
    assert scaler.decide(0.0, rule, busy(1)) == 1
    assert scaler.decide(1.0, rule, busy(9)) == 3
    assert scaler.decide(2.0, rule, busy(100)) == 5, "never above max"
    assert scaler.decide(20.0, rule, busy(1)) == 5, "a short lull"
    assert scaler.decide(33.0, rule, busy(5)) == 2, "nothing above two replicas was needed for 30 seconds"
    assert scaler.decide(70.0, rule, busy(0)) == 1


def test_slow_calls_add_one_replica_and_wait_for_its_effect() -> None:
    rule, scaler = Autoscale(min=1, max=4, requests=10, latency_ms=200), Scaler(0.0)
    assert scaler.decide(0.0, rule, busy(1, latency_ms=150)) == 1
    assert scaler.decide(1.0, rule, busy(1, latency_ms=900)) == 2
    assert scaler.decide(2.0, rule, busy(1, ready=1, latency_ms=900)) == 2, "the second is still starting"
    assert scaler.decide(10.0, rule, busy(1, ready=2, latency_ms=900)) == 2, "its effect is waited for"
    assert scaler.decide(20.0, rule, busy(1, ready=2, latency_ms=900)) == 3


def test_it_sleeps_when_nobody_calls_and_wakes_when_somebody_waits() -> None:
    rule, scaler = Autoscale(min=0, max=3, idle=60), Scaler(0.0)
    assert scaler.decide(0.0, rule, busy(0, ready=1)) == 1
    assert scaler.decide(50.0, rule, busy(0, done=7)) == 1
    assert scaler.decide(100.0, rule, busy(0, done=7)) == 1, "the last call was 50 seconds ago"
    assert scaler.decide(111.0, rule, busy(0, done=7)) == 0
    assert scaler.decide(500.0, rule, busy(0, done=7, ready=0)) == 0
    asked = Demand(requests=0, done=7, ready=0, asked=True)
    assert scaler.decide(501.0, rule, asked) == 1
    assert scaler.decide(510.0, rule, busy(0, done=7, ready=0)) == 1, (
        "it has not answered yet, and goes on starting"
    )


def test_a_new_deployment_that_may_sleep_starts_asleep_and_one_that_may_not_starts_awake() -> None:
    assert Scaler(0.0).decide(0.0, Autoscale(min=0, max=2), busy(0, ready=0)) == 0
    assert Scaler(0.0).decide(0.0, Autoscale(min=2, max=4), busy(0, ready=0)) == 2


@given(
    low=st.integers(0, 3),
    more=st.integers(0, 5),
    steps=st.lists(st.tuples(st.floats(0, 100), st.integers(0, 500), st.booleans()), max_size=30),
)
def test_the_figure_stays_between_min_and_max(
    low: int, more: int, steps: list[tuple[float, int, bool]]
) -> None:
    rule, scaler, now = Autoscale(min=low, max=max(1, low + more), latency_ms=10), Scaler(0.0), 0.0
    for seconds, requests, slow in steps:
        now += seconds
        found = scaler.decide(now, rule, busy(requests, latency_ms=50 if slow else None))
        assert rule.min <= found <= rule.max
        if requests:
            assert found >= 1


@pytest.mark.parametrize(
    "wrong",
    [{"min": 2, "max": 1}, {"min": -1}, {"max": 65}, {"min": 0, "max": 0}, {"idle": 0}, {"requests": -1}],
)
def test_impossible_rules_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(Invalid):
        Autoscale(**{"min": 1, "max": 2, **wrong})  # type: ignore[arg-type]


def test_it_sleeps_only_on_a_measurement_made_after_it_was_idle_for_long_enough() -> None:
    rule, scaler = Autoscale(min=0, max=1, idle=0.5), Scaler(0.0)

    def seen(requests: int, at: float) -> Demand:
        return Demand(requests=requests, done=0, ready=1, measured=at)

    assert scaler.decide(0.0, rule, seen(0, float("-inf"))) == 1, "not measured at all yet"
    assert scaler.decide(1.9, rule, seen(0, 0.0)) == 1, "what began after the measurement is not known"
    assert scaler.decide(2.0, rule, seen(2, 2.0)) == 1
    assert scaler.decide(3.9, rule, seen(0, 2.1)) == 1
    assert scaler.decide(4.0, rule, seen(0, 4.0)) == 0
