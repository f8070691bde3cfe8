"""Figures that came with a run of another program."""

from collections.abc import Mapping
from typing import Any

from penstock.core.errors import Invalid
from penstock.evals.model import Measure, MetricKind, Output, Sample


class Recorded:
    """The metrics of an imported run, which say how to read figures that are stored already.

    `metrics` holds per metric `kind` (proportion or mean), `higher_is_better` and `unit`. It cannot score
    answers itself: use it for imported runs only.
    """

    name = "recorded"

    def __init__(self, *, metrics: Mapping[str, Mapping[str, Any]]) -> None:
        try:
            self._measures = {
                name: Measure(
                    kind=MetricKind(how.get("kind", "mean")),
                    higher_is_better=bool(how.get("higher_is_better", True)),
                    unit=str(how.get("unit", "fraction")),
                )
                for name, how in metrics.items()
            }
        except (AttributeError, ValueError) as error:
            raise Invalid(f"The metrics of a recorded run are not described rightly: {error}.") from error

    def score(self, sample: Sample, output: Output) -> dict[str, float]:  # noqa: ARG002 - the port's signature
        """Raise Invalid: nothing is known about how the figures came about."""
        raise Invalid(
            f"The sample {sample.id} cannot be scored by figures that were recorded elsewhere.",
            hint="Give the suite scorers of its own.",
        )

    def measure(self, metric: str) -> Measure | None:
        """Return how to read one of the recorded metrics."""
        return self._measures.get(metric)
