from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import Invalid
from penstock.datasets.model import Row, SplitPlan
from penstock.datasets.split_plan import check, parse_shares
from penstock.datasets.splits import assign

SHARES = {"train": 0.8, "valid": 0.1, "test": 0.1}


def keyed(count: int, **columns: object) -> list[tuple[str, Row]]:
    return [(f"key-{n}", {"n": n, **columns}) for n in range(count)]


def test_shares_are_met_on_average() -> None:
    counts = Counter(assign(SplitPlan(fractions=SHARES), keyed(20_000)))
    assert counts["train"] == pytest.approx(16_000, rel=0.02)
    assert counts["test"] == pytest.approx(2_000, rel=0.08)


@given(st.permutations(range(60)), st.integers(-5, 2**40))
def test_a_row_keeps_its_split_whatever_else_is_there(order: list[int], seed: int) -> None:
    plan = SplitPlan(fractions=SHARES, seed=seed)
    rows = keyed(60)
    whole = dict(zip((key for key, _ in rows), assign(plan, rows), strict=True))
    some = [rows[n] for n in order[:25]]
    assert assign(plan, some) == [whole[key] for key, _ in some]


def test_another_seed_gives_other_splits() -> None:
    rows = keyed(500)
    assert assign(SplitPlan(fractions=SHARES), rows) != assign(SplitPlan(fractions=SHARES, seed=1), rows)


def test_the_order_of_the_shares_means_nothing() -> None:
    rows = keyed(300)
    backwards = dict(reversed(SHARES.items()))
    assert assign(SplitPlan(fractions=SHARES), rows) == assign(SplitPlan(fractions=backwards), rows)


def test_stratified_shares_are_exact() -> None:
    rows = [(str(n), {"label": "rare" if n % 10 == 0 else "common"}) for n in range(1000)]
    splits = assign(SplitPlan(fractions=SHARES, stratify_by="label"), rows)
    counts = Counter((row["label"], split) for (_, row), split in zip(rows, splits, strict=True))
    assert counts[("rare", "test")] == 10
    assert counts[("rare", "train")] == 80
    assert counts[("common", "test")] == 90


@given(st.lists(st.integers(0, 15), min_size=1, max_size=80), st.booleans())
def test_groups_are_never_divided(groups: list[int], stratified: bool) -> None:
    rows = [(str(n), {"group": group, "label": n % 3}) for n, group in enumerate(groups)]
    plan = SplitPlan(fractions=SHARES, group_by="group", stratify_by="label" if stratified else None)
    where = defaultdict(set)
    for (_, row), split in zip(rows, assign(plan, rows), strict=True):
        where[row["group"]].add(split)
    assert all(len(splits) == 1 for splits in where.values())


def test_grouped_shares_are_met_on_average() -> None:
    rows = [(str(n), {"group": n // 5}) for n in range(20_000)]
    counts = Counter(assign(SplitPlan(fractions=SHARES, group_by="group"), rows))
    assert counts["test"] == pytest.approx(2_000, rel=0.15)


def test_near_duplicates_share_a_split() -> None:
    words = [f"word{n}" for n in range(400)]
    texts = [" ".join(words[n : n + 20]) for n in range(0, 380, 20)]
    rows = [
        (f"{copy}-{n}", {"t": text + f" copy{copy}", "g": n % 7})
        for n, text in enumerate(texts)
        for copy in range(6)
    ]
    where = defaultdict(set)
    plan = SplitPlan(fractions={"a": 0.5, "b": 0.5}, near_duplicates_of="t")
    for (key, _), split in zip(rows, assign(plan, rows), strict=True):
        where[key.partition("-")[2]].add(split)
    assert all(len(splits) == 1 for splits in where.values())
    assert {split for splits in where.values() for split in splits} == {"a", "b"}
    both = SplitPlan(fractions={"a": 0.5, "b": 0.5}, near_duplicates_of="t", group_by="g")
    by_group = defaultdict(set)
    for (_, row), split in zip(rows, assign(both, rows), strict=True):
        by_group[row["g"]].add(split)
    assert all(len(splits) == 1 for splits in by_group.values())


def test_rows_without_a_group_are_on_their_own() -> None:
    rows: list[tuple[str, Row]] = [(str(n), {"group": None}) for n in range(200)]
    assert len(set(assign(SplitPlan(fractions=SHARES, group_by="group"), rows))) == 3


def test_a_column_may_name_the_split() -> None:
    plan = SplitPlan(column="s")
    assert assign(plan, [("1", {"s": "train"}), ("2", {"s": "test"})]) == ["train", "test"]
    with pytest.raises(Invalid, match="holds None"):
        assign(plan, [("1", {})])


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (SplitPlan(fractions={"train": 0.5}), "add up to 0.5"),
        (SplitPlan(fractions={"train": 1.5, "test": -0.5}), "share above 0"),
        (SplitPlan(), "share above 0"),
        (SplitPlan(fractions={"train": 1.0}, stratify_by="nope"), "'nope', which is not there"),
        (SplitPlan(column="n", group_by="n"), "no shares with it"),
        (SplitPlan(fractions={"": 1.0}), "1 to 64"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(plan: SplitPlan, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        check(plan, ["n"])


def test_no_rows() -> None:
    assert assign(SplitPlan(fractions=SHARES), []) == []


def test_shares_from_text() -> None:
    assert parse_shares(["train=0.8", " test=0.2", ""]) == {"train": 0.8, "test": 0.2}
    with pytest.raises(Invalid, match="'train' is not a split"):
        parse_shares(["train"])


def test_splits_by_time_go_from_old_to_new() -> None:
    rows = [(str(n), {"at": f"2024-01-{1 + n * 7 % 30:02d}"}) for n in range(300)]
    plan = SplitPlan(fractions={"train": 0.8, "test": 0.2}, time_by="at", order=("train", "test"))
    found = assign(plan, rows)
    days: dict[str, set[str]] = {"train": set(), "test": set()}
    for (_, row), split in zip(rows, found, strict=True):
        days[split].add(row["at"])
    assert max(days["train"]) < min(days["test"])
    assert Counter(found) == {"train": 240, "test": 60}
    with pytest.raises(Invalid, match="Row 2: the time column 'at' holds 'soon'"):
        assign(plan, [("a", {"at": 5}), ("b", {"at": "soon"})])


def test_plans_by_time_that_make_no_sense() -> None:
    with pytest.raises(Invalid, match="cannot also stratify"):
        check(SplitPlan(fractions=SHARES, time_by="at", stratify_by="at"), ["at"])
    with pytest.raises(Invalid, match="names every split once"):
        check(SplitPlan(fractions=SHARES, time_by="at", order=("train",)), ["at"])


def test_groups_are_placed_alike_whether_streamed_or_gathered() -> None:
    rows = [
        (str(n), {"g": n // 7 if n % 5 else None, "text": f"entirely different words {n * n}"})
        for n in range(500)
    ]
    plan = SplitPlan(fractions=SHARES, group_by="g")
    streamed = assign(plan, rows)
    splits: dict[object, set[str]] = defaultdict(set)
    for (_, row), split in zip(rows, streamed, strict=True):
        if row["g"] is not None:
            splits[row["g"]].add(split)
    assert {len(found) for found in splits.values()} == {1}
    assert streamed[3] == list(streamed)[3]
    assert streamed[:2] == list(streamed)[:2]
