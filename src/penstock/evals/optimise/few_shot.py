"""Examples for the prompt: the model's own good answers, and the dataset's where it was wrong.

Source: bootstrapping of demonstrations as in Khattab et al., DSPy (2023), arXiv:2310.03714, with labelled ones
beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from penstock.evals.model import Sample
from penstock.evals.optimise.bodies import query_of
from penstock.evals.optimise.field import Field
from penstock.evals.optimise.model import Candidate, Demo
from penstock.prompts.service import Compiled


class Examples:
    """Worked examples from the rows to learn from."""

    def __init__(self, field: Field) -> None:
        self._field, self._desk = field, field.desk
        query = query_of(field.base)
        compiled = None if query is None else self._desk.compiled(query)
        self._whole = self._desk.compiled(field.base)
        self._query: Compiled | None = compiled if compiled is not None and compiled.variables else None

    def _asked(self, sample: Sample) -> tuple[Mapping[str, Any], ...]:
        if self._query is not None:
            return self._query.render(self._desk.values(self._query.version.body, sample)).messages
        values = self._desk.values(self._whole.version.body, sample)
        told = "\n".join(f"{name}: {value}" for name, value in values.items())
        return ({"role": "user", "content": told},)

    def draw(self, seed: Candidate) -> list[tuple[tuple[Demo, ...], str]]:
        """Return sets of examples for the model of `seed`, each with a word on what is in it."""
        own, labelled = self._own(seed), self._labelled(seed)
        plan, found = self._desk.plan, []
        for number in range(plan.demo_sets):
            random = Random(f"{plan.seed}:{seed.draft.model}:{number}")
            size = plan.shots if number % 2 == 0 else max(1, plan.shots // 2)
            wanted = 0 if not labelled else size if not own else size // 2 if number else 0
            chosen = random.sample(labelled, min(wanted, len(labelled)))
            chosen += random.sample(own, min(size - len(chosen), len(own)))
            random.shuffle(chosen)
            if chosen:
                mine = sum(demo.own for demo in chosen)
                found.append((tuple(chosen), f"{mine} own answers, {len(chosen) - mine} of the dataset."))
        return found

    def _own(self, seed: Candidate) -> list[Demo]:
        """Return examples from the answers of `seed` that scored as well as any."""
        scores = self._field.scores(seed, self._field.parts.learn)
        top = max(scores.values(), default=0.0)
        if not scores or (top <= 0.0 and min(scores.values()) == top):
            return []
        known = self._desk.known(seed)
        return [
            Demo(sample_id=one.id, query=self._asked(one), answer=known[one.id].output.text, own=True)
            for one in self._field.parts.learn
            if scores.get(one.id) == top and known[one.id].output.text.strip()
        ]

    def _labelled(self, seed: Candidate) -> list[Demo]:
        """Return examples from the dataset's answers, of rows on which `seed` was not at its best."""
        scores = self._field.scores(seed, self._field.parts.learn)
        top = max(scores.values(), default=0.0)
        return [
            Demo(sample_id=one.id, query=self._asked(one), answer=one.expected, own=False)
            for one in self._field.parts.learn
            if one.expected.strip() and (scores.get(one.id, float("-inf")) < top or top <= 0.0)
        ]


def add_examples(field: Field, seeds: Sequence[Candidate]) -> int:
    """Make candidates with examples of every seed; returns how many."""
    examples, made = Examples(field), 0
    for seed in seeds:
        for demos, note in examples.draw(seed):
            draft = replace(seed.draft, demos=demos)
            made += field.add(draft, "few_shot", [seed], note) is not None
    return made
