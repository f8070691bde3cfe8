import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import Invalid
from penstock.datasets.model import Column, ColumnType, Row
from penstock.datasets.profile import compare, profile
from penstock.datasets.schema import DelimitedTypes, SchemaBuilder


def schema_of(*rows: Row) -> dict[str, ColumnType]:
    builder = SchemaBuilder()
    for row in rows:
        builder.observe(row)
    return {column.name: column.type for column in builder.columns()}


def test_types() -> None:
    row = {"s": "a", "i": 1, "f": 1.5, "b": True, "l": [1], "d": {"a": 1}, "n": None}
    assert schema_of(row) == {
        "s": ColumnType.STRING,
        "i": ColumnType.INTEGER,
        "f": ColumnType.NUMBER,
        "b": ColumnType.BOOLEAN,
        "l": ColumnType.JSON,
        "d": ColumnType.JSON,
        "n": ColumnType.STRING,
    }
    assert schema_of({"a": 1}, {"a": 1.5}, {"a": None})["a"] is ColumnType.NUMBER
    assert schema_of({"a": 1}, {"a": "x"})["a"] is ColumnType.JSON
    assert schema_of({"a": True}, {"a": 1})["a"] is ColumnType.JSON
    assert schema_of({"a": 1 << 70})["a"] is ColumnType.JSON


def test_limits() -> None:
    builder = SchemaBuilder()
    with pytest.raises(Invalid, match="more than 1000"):
        builder.observe({f"c{n}": 1 for n in range(1001)})
    with pytest.raises(Invalid, match="upper and lower case"):
        schema_of({"Text": "a", "text": "b"})


def test_appending_checks_columns() -> None:
    base = (Column("a", ColumnType.NUMBER), Column("b", ColumnType.STRING))
    builder = SchemaBuilder()
    builder.observe({"a": 1, "b": None})
    assert builder.extend(base) == base
    builder.observe({"b": 2})
    with pytest.raises(Invalid, match="'b' holds integer in the new rows and string"):
        builder.extend(base)
    other = SchemaBuilder()
    other.observe({"c": 1})
    with pytest.raises(Invalid, match="column 'c' that the dataset lacks"):
        other.extend(base)


def test_csv_numbers_only_where_nothing_is_lost() -> None:
    types = DelimitedTypes()
    rows: list[Row] = [
        {
            "int": "1",
            "float": "1.5",
            "mixed": "1",
            "code": "007",
            "version": "1.10",
            "text": "a",
            "gap": None,
        },
        {
            "int": "-20",
            "float": "2.0",
            "mixed": "0.5",
            "code": "8",
            "version": "1.2",
            "text": "2",
            "gap": "3",
        },
    ]
    for row in rows:
        types.observe(row)
    assert [types.cast(row) for row in rows] == [
        {"int": 1, "float": 1.5, "mixed": 1.0, "code": "007", "version": "1.10", "text": "a", "gap": None},
        {"int": -20, "float": 2.0, "mixed": 0.5, "code": "8", "version": "1.2", "text": "2", "gap": 3},
    ]
    assert types.cast(rows[0], [Column("int", ColumnType.STRING)])["int"] == "1"


@given(st.lists(st.text("0123456789.-e", min_size=1, max_size=6), min_size=1, max_size=5))
def test_casting_loses_nothing(values: list[str]) -> None:
    types = DelimitedTypes()
    for value in values:
        types.observe({"a": value})
    for value in values:
        found = types.cast({"a": value})["a"]
        assert found == value or str(found) == value or str(found) == f"{value}.0"


def profile_of(rows: list[Row]) -> dict[str, object]:
    builder = SchemaBuilder()
    for row in rows:
        builder.observe(row)
    return profile(list(enumerate(rows)), builder.columns(), sample=1000)


def test_profile() -> None:
    rows: list[Row] = [
        {"text": f"the ticket number {n} is about mail from user{n}@example.org", "label": "a" if n % 4 else "b",
         "n": float(n), "constant": "x", "nested": [{"role": "user"}]}
        for n in range(40)
    ]  # fmt: skip
    rows += [
        dict(rows[0]),
        {"text": "Der Drucker ist seit gestern kaputt und druckt nicht", "label": None, "n": 9e9},
    ]
    found = profile_of(rows)
    columns = {column["name"]: column for column in found["columns"]}  # type: ignore[attr-defined]
    assert found["rows"] == 42
    assert found["exact_duplicates"] == 1
    assert columns["label"]["missing"] == 1
    assert columns["constant"]["near_constant"] is True
    assert columns["text"]["near_constant"] is False
    assert columns["text"]["words"]["median"] == 9
    assert columns["n"]["outliers"] == 1
    assert columns["n"]["numbers"]["max"] == 9e9
    assert columns["nested"]["type"] == "json"
    assert found["labels"] == {"label": {"a": 30, "b": 11}}
    text = found["text"]
    assert text["languages"] == {"en": 41, "de": 1}  # type: ignore[index]
    assert text["personal_data"] == {"email": 41}  # type: ignore[index]
    assert "user0@example.org" not in repr(found)
    moved = compare(found, profile_of(rows[:40]))
    assert moved["rows"] == [42, 40]
    assert moved["exact_duplicates"] == [1, 0]


def test_profile_of_a_sample_says_so() -> None:
    rows: list[tuple[int, Row]] = [(n, {"t": f"the mail {n} of the day"}) for n in range(100)]
    found = profile(rows, (Column("t", ColumnType.STRING),), sample=10)
    assert found["rows"] == 100
    assert found["text"]["rows"] == 10
