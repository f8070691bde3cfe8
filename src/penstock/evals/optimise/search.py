"""The search, from the prompt as it is to the finalists. Its course depends on the plan and the answers alone."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from penstock.core.errors import Unprocessable
from penstock.evals.calls.ledger import CapReached
from penstock.evals.model import Sample
from penstock.evals.optimise.few_shot import add_examples
from penstock.evals.optimise.field import Field
from penstock.evals.optimise.model import Candidate, Part
from penstock.evals.optimise.pool import rungs, survivors
from penstock.evals.optimise.rewriting import Rewriting

CROSSED = 2
"""How many of the best instructions, and of the best sets of examples, are crossed."""
LONGER = 1.5
"""How much dearer than the original a rewriting is reckoned to be before it is there."""


class Steps:
    """What the budget was found to allow; it stays so, and work that is taken up again goes the same way."""

    def __init__(self, taken: Sequence[str], keep: Callable[[Sequence[str], str], None]) -> None:
        """`keep` makes (steps, stage) durable."""
        self._taken, self._keep = [*taken], keep

    def allowed(self, step: str, enough: bool) -> bool:
        """Return whether the step may be taken, and remember it."""
        for answer in ("yes", "no"):
            if f"{step}={answer}" in self._taken:
                return answer == "yes"
        self._taken.append(f"{step}={'yes' if enough else 'no'}")
        self._keep(self._taken, step.partition(":")[0])
        return enough


class Search:
    """Finds finalists within the budget, which keeps enough back to measure them."""

    def __init__(self, field: Field, steps: Steps) -> None:
        self._field, self._steps, self._plan = field, steps, field.desk.plan
        self._select = field.parts.select
        self.cut = ""
        """Why the search ended before its time: the cap, which the reckoning before it did not foresee."""

    def _affords(self, answers: int, price: float) -> bool:
        """Whether the budget has room for the answers and for measuring the finalists after them.

        Until there is one candidate besides the original, that means one finalist.
        """
        others = self._plan.finalists if len(self._measured()) > len(self._field.seeds) else 1
        last = (len(self._field.seeds) + others) * len(self._field.parts.held_out)
        return self._field.desk.affords(answers + last, price)

    async def run(self) -> list[Candidate]:
        """Return the finalists: the prompt as it is on each model, then the best by the rows for choosing.

        A cap that is reached on the way ends the search with what was found until then. Raises CapReached when it is
        reached before the prompt as it is was measured.
        """
        await self._start()
        try:
            if "few_shot" in self._plan.methods:
                add_examples(self._field, self._field.seeds)
            if "rewrite" in self._plan.methods:
                await self._rewrite()
            await self._race()
            await self._cross()
        except CapReached as reached:
            self.cut = str(reached)
        return self._finalists()

    async def _start(self) -> None:
        field = self._field
        field.start(self._plan.models)
        learn = field.parts.learn
        needed = len(field.seeds) * (len(learn) + len(self._select) + len(field.parts.held_out))
        needed += len(self._select) + len(field.parts.held_out)
        if not self._steps.allowed("start", field.desk.affords(needed)):
            raise Unprocessable(
                f"The budget is too small: the prompt as it is and one candidate need about {needed} answers.",
                hint="Raise max_calls (and max_cost_usd), or lower rows and held_out_rows.",
            )
        for seed in field.seeds:
            await field.answer(seed, learn, Part.LEARN)
            await field.answer(seed, self._select, Part.SELECT)
            field.select(seed)

    async def _rewrite(self) -> None:
        rewriting = Rewriting(self._field)
        price = LONGER * max(self._field.costs(one) for one in self._field.seeds)
        for number in range(self._plan.rewrites):
            most = 2 * self._plan.minibatch + 2 + len(self._select)
            if not self._steps.allowed(f"rewrite:{number}", self._affords(most, price)):
                return
            await rewriting.turn(number)

    async def _race(self) -> None:
        """Halve the field round by round; those that fall out keep the rows they have."""
        field = self._field
        racing = [one.number for one in field.alive()]
        for size in rungs(len(racing), len(self._select), self._plan.finalists):
            rows = self._select[:size]
            running = [number for number in racing if await self._run(field.candidates[number], rows)]
            order = field.ranked([field.candidates[number] for number in running], rows)
            racing = survivors(
                [one.number for one in order], self._plan.finalists, [one.number for one in field.seeds]
            )

    async def _run(self, candidate: Candidate, rows: Sequence[Sample]) -> bool:
        """Let a candidate answer the rows of a round; returns False when the budget has no room for that."""
        missing = sum(one.id not in self._field.desk.known(candidate) for one in rows)
        step = f"race:{len(rows)}:{candidate.number}"
        if missing and not self._steps.allowed(step, self._affords(missing, self._field.price(candidate))):
            return False
        await self._field.answer(candidate, rows, Part.SELECT)
        self._field.select(candidate)
        return True

    def _measured(self) -> list[Candidate]:
        """Return the candidates that have answered all rows for choosing, best first."""
        field = self._field
        full = [
            one for one in field.alive() if all(sample.id in field.desk.known(one) for sample in self._select)
        ]
        return field.ranked(full, self._select)

    async def _cross(self) -> None:
        """Give the best instructions the best examples, of the same model."""
        field, best = self._field, self._measured()
        rewritten = [one for one in best if one.draft.instruction is not None][:CROSSED]
        shown = [one for one in best if one.draft.demos][:CROSSED]
        for one in rewritten:
            for other in shown:
                if one.draft.model != other.draft.model or one.draft.demos == other.draft.demos:
                    continue
                step = f"cross:{one.number}:{other.number}"
                price = self._field.price(one) + self._field.price(other)
                if not self._steps.allowed(step, self._affords(len(self._select), price)):
                    return
                draft = replace(one.draft, demos=other.draft.demos)
                note = f"Instructions of {one.id}, examples of {other.id}."
                made = field.add(draft, "cross", [one, other], note)
                if made is not None:
                    await field.answer(made, self._select, Part.SELECT)
                    field.select(made)

    def _finalists(self) -> list[Candidate]:
        field = self._field
        seeds = [field.candidates[one.number] for one in field.seeds]
        numbers = {one.number for one in seeds}
        best = [one for one in self._measured() if one.number not in numbers]
        found = [*seeds]
        for one in best[: self._plan.finalists]:
            enough = field.desk.affords((len(found) + 1) * len(field.parts.held_out))
            if self._steps.allowed(f"held_out:{one.number}", enough):
                found.append(one)
        return found

    async def measure(self, finalists: Sequence[Candidate]) -> list[Candidate]:
        """Let the finalists answer the held-out rows; return those that have: none, unless the first is among them."""
        held_out = self._field.parts.held_out
        try:
            for one in finalists:
                await self._field.answer(one, held_out, Part.HELD_OUT)
        except CapReached as reached:
            self.cut = self.cut or str(reached)
        done = [one for one in finalists if all(row.id in self._field.desk.known(one) for row in held_out)]
        return done if done[:1] == list(finalists[:1]) else []

    def leading(self) -> Candidate:
        """Return the best candidate by the rows for choosing."""
        return self._measured()[0]
