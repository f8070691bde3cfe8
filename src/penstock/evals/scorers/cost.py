"""What the answers cost."""

from penstock.evals.model import Measure, MetricKind, Output, Sample


class Cost:
    """`cost_usd` (dollars per answer), `input_tokens` and `output_tokens`; lower is better.

    What is not known is left out.
    """

    name = "cost"

    def score(self, sample: Sample, output: Output) -> dict[str, float]:  # noqa: ARG002 - the port's signature
        """Return the price and the tokens of the answer."""
        found = {
            "cost_usd": output.cost_usd,
            "input_tokens": output.input_tokens,
            "output_tokens": output.output_tokens,
        }
        return {name: float(value) for name, value in found.items() if value is not None}

    def measure(self, metric: str) -> Measure | None:
        """Return dollars or tokens with their percentiles."""
        units = {"cost_usd": "USD", "input_tokens": "tokens", "output_tokens": "tokens"}
        if metric not in units:
            return None
        return Measure(kind=MetricKind.DISTRIBUTION, higher_is_better=False, unit=units[metric])
