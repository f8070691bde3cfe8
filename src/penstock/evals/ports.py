"""What scorers and targets must offer; both are plug-ins found by entry point."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from penstock.evals.model import Measure, Output, Sample


@runtime_checkable
class Scorer(Protocol):
    """Turns an answer into figures. The plug-in is a class called with the suite's options for it."""

    name: str

    def score(self, sample: Sample, output: Output) -> dict[str, float]:
        """Return metric name → value of this sample; a metric that does not apply is left out."""
        ...

    def measure(self, metric: str) -> Measure | None:
        """Return how to read a metric that `score` or `corpus` returned; None for any other name."""
        ...


@runtime_checkable
class CorpusScorer(Scorer, Protocol):
    """A scorer with metrics that are functions of sums over the samples, such as BLEU."""

    def sums(self, sample: Sample, output: Output) -> tuple[float, ...]:
        """Return what this sample adds; the same length for every sample."""
        ...

    def corpus(self, sums: Sequence[float]) -> dict[str, float]:
        """Return metric name → value from the added-up `sums`."""
        ...


@runtime_checkable
class SignedScorer(Scorer, Protocol):
    """A scorer whose figures are only comparable with those of the same signature: its version and every option."""

    def signature(self, references: int) -> str:
        """Return the signature for samples of so many references each; -1 when their number varies."""
        ...


@runtime_checkable
class Target(Protocol):
    """Answers samples: a model behind the gateway, a local folder, a function."""

    def generate(self, samples: Sequence[Sample]) -> Iterator[Sequence[Output]]:
        """Yield every sample's output exactly once, in any order, each list as soon as it is finished.

        A sample that cannot be answered yields an Output with `error`; raising ends the whole run.
        """
        ...


@runtime_checkable
class AsyncTarget(Protocol):
    """Answers one sample at a time; the runner asks many at once. What is paid for should be a target of this kind."""

    def request(self, sample: Sample) -> Mapping[str, Any]:
        """Return, as JSON, all that decides the answer: by it the call is known, and never paid for twice."""
        ...

    async def answer(self, sample: Sample, key: str) -> Output:
        """Return the answer; one that cannot be had is an Output with `error`. Raising ends the whole run.

        `key` names the call; a server that knows idempotency keys may be given it.
        """
        ...

    async def close(self) -> None:
        """Free what the target holds."""
        ...


class Bench(Protocol):
    """What a judging scorer may do besides thinking; its calls are cached, capped and priced like the target's."""

    async def ask(
        self, judge: Mapping[str, Any], messages: Sequence[Mapping[str, Any]], **fields: Any
    ) -> Output:
        """Return the judge's answer; `judge` holds options of a gateway target, empty ones are the suite's `judge`.

        `fields` are added to the request. Raises Upstream when there is no answer.
        """
        ...

    async def embed(self, model: Mapping[str, Any], texts: Sequence[str]) -> list[list[float]]:
        """Return one vector per text; raises Upstream when there is no answer."""
        ...

    async def consult(
        self, adviser: str, options: Mapping[str, Any], question: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Return the reply of a plug-in of `penstock.advisers`, which works in a child process of the run's own.

        `options` may name a registered `model`, in place of which the child gets its `folder`. Raises PenstockError.
        """
        ...

    async def answer(self, sample: Sample) -> Output:
        """Return the target's own answer to a changed sample; raises Invalid when the target cannot be asked so."""
        ...

    async def recorded(self, run_id: str, sample_id: str) -> Output | None:
        """Return what another run answered to the sample, None when it has no such; raises NotFound for the run."""
        ...

    async def spans(self, trace_id: str) -> Sequence[Any]:
        """Return the spans of a trace, as traces.model.SpanRecord, once it is complete; none when there is no such."""
        ...


@runtime_checkable
class JudgingScorer(Scorer, Protocol):
    """A scorer that asks somebody: a model, the target again, the trace. `score` gives what needs no asking."""

    async def judge(self, sample: Sample, output: Output, bench: Bench) -> tuple[dict[str, float], Any]:
        """Return metric name → value, and what to note of the reasons (JSON, or None).

        Raises PenstockError when there is no verdict: the sample then counts as not judged.
        """
        ...


class Adviser(Protocol):
    """A module plug-in of `penstock.advisers`: a local model that scorers consult; runs in a child process.

    Questions come one JSON object per line on standard input, each with an `id`, until it ends; every one is replied to
    by `report({"id": ..., "reply": {...}})` or `report({"id": ..., "error": "..."})`, in any order.
    """

    def run(self, spec: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Reply until no more is asked; `spec` holds the scorer's options for it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetContext:
    """What a target is given besides its options."""

    home: Any
    actor: Any
    workdir: Path
    """A folder of the run's own; created, kept until the run is finished."""
    concurrency: int = 8
    cancelled: Callable[[], bool] = lambda: False
    foreign: bool = True
    """False when `base_url` is the own gateway's, whose address says nothing about the answer."""


TargetFactory = Callable[[Mapping[str, Any], TargetContext], Target | AsyncTarget]
"""A class plug-in of `penstock.targets`. A module plug-in offers `run(spec, report)` and runs in a child process."""
