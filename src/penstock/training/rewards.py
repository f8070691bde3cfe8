"""What an answer is worth in training: scorers of evaluations, added up with weights."""

from collections.abc import Mapping, Sequence
from typing import Any

from penstock.core import plugins
from penstock.core.errors import Invalid
from penstock.evals.model import Output, Sample
from penstock.evals.ports import JudgingScorer, Scorer
from penstock.training.rows import Problem, Row
from penstock.training.sections import Reward


class Judge:
    """One scorer as a reward: the figure that it gives an answer."""

    def __init__(self, term: Reward) -> None:
        scorer = _built(term)
        if isinstance(scorer, JudgingScorer):
            raise Invalid(
                f"The scorer {term.scorer!r} asks somebody for each answer, which training cannot wait for.",
                hint="Train a reward model on its verdicts (method: reward), or take a scorer that needs no asking.",
            )
        self._scorer = scorer
        self.metric = term.metric or term.scorer

    def figure(self, row: Row, place: int, text: str) -> float:
        """Return the figure of `text` as the answer to a row; raises ValueError when there is none."""
        sample = Sample(
            id=str(place),
            ordinal=place,
            messages=tuple(row["messages"]),
            references=tuple(row["references"]),
            row=row["row"],
        )
        scores: Mapping[str, float] = self._scorer.score(sample, Output(sample_id=sample.id, text=text))
        if self.metric not in scores:
            given = ", ".join(sorted(scores)) or "nothing"
            raise ValueError(f"the scorer {self._scorer.name!r} gives no {self.metric!r} (it gives {given})")
        return float(scores[self.metric])


def _built(term: Reward) -> Scorer:
    try:
        scorer: Scorer = plugins.load("scorers", term.scorer)(**term.options)
    except TypeError as error:
        raise Invalid(f"The scorer {term.scorer!r} was given wrong options: {error}.") from error
    return scorer


def scorers(terms: Sequence[Reward]) -> list[Judge | None]:
    """Return a judge per term, None where a model judges; raises Invalid for an unknown or unfit scorer."""
    return [Judge(term) if term.scorer else None for term in terms]


def check(terms: Sequence[Reward]) -> None:
    """Raise Invalid for terms that cannot reward."""
    scorers(terms)


def problems(terms: Sequence[Reward], rows: Sequence[Row]) -> list[Problem]:
    """Return the rows (counted from 1) that some scorer has no figure for, tried on the right answer."""
    judges = [judge for judge in scorers(terms) if judge is not None]
    found = []
    for number, row in enumerate(rows, start=1):
        text = row["references"][0] if row["references"] else ""
        for judge in judges:
            try:
                judge.figure(row, number, text)
            except ValueError as error:
                found.append(Problem(row=number, message=str(error)))
                break
    return found


def terms(values: Sequence[Mapping[str, Any]]) -> list[Reward]:
    """Return the terms of a recipe that was written out as plain values."""
    return [Reward(**value) for value in values]
