"""SQL, Python, weights, balance and swapped copies."""

from collections import Counter
from pathlib import Path

import pytest
from tests.datasets.steps import run

from penstock.core.errors import Invalid, NotFound
from penstock.datasets import programs, recipe
from penstock.datasets.model import Row
from penstock.datasets.swaps import Swapper
from penstock.datasets.tally import Means

ROWS: list[Row] = [
    {"t": "a", "n": 1, "m": [{"role": "user"}]},
    {"t": "b", "n": 2, "m": None},
    {"t": "b", "n": 5, "m": [{"role": "system"}]},
]


def test_sql_selects_and_groups(tmp_path: Path) -> None:
    query = "SELECT * FROM data WHERE n >= 2 ORDER BY n DESC"
    kept, reports, _ = run(tmp_path, [{"step": "sql", "query": query}], ROWS)
    assert kept == [ROWS[2], ROWS[1]]
    assert (reports[0].rows_in, reports[0].rows_out) == (3, 2)
    query = "with x as (select t, sum(n) as total from data group by t) select * from x order by t"
    kept, _, _ = run(tmp_path, [{"step": "sql", "query": query}], ROWS)
    assert kept == [{"t": "a", "total": 1}, {"t": "b", "total": 7}]
    assert list(tmp_path.iterdir()) == []


def test_sql_keeps_the_line_where_the_query_does(tmp_path: Path) -> None:
    kept, _, out = run(
        tmp_path,
        [{"step": "sql", "query": "SELECT * FROM data"}, {"step": "exact_duplicates", "columns": ["t"]}],
        ROWS,
    )
    assert len(kept) == 2
    assert (out[0].line, out[0].kept_line) == (3, 2)


@pytest.mark.parametrize(
    "query",
    [
        "COPY data TO '{folder}/out.csv'",
        "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '{folder}/secret.csv'",
        "SELECT * FROM '{folder}/secret.csv'",
        "SELECT 1; COPY data TO '{folder}/out.csv'",
        "WITH x AS (SELECT 1) INSERT INTO data SELECT * FROM x",
        "SELECT * FROM read_csv('{folder}/secret.csv')",
        "SELECT nothing FROM data",
    ],
)
def test_sql_is_one_query_over_the_rows_and_nothing_else(tmp_path: Path, query: str) -> None:
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    with pytest.raises(Invalid):
        run(tmp_path, [{"step": "sql", "query": query.format(folder=tmp_path)}], ROWS)
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]


def double(row: Row) -> object:
    """Return two rows for `a`, none for others below 5."""
    if row["t"] == "a":
        return [row, {**row, "n": 10}]
    return row if row["n"] >= 5 else None


def test_python_runs_only_what_the_caller_gives(tmp_path: Path) -> None:
    step = {"step": "python", "function": "double"}
    with pytest.raises(Invalid, match="runs no code of yours"):
        run(tmp_path, [step], ROWS)
    function = programs.of(double)
    means = Means(functions={"double": function})
    kept, reports, out = run(tmp_path, [step], ROWS, means)
    assert [(row["t"], row["n"]) for row in kept] == [("a", 1), ("a", 10), ("b", 5)]
    assert [entry.line for entry in out] == [2]
    assert function.sha256 in reports[0].engine
    recorded = programs.with_hashes(recipe.parse([step]), means.functions)
    assert recorded.plain()["steps"][0]["sha256"] == function.sha256
    with pytest.raises(Invalid, match="not the one that the recipe recorded"):
        run(tmp_path, [{**step, "sha256": "0" * 64}], ROWS, means)


def test_python_filters_and_refuses_wrong_answers(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "def big(row):\n    return row['n'] > 1\n\ndef odd(row):\n    return 3\n"
    )
    means = Means(functions=programs.load(tmp_path / "mine.py"))
    kept, _, _ = run(tmp_path, [{"step": "python", "function": "big", "does": "filter"}], ROWS, means)
    assert kept == ROWS[1:]
    with pytest.raises(Invalid, match="Line 1: odd returned int"):
        run(tmp_path, [{"step": "python", "function": "odd"}], ROWS, means)
    with pytest.raises(NotFound):
        programs.load(tmp_path / "other.py")
    (tmp_path / "bad.py").write_text("1 / 0\n")
    with pytest.raises(Invalid, match="ZeroDivisionError"):
        programs.load(tmp_path / "bad.py")


