"""Scorers that take a text apart and hold each piece against another: one call, a list of verdicts with reasons."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from penstock.evals.judging import verdict
from penstock.evals.model import Measure, MetricKind, Output, Sample
from penstock.evals.ports import Bench

Piece = dict[str, Any]


class ClaimScorer:
    """Asks for `{"items": [{"text", "holds", "reason"}]}` and scores the share that holds.

    A subclass says what is taken apart and what each piece is held against.
    """

    name: ClassVar[str]
    calibrated = True
    """Whether a gate asks for the judge's agreement with people first."""
    task: ClassVar[str]

    def __init__(self, *, judge: Mapping[str, Any] | None = None, context: str = "context") -> None:
        self._judge = dict(judge or {})
        self._context = context

    def score(self, sample: Sample, output: Output) -> dict[str, float]:  # noqa: ARG002 - the port's signature
        """Return nothing: every figure needs the judge."""
        return {}

    def measure(self, metric: str) -> Measure | None:
        """Return a mean of shares."""
        return Measure(kind=MetricKind.MEAN) if metric == self.name else None

    def material(self, sample: Sample, output: Output) -> str:
        """Return the tagged texts; raises Unprocessable when something is missing."""
        raise NotImplementedError

    def share(self, items: Sequence[Piece]) -> float | None:
        """Return the score of the verdicts, None when there is nothing to score."""
        return sum(one["holds"] for one in items) / len(items) if items else None

    async def judge(self, sample: Sample, output: Output, bench: Bench) -> tuple[dict[str, float], Any]:
        """Return the score and the verdicts."""
        shape = 'Reply as {"items": [{"text": "…", "reason": "…", "holds": true or false}, …]}.'
        content = f"{self.task}\n{shape}\n\n{self.material(sample, output)}"
        items = await verdict.ask(bench, self._judge, content, _items)
        found = self.share(items)
        return ({} if found is None else {self.name: found}), {"items": items}


def _items(found: Mapping[str, Any]) -> list[Piece]:
    items = found["items"]
    if not isinstance(items, list):
        raise ValueError("items is no list")
    return [
        {
            "text": str(one.get("text", "")),
            "reason": str(one.get("reason", "")),
            "holds": verdict.flag(one["holds"]),
        }
        for one in items
    ]
