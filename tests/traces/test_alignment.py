from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from penstock.traces import wording
from penstock.traces.alignment import Step, _longest, _occurrences, align


def row(span_id: str, parent: str | None, name: str, kind: str = "chain") -> Step:
    return Step(span_id, parent, kind, name)


def tree(*spans: tuple[str, str | None, str]) -> list[Step]:
    return [row(*span) for span in spans]


def named(left: list[Step], right: list[Step]) -> list[tuple[str | None, str | None]]:
    return [
        (None if i is None else left[i].name, None if j is None else right[j].name)
        for i, j in align(left, right)
    ]


def test_what_is_equal_is_matched_and_what_was_put_in_stands_alone() -> None:
    left = tree(("1", None, "agent"), ("2", "1", "search"), ("3", "1", "answer"))
    right = tree(("a", None, "agent"), ("b", "a", "plan"), ("c", "a", "search"), ("d", "a", "answer"))
    assert named(left, right) == [
        ("agent", "agent"),
        (None, "plan"),
        ("search", "search"),
        ("answer", "answer"),
    ]


def test_a_new_level_between_does_not_tear_the_rest_apart() -> None:
    left = tree(("1", None, "agent"), ("2", "1", "search"), ("3", "2", "fetch"))
    right = tree(("a", None, "agent"), ("w", "a", "retry"), ("b", "w", "search"), ("c", "b", "fetch"))
    assert named(left, right) == [
        ("agent", "agent"),
        (None, "retry"),
        ("search", "search"),
        ("fetch", "fetch"),
    ]


def test_a_renamed_span_is_matched_by_its_kind() -> None:
    left = [row("1", None, "agent"), row("2", "1", "chat gpt-4", "llm"), row("3", "1", "lookup", "tool")]
    right = [row("a", None, "agent"), row("b", "a", "chat claude", "llm"), row("c", "a", "lookup", "tool")]
    assert named(left, right) == [("agent", "agent"), ("chat gpt-4", "chat claude"), ("lookup", "lookup")]


KEYS = st.lists(st.sampled_from("abcd"), max_size=12)


@given(KEYS, KEYS)
def test_matches_are_equal_in_order_and_as_many_as_there_can_be(left: list[str], right: list[str]) -> None:
    best = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i in range(len(left)):
        for j in range(len(right)):
            same = best[i][j] + 1 if left[i] == right[j] else 0
            best[i + 1][j + 1] = max(same, best[i][j + 1], best[i + 1][j])
    for matcher in (_longest, _occurrences):
        pairs = matcher(left, right)
        assert all(left[i] == right[j] for i, j in pairs)
        assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(pairs))
        if matcher is _longest:
            assert len(pairs) == best[-1][-1]


NAMES = st.lists(st.tuples(st.sampled_from("abc"), st.integers(-1, 8)), max_size=10)


@given(NAMES, NAMES)
def test_every_span_is_told_exactly_once(left: list[tuple[str, int]], right: list[tuple[str, int]]) -> None:
    sides = [
        [row(f"{n}", None if p < 0 else f"{p}", name) for n, (name, p) in enumerate(side)]
        for side in (left, right)
    ]
    pairs = align(*sides)
    for place in (0, 1):
        told = [pair[place] for pair in pairs if pair[place] is not None]
        assert sorted(told) == list(range(len(sides[place])))
    assert align(sides[0], sides[0]) == [(i, i) for i, _ in align(sides[0], sides[0])]


def test_large_traces_take_a_moment() -> None:
    left = tree(("root", None, "agent"), *((f"l{n}", "root", f"step {n % 7}") for n in range(20_000)))
    right = tree(("root", None, "agent"), *((f"r{n}", "root", f"step {n % 7}") for n in range(3, 19_000)))
    pairs = align(left, right)
    matched = [pair for pair in pairs if None not in pair]
    assert len(matched) == 18_998
    assert all(left[i].name == right[j].name for i, j in matched if i is not None and j is not None)


TEXT = st.text(alphabet="ab \n.", max_size=60)


@given(TEXT, TEXT)
def test_steps_lead_from_one_text_to_the_other(left: str, right: str) -> None:
    steps = wording.steps(left, right)
    assert "".join(text for op, text in steps if op in "=-") == left
    assert "".join(text for op, text in steps if op in "=+") == right


def test_steps_are_words_then_lines_then_the_whole() -> None:
    assert wording.steps("the red fox", "the blue fox") == [
        ("=", "the "),
        ("-", "red"),
        ("+", "blue"),
        ("=", " fox"),
    ]
    lines = [f"line {n} says something long" for n in range(2000)]
    changed = [*lines[:1000], "new", *lines[1000:]]
    assert ("+", "new\n") in wording.steps("\n".join(lines), "\n".join(changed))
    many = "x\n" * 6000
    assert wording.steps(many, many + "y") == [("-", many), ("+", many + "y")]
