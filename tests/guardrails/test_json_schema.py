"""The validator of answers, keyword by keyword (JSON Schema 2020-12)."""

from typing import Any

import pytest

from penstock.core.errors import Invalid
from penstock.guardrails import json_schema

CASES: list[tuple[Any, list[Any], list[Any]]] = [
    ({"type": "integer"}, [1, 1.0, -3], [1.5, True, "1", None]),
    ({"type": ["string", "null"]}, ["", None], [1, []]),
    ({"type": "number"}, [1, 2.5], [False, "2"]),
    ({"enum": [1, "a", [True]]}, [1, 1.0, "a", [True]], [True, [1], "b"]),
    ({"const": {"a": 1}}, [{"a": 1.0}], [{"a": True}, {}]),
    ({"minimum": 1, "exclusiveMaximum": 3}, [1, 2.9, "x"], [0.9, 3]),
    ({"maximum": 1, "exclusiveMinimum": -1}, [1, 0], [1.1, -1]),
    ({"multipleOf": 0.1}, [0.3, 1], [0.35]),
    ({"minLength": 2, "maxLength": 3}, ["ab", "日本語", 5], ["a", "abcd"]),
    ({"pattern": "^a+$"}, ["aa", 1], ["b", ""]),
    ({"items": {"type": "string"}, "minItems": 1, "maxItems": 2}, [["a"], "x"], [[], [1], ["a", "b", "c"]]),
    ({"prefixItems": [{"const": 1}], "items": {"const": 2}}, [[1, 2, 2], [], [1]], [[2], [1, 1]]),
    ({"uniqueItems": True}, [[1, "1", True]], [[1, 1.0], [{"a": 1, "b": 2}, {"b": 2, "a": 1}]]),
    ({"contains": {"const": 1}, "maxContains": 2}, [[1], [1, 2, 1]], [[], [2], [1, 1, 1]]),
    (
        {"properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False},
        [{"a": "x"}, []],
        [{}, {"a": 1}, {"a": "x", "b": 1}],
    ),
    (
        {"patternProperties": {"^x_": {"type": "integer"}}, "additionalProperties": {"type": "string"}},
        [{"x_a": 1, "b": "s"}],
        [{"x_a": "s"}, {"b": 1}],
    ),
    ({"propertyNames": {"maxLength": 2}, "maxProperties": 2, "minProperties": 1}, [{"ab": 1}], [{}, {"abc": 1}]),
    ({"dependentRequired": {"a": ["b"]}}, [{}, {"a": 1, "b": 1}], [{"a": 1}]),
    ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, [1, 2], [0, 3]),
    ({"anyOf": [{"type": "string"}, {"minimum": 5}]}, ["a", 5], [4]),
    ({"oneOf": [{"multipleOf": 2}, {"multipleOf": 3}]}, [2, 3], [6, 5]),
    ({"not": {"type": "null"}}, [1], [None]),
    (
        {
            "$ref": "#/$defs/node",
            "$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}}, "required": ["v"]}},
        },
        [{"v": 1, "next": {"v": 2}}],
        [{}, {"v": 1, "next": {}}],
    ),
    ({"title": "t", "description": "d", "format": "date", "default": 3}, ["anything"], []),
    ({"properties": {"no": False}}, [{}], [{"no": 1}]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "good", "bad"), CASES, ids=[",".join(list(case[0])[:3]) for case in CASES]
)
def test_each_keyword_does_what_the_draft_says(schema: Any, good: list[Any], bad: list[Any]) -> None:
    made = json_schema.compiled(schema)
    for value in good:
        assert made.wrong(value) is None, value
    for value in bad:
        assert made.wrong(value) is not None, value


def test_what_is_wrong_is_told_by_the_schemas_words_alone() -> None:
    made = json_schema.compiled(
        {"properties": {"a": {"items": {"enum": ["x"]}}}, "additionalProperties": False}
    )
    assert made.wrong({"a": ["secret"]}) == "/properties/a/items/enum"
    assert made.wrong({"secret": 1}) == "/additionalProperties"


@pytest.mark.parametrize(
    "schema",
    [
        {"typ": "string"},
        {"if": {}},
        {"type": "text"},
        {"type": []},
        {"enum": 1},
        {"required": "a"},
        {"pattern": "(?<=a)b"},
        {"minimum": "1"},
        {"anyOf": []},
        {"properties": []},
        {"$ref": "https://example.com/schema"},
        {"$ref": "#/$defs/none"},
        {"multipleOf": 0},
        {"items": 3},
    ],
)
def test_what_is_not_understood_is_refused(schema: Any) -> None:
    with pytest.raises(Invalid):
        json_schema.compiled(schema)


def test_depth_is_bounded() -> None:
    deep: Any = {}
    for _ in range(200):
        deep = {"items": deep}
    with pytest.raises(Invalid, match="deeper"):
        json_schema.compiled(deep)
    made = json_schema.compiled({"$ref": "#/$defs/n", "$defs": {"n": {"items": {"$ref": "#/$defs/n"}}}})
    value: Any = []
    for _ in range(500):
        value = [value]
    assert "depth" in str(made.wrong(value))
    assert json_schema.compiled({"$ref": "#"}).wrong(1) is not None
