"""Rewriting: a parent from the Pareto pool, a few rows, a reflection, and a child that must do better on those rows."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from penstock.core.errors import Invalid
from penstock.evals.judging.verdict import question
from penstock.evals.model import Sample
from penstock.evals.optimise import reflection
from penstock.evals.optimise.bodies import instruction_of
from penstock.evals.optimise.field import Field
from penstock.evals.optimise.model import Candidate, Part, Row
from penstock.evals.optimise.pool import choose_parent
from penstock.prompts.model import Body, Kind, is_template, literal

TRIES = 2


class Rewriting:
    """One rewriting after another; what each one drew depends on its number and the answers alone."""

    def __init__(self, field: Field) -> None:
        self._field, self._desk = field, field.desk

    async def turn(self, number: int) -> None:
        """Try to better one candidate; a child that does better on its rows is measured on those for choosing."""
        field, plan = self._field, self._desk.plan
        random = Random(f"{plan.seed}:rewrite:{number}")
        parent = self._parent(random)
        batch = self._batch(parent, random)
        rows = await field.answer(parent, batch, Part.LEARN)
        child = await self._child(number, parent, batch, rows)
        if child is None:
            return
        await field.answer(child, batch, Part.LEARN)
        before, after = field.mean(parent, batch), field.mean(child, batch)
        if after <= before:
            field.drop(child, f"No better than {parent.id} on {len(batch)} rows.")
            return
        await field.answer(child, field.parts.select, Part.SELECT)
        field.select(child)

    def _parent(self, random: Random) -> Candidate:
        select = self._field.parts.select
        pool = {
            one.number: found
            for one in self._field.alive()
            if len(found := self._field.scores(one, select)) > 0 and one.selection is not None
        }
        return self._field.candidates[choose_parent(pool, random)]

    def _batch(self, parent: Candidate, random: Random) -> list[Sample]:
        """Return rows to look at: half of them such as the parent is known to fail, where there are any."""
        learn = [*self._field.parts.learn]
        size = min(self._desk.plan.minibatch, len(learn))
        scores = self._field.scores(parent, learn)
        top = max(scores.values(), default=0.0)
        poor = [one for one in learn if one.id in scores and scores[one.id] < top] or learn
        chosen = random.sample(poor, min(len(poor), max(1, size // 2)))
        rest = [one for one in learn if one not in chosen]
        return chosen + random.sample(rest, min(len(rest), size - len(chosen)))

    async def _child(
        self, number: int, parent: Candidate, batch: Sequence[Sample], rows: Sequence[Row]
    ) -> Candidate | None:
        base = self._field.base
        present = instruction_of(base) if parent.draft.instruction is None else parent.draft.instruction
        places = self._places(present)
        seen = [self._seen(one, row) for one, row in zip(batch, rows, strict=True)]
        messages = reflection.request(present, seen, metric=self._desk.plan.metric, places=places)
        for attempt in range(TRIES):
            said = await self._desk.rewrite(messages, f"{number}:{attempt}")
            found = reflection.read(said)
            why = "there are no new instructions between the tags."
            if found is not None:
                try:
                    made = self._made(found, places, template=is_template(present) or base.kind is Kind.TEXT)
                    note = f"Rewritten from {parent.id} after {len(batch)} rows."
                    return self._field.add(replace(parent.draft, instruction=made), "rewrite", [parent], note)
                except Invalid as error:
                    why = error.message
            again = reflection.AGAIN.format(why=why)
            messages = [*messages, {"role": "assistant", "content": said}, {"role": "user", "content": again}]
        return None

    def _made(self, text: str, places: Sequence[str], *, template: bool) -> str:
        """Return the new instructions as a template; raises Invalid unless they have the same places as before."""
        if not template:
            return str(literal(text))
        found = self._places(text)
        if sorted(found) != sorted(places):
            wanted = ", ".join(places) or "none"
            raise Invalid(f"the places must be {wanted}, and are {', '.join(found) or 'none'}.")
        return text

    def _places(self, text: str) -> list[str]:
        if not is_template(text):
            return []
        return [*self._desk.compiled(Body(kind=Kind.TEXT, text=text)).variables]

    def _seen(self, sample: Sample, row: Row) -> reflection.Seen:
        return reflection.Seen(
            asked=question(sample),
            answered=row.output.text,
            expected=sample.expected,
            score=self._field.score(row),
            remarks=row.notes,
            error=row.error,
        )
