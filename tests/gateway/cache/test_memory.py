from penstock.gateway.cache.memory import OVERHEAD, Entry, Memory


def entry(size: int = 100, made: float = 0.0, expires: float = 1000.0) -> Entry:
    return Entry(b"x" * size, made, expires)


def test_the_least_recently_used_goes_first_and_the_bound_holds() -> None:
    memory = Memory(3 * (100 + OVERHEAD))
    for name in (b"a", b"b", b"c"):
        memory.put(name, entry())
    memory.get(b"a", 1)
    memory.put(b"d", entry())
    assert [name for name in (b"a", b"b", b"c", b"d") if memory.get(name, 1)] == [b"a", b"c", b"d"]
    assert memory.size == 3 * (100 + OVERHEAD)
    memory.put(b"e", entry(100 + 2 * (100 + OVERHEAD)))
    assert len(memory) == 1
    memory.put(b"f", entry(10_000))
    assert memory.get(b"f", 1) is None
    memory.clear()
    assert (len(memory), memory.size) == (0, 0)


def test_putting_again_replaces_and_counts_once() -> None:
    memory = Memory(10_000)
    memory.put(b"a", entry(100))
    memory.put(b"a", entry(50))
    assert (len(memory), memory.size) == (1, 50 + OVERHEAD)


def test_what_has_expired_is_gone() -> None:
    memory = Memory(10_000)
    memory.put(b"a", entry(expires=5))
    assert memory.get(b"a", 4.9) is not None
    assert memory.get(b"a", 5) is None
    assert memory.size == 0


def test_only_older_answers_give_way_to_one_from_elsewhere() -> None:
    memory = Memory(10_000)
    memory.put(b"a", entry(made=10))
    memory.drop(b"a", older_than=10)
    assert memory.get(b"a", 11) is not None
    memory.drop(b"a", older_than=10.5)
    assert memory.get(b"a", 11) is None
