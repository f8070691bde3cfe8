import random

from hypothesis import given
from hypothesis import strategies as st

from penstock.traces.outline import outline

IDS = st.integers(0, 12).map(str)


@given(st.lists(st.tuples(IDS, st.none() | IDS), max_size=40, unique_by=lambda pair: pair[0]))
def test_every_span_has_one_place_below_its_parent(spans: list[tuple[str, str | None]]) -> None:
    tree = outline(spans)
    assert sorted(tree.order) == list(range(len(spans)))
    place = {index: position for position, index in enumerate(tree.order)}
    for index, (_, parent_id) in enumerate(spans):
        above = tree.parent[index]
        if above < 0:
            assert tree.depth[index] == 0
        else:
            assert spans[above][0] == parent_id
            assert place[above] < place[index]
            assert tree.depth[index] == tree.depth[above] + 1
    known = {span_id for span_id, _ in spans}
    orphans = [i for i, (_, parent) in enumerate(spans) if parent is None or parent not in known]
    assert all(tree.parent[index] == -1 for index in orphans)


def test_siblings_keep_their_order() -> None:
    tree = outline([("c", "a"), ("a", None), ("b", "a"), ("d", "c"), ("e", "missing")])
    assert tree.order == (1, 0, 3, 2, 4)
    assert tree.depth == (1, 0, 1, 2, 0)


def test_of_a_cycle_the_first_stands_at_the_top() -> None:
    tree = outline([("x", "z"), ("y", "x"), ("z", "y"), ("w", "z"), ("self", "self")])
    assert (tree.parent, tree.order) == ((-1, 0, 1, 2, -1), (0, 1, 2, 3, 4))


def test_a_hundred_thousand_deep() -> None:
    count = 100_000
    spans = [(str(n), str(n - 1) if n else None) for n in range(count)]
    random.Random(1).shuffle(spans)
    tree = outline(spans)
    assert max(tree.depth) == count - 1
    ring = outline([(str(n), str((n + 1) % count)) for n in range(count)])
    assert sorted(ring.order) == list(range(count))
    assert ring.parent.count(-1) == 1
