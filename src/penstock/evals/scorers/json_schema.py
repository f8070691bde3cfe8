"""Whether an answer is JSON that obeys a JSON Schema."""

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.core.errors import Invalid
from penstock.evals.model import Measure, MetricKind, Output, Sample
from penstock.evals.scorers.record import parse_value
from penstock.guardrails import json_schema


class JsonSchema:
    """`json_valid`: 1 when the whole answer is JSON; `json_schema`: 1 when it also obeys the `schema`.

    `schema` is a JSON Schema (draft 2020-12) as the guard `schema` takes it: a keyword that is not understood
    is refused, never ignored. Without a schema any JSON will do. `fenced` (on by default) takes off a
    Markdown code fence.
    Source: RFC 8259; JSON Schema Validation, draft 2020-12.
    """

    name = "json_schema"

    def __init__(self, *, schema: Mapping[str, Any] | bool = True, fenced: bool = True) -> None:
        if not isinstance(schema, Mapping | bool):
            raise Invalid("json_schema's schema must be an object.")
        self._schema = json_schema.compiled(schema)
        self._fenced = fenced

    def score(self, sample: Sample, output: Output) -> dict[str, float]:  # noqa: ARG002 - the port's signature
        """Return `json_valid` and `json_schema`."""
        value = parse_value(output.text, fenced=self._fenced)
        valid = value is not msgspec.UNSET
        return {
            "json_valid": float(valid),
            "json_schema": float(valid and self._schema.wrong(value) is None),
        }

    def measure(self, metric: str) -> Measure | None:
        """Return that both are proportions."""
        return Measure(kind=MetricKind.PROPORTION) if metric in ("json_valid", "json_schema") else None
