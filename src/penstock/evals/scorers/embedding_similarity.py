"""How near an answer lies to the expected one, by an embedding model."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from penstock.core.errors import Invalid
from penstock.evals.model import Measure, MetricKind, Output, Sample
from penstock.evals.ports import Bench


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the cosine of two vectors, 0 when one has no length."""
    lengths = math.hypot(*one) * math.hypot(*other)
    return math.fsum(a * b for a, b in zip(one, other, strict=True)) / lengths if lengths else 0.0


class EmbeddingSimilarity:
    """`embedding_similarity`: the cosine of answer and expected answer, the best of several; from -1 to 1.

    `model` is an embedding model of the gateway, or options as of a gateway target. Samples without an expected
    answer are not scored.
    """

    name = "embedding_similarity"

    def __init__(self, *, model: str | Mapping[str, Any]) -> None:
        if not model:
            raise Invalid("embedding_similarity needs a model.")
        self._model = {"model": model} if isinstance(model, str) else dict(model)

    def score(self, sample: Sample, output: Output) -> dict[str, float]:  # noqa: ARG002 - the port's signature
        """Return nothing: the model must be asked."""
        return {}

    def measure(self, metric: str) -> Measure | None:
        """Return a mean of cosines."""
        return Measure(kind=MetricKind.MEAN, unit="cosine") if metric == self.name else None

    async def judge(self, sample: Sample, output: Output, bench: Bench) -> tuple[dict[str, float], Any]:
        """Return the best cosine."""
        if not sample.references:
            return {}, None
        if not output.text.strip():
            return {self.name: 0.0}, None
        answer, *expected = await bench.embed(self._model, [output.text, *sample.references])
        return {self.name: max(cosine(answer, one) for one in expected)}, None