def test_weights_make_group_and_label_independent(tmp_path: Path) -> None:
    table = {("f", "yes"): 2, ("f", "no"): 8, ("m", "yes"): 6, ("m", "no"): 4}
    rows: list[Row] = [{"g": g, "y": y} for (g, y), count in table.items() for _ in range(count)]
    kept, reports, _ = run(tmp_path, [{"step": "reweigh", "group": "g", "label": "y"}], rows)
    weights: Counter[tuple[str, str]] = Counter()
    for row in kept:
        weights[row["g"], row["y"]] += row["weight"]
    # 0.5 · 0.4 / 0.1: the example's own arithmetic, as in Kamiran & Calders 2012, section 4.2.
    assert kept[0]["weight"] == pytest.approx(2.0)
    for group in ("f", "m"):
        assert weights[group, "yes"] / (weights[group, "yes"] + weights[group, "no"]) == pytest.approx(0.4)
    assert reports[0].changed == 20


def test_balance_drops_or_repeats_to_the_exact_number(tmp_path: Path) -> None:
    rows: list[Row] = [{"y": "a", "n": n} for n in range(30)] + [{"y": "b", "n": n} for n in range(7)]
    kept, reports, _ = run(tmp_path, [{"step": "balance", "column": "y"}], rows)
    assert Counter(row["y"] for row in kept) == {"a": 7, "b": 7}
    assert reports[0].counts["too_many"] == 23
    again, _, _ = run(tmp_path, [{"step": "balance", "column": "y"}], rows)
    assert again == kept
    other, _, _ = run(tmp_path, [{"step": "balance", "column": "y", "seed": 1}], rows)
    assert other != kept
    kept, _, _ = run(tmp_path, [{"step": "balance", "column": "y", "how": "repeat"}], rows)
    assert Counter(row["y"] for row in kept) == {"a": 30, "b": 30}
    assert set(Counter(row["n"] for row in kept if row["y"] == "b").values()) == {4, 5}
    kept, _, _ = run(tmp_path, [{"step": "balance", "column": "y", "most": 2}], rows)
    assert Counter(row["y"] for row in kept) == {"a": 14, "b": 7}


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("He lost his keys.", "She lost her keys."),
        ("She lost her keys.", "He lost his keys."),
        ("I saw her yesterday.", "I saw him yesterday."),
        ("The car is his.", "The car is hers."),
        ("The car is hers.", "The car is his."),
        ("Give it to HIM!", "Give it to HER!"),
        ("Mr. Smith and the waitress", "Mrs. Smith and the waiter"),
        ("The theory of shepherds", "The theory of shepherds"),
    ],
)
def test_swaps(text: str, swapped: str) -> None:
    assert Swapper(["gender"]).swap(text) == swapped


def test_swapped_copies_stand_behind_their_rows(tmp_path: Path) -> None:
    rows: list[Row] = [{"t": "She is a nurse"}, {"t": "The dog sleeps"}]
    kept, reports, _ = run(tmp_path, [{"step": "swap"}], rows)
    assert [row["t"] for row in kept] == ["She is a nurse", "He is a nurse", "The dog sleeps"]
    assert reports[0].counts == {"swapped": 1}
    step = {"step": "swap", "lists": [], "pairs": [["dog", "cat"]], "replace": True}
    kept, _, _ = run(tmp_path, [step], rows)
    assert [row["t"] for row in kept] == ["She is a nurse", "The cat sleeps"]
    with pytest.raises(Invalid, match="Unknown swap list"):
        recipe.parse([{"step": "swap", "lists": ["gendr"]}])
