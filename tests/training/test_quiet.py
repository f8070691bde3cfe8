"""What is timed and what is judged keep out of each other's way, and neither waits for ever."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from penstock.core.errors import Busy, Cancelled
from penstock.core.home import Home
from penstock.training.share.quiet import quiet, untimed

DEADLINE = 60.0


def never() -> bool:
    return False


def unheard(_report: dict[str, Any]) -> None:
    return None


def test_timing_waits_for_judging_that_goes_on_and_none_begins_meanwhile(home: Home) -> None:
    waits, timed = threading.Event(), threading.Event()

    def time_it() -> None:
        with quiet(home, progress=lambda _report: waits.set(), cancelled=never):
            timed.set()

    with ThreadPoolExecutor(1) as pool:
        with untimed(home, patient=False, cancelled=never):
            with untimed(home, patient=False, cancelled=never):
                done = pool.submit(time_it)
                assert waits.wait(DEADLINE)
            with pytest.raises(Busy), untimed(home, patient=False, cancelled=never):
                pass
            assert not timed.is_set()
        done.result(DEADLINE)
    assert timed.is_set()
    with untimed(home, patient=False, cancelled=never):
        pass


def test_who_waits_to_time_can_be_cancelled_and_lets_judging_on(home: Home) -> None:
    with untimed(home, patient=False, cancelled=never):
        with pytest.raises(Cancelled), quiet(home, progress=unheard, cancelled=lambda: True):
            pass
        with untimed(home, patient=False, cancelled=never):
            pass


def test_patient_judging_takes_the_next_moment_or_is_cancelled(home: Home) -> None:
    waits = threading.Event()

    def looked() -> bool:
        waits.set()
        return False

    def judge_it() -> bool:
        with untimed(home, patient=True, cancelled=looked):
            return True

    with ThreadPoolExecutor(1) as pool:
        with quiet(home, progress=unheard, cancelled=never):
            with pytest.raises(Cancelled), untimed(home, patient=True, cancelled=lambda: True):
                pass
            done = pool.submit(judge_it)
            assert waits.wait(DEADLINE)
            assert not done.done()
        assert done.result(DEADLINE)


def test_only_one_is_timed_at_once(home: Home) -> None:
    with (
        quiet(home, progress=unheard, cancelled=never),
        pytest.raises(Cancelled),
        quiet(home, progress=unheard, cancelled=lambda: True),
    ):
        pass
