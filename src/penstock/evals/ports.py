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


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetContext:
    """What a target is given besides its options."""

    home: Any
    actor: Any
    workdir: Path
    """A folder of the run's own; created, kept until the run is finished."""
    concurrency: int = 8
    cancelled: Callable[[], bool] = lambda: False


TargetFactory = Callable[[Mapping[str, Any], TargetContext], Target]
"""A class plug-in of `penstock.targets`. A module plug-in offers `run(spec, report)` and runs in a child process."""
