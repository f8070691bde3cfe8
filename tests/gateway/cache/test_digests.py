import hashlib
import random

import pytest

from penstock.gateway.cache.digests import ENTRY_BYTES, WAYS, Digests


def digest(name: object) -> bytes:
    return hashlib.sha256(str(name).encode()).digest()


def test_it_tells_what_a_dictionary_tells_while_there_is_room() -> None:
    dice, known, plain = random.Random(3), Digests(4_096), dict[bytes, int]()
    for _ in range(3_000):
        name, at = digest(dice.randrange(400)), dice.randrange(1, 100)
        if dice.random() < 0.3:
            known.drop(name)
            plain.pop(name, None)
        else:
            known.add(name, at * 1000)
            plain[name] = at
        looked = digest(dice.randrange(400))
        for now in (0, at, 99):
            assert known.holds(looked, now) == (plain.get(looked, -1) > now)
    known.clear()
    assert not any(known.holds(digest(number), 0) for number in range(400))


def test_beyond_its_room_what_expires_first_gives_way() -> None:
    known = Digests(WAYS)
    for number in range(WAYS):
        known.add(digest(number), (number + 10) * 1000)
    known.add(digest("later"), 90_000)
    assert [known.holds(digest(number), 5) for number in range(WAYS)] == [False] + [True] * (WAYS - 1)
    assert known.holds(digest("later"), 5)


def test_its_room_is_bounded_and_most_of_it_is_used() -> None:
    known = Digests(50_000)
    assert known.room == 65_536
    assert ENTRY_BYTES * known.room < 1_000_000
    for number in range(40_000):
        known.add(digest(number), 10_000)
    held = sum(known.holds(digest(number), 5) for number in range(40_000))
    assert held > 38_000


@pytest.mark.parametrize("ms", [1_001, 1_999, 2_000])
def test_a_moment_before_its_end_an_answer_is_still_known(ms: int) -> None:
    known = Digests(8)
    known.add(digest("a"), ms)
    assert known.holds(digest("a"), (ms - 1) / 1000)
    assert not known.holds(digest("a"), 2.0)


def test_the_first_bytes_may_all_be_zero() -> None:
    known = Digests(8)
    assert not known.holds(bytes(32), 0)
    known.add(bytes(32), 9_000)
    assert known.holds(bytes(32), 0)
