"""Whether an answer speaks to the question."""

from collections.abc import Sequence

from penstock.evals.judging import verdict
from penstock.evals.judging.claims import ClaimScorer, Piece
from penstock.evals.model import Output, Sample


class AnswerRelevance(ClaimScorer):
    """`answer_relevance`: the share of an answer's statements that help to answer the question, by a judge.

    Right or wrong does not matter here. An answer that states nothing scores 0. Source: the statement-wise form
    that DeepEval uses; RAGAS (arXiv:2309.15217) asks for embeddings instead.
    """

    name = "answer_relevance"
    task = (
        "List every statement of the answer, each in a few words. A statement holds when it helps to answer the "
        "question, whether or not it is true; greetings, repetition and digressions do not hold."
    )

    def material(self, sample: Sample, output: Output) -> str:
        """Return question and answer."""
        asked = verdict.section("question", verdict.question(sample))
        return f"{asked}\n{verdict.section('answer', output.text)}"

    def share(self, items: Sequence[Piece]) -> float | None:
        """Return the share of relevant statements, 0 without any."""
        return super().share(items) or 0.0
