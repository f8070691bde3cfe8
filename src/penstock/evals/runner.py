"""What a run has and what it lacks: scores outputs and turns attempts into finished samples."""

from collections.abc import Callable, Sequence
from typing import Any

from penstock.core import clock, plugins
from penstock.core.errors import Invalid, Unprocessable
from penstock.core.home import Home
from penstock.core.scope import Scope
from penstock.core.uow import UnitOfWork
from penstock.evals import store
from penstock.evals.epochs import Reduction
from penstock.evals.model import Attempt, Output, Sample, SampleResult
from penstock.evals.ports import CorpusScorer, JudgingScorer, Scorer, SignedScorer
from penstock.evals.suite import ScorerSpec, Suite
from penstock.traces import service as traces
from penstock.traces.model import TraceScore

Progress = Callable[[dict[str, Any]], None]
Task = tuple[Sample, int]
"""A sample and the epoch in which it is to be asked."""


def build_scorers(specs: Sequence[ScorerSpec]) -> list[Scorer]:
    """Return the scorers; raises Invalid for an unknown one or unknown options, MissingExtra without its package."""
    scorers: list[Scorer] = []
    for spec in specs:
        plugin = plugins.load("scorers", spec.name)
        try:
            scorers.append(plugin(**spec.options))
        except TypeError as error:
            raise Invalid(f"The scorer {spec.name!r} was given wrong options: {error}.") from error
    return scorers


def signatures(scorers: Sequence[Scorer], results: Sequence[SampleResult]) -> dict[str, str]:
    """Return scorer name → signature, of the scorers that sign what they scored."""
    counts = {len(result.references) for result in results if result.references and not result.output.error}
    if not counts:
        return {}
    references = counts.pop() if len(counts) == 1 else -1
    return {one.name: one.signature(references) for one in scorers if isinstance(one, SignedScorer)}


class Recording:
    """The samples of one run: which are missing, and how an answer becomes a row."""

    def __init__(
        self, home: Home, scope: Scope, run_id: str, samples: Sequence[Sample], suite: Suite
    ) -> None:
        self.run_id = run_id
        self.samples = {sample.id: sample for sample in samples}
        self.scorers = build_scorers(suite.scorers)
        # Checked once: an isinstance of a protocol costs more than most scores.
        self._summing = [scorer for scorer in self.scorers if isinstance(scorer, CorpusScorer)]
        self.judging = [scorer for scorer in self.scorers if isinstance(scorer, JudgingScorer)]
        self._epochs = suite.epochs
        self._reduction = Reduction(suite, self.scorers)
        self._allowed = suite.max_error_rate * len(samples)
        self._attempts: dict[str, dict[int, Attempt]] = {}
        with home.read() as uow:
            stored = store.results(uow.conn, scope, run_id)
            earlier = store.list_attempts(uow.conn, scope, run_id) if suite.epochs > 1 else []
        self.done = {result.sample_id for result in stored}
        for attempt in earlier:
            if attempt.output.sample_id not in self.done:
                self._attempts.setdefault(attempt.output.sample_id, {})[attempt.epoch] = attempt
        self.errors = sum(result.output.error is not None for result in stored)
        self.judge_errors = sum(result.score_error is not None for result in stored)
        self._example = next((result.output.error for result in stored if result.output.error), "")
        self._judge_example = next((result.score_error for result in stored if result.score_error), "")

    @property
    def total(self) -> int:
        """How many samples there are."""
        return len(self.samples)

    def missing(self) -> list[Task]:
        """Return what is still to be asked: epoch by epoch, so that an early stop has seen every sample."""
        return [
            (sample, epoch)
            for epoch in range(self._epochs)
            for key, sample in self.samples.items()
            if key not in self.done and epoch not in self._attempts.get(key, {})
        ]

    def score(self, sample: Sample, output: Output) -> tuple[dict[str, float], dict[str, tuple[float, ...]]]:
        """Return the scores that need no asking and the corpus sums; an output with an error has none."""
        scores: dict[str, float] = {}
        sums: dict[str, tuple[float, ...]] = {}
        if output.error is not None:
            return scores, sums
        for scorer in self.scorers:
            scores |= scorer.score(sample, output)
        for adding in self._summing:
            sums[adding.name] = adding.sums(sample, output)
        return scores, sums

    def add(self, attempt: Attempt) -> tuple[list[Attempt], list[SampleResult]]:
        """Return the rows that this attempt makes: itself when there are epochs, and the sample when it is complete."""
        key = attempt.output.sample_id
        sample = self.samples.get(key)
        if sample is None or key in self.done:
            return [], []
        if self._epochs == 1:
            return [], [self._result(sample, attempt)]
        mine = self._attempts.setdefault(key, {})
        if attempt.epoch in mine:
            return [], []
        mine[attempt.epoch] = attempt
        if len(mine) < self._epochs:
            return [attempt], []
        return [attempt], [self._result(sample, self._together([mine[epoch] for epoch in sorted(mine)]))]

    def _together(self, attempts: Sequence[Attempt]) -> Attempt:
        failed = [one for one in attempts if one.output.error is not None]
        if failed:
            error = f"{len(failed)} of {len(attempts)} attempts failed, first with: {failed[0].output.error}"
            return Attempt(epoch=0, output=Output(sample_id=failed[0].output.sample_id, error=error))
        scores, sums = self._reduction.reduce(attempts)
        return Attempt(
            epoch=0,
            output=attempts[0].output,
            scores=scores,
            sums=sums,
            notes={str(one.epoch): one.notes for one in attempts if one.notes},
            score_error=next((one.score_error for one in attempts if one.score_error), None),
        )

    def _result(self, sample: Sample, attempt: Attempt) -> SampleResult:
        self.done.add(sample.id)
        self._attempts.pop(sample.id, None)
        if attempt.output.error is not None:
            self.errors += 1
            self._example = self._example or attempt.output.error
        if attempt.score_error is not None:
            self.judge_errors += 1
            self._judge_example = self._judge_example or attempt.score_error
        return SampleResult(
            run_id=self.run_id,
            sample_id=sample.id,
            ordinal=sample.ordinal,
            split=sample.split,
            content_hash=sample.content_hash,
            messages=sample.messages,
            references=sample.references,
            output=attempt.output,
            scores=attempt.scores,
            sums=attempt.sums,
            finished_at=clock.now(),
            notes=attempt.notes,
            score_error=attempt.score_error,
        )

    def check_errors(self) -> None:
        """Raise Unprocessable when more samples failed than the suite allows."""
        for what, count, example in (
            ("target", self.errors, self._example),
            ("scoring", self.judge_errors, self._judge_example),
        ):
            if count > self._allowed:
                raise Unprocessable(
                    f"The {what} failed on {count} of {self.total} samples, first with: {example}",
                    hint=f"Mend the {what} and resume with retry_errors, or raise the suite's max_error_rate.",
                )

    def check_complete(self) -> None:
        """Raise Unprocessable when samples are missing though the target was asked for all of them."""
        left = self.total - len(self.done)
        if left:
            raise Unprocessable(f"The target left {left} of {self.total} samples unanswered.")


def put_trace_scores(uow: UnitOfWork, scope: Scope, results: Sequence[SampleResult]) -> None:
    """Put scores on the traces of answers that were traced: lists of traces find them by `score.NAME`."""
    found = [
        TraceScore(
            trace_id=result.output.trace_id,
            ref=f"{result.run_id}:{name}",
            origin="evals",
            name=name,
            value=value,
        )
        for result in results
        if result.output.trace_id
        for name, value in result.scores.items()
    ]
    if found:
        traces.put_scores(uow, scope, scores=found)
