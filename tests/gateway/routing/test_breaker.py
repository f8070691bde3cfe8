"""The breaker's states, on a clock of the test's own."""

from hypothesis import given
from hypothesis import strategies as st

from penstock.gateway.model import Breaker as Policy
from penstock.gateway.routing.breaker import LONGEST_REST, Breaker, Permit, State

ROW = Policy(failures=3, error_rate=0.0, seconds=10.0)


def _fail(breaker: Breaker, now: float, times: int = 1) -> None:
    for _ in range(times):
        breaker.leave(breaker.enter(now), False, now)


def test_failures_in_a_row_open_it() -> None:
    breaker = Breaker(ROW)
    _fail(breaker, 0.0, 2)
    breaker.leave(breaker.enter(0.0), True, 0.0)
    _fail(breaker, 0.0, 2)
    assert breaker.state is State.CLOSED, "a success begins the count anew"
    _fail(breaker, 1.0)
    assert breaker.state is State.OPEN and breaker.enter(5.0) is Permit.NO and breaker.refuses(5.0)


def test_a_probe_closes_it_or_doubles_the_rest() -> None:
    breaker = Breaker(ROW)
    _fail(breaker, 0.0, 3)
    assert not breaker.refuses(10.0)
    probe = breaker.enter(10.0)
    assert probe is Permit.PROBE and breaker.state is State.HALF_OPEN
    assert breaker.enter(10.0) is Permit.NO, "one probe at a time"
    breaker.leave(probe, False, 11.0)
    assert breaker.state is State.OPEN and breaker.opens_at == 31.0
    breaker.leave(breaker.enter(31.0), True, 31.0)
    assert breaker.state is State.CLOSED and breaker.enter(31.0) is Permit.YES
    _fail(breaker, 40.0, 3)
    assert breaker.opens_at == 50.0, "the rest is short again"


def test_a_cancelled_probe_makes_room_for_another() -> None:
    breaker = Breaker(ROW)
    _fail(breaker, 0.0, 3)
    breaker.leave(breaker.enter(10.0), None, 10.0)
    assert breaker.state is State.HALF_OPEN and breaker.enter(10.0) is Permit.PROBE


def test_late_answers_of_earlier_calls_change_nothing() -> None:
    breaker = Breaker(ROW)
    late = breaker.enter(0.0)
    _fail(breaker, 0.0, 3)
    breaker.leave(late, True, 1.0)
    assert breaker.state is State.OPEN
    probe = breaker.enter(10.0)
    breaker.leave(Permit.YES, False, 10.0)
    assert breaker.state is State.HALF_OPEN
    breaker.leave(probe, True, 10.0)
    assert breaker.state is State.CLOSED


def test_several_probes_must_succeed() -> None:
    breaker = Breaker(Policy(failures=1, seconds=1.0, probes=2))
    _fail(breaker, 0.0)
    first, second = breaker.enter(1.0), breaker.enter(1.0)
    assert (first, second, breaker.enter(1.0)) == (Permit.PROBE, Permit.PROBE, Permit.NO)
    breaker.leave(first, True, 1.0)
    assert breaker.state is State.HALF_OPEN
    breaker.leave(second, True, 1.0)
    assert breaker.state is State.CLOSED


def test_the_share_of_failures_opens_it_within_its_window() -> None:
    policy = Policy(failures=0, error_rate=0.5, min_calls=10, window=20.0)
    breaker = Breaker(policy)
    for number in range(9):
        breaker.leave(breaker.enter(0.0), number % 2 == 0, 0.0)
    assert breaker.state is State.CLOSED
    _fail(breaker, 1.0)
    assert breaker.state is State.OPEN
    slow = Breaker(policy)
    for number in range(40):
        slow.leave(slow.enter(number * 5.0), number % 2 == 0, number * 5.0)
    assert slow.state is State.CLOSED, "too few calls within the window"


def test_zeros_never_open_it() -> None:
    breaker = Breaker(Policy(failures=0, error_rate=0.0))
    _fail(breaker, 0.0, 1000)
    assert breaker.state is State.CLOSED


@given(
    st.lists(st.tuples(st.sampled_from(["enter", "good", "bad", "none"]), st.floats(0, 20)), max_size=80),
    st.integers(1, 3),
)
def test_any_sequence_keeps_its_promises(steps: list[tuple[str, float]], probes: int) -> None:
    breaker = Breaker(
        Policy(failures=2, error_rate=0.5, min_calls=4, window=10.0, seconds=5.0, probes=probes)
    )
    now, held = 0.0, []
    for what, passed in steps:
        now += passed
        if what == "enter":
            refused = breaker.refuses(now)
            permit = breaker.enter(now)
            assert (permit is Permit.NO) == refused
            if permit is not Permit.NO:
                held.append(permit)
        elif held:
            breaker.leave(held.pop(0), {"good": True, "bad": False, "none": None}[what], now)
        assert held.count(Permit.PROBE) <= probes
        if breaker.state is State.OPEN:
            assert breaker.opens_at <= now + 5.0 * LONGEST_REST
