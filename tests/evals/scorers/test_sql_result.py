"""Queries that somebody else wrote: right, wrong, hostile."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.evals.judging_bench import MemoryBench, output, sample

from penstock.core.errors import Unprocessable
from penstock.evals.queries import store as queries
from penstock.evals.scorers.sql_result import SqlResult, query_of

SCHEMA = """
CREATE TABLE people (name TEXT, age INTEGER);
INSERT INTO people VALUES ('Ada', 36), ('Alan', 41), ('Grace', 85), ('Ada', 36);
"""


def scored(query: str, wanted: str, **options: Any) -> dict[str, float]:
    given = sample("?", wanted, schema=SCHEMA)
    return asyncio.run(SqlResult(**options).judge(given, output(query), MemoryBench()))[0]


@pytest.mark.parametrize(
    ("query", "wanted", "right"),
    [
        ("SELECT name FROM people WHERE age > 40", "SELECT name FROM people WHERE age >= 41", 1.0),
        (
            "Here:\n```sql\nSELECT 'Alan' UNION SELECT 'Grace';\n```",
            "SELECT name FROM people WHERE age > 40",
            1.0,
        ),
        ("SELECT DISTINCT name FROM people", "SELECT name FROM people", 0.0),
        ("SELECT name FROM people ORDER BY name DESC", "SELECT name FROM people", 1.0),
        ("SELECT name FROM people ORDER BY name DESC", "SELECT name FROM people ORDER BY name", 0.0),
        ("SELECT 198.0 / 4", "SELECT avg(age) FROM people", 1.0),
        ("SELECT count(*) FROM people", "SELECT 4.0", 1.0),
        (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<3) SELECT i FROM n",
            "SELECT 1 UNION SELECT 2 UNION SELECT 3",
            1.0,
        ),
    ],
)
def test_rows_are_compared(query: str, wanted: str, right: float) -> None:
    assert scored(query, wanted) == {"sql_result": right, "sql_valid": 1.0}


@pytest.mark.parametrize(
    "query",
    [
        "SELEC 1",
        "DROP TABLE people",
        "DELETE FROM people",
        "INSERT INTO people VALUES ('x', 1)",
        "PRAGMA journal_mode",
        "ATTACH DATABASE 'other.db' AS other",
        "SELECT load_extension('x')",
        "SELECT 1; SELECT 2",
        "CREATE TABLE x (y)",
        "",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT i FROM n",
        "SELECT zeroblob(100000000)",
    ],
)
def test_what_is_wrong_forbidden_or_endless_is_no_answer(query: str) -> None:
    assert scored(query, "SELECT 1", seconds=0.3) == {"sql_result": 0.0, "sql_valid": 0.0}


def test_a_schema_reaches_nothing_outside(tmp_path: Path) -> None:
    with pytest.raises(queries.QueryFailed):
        queries.run(f"ATTACH DATABASE '{tmp_path}/x.db' AS x", "SELECT 1", queries.Limits())
    assert not list(tmp_path.iterdir())


def test_a_wrong_expected_query_is_not_the_answers_fault() -> None:
    with pytest.raises(Unprocessable, match="failed"):
        scored("SELECT 1", "SELECT nothing FROM nowhere")
    with pytest.raises(Unprocessable, match="schema"):
        asyncio.run(SqlResult().judge(sample(), output("SELECT 1"), MemoryBench()))


def test_the_last_block_is_the_query() -> None:
    assert query_of("```sql\nSELECT 1\n```\nbetter:\n```\nSELECT 2;\n```") == "SELECT 2"
    assert query_of(" SELECT 3 ; ") == "SELECT 3"
