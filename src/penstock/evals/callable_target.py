"""A Python function as a target: the in-memory twin, and the way to evaluate any code of one's own."""

from collections.abc import Callable, Iterator, Sequence

from penstock.core import clock
from penstock.evals.model import Output, Sample

GROUP_S = 0.01
"""Answers that come faster than this are handed on, and stored, together."""


class CallableTarget:
    """Calls `function(sample)` for each sample in turn; a text is its answer, an Output is taken as it is."""

    def __init__(self, function: Callable[[Sample], str | Output]) -> None:
        self._function = function

    def generate(self, samples: Sequence[Sample]) -> Iterator[Sequence[Output]]:
        """Yield what was answered in the last 10 ms or more; an exception of the function becomes an error."""
        batch: list[Output] = []
        since = clock.monotonic()
        for sample in samples:
            batch.append(self._answer(sample))
            if clock.monotonic() - since >= GROUP_S:
                yield batch
                batch, since = [], clock.monotonic()
        if batch:
            yield batch

    def _answer(self, sample: Sample) -> Output:
        began = clock.monotonic()
        try:
            answer = self._function(sample)
        except Exception as error:  # noqa: BLE001 - the boundary to foreign code: a sample's failure is data
            return Output(sample_id=sample.id, error=f"{type(error).__name__}: {error}")
        if isinstance(answer, Output):
            return answer
        return Output(sample_id=sample.id, text=answer, latency_s=clock.monotonic() - began)
