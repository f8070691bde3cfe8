"""Whether an answer has the shape that was asked for."""

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.core.errors import Invalid
from penstock.evals.model import Measure, MetricKind, Output, Sample
from penstock.evals.scorers.record import parse_json, parse_lines, plain

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_ANNOTATIONS = {"$schema", "title", "description"}
_KEYWORDS = _ANNOTATIONS | {"type", "required", "properties", "additionalProperties", "enum", "items"}


def _check_schema(schema: Mapping[str, Any]) -> None:
    unknown = sorted(set(schema) - _KEYWORDS)
    if unknown:
        raise Invalid(
            f"valid_structure does not know the JSON Schema keyword {unknown[0]!r}.",
            hint=f"It knows {', '.join(sorted(_KEYWORDS))}.",
        )
    if "type" in schema and schema["type"] not in _TYPES:
        raise Invalid(
            f"valid_structure does not know the type {schema['type']!r}.", hint=f"Use one of {list(_TYPES)}."
        )
    for child in (*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])):
        _check_schema(child)


def _is_type(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES[name])


def _object_conforms(value: Mapping[str, Any], schema: Mapping[str, Any]) -> bool:
    properties = schema.get("properties", {})
    if any(key not in value for key in schema.get("required", ())):
        return False
    if schema.get("additionalProperties") is False and set(value) - set(properties):
        return False
    return all(conforms(value[key], child) for key, child in properties.items() if key in value)


def conforms(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether `value` obeys the schema (JSON Schema 2020-12, only the keywords that are checked for)."""
    if "type" in schema and not _is_type(value, schema["type"]):
        return False
    if "enum" in schema and value not in schema["enum"]:
        return False
    if isinstance(value, dict):
        return _object_conforms(value, schema)
    if isinstance(value, list) and "items" in schema:
        return all(conforms(item, schema["items"]) for item in value)
    return True


class ValidStructure:
    """`valid_structure`: 1 when the whole answer parses and obeys the given rules.

    `format` is `lines` (`key: value`) or `json`. `required` lists keys that must be there, `allowed` gives
    the values a key may take, `only` refuses any other key. For JSON, `schema` is a small JSON Schema.
    With no rule at all, the keys of the expected answer are required and no others are allowed.
    """

    name = "valid_structure"

    def __init__(
        self,
        *,
        format: str = "lines",
        required: Sequence[str] = (),
        allowed: Mapping[str, Sequence[Any]] | None = None,
        only: bool = False,
        schema: Mapping[str, Any] | None = None,
    ) -> None:
        if format not in ("lines", "json"):
            raise Invalid(f"valid_structure's format must be 'lines' or 'json', not {format!r}.")
        if schema is not None and format != "json":
            raise Invalid("valid_structure's schema needs format: json.")
        _check_schema(schema or {})
        self._json = format == "json"
        self._required = tuple(required)
        self._allowed = {key: {plain(value) for value in values} for key, values in (allowed or {}).items()}
        self._only = only
        self._schema = schema
        self._by_example = not (required or allowed or only or schema)

    def _parse(self, text: str) -> Mapping[str, Any] | None:
        return parse_json(text) if self._json else parse_lines(text)

    def _valid(self, answer: Mapping[str, Any], expected: str) -> bool:
        if self._by_example:
            example = self._parse(expected)
            return example is None or set(answer) == set(example)
        if any(key not in answer for key in self._required):
            return False
        if self._only and set(answer) - set(self._required) - set(self._allowed):
            return False
        if any(key in answer and plain(answer[key]) not in values for key, values in self._allowed.items()):
            return False
        return self._schema is None or conforms(answer, self._schema)

    def score(self, sample: Sample, output: Output) -> dict[str, float]:
        """Return `valid_structure`."""
        answer = self._parse(output.text)
        return {"valid_structure": float(answer is not None and self._valid(answer, sample.expected))}

    def measure(self, metric: str) -> Measure | None:
        """Return that `valid_structure` is a proportion."""
        return Measure(kind=MetricKind.PROPORTION) if metric == "valid_structure" else None
