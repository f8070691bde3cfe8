"""Per-field accuracy."""

from collections.abc import Sequence

from penstock.evals.model import Measure, MetricKind, Output, Sample
from penstock.evals.scorers.record import lenient_lines, parse_json, plain


class FieldAccuracy:
    """`fields.<key>`: 1 when the answer's field equals the expected one; `fields`: the share that is right.

    Expected and answer are JSON objects or `key: value` lines. `keys` limits which are scored;
    `ignore_case` compares case-folded.
    """

    name = "fields"

    def __init__(self, *, keys: Sequence[str] = (), ignore_case: bool = False) -> None:
        self._keys = tuple(key.lower() for key in keys)
        self._ignore_case = ignore_case

    def _read(self, text: str) -> dict[str, str]:
        record = parse_json(text)
        found = (
            {key.lower(): plain(value) for key, value in record.items()} if record else lenient_lines(text)
        )
        return {key: value.casefold() for key, value in found.items()} if self._ignore_case else found

    def score(self, sample: Sample, output: Output) -> dict[str, float]:
        """Return one value per field of the first reference, and their mean."""
        expected = self._read(sample.expected)
        wanted = [key for key in (self._keys or expected) if key in expected]
        if not wanted:
            return {}
        answer = self._read(output.text)
        scores = {f"fields.{key}": float(answer.get(key) == expected[key]) for key in wanted}
        return {**scores, "fields": sum(scores.values()) / len(scores)}

    def measure(self, metric: str) -> Measure | None:
        """Return a proportion for one field, a mean for the share of all."""
        if metric.partition(".")[0] != "fields":
            return None
        return Measure(kind=MetricKind.MEAN if metric == "fields" else MetricKind.PROPORTION)
