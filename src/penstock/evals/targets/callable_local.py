"""A Python function as a target: the in-memory twin, and the way to evaluate any code of one's own."""

from collections.abc import Callable, Iterator, Sequence

from penstock.core import clock
from penstock.evals.model import Output, Sample


class CallableTarget:
    """Calls `function(sample)` for each sample in turn; a text is its answer, an Output is taken as it is."""

    def __init__(self, function: Callable[[Sample], str | Output]) -> None:
        self._function = function

    def generate(self, samples: Sequence[Sample]) -> Iterator[Sequence[Output]]:
        """Yield one output at a time; an exception of the function becomes the sample's error."""
        for sample in samples:
            began = clock.monotonic()
            try:
                answer = self._function(sample)
            except Exception as error:  # noqa: BLE001 - the boundary to foreign code: a sample's failure is data
                yield [Output(sample_id=sample.id, error=f"{type(error).__name__}: {error}")]
                continue
            if isinstance(answer, Output):
                yield [answer]
            else:
                yield [Output(sample_id=sample.id, text=answer, latency_s=clock.monotonic() - began)]
