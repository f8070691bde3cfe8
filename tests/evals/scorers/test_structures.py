"""The scorers of numbers, labels and JSON."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import Invalid
from penstock.evals.model import Output, Sample
from penstock.evals.scorers.json_fields import MAX_NAME, JsonFields, leaves
from penstock.evals.scorers.json_schema import JsonSchema
from penstock.evals.scorers.labels import Labels
from penstock.evals.scorers.numeric import Numeric, numbers


def sample(*references: str) -> Sample:
    return Sample(id="s", ordinal=0, messages=(), references=references)


def said(text: str) -> Output:
    return Output(sample_id="s", text=text)


# -- numbers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("So 3 + 4 = 7.", [3, 4, 7]),
        ("#### 1,234", [1234]),
        ("$1,234,567.89", [1234567.89]),
        ("-5 and −6 but 3-4", [-5, -6, 3, 4]),
        ("-$5", [-5]),
        ("x=-3", [-3]),
        ("1.5e3 or 2E-2", [1500, 0.02]),
        ("-1,2,3.5", [-1, 2, 3.5]),
        ("12,34", [12, 34]),
        ("1 234", [1, 234]),
        ("1\u202f234\u202f567", [1234567]),
        ("1'234.5", [1234.5]),
        ("1_000", [1000]),
        (".5", [0.5]),
        ("version v2 and B12", []),
        ("1.2.3", [1.2, 3]),
        ("1e999", []),
        ("", []),
        ("٣", [3]),
    ],
)
def test_numbers_of_a_text(text: str, found: list[float]) -> None:
    assert numbers(text) == found


def test_percent_and_the_other_decimal_point() -> None:
    assert numbers("45 % of 8", percent=True) == [0.45, 8]
    assert numbers("45% of 8") == [45, 8]
    assert numbers("1.234,56 und 0,5", decimal=",") == [1234.56, 0.5]


@pytest.mark.parametrize(
    ("options", "answer", "right"),
    [
        ({}, "Of 17 boxes, 1,200 kg are left: **1200.0**.", True),
        ({}, "1200, or was it 7?", False),
        ({"pick": "first"}, "1200, or was it 7?", True),
        ({}, "no idea", False),
        ({}, "1200.5", False),
        ({"tolerance": 0.5}, "1200.5", True),
        ({"relative": 0.01}, "1212", True),
        ({"relative": 0.01}, "1212.1", False),
    ],
)
def test_numeric(options: dict[str, Any], answer: str, right: bool) -> None:
    found = Numeric(**options).score(sample("unknown", "the answer is 1200"), said(answer))
    assert found == {"numeric": float(right)}


def test_numeric_of_percentages_and_without_numbers() -> None:
    assert Numeric(percent=True).score(sample("0.45"), said("45 %")) == {"numeric": 1.0}
    assert Numeric().score(sample("0.45"), said("45 %")) == {"numeric": 0.0}
    assert Numeric().score(sample("none"), said("1")) == {}
    assert Numeric().score(sample(), said("1")) == {}


@pytest.mark.parametrize(
    "options",
    [{"tolerance": -1}, {"relative": float("nan")}, {"decimal": ";"}, {"pick": "best"}, {"tolerance": True}],
)
def test_options_of_numeric_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="numeric's"):
        Numeric(**options)


@given(st.integers(-(10**12), 10**12), st.sampled_from([",", "_", "'", "\u202f", ""]))
def test_an_integer_is_read_back(value: int, group: str) -> None:
    text = f"It is {value:,}".replace(",", group)
    assert numbers(text) == [float(value)]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_is_read_back(value: float) -> None:
    assert numbers(f"({value!r})") == [value]


def test_long_rows_of_digits_take_linear_time() -> None:
    assert len(numbers("1,234" * 50_000 + "x" + "9" * 100_000)) == 50_001


# -- labels -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("a, b;c | d\ne", {"a", "b", "c", "d", "e"}),
        ('["a", "b, c"]', {"a", "b, c"}),
        ('```json\n["a"]\n```', {"a"}),
        ('"a"', {"a"}),
        ("- a\n* b\n3. c\n", {"a", "b", "c"}),
        ("'a', a", {"a"}),
        ("", set()),
        ("[]", set()),
        ("in progress", {"in progress"}),
    ],
)
def test_labels_of_a_text(text: str, labels: set[str]) -> None:
    assert Labels().read(text) == labels


def test_the_figures_of_one_sample() -> None:
    found = Labels().score(sample("a", "b", "c"), said("a, x"))
    assert found == {
        "labels_precision": 0.5,
        "labels_recall": pytest.approx(1 / 3),
        "labels_f1": pytest.approx(0.4),
        "labels_exact": 0.0,
    }
    assert set(Labels().score(sample("[]"), said("")).values()) == {1.0}
    assert set(Labels().score(sample("[]"), said("a")).values()) == {0.0}
    assert Labels(ignore_case=True).score(sample("A"), said("a"))["labels_exact"] == 1.0
    assert Labels().score(sample(), said("a")) == {}


def test_micro_and_macro_averages() -> None:
    """Worked by hand: per label (right, wrong, missed) a (1,1,0), b (1,0,1), c (0,0,1); x is outside."""
    scorer = Labels(labels=["a", "b", "c"])
    rows = [
        scorer.sums(sample("a, b"), said("a")),
        scorer.sums(sample("b"), said("a, b")),
        scorer.sums(sample("c"), said("x")),
        scorer.sums(sample(), said("a")),
    ]
    found = scorer.corpus([sum(column) for column in zip(*rows, strict=True)])
    assert found == {
        "labels_micro_precision": pytest.approx(2 / 4),
        "labels_micro_recall": pytest.approx(2 / 4),
        "labels_micro_f1": pytest.approx(4 / 8),
        "labels_macro_precision": pytest.approx((1 / 2 + 1 + 0) / 3),
        "labels_macro_recall": pytest.approx((1 + 1 / 2 + 0) / 3),
        "labels_macro_f1": pytest.approx((2 / 3 + 2 / 3 + 0) / 3),
    }
    assert set(found) == {name for name in found if scorer.measure(name) is not None}
    assert set(Labels().corpus([0.0, 0.0, 0.0]).values()) == {0.0}
    for options in ({"labels": "abc"}, {"separators": ""}):
        with pytest.raises(Invalid):
            Labels(**options)


label_sets = st.frozensets(st.sampled_from("abcd"), max_size=4)


@given(st.lists(st.tuples(label_sets, label_sets), min_size=1, max_size=6))
def test_micro_is_the_f1_of_all_decisions(rows: list[tuple[frozenset[str], frozenset[str]]]) -> None:
    scorer = Labels(labels=list("abcd"))
    sums = [scorer.sums(sample(json.dumps(sorted(wanted))), said(",".join(found))) for wanted, found in rows]
    corpus = scorer.corpus([sum(column) for column in zip(*sums, strict=True)])
    wanted = {(number, label) for number, (labels, _) in enumerate(rows) for label in labels}
    found = {(number, label) for number, (_, labels) in enumerate(rows) for label in labels}
    expected = 2 * len(wanted & found) / (len(wanted) + len(found)) if wanted or found else 0.0
    assert corpus["labels_micro_f1"] == pytest.approx(expected)
    assert all(0 <= value <= 1 for value in corpus.values())


# -- JSON -------------------------------------------------------------------------------------------------

SCHEMA = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}, "age": {"type": "integer", "minimum": 0}},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("answer", "valid", "good"),
    [
        ('{"name": "Ada", "age": 36}', True, True),
        ('```json\n{"name": "Ada"}\n```', True, True),
        ('{"name": "ada"}', True, False),
        ('{"name": "Ada", "age": -1}', True, False),
        ('{"name": "Ada", "x": 1}', True, False),
        ("[]", True, False),
        ('Here: {"name": "Ada"}', False, False),
        ('{"name": "Ada",}', False, False),
        ("[" * 100_000, False, False),
        ("", False, False),
    ],
)
def test_json_schema(answer: str, valid: bool, good: bool) -> None:
    found = JsonSchema(schema=SCHEMA).score(sample(), said(answer))
    assert found == {"json_valid": float(valid), "json_schema": float(good)}


def test_options_of_json_schema() -> None:
    assert JsonSchema(fenced=False).score(sample(), said("```\n1\n```"))["json_valid"] == 0.0
    assert JsonSchema().score(sample(), said("1"))["json_schema"] == 1.0
    with pytest.raises(Invalid, match="unevaluatedItems"):
        JsonSchema(schema={"unevaluatedItems": False})
    with pytest.raises(Invalid, match="object"):
        JsonSchema(schema=["x"])


EXPECTED = (
    '{"id": 7, "total": 10.0, "paid": true, "buyer": {"name": "Ada "},'
    ' "lines": [{"n": 1}, {"n": 2}], "tags": []}'
)


def fields(answer: str, **options: Any) -> dict[str, float]:
    return JsonFields(**options).score(sample(EXPECTED), said(answer))


def test_json_fields() -> None:
    assert fields(EXPECTED) == {"json_fields": 1.0, "json_fields_precision": 1.0, "json_fields_equal": 1.0}
    found = fields(
        '{"id": 7.0, "total": 10.4, "paid": 1, "buyer": {"name": "ada"}, "lines": [{"n": 1}], "x": null}'
    )
    assert found == {
        "json_fields": pytest.approx(2 / 7),
        "json_fields_precision": pytest.approx(2 / 6),
        "json_fields_equal": 0.0,
    }
    found = fields('{"total": 10.4, "buyer": {"name": "ada"}}', tolerance=0.5, ignore_case=True)
    assert found == {
        "json_fields": pytest.approx(2 / 7),
        "json_fields_precision": 1.0,
        "json_fields_equal": 0.0,
    }
    assert fields("no JSON") == {"json_fields": 0.0, "json_fields_precision": 0.0, "json_fields_equal": 0.0}
    assert JsonFields().score(sample("no JSON"), said("{}")) == {}


def test_single_fields_and_the_closest_reference() -> None:
    found = fields('{"lines": [{"n": 1}, {"n": 3}], "id": 7}', fields=["id", "lines", "lines.0.n", "nowhere"])
    assert {name: value for name, value in found.items() if "." in name} == {
        "json_fields.id": 1.0,
        "json_fields.lines": 0.0,
        "json_fields.lines.0.n": 1.0,
    }
    scorer = JsonFields(fields=["id"])
    assert scorer.measure("json_fields.id") is not None
    assert scorer.measure("json_fields.other") is None and scorer.measure("id") is None
    found = JsonFields().score(sample('{"a": 1}', '{"a": 2}'), said('{"a": 2}'))
    assert found["json_fields_equal"] == 1.0


@pytest.mark.parametrize("options", [{"fields": "id"}, {"fields": ["x" * (MAX_NAME + 1)]}, {"relative": -1}])
def test_options_of_json_fields_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="json_fields'"):
        JsonFields(**options)


def test_numbers_beyond_floats_are_compared() -> None:
    huge = "9" * 400
    assert JsonFields().score(sample(f"[{huge}]"), said("[1]"))["json_fields"] == 0.0


values = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(values, values)
def test_a_value_equals_itself_and_shares_agree(first: Any, second: Any) -> None:
    text = json.dumps(first)
    assert set(JsonFields().score(sample(text), said(text)).values()) == {1.0}
    there = JsonFields().score(sample(text), said(json.dumps(second)))
    back = JsonFields().score(sample(json.dumps(second)), said(text))
    assert there["json_fields"] == pytest.approx(back["json_fields_precision"])
    assert there["json_fields_equal"] == back["json_fields_equal"]
    assert len(leaves(first)) >= 1
