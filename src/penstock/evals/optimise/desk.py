"""Where candidates answer rows: every call through the ledger, every scored row kept, nothing asked twice."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any

from penstock.core.errors import Cancelled, PenstockError, Unprocessable
from penstock.evals.bench import Judges, SampleBench
from penstock.evals.calls.journal import Journal
from penstock.evals.calls.ledger import CapReached, Ledger
from penstock.evals.calls.model import Call, digest
from penstock.evals.model import Output, Sample
from penstock.evals.optimise import store
from penstock.evals.optimise.candidate_target import CandidateTarget, Endpoints, filled
from penstock.evals.optimise.model import Candidate, Part, Row, Spending
from penstock.evals.optimise.plan import Plan
from penstock.evals.ports import JudgingScorer, Scorer, TargetContext
from penstock.prompts import service as prompts
from penstock.prompts.model import Body

ANSWER = "candidate"
REWRITE = "rewriter"


class Desk:
    """Answers and scores rows for candidates, within the budget."""

    def __init__(
        self,
        context: TargetContext,
        record: tuple[str, str],
        plan: Plan,
        scorers: Sequence[Scorer],
        judges: Judges,
        endpoints: Endpoints,
    ) -> None:
        """`record` is the optimisation's id and the name of its prompt."""
        self._home, self._actor, self._context = context.home, context.actor, context
        (self.id, self._prompt), self.plan = record, plan
        self.scorers, self._judges, self._endpoints = scorers, judges, endpoints
        self._judging = [one for one in scorers if isinstance(one, JudgingScorer)]
        self._targets: dict[str, CandidateTarget] = {}
        with self._home.read() as uow:
            found = store.rows_of(uow.conn, self._actor.scope, self.id)
        self._rows: dict[str, dict[str, Row]] = {}
        for candidate, row in found:
            self._rows.setdefault(candidate, {})[row.sample_id] = row
        self._journal: Journal | None = None
        self._ledger: Ledger | None = None

    def open(self) -> None:
        """Begin to make calls; within a running event loop."""
        scope = self._actor.scope
        self._journal = Journal(self._home, scope, self.id, lambda *_: None)
        self._ledger = Ledger(
            self._home,
            scope,
            self.id,
            self._journal,
            cap_usd=self.plan.max_cost_usd,
            cap_calls=self.plan.max_calls,
        )

    async def close(self) -> None:
        """Close connections and the journal."""
        if self._journal is not None:
            await self._journal.close()
        await self._judges.close()
        await self._endpoints.close()

    # -- the accounts ------------------------------------------------------------------------------------------

    @property
    def ledger(self) -> Ledger:
        """The accounts; raises RuntimeError before `open`."""
        if self._ledger is None:
            raise RuntimeError("The desk is not open.")
        return self._ledger

    def spending(self) -> Spending:
        """Return what was spent so far."""
        ledger = self.ledger
        return Spending(calls=ledger.answered, cost_usd=ledger.cost_usd, lost=ledger.lost)

    def affords(self, answers: int, price: float = 0.0) -> bool:
        """Whether the budget has room for so many more scored answers.

        They are reckoned at the price of the dearest candidate so far, or at `price` (dollars) where that is higher.
        """
        spent = self.spending()
        counted = [len(rows) for rows in self._rows.values()]
        per_row = max(1.0, spent.calls / sum(counted)) if counted else 1.0 + len(self._judging)
        if spent.calls + spent.lost + answers * per_row > self.plan.max_calls:
            return False
        return self.plan.max_cost_usd is None or (
            spent.cost_usd + answers * max(price, self._dearest(spent)) <= self.plan.max_cost_usd
        )

    def _dearest(self, spent: Spending) -> float:
        costs = [
            [row.output.cost_usd for row in rows.values() if row.output.cost_usd is not None]
            for rows in self._rows.values()
        ]
        answered = sum(map(len, costs))
        if not answered:
            return 0.0
        beside = max(0.0, spent.cost_usd - sum(map(sum, costs))) / answered
        return max(fmean(one) for one in costs if one) + beside

    # -- answering and scoring ---------------------------------------------------------------------------------

    def known(self, candidate: Candidate) -> Mapping[str, Row]:
        """Return sample id → row of what the candidate has answered."""
        return self._rows.get(candidate.hash, {})

    def target(self, candidate: Candidate) -> CandidateTarget:
        """Return the candidate as a target; raises Invalid for a body that cannot be."""
        if candidate.hash not in self._targets:
            compiled = self.compiled(candidate.body)
            settings = candidate.body.settings
            self._targets[candidate.hash] = CandidateTarget(
                compiled, self._columns(), self._endpoints.of(candidate.draft.model, settings)
            )
        return self._targets[candidate.hash]

    def compiled(self, body: Body) -> prompts.Compiled:
        """Return a body ready to be rendered; raises Invalid for one that cannot be."""
        with self._home.read() as uow:
            return prompts.draft(uow, self._actor, name=self._prompt, body=body)

    def values(self, body: Body, sample: Sample) -> dict[str, Any]:
        """Return the variables of `body` that the row fills."""
        return filled(self.compiled(body), sample, self._columns())

    def _columns(self) -> Mapping[str, str]:
        found: Mapping[str, str] = self.plan.target.get("variables") or {}
        return found

    async def answer(self, candidate: Candidate, samples: Sequence[Sample], part: Part) -> list[Row]:
        """Return the candidate's rows for the samples, in their order; those it has are not asked for again.

        Raises CapReached, Cancelled, and Unprocessable when more rows fail than the plan allows.
        """
        have = self._rows.setdefault(candidate.hash, {})
        todo = [one for one in samples if one.id not in have]
        fresh: list[Row] = []
        try:
            await self._each(todo, partial(self._one, candidate, part, fresh))
        finally:
            self._keep(candidate, [row for row in fresh if row.error is None])
        self._check(candidate, fresh, len(todo))
        self._keep(candidate, [row for row in fresh if row.error is not None])
        return [have[one.id] for one in samples]

    def _keep(self, candidate: Candidate, rows: Sequence[Row]) -> None:
        if rows:
            with self._home.begin() as uow:
                store.add_rows(uow.conn, self._actor.scope, self.id, candidate.hash, rows)
            self._rows[candidate.hash] |= {row.sample_id: row for row in rows}

    def _check(self, candidate: Candidate, fresh: Sequence[Row], asked: int) -> None:
        failed = [row for row in fresh if row.error is not None]
        if len(failed) > max(1.0, self.plan.max_error_rate * asked):
            raise Unprocessable(
                f"{len(failed)} of {asked} answers of {candidate.id} failed, first with: {failed[0].error}",
                hint="Mend the cause and resume; answers that are there are not paid for again.",
            )

    async def _each(self, samples: Sequence[Sample], work: Callable[[Sample], Any]) -> None:
        """Do the work for each sample, several at once; what is under way when one fails is waited for."""
        left = [*reversed(samples)]
        failed: list[BaseException] = []

        async def worker() -> None:
            while left and not failed:
                try:
                    if self._context.cancelled():
                        raise Cancelled("The optimisation was stopped; it can be resumed.")
                    await work(left.pop())
                except Exception as error:  # noqa: BLE001 - kept, and raised once the calls under way have ended
                    failed.append(error)

        await asyncio.gather(*(worker() for _ in range(min(self.plan.concurrency, len(samples)))))
        if failed:
            raise failed[0]

    async def _one(self, candidate: Candidate, part: Part, fresh: list[Row], sample: Sample) -> None:
        target = self.target(candidate)
        name = digest(ANSWER, self.id, candidate.draft.model, target.request(sample))
        output = await self.ledger.ask(Call(name, ANSWER, sample.id), lambda: target.answer(sample, name))
        fresh.append(await self._scored(sample, output, part, target))

    async def _scored(self, sample: Sample, output: Output, part: Part, target: CandidateTarget) -> Row:
        if output.error is not None:
            return Row(sample_id=sample.id, part=str(part), output=output, error=output.error)
        scores: dict[str, float] = {}
        notes: dict[str, Any] = {}
        bench = SampleBench(self.ledger, self._judges, sample, 0, target)
        try:
            for scorer in self.scorers:
                scores |= scorer.score(sample, output)
            for judging in self._judging:
                found, note = await judging.judge(sample, output, bench)
                scores |= found
                if note is not None:
                    notes[judging.name] = note
        except (CapReached, Cancelled):
            raise
        except PenstockError as error:
            return Row(sample_id=sample.id, part=str(part), output=output, scores=scores, error=error.message)
        return Row(sample_id=sample.id, part=str(part), output=output, scores=scores, notes=notes)

    async def rewrite(self, messages: Sequence[Mapping[str, Any]], name: str) -> str:
        """Return the rewriter's reply; `name` tells equal requests apart. Raises Unprocessable without one."""
        if self._context.cancelled():
            raise Cancelled("The optimisation was stopped; it can be resumed.")
        options = self.plan.rewriter or self.plan.judge or {**self._shared(), "model": self.plan.models[0]}
        endpoint = self._endpoints.rewriter(options)
        body = endpoint.body(messages)
        known = digest(REWRITE, self.id, name, body)
        output = await self.ledger.ask(Call(known, REWRITE, name[:200]), lambda: endpoint.chat(body, known))
        if output.error is not None:
            raise Unprocessable(
                f"The rewriter gave no answer: {output.error}",
                hint="Name another as rewriter: {model: NAME}, and resume.",
            )
        return output.text

    def _shared(self) -> dict[str, Any]:
        names = ("base_url", "api_key", "timeout_s", "retries", "patience_s", "per_minute")
        return {name: self.plan.target[name] for name in names if name in self.plan.target}
