"""Whether the useful passages come first."""

from collections.abc import Mapping
from typing import Any

from penstock.core.errors import Unprocessable
from penstock.evals.judging import verdict
from penstock.evals.judging.claims import ClaimScorer
from penstock.evals.model import Output, Sample
from penstock.evals.ports import Bench


def average_precision(useful: list[bool]) -> float:
    """Return the mean of the precision at each useful place, 0 when none is. Source: Manning et al., IR (2008), 8.4."""
    found, total = 0, 0.0
    for place, one in enumerate(useful, start=1):
        if one:
            found += 1
            total += found / place
    return total / found if found else 0.0


class ContextPrecision(ClaimScorer):
    """`context_precision`: average precision of the retrieved passages, each judged useful or not.

    Useful is what helps to reach the expected answer (the given answer when none is expected). Source: RAGAS,
    context precision, on the average precision of information retrieval.
    """

    name = "context_precision"
    task = (
        "Judge every passage, in the order given. A passage holds when it helps to reach the expected answer to the "
        "question. Give one item per passage, with its number as text."
    )

    def material(self, sample: Sample, output: Output) -> str:
        """Return question, expected answer and the numbered passages."""
        passages = verdict.contexts_of(sample, output, self._context)
        return "\n".join(
            [
                verdict.section("question", verdict.question(sample)),
                verdict.section("expected", sample.expected or output.text),
                *(verdict.section(f"passage-{place}", text) for place, text in enumerate(passages, start=1)),
            ]
        )

    async def judge(self, sample: Sample, output: Output, bench: Bench) -> tuple[dict[str, float], Any]:
        """Return the average precision and the verdicts."""
        _, note = await super().judge(sample, output, bench)
        items: list[Mapping[str, Any]] = note["items"]
        wanted = len(verdict.contexts_of(sample, output, self._context))
        if len(items) != wanted:
            raise Unprocessable(f"The judge gave {len(items)} verdicts on {wanted} passages.")
        return {self.name: average_precision([one["holds"] for one in items])}, note
