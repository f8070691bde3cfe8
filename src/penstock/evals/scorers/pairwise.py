"""Which of two answers a judge prefers, asked both ways round."""

from collections.abc import Mapping
from typing import Any

from penstock.core.errors import Invalid, Unprocessable
from penstock.evals.judging import verdict
from penstock.evals.model import Measure, MetricKind, Output, Sample
from penstock.evals.ports import Bench

_OURS = {"A": {"A": 1.0, "B": 0.0, "tie": 0.5}, "B": {"A": 0.0, "B": 1.0, "tie": 0.5}}


class Pairwise:
    """`pairwise`: 1 when the answer is preferred to another, 0 when the other is, 0.5 for a tie.

    The other answer is the row's column `against`, the sample of the run `run`, or else the expected answer. Each pair
    is judged twice with places swapped; a judge that contradicts itself counts as a tie, and
    `pairwise.consistent` says how often it did not. Source: Zheng et al. (2023), arXiv:2306.05685, section 3.4.
    """

    name = "pairwise"
    calibrated = True

    def __init__(
        self,
        *,
        criteria: str = "Which answer is better: more correct, more helpful, and no longer than it needs to be?",
        against: str = "",
        run: str = "",
        judge: Mapping[str, Any] | None = None,
    ) -> None:
        if against and run:
            raise Invalid("pairwise compares with a column or with a run, not both.")
        self._criteria, self._against, self._run = criteria, against, run
        self._judge = dict(judge or {})

    def score(self, sample: Sample, output: Output) -> dict[str, float]:  # noqa: ARG002 - the port's signature
        """Return nothing: every figure needs the judge."""
        return {}

    def measure(self, metric: str) -> Measure | None:
        """Return the mean of wins and half ties, and the share of consistent pairs."""
        if metric == "pairwise.consistent":
            return Measure(kind=MetricKind.PROPORTION)
        return Measure(kind=MetricKind.MEAN) if metric == "pairwise" else None

    async def _other(self, sample: Sample, bench: Bench) -> str:
        if self._run:
            found = await bench.recorded(self._run, sample.id)
            if found is None or found.error is not None:
                raise Unprocessable(f"The run {self._run} has no answer to {sample.id}.")
            return found.text
        if not self._against:
            if not sample.references:
                raise Unprocessable("pairwise needs another answer: a column, a run or an expected answer.")
            return sample.expected
        value = sample.row.get(self._against)
        if not isinstance(value, str):
            raise Unprocessable(f"The row has no text in {self._against!r}.")
        return value

    async def judge(self, sample: Sample, output: Output, bench: Bench) -> tuple[dict[str, float], Any]:
        """Return the preference and the reasons of both rounds."""
        other = await self._other(sample, bench)
        rounds = []
        for ours, first, second in (("A", output.text, other), ("B", other, output.text)):
            content = "\n\n".join(
                [
                    self._criteria,
                    'Reply as {"reason": "…", "winner": "A" or "B" or "tie"}.',
                    verdict.section("question", verdict.question(sample)),
                    verdict.section("answer-A", first),
                    verdict.section("answer-B", second),
                ]
            )
            found = await verdict.ask(bench, self._judge, content, _winner)
            rounds.append({**found, "ours": ours, "score": _OURS[ours][found["winner"]]})
        one, two = (found["score"] for found in rounds)
        scores = {"pairwise": one if one == two else 0.5, "pairwise.consistent": float(one == two)}
        return scores, {"rounds": rounds}


def _winner(found: Mapping[str, Any]) -> dict[str, Any]:
    said = str(found["winner"]).strip()
    winner = {"a": "A", "b": "B", "tie": "tie"}.get(said.lower())
    if winner is None:
        raise ValueError(f"{said!r} is no winner")
    return {"reason": str(found.get("reason", "")), "winner": winner}
