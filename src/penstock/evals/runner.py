"""One run from its first missing sample to its figures."""

from collections.abc import Callable, Sequence
from typing import Any

from penstock.core import clock, plugins
from penstock.core.errors import Invalid, Unprocessable
from penstock.core.home import Home
from penstock.core.scope import Scope
from penstock.evals import store
from penstock.evals.model import Output, Sample, SampleResult
from penstock.evals.ports import CorpusScorer, Scorer, SignedScorer, Target
from penstock.evals.suite import ScorerSpec, Suite
from penstock.traces import service as traces
from penstock.traces.model import TraceScore

Progress = Callable[[dict[str, Any]], None]


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


def score(
    scorers: Sequence[Scorer], summing: Sequence[CorpusScorer], sample: Sample, output: Output
) -> tuple[dict[str, float], dict[str, tuple[float, ...]]]:
    """Return the scores and (of the scorers in `summing`) the corpus sums of one output; a failed one has none."""
    scores: dict[str, float] = {}
    sums: dict[str, tuple[float, ...]] = {}
    if output.error is not None:
        return scores, sums
    for scorer in scorers:
        scores |= scorer.score(sample, output)
    for adding in summing:
        sums[adding.name] = adding.sums(sample, output)
    return scores, sums


def signatures(scorers: Sequence[Scorer], results: Sequence[SampleResult]) -> dict[str, str]:
    """Return scorer name → signature, of the scorers that sign what they scored."""
    counts = {len(result.references) for result in results if result.references and not result.output.error}
    if not counts:
        return {}
    references = counts.pop() if len(counts) == 1 else -1
    return {one.name: one.signature(references) for one in scorers if isinstance(one, SignedScorer)}


class Recording:
    """Scores outputs and stores them as they come; every stored sample survives the process."""

    def __init__(
        self, home: Home, scope: Scope, run_id: str, samples: Sequence[Sample], suite: Suite
    ) -> None:
        self._home, self._scope, self._run_id = home, scope, run_id
        self._samples = {sample.id: sample for sample in samples}
        self._scorers = build_scorers(suite.scorers)
        # Checked once: an isinstance of a protocol costs more than most scores.
        self._summing = [scorer for scorer in self._scorers if isinstance(scorer, CorpusScorer)]
        self._allowed = suite.max_error_rate * len(samples)
        with home.read() as uow:
            stored = store.results(uow.conn, scope, run_id)
        self.done = {result.sample_id for result in stored}
        self.errors = sum(result.output.error is not None for result in stored)
        self._example = next((result.output.error for result in stored if result.output.error), "")

    def fill(self, target: Target, progress: Progress, check_cancelled: Callable[[], None]) -> None:
        """Put the samples that are still missing to the target.

        Raises Unprocessable as soon as more samples failed than the suite allows, without asking for the rest.
        """
        missing = [sample for key, sample in self._samples.items() if key not in self.done]
        self._check_errors()
        if missing:
            for outputs in target.generate(missing):
                self._store(outputs)
                progress({"done": len(self.done), "total": len(self._samples), "errors": self.errors})
                self._check_errors()
                check_cancelled()
        left = len(self._samples) - len(self.done)
        if left:
            raise Unprocessable(f"The target left {left} of {len(self._samples)} samples unanswered.")

    def _store(self, outputs: Sequence[Output]) -> None:
        fresh = []
        for output in outputs:
            sample = self._samples.get(output.sample_id)
            if sample is None or sample.id in self.done:
                continue
            scores, sums = score(self._scorers, self._summing, sample, output)
            self.done.add(sample.id)
            if output.error is not None:
                self.errors += 1
                self._example = self._example or output.error
            fresh.append(
                SampleResult(
                    run_id=self._run_id,
                    sample_id=sample.id,
                    ordinal=sample.ordinal,
                    split=sample.split,
                    content_hash=sample.content_hash,
                    messages=sample.messages,
                    references=sample.references,
                    output=output,
                    scores=scores,
                    sums=sums,
                    finished_at=clock.now(),
                )
            )
        if fresh:
            with self._home.begin() as uow:
                store.add_results(uow.conn, self._scope, fresh)
                traces.put_scores(uow, self._scope, scores=_trace_scores(fresh))

    def _check_errors(self) -> None:
        if self.errors > self._allowed:
            raise Unprocessable(
                f"The target failed on {self.errors} of {len(self._samples)} samples, first with: {self._example}",
                hint="Mend the target and resume with retry_errors, or raise the suite's max_error_rate.",
            )

    def scorers(self) -> list[Scorer]:
        """Return the scorers of the suite."""
        return self._scorers


def _trace_scores(results: Sequence[SampleResult]) -> list[TraceScore]:
    """Return the scores of answers that were traced: lists of traces find them by `score.NAME`."""
    return [
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
