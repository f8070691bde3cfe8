"""A Python function as a target: the in-memory twin, and the way to evaluate any code of one's own."""

import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

from penstock.core import clock
from penstock.evals.model import Output, Sample
from penstock.evals.ports import AsyncTarget, Target

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


class AsyncCallableTarget:
    """Calls the coroutine function `function(sample)`, as many at once as the suite's concurrency says."""

    def __init__(self, function: Callable[[Sample], Awaitable[str | Output]]) -> None:
        self._function = function

    def request(self, sample: Sample) -> Mapping[str, Any]:
        """Return the sample: what the function does with it is not known, so answers are the run's own."""
        return {"id": sample.id, "messages": sample.messages, "content": sample.content_hash}

    async def answer(self, sample: Sample, key: str) -> Output:  # noqa: ARG002 - the port's signature
        """Return what the function answers."""
        began = clock.monotonic()
        answer = await self._function(sample)
        if isinstance(answer, Output):
            return answer
        return Output(sample_id=sample.id, text=answer, latency_s=clock.monotonic() - began)

    async def close(self) -> None:
        """Hold nothing."""


def as_target(target: Target | AsyncTarget | Callable[..., Any]) -> Target | AsyncTarget:
    """Return an object with `generate` or `answer` as it is, a function or coroutine function as a target."""
    if isinstance(target, Target | AsyncTarget):
        return target
    if inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(type(target).__call__):
        return AsyncCallableTarget(target)
    return CallableTarget(target)
