"""The candidates of one search: making them, and how they stand on the rows for choosing."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean

import msgspec

from penstock.core.errors import Invalid, Unprocessable
from penstock.evals.model import Sample
from penstock.evals.optimise.bodies import compose
from penstock.evals.optimise.desk import Desk
from penstock.evals.optimise.model import Candidate, Draft, Part, Row, Standing
from penstock.evals.optimise.parts import Parts
from penstock.prompts.model import Body

Keep = Callable[[Sequence[Candidate]], None]
"""Makes candidates durable."""


class Field:
    """All candidates so far; the first ones are the prompt as it was, one for each model."""

    def __init__(
        self, desk: Desk, parts: Parts, base: Body, metric: str, *, higher: bool, keep: Keep
    ) -> None:
        self.desk, self.parts, self.base = desk, parts, base
        self.metric, self._sign, self._keep = metric, 1.0 if higher else -1.0, keep
        self.candidates: list[Candidate] = []
        self.seeds: list[Candidate] = []

    def add(
        self, draft: Draft, method: str, parents: Sequence[Candidate] = (), note: str = ""
    ) -> Candidate | None:
        """Return the new candidate, None when there is the same one already; raises Invalid for one that cannot be."""
        made = Candidate(
            number=len(self.candidates),
            parents=tuple(one.number for one in parents),
            method=method,
            draft=draft,
            body=compose(self.base, draft),
            note=note,
        )
        if any(one.hash == made.hash for one in self.candidates):
            return None
        self.desk.target(made)
        self.candidates.append(made)
        self._keep([made])
        return made

    def change(self, candidate: Candidate) -> Candidate:
        """Keep a changed candidate in place of the one of its number."""
        self.candidates[candidate.number] = candidate
        self._keep([candidate])
        return candidate

    def drop(self, candidate: Candidate, why: str) -> None:
        """Leave a candidate out from now on."""
        self.change(replace(candidate, dropped=True, note=f"{candidate.note} {why}".strip()))

    def alive(self) -> list[Candidate]:
        """Return the candidates that were not dropped."""
        return [one for one in self.candidates if not one.dropped]

    # -- scores: always higher is better here -----------------------------------------------------------------

    def score(self, row: Row) -> float | None:
        """Return a row's score, negated when lower is better; None without one."""
        value = row.scores.get(self.metric)
        return None if value is None else self._sign * value

    def scores(self, candidate: Candidate, samples: Sequence[Sample]) -> dict[str, float]:
        """Return sample id → score for the samples that the candidate has answered."""
        known = self.desk.known(candidate)
        found = {one.id: self.score(known[one.id]) for one in samples if one.id in known}
        return {key: value for key, value in found.items() if value is not None}

    def mean(self, candidate: Candidate, samples: Sequence[Sample]) -> float:
        """Return the mean score on the samples; minus infinity when none has a score."""
        found = self.scores(candidate, samples)
        return fmean(found.values()) if found else float("-inf")

    def costs(self, candidate: Candidate) -> float:
        """Return the mean price of an answer on the rows for choosing, 0 when nobody knows one."""
        known = self.desk.known(candidate)
        found = [
            row.output.cost_usd
            for one in self.parts.select
            if (row := known.get(one.id)) is not None and row.output.cost_usd is not None
        ]
        return fmean(found) if found else 0.0

    def price(self, candidate: Candidate) -> float:
        """Return what an answer is expected to cost: as much more than the original's as the prompt is longer."""
        seed = next(one for one in self.seeds if one.draft.model == candidate.draft.model)
        longer = len(msgspec.json.encode(candidate.body)) / len(msgspec.json.encode(seed.body))
        return self.costs(seed) * max(1.0, longer)

    def ranked(self, candidates: Sequence[Candidate], samples: Sequence[Sample]) -> list[Candidate]:
        """Return the candidates best first; among equals the cheaper, then the older."""
        return sorted(candidates, key=lambda one: (-self.mean(one, samples), self.costs(one), one.number))

    async def answer(self, candidate: Candidate, samples: Sequence[Sample], part: Part) -> list[Row]:
        """Let a candidate answer; raises Unprocessable when the scorers do not give the metric."""
        rows = await self.desk.answer(candidate, samples, part)
        good = [row for row in rows if row.error is None]
        if good and all(self.metric not in row.scores for row in good):
            known = ", ".join(sorted({name for row in good for name in row.scores})) or "none"
            raise Unprocessable(
                f"No scorer gave the metric {self.metric!r} for a row.", hint=f"They gave: {known}."
            )
        return rows

    def select(self, candidate: Candidate) -> None:
        """Note how a candidate stands on the rows for choosing it has answered so far."""
        found = self.scores(candidate, self.parts.select)
        if found:
            standing = Standing(value=self._sign * fmean(found.values()), n=len(found))
            self.change(replace(self.candidates[candidate.number], selection=standing))

    def start(self, models: Sequence[str]) -> None:
        """Make the prompt as it is a candidate, for each model; raises Invalid when it cannot be rendered."""
        for model in models:
            made = self.add(Draft(model=model), "start", note="The prompt as it is.")
            if made is None:
                raise Invalid(f"The model {model!r} is named twice.")
            self.seeds.append(made)
