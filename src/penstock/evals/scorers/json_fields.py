"""JSON compared field by field."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from penstock.core.errors import Invalid
from penstock.evals.model import Measure, MetricKind, Output, Sample
from penstock.evals.scorers.numeric import check_tolerances, close
from penstock.evals.scorers.record import parse_value

Path = tuple[str | int, ...]
MAX_NAME = 150
"""Characters of a field's path: it becomes part of a metric's name."""
_NUMBER = (int, float)


def leaves(value: Any) -> dict[Path, Any]:
    """Return path → value of everything in a JSON value that holds nothing further; empty lists and objects too."""
    found: dict[Path, Any] = {}
    waiting: list[tuple[Path, Any]] = [((), value)]
    while waiting:
        path, here = waiting.pop()
        inner = list(_inner(here))
        if inner:
            waiting += [((*path, key), each) for key, each in inner]
        else:
            found[path] = here
    return found


def _inner(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


class JsonFields:
    """`json_fields`: the share of the expected fields that the answer has with the right value.

    `json_fields_precision`: the share of the answer's fields that are right, which invented ones lower;
    `json_fields_equal`: 1 when all are right and none is invented. Fields are all values inside objects and
    lists, known by their path (`items.0.price`); lists are compared in order. Each path in `fields` is
    reported as `json_fields.<path>` as well, a whole object or list under it being one field. Numbers are
    equal within `tolerance` (absolute) or `relative` (a share of the expected number); 1 is 1.0, and true is
    not 1. `ignore_case` compares texts case-folded; white space at their ends never counts. Samples whose
    reference is not JSON have no score. Source: field-level precision and recall of information extraction.
    """

    name = "json_fields"

    def __init__(
        self,
        *,
        fields: Sequence[str] = (),
        tolerance: float = 0.0,
        relative: float = 1e-9,
        ignore_case: bool = False,
    ) -> None:
        check_tolerances("json_fields", tolerance, relative)
        if isinstance(fields, str) or not all(
            isinstance(path, str) and 0 < len(path) <= MAX_NAME for path in fields
        ):
            raise Invalid(f"json_fields' fields must be a list of paths of at most {MAX_NAME} characters.")
        self._paths = tuple(dict.fromkeys(fields))
        self._tolerance, self._relative = tolerance, relative
        self._ignore_case = ignore_case

    def _plain(self, text: str) -> str:
        return text.strip().casefold() if self._ignore_case else text.strip()

    def _same(self, said: Any, wanted: Any) -> bool:
        if isinstance(said, bool) or isinstance(wanted, bool):
            return said is wanted
        if isinstance(said, _NUMBER) and isinstance(wanted, _NUMBER):
            return close(said, wanted, tolerance=self._tolerance, relative=self._relative)
        if isinstance(said, str) and isinstance(wanted, str):
            return self._plain(said) == self._plain(wanted)
        return bool(type(said) is type(wanted) and said == wanted)

    def _right(self, said: dict[Path, Any], wanted: dict[Path, Any]) -> set[Path]:
        return {path for path in wanted if path in said and self._same(said[path], wanted[path])}

    def _compare(self, said: Any, wanted: Any) -> dict[str, float]:
        there, here = leaves(wanted), ({} if said is msgspec.UNSET else leaves(said))
        right = self._right(here, there)
        scores = {
            "json_fields": len(right) / len(there),
            "json_fields_precision": len(right) / len(here) if here else 0.0,
            "json_fields_equal": float(len(right) == len(there) == len(here)),
        }
        for text in self._paths:
            expected, found = _below(there, text), _below(here, text)
            if expected:
                equal = len(self._right(found, expected)) == len(expected) == len(found)
                scores[f"json_fields.{text}"] = float(equal)
        return scores

    def score(self, sample: Sample, output: Output) -> dict[str, float]:
        """Return the figures for the reference that the answer comes closest to; nothing when none is JSON."""
        wanted = [value for text in sample.references if (value := parse_value(text)) is not msgspec.UNSET]
        said = parse_value(output.text)
        compared = [self._compare(said, value) for value in wanted]
        return max(
            compared, key=lambda scores: (scores["json_fields_equal"], scores["json_fields"]), default={}
        )

    def measure(self, metric: str) -> Measure | None:
        """Return means for the shares, proportions for `json_fields_equal` and single fields."""
        if metric in ("json_fields", "json_fields_precision"):
            return Measure(kind=MetricKind.MEAN)
        single = metric in ("json_fields_equal", *(f"json_fields.{path}" for path in self._paths))
        return Measure(kind=MetricKind.PROPORTION) if single else None


def _below(fields: dict[Path, Any], path: str) -> dict[Path, Any]:
    def text(parts: Path) -> str:
        return ".".join(map(str, parts))

    return {
        parts: v for parts, v in fields.items() if text(parts) == path or text(parts).startswith(f"{path}.")
    }
