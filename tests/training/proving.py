"""What the proofs share: a run of a recipe, an evaluation of its result, and whether one beats the other."""

from dataclasses import dataclass
from typing import Any

from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import service as datasets
from penstock.evals import service as evals
from penstock.evals.model import Difference, EvalRun
from penstock.evals.suite import Columns, ScorerSpec, Suite
from penstock.training import service
from penstock.training.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """A home with datasets whose rows have an id, a text and the right answer, and how models are judged on them."""

    home: Home
    actor: Actor
    expected: str
    """Column of the right answer."""
    scorers: tuple[str, ...]
    max_tokens: int

    def train(self, recipe: Recipe) -> str:
        """Run the recipe in its child process; returns the reference of the model it made."""
        return str(service.execute(self.home, self.actor, recipe).model)

    def judge(self, model: str, dataset: str = "held-out") -> EvalRun:
        """Evaluate the model's greedy answers."""
        suite = Suite(
            name=dataset,
            dataset=dataset,
            target={"kind": "transformers", "model": model, "max_tokens": self.max_tokens},
            columns=Columns(input="text", expected=self.expected, id="id"),
            scorers=tuple(ScorerSpec(name=name) for name in self.scorers),
            seed=0,
        )
        return evals.run(self.home, self.actor, suite=suite)

    def better(self, baseline: EvalRun, candidate: EvalRun, metric: str = "exact") -> Difference:
        """Return the paired difference of two evaluations."""
        with self.home.read() as uow:
            found = evals.compare(uow, self.actor, baseline.id, candidate.id).difference(metric)
        assert found is not None
        return found

    def review(self, answers: EvalRun) -> None:
        """Make what reviewers leave: `accepted` answers, `corrections` as pairs, and `thumbs` on all of them."""
        with self.home.read() as uow:
            samples = evals.samples(uow, self.actor, answers.id)
        pairs: list[dict[str, Any]] = []
        accepted: list[dict[str, Any]] = []
        for sample in samples:
            prompt, right, text = sample.messages[0]["content"], sample.references[0], sample.output.text
            if text.strip() == right.strip():
                accepted.append({"prompt": prompt, "completion": text})
            elif text.strip():
                pairs.append({"prompt": prompt, "chosen": right, "rejected": text})
        thumbs = [{**row, "label": True} for row in accepted]
        for pair in pairs:
            for side, good in (("chosen", True), ("rejected", False)):
                thumbs.append({"prompt": pair["prompt"], "completion": pair[side], "label": good})
        for name, rows in (("corrections", pairs), ("accepted", accepted), ("thumbs", thumbs)):
            datasets.ingest(self.home, self.actor, name=name, source=rows)
