"""Exact match."""

import re

from penstock.evals.model import Measure, MetricKind, Output, Sample

_SPACE = re.compile(r"\s+")


class ExactMatch:
    """`exact`: 1 when the answer equals one of the references.

    White space at the ends and at the ends of lines never counts. `collapse_space` treats any run of
    white space (newlines included) as one blank; `ignore_case` compares case-folded.
    """

    name = "exact"

    def __init__(self, *, collapse_space: bool = False, ignore_case: bool = False) -> None:
        self._collapse = collapse_space
        self._ignore_case = ignore_case

    def _normal(self, text: str) -> str:
        text = _SPACE.sub(" ", text) if self._collapse else "\n".join(map(str.rstrip, text.splitlines()))
        return text.casefold().strip() if self._ignore_case else text.strip()

    def score(self, sample: Sample, output: Output) -> dict[str, float]:
        """Return `exact`, or nothing for a sample without references."""
        if not sample.references:
            return {}
        answer = self._normal(output.text)
        return {"exact": float(any(answer == self._normal(text) for text in sample.references))}

    def measure(self, metric: str) -> Measure | None:
        """Return that `exact` is a proportion."""
        return Measure(kind=MetricKind.PROPORTION) if metric == "exact" else None
