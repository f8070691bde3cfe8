import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import Invalid
from penstock.tracking.search import Clause, Order, holds, parse_filter, parse_order


def test_conditions_of_every_form() -> None:
    text = (
        "metrics.`val loss` < 1e-3 AND params.lr = '0.1' and tags.mlflow.runName LIKE '%it''s%' "
        "AND status IN ('FINISHED', 'FAILED') AND tag.x IS NOT NULL AND run_id NOT IN ('a') "
        'AND attributes.start_time >= -5 AND (dataset.name ILIKE "Mail%") AND params."a b" IS NULL'
    )
    assert parse_filter(text) == (
        Clause("metric", "val loss", "<", 0.001),
        Clause("param", "lr", "=", "0.1"),
        Clause("tag", "mlflow.runName", "LIKE", "%it's%"),
        Clause("attribute", "status", "IN", ("FINISHED", "FAILED")),
        Clause("tag", "x", "IS NOT NULL", None),
        Clause("attribute", "run_id", "NOT IN", ("a",)),
        Clause("attribute", "start_time", ">=", -5),
        Clause("dataset", "name", "ILIKE", "Mail%"),
        Clause("param", "a b", "IS NULL", None),
    )
    assert parse_filter("") == parse_filter(None) == ()


@pytest.mark.parametrize(
    "text",
    [
        "metrics.a",
        "metrics.a <",
        "metrics.a < 1 OR metrics.b < 1",
        "metrics.a < 1 metrics.b < 1",
        "colour.a = 'x'",
        "params.a = unquoted",
        "params.a IN ('x'",
        "params.a IS 5",
        "; DROP TABLE runs",
        "(params.a = 'x'",
        "= 'x'",
        "params.a ~ 'x'",
        "a = 'x" + "y" * 30_000,
    ],
)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_filter(text)


@given(st.text(max_size=60))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        found = parse_filter(text)
    except Invalid:
        return
    assert all(clause.op for clause in found)


def test_orders() -> None:
    assert parse_order(["metrics.`val loss` DESC", "start_time", "params.lr asc"]) == (
        Order("metric", "val loss", True),
        Order("attribute", "start_time", False),
        Order("param", "lr", False),
    )
    with pytest.raises(Invalid):
        parse_order([" "])


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("x = 'a'", "a", True),
        ("x = 'a'", None, False),
        ("x != 'a'", "b", True),
        ("x > 5", "10", True),
        ("x > 5", 5, False),
        ("x = 5", "5.0", True),
        ("x = 'true'", "true", True),
        ("x LIKE 'A%'", "abc", False),
        ("x ILIKE 'A%'", "abc", True),
        ("x LIKE 'a_c'", "abc", True),
        ("x IN ('a', 'b')", "b", True),
        ("x NOT IN ('a', 'b')", "b", False),
        ("x IS NULL", None, True),
        ("x IS NOT NULL", "", True),
    ],
)
def test_holds(text: str, value: object, expected: bool) -> None:
    assert holds(parse_filter(text)[0], value) is expected
