"""Whether an answer says only what its context says."""

from penstock.evals.judging import verdict
from penstock.evals.judging.claims import ClaimScorer
from penstock.evals.model import Output, Sample


class Faithfulness(ClaimScorer):
    """`faithfulness`: the share of an answer's claims that follow from the context, by a judge.

    The context is what the target says it used, else the row's column `context`. An answer without claims is not
    scored. Source: Es et al., RAGAS (2023), arXiv:2309.15217, section 3; here in one call.
    """

    name = "faithfulness"
    task = (
        "List every factual claim of the answer, each so that it can be understood alone. A claim holds when the "
        "context states it or it follows from the context; what is true but not in the context does not hold. An "
        "answer that claims nothing gives an empty list."
    )

    def material(self, sample: Sample, output: Output) -> str:
        """Return context, question and answer."""
        passages = verdict.contexts_of(sample, output, self._context)
        return "\n".join(
            [
                *(verdict.section("context", passage) for passage in passages),
                verdict.section("question", verdict.question(sample)),
                verdict.section("answer", output.text),
            ]
        )
