"""Whether the context holds what the right answer needs."""

from penstock.core.errors import Unprocessable
from penstock.evals.judging import verdict
from penstock.evals.judging.claims import ClaimScorer
from penstock.evals.model import Output, Sample


class ContextRecall(ClaimScorer):
    """`context_recall`: the share of the expected answer's claims that the retrieved context supports, by a judge.

    It judges the retrieval, not the answer. Source: RAGAS, context recall.
    """

    name = "context_recall"
    task = (
        "List every claim of the expected answer, each so that it can be understood alone. A claim holds when the "
        "context states it or it follows from the context."
    )

    def material(self, sample: Sample, output: Output) -> str:
        """Return context, question and expected answer."""
        if not sample.references:
            raise Unprocessable("context_recall needs an expected answer.")
        passages = verdict.contexts_of(sample, output, self._context)
        return "\n".join(
            [
                *(verdict.section("context", passage) for passage in passages),
                verdict.section("question", verdict.question(sample)),
                verdict.section("expected", sample.expected),
            ]
        )
